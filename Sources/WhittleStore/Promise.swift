import Dispatch
import Synchronization

/// A value that another thread works out meanwhile.
final class Promise<Value: Sendable>: Sendable {
    private let work: @Sendable () -> Value
    private let result = Mutex<Value?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ work: @escaping @Sendable () -> Value) {
        self.work = work
        DispatchQueue.global().async { [self] in
            let value = work()
            result.withLock { $0 = value }
            done.signal()
        }
    }

    /// The value, waited for if need be.
    var value: Value {
        done.wait()
        defer { done.signal() }
        return result.withLock { $0 } ?? work()
    }
}
