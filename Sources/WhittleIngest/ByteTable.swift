import CScan
import Foundation
import WhittleModel

/// Byte strings → numbers that the caller gives: an open hash table over one block of bytes.
///
/// Entries are numbered in the order in which they were put in.
struct ByteTable: ~Copyable {
    private struct Entry {
        var hash: UInt64
        var offset: Int
        var count: Int32
        var value: Int32
    }

    private var slots = SlotTable()
    private var entries: ContiguousArray<Entry> = []
    private var bytes: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var byteCount = 0
    private let seed = UInt64.random(in: .min ... .max)

    init() {
        capacity = 1 << 16
        bytes = .allocate(capacity: capacity)
    }

    deinit { bytes.deallocate() }

    /// A place found by `find`, valid until the next change.
    struct Place {
        fileprivate var slot: Int
        fileprivate var hash: UInt64
    }

    /// The number of the bytes; `nil` and where it would be put when there is none.
    @inline(__always)
    func find(_ key: ByteSlice) -> (value: Int32?, place: Place) {
        let hash = scan_key_hash(seed, key.start, key.count)
        let (index, slot) = slots.find(hash) { index in
            let entry = entries[index]
            return Int(entry.count) == key.count && memcmp(bytes + entry.offset, key.start, key.count) == 0
        }
        return (index.map { entries[$0].value }, Place(slot: slot, hash: hash))
    }

    /// Puts the bytes where `find` did not find them.
    mutating func insert(_ key: ByteSlice, _ value: Int32, at place: Place) {
        if byteCount + key.count > capacity {
            capacity = max(capacity * 2, byteCount + key.count)
            // Large blocks are moved without being copied. Without memory the process ends here as in `allocate`: no input asks
            // for more than the limits on lines and names let it.
            guard let larger = realloc(bytes, capacity) else { fatalError("out of memory") }
            bytes = larger.assumingMemoryBound(to: UInt8.self)
        }
        (bytes + byteCount).update(from: key.start, count: key.count)
        slots.insert(entries.count, place.hash, at: place.slot)
        entries.append(Entry(hash: place.hash, offset: byteCount, count: Int32(key.count), value: value))
        byteCount += key.count
        if slots.isFull { slots.grow(entries.lazy.map(\.hash)) }
    }

    /// The count of entries.
    var count: Int { entries.count }

    /// All entries by their numbers.
    var pool: TextPool {
        TextPool(
            UnsafeBufferPointer(start: bytes, count: byteCount), bounds: ContiguousArray(entries.lazy.map(\.offset)) + [byteCount])
    }

    /// The bytes of the entry that was put in as number `index`, valid until the next change.
    func bytes(at index: Int) -> ByteSlice { ByteSlice(start: bytes + entries[index].offset, count: Int(entries[index].count)) }
}

/// Facts, each once, in the order in which they came.
struct FactTable: ~Copyable {
    private(set) var all: ContiguousArray<UsageFact> = []
    private var slots = SlotTable()

    /// The place of a fact, if it is there.
    func find(_ fact: UsageFact) -> Int? { slots.find(Self.hash(fact)) { all[$0] == fact }.index }

    /// The place of a fact; a new one comes last.
    mutating func place(of fact: UsageFact) -> Int {
        let hash = Self.hash(fact)
        let (index, slot) = slots.find(hash) { all[$0] == fact }
        if let index { return index }
        slots.insert(all.count, hash, at: slot)
        all.append(fact)
        if slots.isFull { slots.grow(all.lazy.map(Self.hash)) }
        return all.count - 1
    }

    /// All facts; nothing may be put in or looked up after this.
    mutating func takeAll() -> ContiguousArray<UsageFact> {
        var all: ContiguousArray<UsageFact> = []
        swap(&all, &self.all)
        return all
    }

    private static func hash(_ fact: UsageFact) -> UInt64 {
        withUnsafeBytes(of: fact) { bytes in
            guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
            return scan_key_hash(0x9E37_79B9_7F4A_7C15, start, bytes.count)
        }
    }
}

/// The open hash table behind a list: hashes → places in the list.
///
/// A slot holds a place and half of the hash beside it, so that entries of other hashes are not looked at: they are far away.
struct SlotTable: ~Copyable {
    /// Half of a hash and the place + 1; 0 = free.
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask = 1_023
    private var count = 0

    init() {
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: 0, count: mask + 1)
    }

    deinit { slots.deallocate() }

    /// The first place of a hash that `isEqual` says is the one, or `nil`; and the slot that the search ended at.
    @inline(__always)
    func find(_ hash: UInt64, _ isEqual: (Int) -> Bool) -> (index: Int?, slot: Int) {
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let index = Int(slots[slot] & 0xFFFF_FFFF) - 1
            if slots[slot] >> 32 == hash >> 32, isEqual(index) { return (index, slot) }
            slot = (slot + 1) & mask
        }
        return (nil, slot)
    }

    /// Notes a place that `find` did not find, at the slot where its search ended.
    @inline(__always)
    mutating func insert(_ index: Int, _ hash: UInt64, at slot: Int) {
        slots[slot] = hash & ~0xFFFF_FFFF | UInt64(index + 1)
        count += 1
    }

    /// Whether it must grow before the next insertion.
    var isFull: Bool { count * 2 > mask }

    /// Makes twice the room; `hashes` are those of the list, in order.
    mutating func grow(_ hashes: some Sequence<UInt64>) {
        slots.deallocate()
        mask = mask * 2 + 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: 0, count: mask + 1)
        count = 0
        for (index, hash) in hashes.enumerated() { insert(index, hash, at: find(hash) { _ in false }.slot) }
    }
}
