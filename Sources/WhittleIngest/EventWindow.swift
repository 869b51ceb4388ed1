import CScan
import WhittleModel

/// The latest events by their hashes, so that what two logs hold counts once.
///
/// Two generations: when the younger is full it becomes the older, so that at least the last `span` events are known and at
/// most twice as many. Nothing depends on time or on where a log was cut.
struct EventWindow: ~Copyable {
    /// Events that are known at least.
    static let span = 1 << 19

    let seed: UInt64
    private var previous = HashSet64()
    private var current = HashSet64()
    /// Events that are looked at once more before they count.
    private var postponed = PostponedEvents()
    private var postponedAtMark = PostponedEvents()
    /// What `rollBack` goes back to.
    private var marked: Mark?

    private enum Mark {
        /// So many of the younger events.
        case count(Int)
        /// Older ones than are kept by now.
        case state(EventWindowState)
    }

    init(seed: UInt64) { self.seed = seed }

    init(_ state: EventWindowState) {
        seed = state.seed
        for hash in state.previous { _ = previous.insert(hash) }
        for hash in state.current { _ = current.insert(hash) }
    }

    /// Adds an event; `false` when it is known. 0 is no event.
    @inline(__always)
    mutating func insert(_ hash: UInt64) -> Bool {
        guard hash != 0 else { return true }
        let wasPostponed = postponed.remove(hash)
        if !wasPostponed, previous.contains(hash) { return false }
        guard current.insert(hash) else { return wasPostponed }
        if current.count == Self.span {
            if case .count(let count) = marked {
                marked = .state(EventWindowState(seed: seed, previous: previous.entries, current: Array(current.entries.prefix(count))))
            }
            swap(&previous, &current)
            current.removeAll()
        }
        return true
    }

    /// An event that was added last is added once more when it counts, unless it is damaged: a copy of it then counts instead.
    mutating func postpone(_ hash: UInt64) {
        if hash != 0 { postponed.insert(hash) }
    }

    /// The events that come from now on may be taken out again.
    mutating func mark() { (marked, postponedAtMark) = (.count(current.count), postponed) }

    mutating func unmark() { marked = nil }

    /// Takes out what came since the mark, which stays.
    mutating func rollBack() {
        defer { postponed = postponedAtMark }
        switch marked {
        case .none: break
        case .count(let count): current.removeLast(current.count - count)
        case .state(let state):
            let postponed = postponedAtMark
            self = EventWindow(state)
            (marked, postponedAtMark) = (.count(current.count), postponed)
        }
    }

    var state: EventWindowState {
        guard !postponed.isEmpty else { return EventWindowState(seed: seed, previous: previous.entries, current: current.entries) }
        return EventWindowState(
            seed: seed, previous: previous.entries.filter { !postponed.contains($0) },
            current: current.entries.filter { !postponed.contains($0) })
    }
}

/// Events that are known and count nevertheless when they come again. Those that were damaged may never do: the latest are kept.
struct PostponedEvents {
    /// Events that are kept at least.
    private static let span = 1 << 18
    private var previous: Set<UInt64> = []
    private var current: Set<UInt64> = []

    var isEmpty: Bool { current.isEmpty && previous.isEmpty }

    func contains(_ hash: UInt64) -> Bool { current.contains(hash) || previous.contains(hash) }

    mutating func insert(_ hash: UInt64) {
        if current.count == Self.span { (previous, current) = (current, []) }
        current.insert(hash)
    }

    /// Takes out an event; `false` when it is not there.
    mutating func remove(_ hash: UInt64) -> Bool {
        guard !isEmpty else { return false }
        return current.remove(hash) != nil || previous.remove(hash) != nil
    }
}

/// Numbers other than 0 in the order in which they came.
struct HashSet64: ~Copyable {
    private(set) var entries: [UInt64] = []
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask = 4_095

    init() {
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: 0, count: mask + 1)
    }

    deinit { slots.deallocate() }

    var count: Int { entries.count }

    @inline(__always)
    private func slot(of hash: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0, slots[slot] != hash { slot = (slot + 1) & mask }
        return slot
    }

    @inline(__always)
    func contains(_ hash: UInt64) -> Bool { slots[slot(of: hash)] != 0 }

    @inline(__always)
    mutating func insert(_ hash: UInt64) -> Bool {
        let place = slot(of: hash)
        guard slots[place] == 0 else { return false }
        slots[place] = hash
        entries.append(hash)
        if entries.count * 4 > mask * 3 { grow() }
        return true
    }

    private mutating func grow() {
        slots.deallocate()
        mask = mask * 2 + 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: 0, count: mask + 1)
        for hash in entries { slots[slot(of: hash)] = hash }
    }

    /// Takes out what came last.
    mutating func removeLast(_ count: Int) {
        // Backwards, so that none stands on the way to another.
        for hash in entries.suffix(count).reversed() { slots[slot(of: hash)] = 0 }
        entries.removeLast(count)
    }

    mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        slots.update(repeating: 0, count: mask + 1)
    }
}
