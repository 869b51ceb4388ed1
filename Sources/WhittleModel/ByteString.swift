#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A string as a dictionary key that is compared byte by byte, as Kubernetes and SQLite do.
///
/// Swift's own `==` treats canonically equivalent strings as equal (`é` in one and in two scalars); the API server does not.
public struct ByteString: Hashable, Sendable {
    /// The text.
    public let string: String

    /// Wraps a string.
    public init(_ string: String) { self.string = string }

    /// Byte-wise equality.
    public static func == (left: ByteString, right: ByteString) -> Bool { left.string.isSameBytes(as: right.string) }

    /// Hashes the UTF-8 bytes.
    public func hash(into hasher: inout Hasher) {
        let done: Void? = string.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        if done == nil { for byte in string.utf8 { hasher.combine(byte) } }
    }
}

extension String {
    /// Whether both strings have the same UTF-8 bytes.
    package func isSameBytes(as other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        let same = utf8.withContiguousStorageIfAvailable { left in
            other.utf8.withContiguousStorageIfAvailable { right in
                guard let left = left.baseAddress, let right = right.baseAddress else { return true }
                return memcmp(left, right, utf8.count) == 0
            }
        }
        return (same ?? nil) ?? utf8.elementsEqual(other.utf8)
    }
}

extension Array where Element == String {
    /// Whether an element has the same UTF-8 bytes.
    package func containsBytes(_ element: String) -> Bool { contains { $0.isSameBytes(as: element) } }

    /// Whether both lists have the same elements in the same order, byte-wise.
    package func isSameBytes(as other: [String]) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.isSameBytes(as: $1) }
    }
}

extension Sequence where Element == String {
    /// The elements without repetitions, first occurrences in order, byte-wise.
    package func uniqued() -> [String] {
        var seen: Set<ByteString> = []
        return filter { seen.insert(ByteString($0)).inserted }
    }
}

/// Byte-wise order, the one SQLite and Go use.
package func bytesPrecede(_ left: String, _ right: String) -> Bool {
    let precedes = left.utf8.withContiguousStorageIfAvailable { left in
        right.utf8.withContiguousStorageIfAvailable { bytesPrecede(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer($0)) }
    }
    return (precedes ?? nil) ?? left.utf8.lexicographicallyPrecedes(right.utf8)
}

/// Byte-wise order, the one SQLite and Go use.
package func bytesPrecede(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard let start = left.baseAddress, let other = right.baseAddress else { return left.count < right.count }
    let order = memcmp(start, other, min(left.count, right.count))
    return order < 0 || order == 0 && left.count < right.count
}

extension StringProtocol {
    /// The parts before and after the first `separator` (an ASCII byte); the second is `nil` when there is none.
    ///
    /// By bytes, not by characters: a combining mark after the separator would hide it from `firstIndex(of:)`.
    package func splitBytes(at separator: Unicode.Scalar) -> (before: String, after: String?) {
        guard let index = utf8.firstIndex(of: UInt8(ascii: separator)) else { return (String(self), nil) }
        return (String(self[..<index]), String(self[utf8.index(after: index)...]))
    }

    /// Whether the bytes start with those of `prefix`.
    package func hasBytePrefix(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    /// The rest behind a prefix; `nil` = it does not start so.
    package func removingBytePrefix(_ prefix: String) -> String? {
        hasBytePrefix(prefix) ? String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
    }
}

extension UInt8 {
    /// Whether it is one of the digits of ASCII.
    package var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
