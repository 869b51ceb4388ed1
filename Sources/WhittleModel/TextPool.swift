/// Texts, numbered in the order in which they were added; the first is `""`.
///
/// They stand in one block of bytes: a string is made when it is asked for.
public struct TextPool: Sendable {
    /// UTF-8, one after the other.
    private var bytes: ContiguousArray<UInt8>
    /// Where each begins, and where the last one ends.
    private var bounds: ContiguousArray<Int>

    /// Creates a pool that holds `""`.
    public init() { (bytes, bounds) = ([], [0, 0]) }

    /// Creates a pool of what stands in `bytes` one after the other.
    ///
    /// - Parameter bounds: where each text begins, and where the last one ends; the first is empty.
    package init(_ bytes: UnsafeBufferPointer<UInt8>, bounds: ContiguousArray<Int>) {
        self.bytes = ContiguousArray(bytes)
        self.bounds = bounds
    }

    /// How many there are.
    public var count: Int { bounds.count - 1 }

    /// The text of a number; what is no UTF-8 in it is replaced.
    public subscript(number: Int) -> String { String(decoding: bytes[bounds[number]..<bounds[number + 1]], as: UTF8.self) }

    /// Adds a text as the last one.
    public mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        bounds.append(bytes.count)
    }

    /// Calls `body` with all bytes, and where each text begins and the last one ends.
    package func withBytes<Result>(
        _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<Int>) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeBufferPointer { bytes in try bounds.withUnsafeBufferPointer { try body(bytes, $0) } }
    }
}
