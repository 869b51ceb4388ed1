/// What container runtimes and shippers have split of lines so far, by stream.
struct SplitLines {
    /// The parts of a line that have come.
    struct Line {
        fileprivate(set) var bytes: [UInt8] = []
        /// Whether the first part is the beginning of an event.
        fileprivate(set) var isOfEvent = false
        /// Where the last part stands that begins like an event, behind others.
        fileprivate(set) var lastBeginning: Int?
        /// When the last part came.
        fileprivate var time = 0
    }

    private var lines: [String: Line] = [:]
    /// Streams that were given up, of whose lines the last part has not come: what is left of these stands for nothing.
    private var givenUp: Set<String> = []
    private var time = 0
    /// Bytes of all lines, and about what it takes to hold them.
    private(set) var size = 0

    private static let overhead = 256
    private static let givenUpLimit = 1 << 16

    /// Whether no line waits for its other parts.
    var isEmpty: Bool { lines.isEmpty }

    /// Whether no part comes behind others.
    var awaitsNothing: Bool { lines.isEmpty && givenUp.isEmpty }

    subscript(stream: String) -> Line? { lines[stream] }

    /// Whether a part comes behind others.
    func isAwaited(_ stream: String) -> Bool { lines[stream] != nil || givenUp.contains(stream) }

    /// Drops a part of a line that was given up; `false` when it is of another.
    mutating func dropIfGivenUp(partOf stream: String, isLast: Bool) -> Bool {
        guard givenUp.contains(stream) else { return false }
        if isLast { givenUp.remove(stream) }
        return true
    }

    /// Adds a part of a line that goes on.
    mutating func add(_ part: [UInt8], to stream: String) {
        var part = part[...]
        while let last = part.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { part.removeLast() }
        if let line = lines[stream] {
            if !line.bytes.isEmpty, part.first == UInt8(ascii: "{"), part.withUnsafeBufferPointer({ AuditEnvelope.isCutEvent($0[...]) }) {
                lines[stream]?.lastBeginning = line.bytes.count
            }
        } else {
            size += Self.overhead
            lines[stream] = Line(isOfEvent: part.withUnsafeBufferPointer { AuditEnvelope.isCutEvent($0[...]) })
        }
        time += 1
        // In place: a long line has thousands of parts.
        lines[stream, default: Line()].bytes += part
        lines[stream]?.time = time
        size += part.count
    }

    /// Ends a line.
    mutating func remove(_ stream: String) -> Line? {
        guard let line = lines.removeValue(forKey: stream) else { return nil }
        size -= line.bytes.count + Self.overhead
        return line
    }

    /// Ends a line whose other parts may come yet: they are dropped.
    mutating func giveUp(_ stream: String) -> [UInt8]? {
        guard let line = remove(stream) else { return nil }
        if givenUp.count >= Self.givenUpLimit { givenUp = [] }
        givenUp.insert(stream)
        return line.bytes
    }

    /// Gives up the lines of which nothing has come for the longest time, until the others are not longer than `limit` together.
    mutating func giveUpOldest(downTo limit: Int) -> [[UInt8]] {
        var found: [[UInt8]] = []
        for (stream, _) in lines.mapValues(\.time).sorted(by: { $0.value < $1.value }) where size > limit {
            if let bytes = giveUp(stream) { found.append(bytes) }
        }
        return found
    }

    /// No part comes any more of the lines that were given up.
    mutating func forgetGivenUp() { givenUp = [] }

    /// Ends all lines, in a fixed order.
    mutating func removeAll() -> [[UInt8]] {
        givenUp = []
        return lines.keys.sorted().compactMap { remove($0)?.bytes }
    }
}
