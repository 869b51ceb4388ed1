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

    private var slots: UnsafeMutablePointer<Int32>
    private var mask: Int
    private var entries: ContiguousArray<Entry> = []
    private var bytes: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var byteCount = 0
    private let seed = UInt64.random(in: .min ... .max)

    init() {
        mask = 1_023
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
        capacity = 1 << 16
        bytes = .allocate(capacity: capacity)
    }

    deinit {
        slots.deallocate()
        bytes.deallocate()
    }

    /// A place found by `find`, valid until the next change.
    struct Place {
        fileprivate var slot: Int
        fileprivate var hash: UInt64
    }

    /// The number of the bytes; `nil` and where it would be put when there is none.
    @inline(__always)
    func find(_ key: ByteSlice) -> (value: Int32?, place: Place) {
        let hash = scan_hash(seed, key.start, key.count)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] >= 0 {
            let entry = entries[Int(slots[slot])]
            if entry.hash == hash, Int(entry.count) == key.count, memcmp(bytes + entry.offset, key.start, key.count) == 0 {
                return (entry.value, Place(slot: slot, hash: hash))
            }
            slot = (slot + 1) & mask
        }
        return (nil, Place(slot: slot, hash: hash))
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
        slots[place.slot] = Int32(entries.count)
        entries.append(Entry(hash: place.hash, offset: byteCount, count: Int32(key.count), value: value))
        byteCount += key.count
        if entries.count * 2 > mask { grow() }
    }

    private mutating func grow() {
        slots.deallocate()
        mask = mask * 2 + 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
        for index in entries.indices {
            var slot = Int(truncatingIfNeeded: entries[index].hash) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(index)
        }
    }

    /// The count of entries.
    var count: Int { entries.count }

    /// The bytes of the entry that was put in as number `index`, valid until the next change.
    func bytes(at index: Int) -> ByteSlice { ByteSlice(start: bytes + entries[index].offset, count: Int(entries[index].count)) }
}

/// Facts, each once, in the order in which they came.
struct FactTable: ~Copyable {
    private(set) var all: ContiguousArray<UsageFact> = []
    private var slots: UnsafeMutablePointer<Int32>
    private var mask = 1_023

    init() {
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
    }

    deinit { slots.deallocate() }

    /// The place of a fact; a new one comes last.
    mutating func place(of fact: UsageFact) -> Int {
        var slot = Self.hash(fact) & mask
        while slots[slot] >= 0 {
            if all[Int(slots[slot])] == fact { return Int(slots[slot]) }
            slot = (slot + 1) & mask
        }
        slots[slot] = Int32(all.count)
        all.append(fact)
        if all.count * 2 > mask { grow() }
        return all.count - 1
    }

    private static func hash(_ fact: UsageFact) -> Int {
        withUnsafeBytes(of: fact) { bytes in
            guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
            return Int(truncatingIfNeeded: scan_hash(0, start, bytes.count))
        }
    }

    private mutating func grow() {
        slots.deallocate()
        mask = mask * 2 + 1
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: -1, count: mask + 1)
        for index in all.indices {
            var slot = Self.hash(all[index]) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(index)
        }
    }
}
