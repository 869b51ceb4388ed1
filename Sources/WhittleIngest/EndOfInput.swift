import Foundation
import Synchronization

/// Whether a signal has ended standard input before its writer did.
package enum EndOfInput {
    private static let awaited = Atomic<Bool>(false)
    private static let number = Atomic<Int32>(0)
    /// Reads that may still empty the pipe when the signal has come.
    private static let readsLeft = Atomic<Int>(16)

    /// Whether a signal is to end the input, and not the process.
    package static var isAwaited: Bool {
        get { awaited.load(ordering: .relaxed) }
        set { awaited.store(newValue, ordering: .relaxed) }
    }

    /// The signal; `nil` = none has come.
    package static var signal: Int32? {
        let signal = number.load(ordering: .relaxed)
        return signal == 0 ? nil : signal
    }

    package static func set(_ signal: Int32) { number.store(signal, ordering: .relaxed) }

    /// Waits until there is something to read; `false` when a signal has come and what was written before it is read.
    static func waits(for descriptor: Int32) -> Bool {
        guard isAwaited else { return true }
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while signal == nil {
            let ready = poll(&state, 1, 100)
            if ready > 0 || ready < 0 && errno != EINTR { return true }
        }
        return poll(&state, 1, 0) > 0 && readsLeft.subtract(1, ordering: .relaxed).oldValue > 0
    }
}
