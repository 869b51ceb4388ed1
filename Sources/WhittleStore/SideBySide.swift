import Dispatch
import Synchronization

/// Does two things at the same time.
func sideBySide<First: Sendable, Second>(_ first: @escaping @Sendable () -> First, _ second: () -> Second) -> (First, Second) {
    let box = Box<First>()
    let work = DispatchWorkItem { box.set(first()) }
    DispatchQueue.global().async(execute: work)
    let second = second()
    work.wait()
    return (box.value ?? first(), second)
}

private final class Box<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)
    var value: Value? { stored.withLock { $0 } }
    func set(_ value: Value) { stored.withLock { $0 = value } }
}

extension ContiguousArray where Element: Sendable {
    /// The elements in order, sorted on two threads when there are many.
    func sortedSideBySide(by precedes: @escaping @Sendable (Element, Element) -> Bool) -> ContiguousArray {
        guard count > 10_000 else { return ContiguousArray(sorted(by: precedes)) }
        let middle = count / 2
        let (left, right) = sideBySide({ self[..<middle].sorted(by: precedes) }, { self[middle...].sorted(by: precedes) })
        var all = ContiguousArray()
        all.reserveCapacity(count)
        var (place, other) = (0, 0)
        while place < left.count, other < right.count {
            if precedes(right[other], left[place]) {
                all.append(right[other])
                other += 1
            } else {
                all.append(left[place])
                place += 1
            }
        }
        return all + left[place...] + right[other...]
    }
}
