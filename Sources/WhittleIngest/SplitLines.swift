/// What container runtimes and shippers have split of lines so far, by stream.
struct SplitLines {
    /// The parts of a line that have come.
    struct Line {
        fileprivate(set) var bytes: [UInt8] = []
        /// Where the last part stands that begins like an event, behind others.
        fileprivate(set) var lastBeginning: Int?
    }

    private var lines: [String: Line] = [:]
    /// Bytes of all lines.
    private(set) var size = 0

    var isEmpty: Bool { lines.isEmpty }

    subscript(stream: String) -> Line? { lines[stream] }

    /// Adds a part of a line that goes on.
    mutating func add(_ part: [UInt8], to stream: String) {
        // In place: a long line has thousands of parts.
        var part = part[...]
        while let last = part.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { part.removeLast() }
        if let line = lines[stream], !line.bytes.isEmpty, part.first == UInt8(ascii: "{"),
            part.withUnsafeBufferPointer({ AuditEnvelope.isCutEvent($0[...]) })
        {
            lines[stream]?.lastBeginning = line.bytes.count
        }
        lines[stream, default: Line()].bytes += part
        size += part.count
    }

    /// Ends a line.
    mutating func remove(_ stream: String) -> Line? {
        guard let line = lines.removeValue(forKey: stream) else { return nil }
        size -= line.bytes.count
        return line
    }

    /// Gives away what a line consists of so far; the line goes on.
    mutating func empty(_ stream: String) -> [UInt8] {
        let bytes = remove(stream)?.bytes ?? []
        lines[stream] = Line()
        return bytes
    }

    /// Ends all lines but one, in a fixed order.
    mutating func removeAll(but stream: String? = nil) -> [[UInt8]] {
        let ended = lines.keys.filter { $0 != stream }.sorted()
        return ended.compactMap { remove($0)?.bytes }
    }
}
