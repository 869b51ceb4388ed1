import Foundation

/// Rows waiting to be written: for each a head, then a slot for each value.
struct RowBlock: @unchecked Sendable {
    static let firstLimit = 1 << 14
    static let lastLimit = 1 << 18
    private var slots: UnsafeMutablePointer<Slot>
    private var slotCapacity = lastLimit / MemoryLayout<Slot>.stride
    private var slotCount = 0
    /// What texts and blobs hold, one behind the other.
    private var bytes: UnsafeMutableRawPointer
    private var byteCapacity = lastLimit
    private var byteCount = 0

    struct Slot {
        enum Kind: UInt32 {
            case head, null, integer, text, blob
        }
        var kind: Kind
        /// Of a head the values of the row, of a text or blob its bytes.
        var count: UInt32 = 0
        /// Of a head the number of the statement, of a text or blob its place in the bytes.
        var value: Int64 = 0
    }

    init() {
        slots = .allocate(capacity: slotCapacity)
        bytes = .allocate(byteCount: byteCapacity, alignment: 16)
    }

    func free() {
        slots.deallocate()
        bytes.deallocate()
    }

    /// Bytes in use.
    var size: Int { slotCount * MemoryLayout<Slot>.stride + byteCount }

    /// The same memory without rows.
    var emptied: RowBlock {
        var copy = self
        (copy.slotCount, copy.byteCount) = (0, 0)
        return copy
    }

    /// Adds a row of a statement, of which `encode` adds the values.
    @inline(__always)
    mutating func addRow(_ statement: Int32, _ encode: (inout RowBlock) -> Void) {
        let head = slotCount
        add(Slot(kind: .head, value: Int64(statement)))
        encode(&self)
        slots[head].count = UInt32(slotCount - head - 1)
    }

    private mutating func add(_ slot: Slot) {
        if slotCount == slotCapacity {
            slotCapacity *= 2
            let larger = UnsafeMutablePointer<Slot>.allocate(capacity: slotCapacity)
            larger.moveInitialize(from: slots, count: slotCount)
            slots.deallocate()
            slots = larger
        }
        slots[slotCount] = slot
        slotCount += 1
    }

    private mutating func add(_ kind: Slot.Kind, _ source: UnsafeRawBufferPointer) {
        if byteCount + source.count > byteCapacity {
            byteCapacity = max(byteCapacity * 2, byteCount + source.count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: byteCapacity, alignment: 16)
            larger.copyMemory(from: bytes, byteCount: byteCount)
            bytes.deallocate()
            bytes = larger
        }
        add(Slot(kind: kind, count: UInt32(source.count), value: Int64(byteCount)))
        if let base = source.baseAddress { (bytes + byteCount).copyMemory(from: base, byteCount: source.count) }
        byteCount += source.count
    }

    mutating func addNull() { add(Slot(kind: .null)) }

    mutating func add(_ number: Int64) { add(Slot(kind: .integer, value: number)) }

    mutating func add(_ text: String) {
        var copy = text
        let isWhole = copy.withUTF8 { bytes in
            guard bytes.baseAddress.map({ memchr($0, 0, bytes.count) == nil }) ?? true else { return false }
            add(.text, UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes.prefix(Int(Int32.max)))))
            return true
        }
        if !isWhole { add(text.withoutNUL) }
    }

    mutating func add(_ blob: UnsafeRawBufferPointer) { add(.blob, UnsafeRawBufferPointer(rebasing: blob.prefix(Int(Int32.max)))) }

    /// Calls `body` with the statement and the values of each row.
    func forEachRow(_ body: (Int, UnsafePointer<Slot>) -> Void) {
        var position = 0
        while position < slotCount {
            body(Int(slots[position].value), UnsafePointer(slots + position + 1))
            position += 1 + Int(slots[position].count)
        }
    }

    /// What a value is to SQLite; texts and bytes stay where they are.
    enum Value {
        case null
        case integer(Int64)
        case text(UnsafePointer<CChar>, Int32)
        case blob(UnsafeRawPointer, Int32)
    }

    @inline(__always)
    static func value(_ slot: Slot, in bytes: UnsafeRawPointer) -> Value {
        switch slot.kind {
        case .integer: .integer(slot.value)
        case .text: .text((bytes + Int(slot.value)).assumingMemoryBound(to: CChar.self), Int32(slot.count))
        case .blob: .blob(bytes + Int(slot.value), Int32(slot.count))
        case .null, .head: .null
        }
    }

    /// Where `value` finds texts and bytes.
    var content: UnsafeRawPointer { UnsafeRawPointer(bytes) }
}

/// A value, or several values side by side, of a row.
protocol BulkValue {
    /// Writes the value after those before it.
    func write(to block: inout RowBlock)
}

extension Int64: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self) }
}

extension Int: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(Int64(self)) }
}

extension Bool: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self ? 1 : 0) }
}

extension String: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self) }
}

/// A blob of numbers of eight bytes each, the least significant first.
extension [UInt64]: BulkValue {
    func write(to block: inout RowBlock) { withUnsafeBytes { block.add($0) } }
}

extension Optional: BulkValue where Wrapped: BulkValue {
    @inline(__always)
    func write(to block: inout RowBlock) {
        if let value = self { value.write(to: &block) } else { block.addNull() }
    }
}

extension String {
    /// Whether there is a NUL character.
    var holdsNUL: Bool {
        var copy = self
        return copy.withUTF8 { bytes in bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false }
    }

    /// The text with a mark for NUL characters, at which SQLite's functions for text end.
    var withoutNUL: String {
        holdsNUL ? String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 })) : self
    }
}
