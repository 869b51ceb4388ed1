import Crypto
import Foundation

/// What tells one log from another: its first and its last bytes and their count. Every event has an id and a time of its
/// own, so logs that agree in these agree in all that lies between; hashing all would cost more than reading does.
struct LogDigest: ~Copyable {
    static let span = 1 << 16
    private static let prefix = "ends:"
    /// Bytes that heads are made of.
    static let beginning = 1 << 12
    /// Bytes seen.
    private(set) var count = 0
    private var head: [UInt8] = []
    /// A ring of the last `tailSize` bytes: byte n of the log stands at n % `tailSize`. It is longer than `span`, because a digest may
    /// leave out up to `droppable` bytes at the end, those of an unfinished line.
    private var tail: [UInt8] = []
    private static let tailSize = droppable + span
    /// Of every byte, as files of schema 1 know it.
    private var whole: SHA256?

    init(needsWhole: Bool) { whole = needsWhole ? SHA256() : nil }

    var needsWhole: Bool { whole != nil }

    static func isOfEnds(_ digest: String) -> Bool { digest.hasPrefix(prefix) }

    /// The first bytes of a log, as many as its digest is made of.
    struct Beginning {
        let bytes: [UInt8]
        /// What tells the log from others, see `ofBeginning`.
        let head: String

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            head = ofBeginning(bytes)
            let line = Array(bytes.prefix { $0 != UInt8(ascii: "\n") })
            isTable = line.withUnsafeBufferPointer { AuditCSV(headerLine: $0, isFirst: true) } != nil
        }

        /// Of a regular file.
        init(descriptor: Int32) {
            var bytes = [UInt8](repeating: 0, count: span)
            let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
            self.init(Array(bytes.prefix(max(got, 0))))
        }

        /// Whether the last row of a table may have ended anywhere.
        private let isTable: Bool

        /// Whether an earlier load may have ended behind so many bytes: whatever it read ends in one of these, or before a line end.
        func mayEnd(behind count: Int) -> Bool {
            guard !isTable, count >= 1, count < bytes.count else { return true }
            return "\n}],[\"".utf8.contains(bytes[count - 1]) || "\r\n".utf8.contains(bytes[count])
        }
    }

    /// The digest of the first `count` bytes of a regular file; `nil` when it is shorter or cannot be read.
    static func ofEnds(_ beginning: Beginning, descriptor: Int32, count: Int) -> String? {
        func bytes(_ range: Range<Int>) -> [UInt8]? {
            var result = [UInt8](repeating: 0, count: range.count)
            var done = 0
            while done < range.count {
                let got = result.withUnsafeMutableBytes { buffer in
                    pread(descriptor, buffer.baseAddress.map { $0 + done }, range.count - done, off_t(range.lowerBound + done))
                }
                guard got > 0 else { return nil }
                done += got
            }
            return result
        }
        let head = Array(beginning.bytes.prefix(count))
        guard head.count == min(count, span) else { return nil }
        guard count > span else { return digest(count, head, []) }
        // The tail may overlap the head.
        return bytes(count - span..<count).map { digest(count, head, $0) }
    }

    /// Of a log whose bytes are gone before they could be looked at: no other is the same.
    static var ofLost: String {
        prefix + (0..<4).map { _ in UInt64.random(in: .min ... .max) }.map { String($0 | 1 << 63, radix: 16) }.joined()
    }

    /// What tells a log from others that it may be a later or earlier state of: hex SHA-256 of its first 4 KiB; `""` when it is shorter.
    var ofBeginning: String { Self.ofBeginning(head) }

    /// The same for bytes, of which the beginning is looked at.
    static func ofBeginning(_ bytes: some Sequence<UInt8>) -> String {
        let bytes = Array(bytes.prefix(beginning))
        return bytes.count < beginning ? "" : hex(SHA256.hash(data: bytes))
    }

    mutating func update(_ bytes: UnsafeBufferPointer<UInt8>) {
        whole?.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        if head.count < Self.span { head += bytes.prefix(Self.span - head.count) }
        // Grows to its size: most of many small logs need little of it.
        let added = bytes.prefix(Self.tailSize - tail.count)
        tail += added
        count += added.count
        let bytes = UnsafeBufferPointer(rebasing: bytes[added.endIndex...])
        let last = UnsafeBufferPointer(rebasing: bytes.suffix(Self.tailSize))
        let place = (count + bytes.count - last.count) % Self.tailSize
        count += bytes.count
        guard let source = last.baseAddress, !last.isEmpty else { return }
        tail.withUnsafeMutableBufferPointer { tail in
            guard let target = tail.baseAddress else { return }
            let first = min(last.count, Self.tailSize - place)
            (target + place).update(from: source, count: first)
            target.update(from: source + first, count: last.count - first)
        }
    }

    /// Line feeds in the last bytes, which are at most `droppable`.
    func lineFeeds(inLast last: Int) -> Int { (count - last..<count).count { tail[$0 % Self.tailSize] == UInt8(ascii: "\n") } }

    /// Bytes at the end that a digest may leave out.
    static let droppable = 4 << 20

    var ofEnds: String { ofEnds(dropping: 0) }

    /// The digest without the last bytes, which are at most `droppable`.
    func ofEnds(dropping dropped: Int) -> String {
        let count = count - dropped
        let bytes = count > Self.span ? (count - Self.span..<count).map { tail[$0 % Self.tailSize] } : []
        return Self.digest(count, Array(head.prefix(count)), bytes)
    }

    private static func digest(_ count: Int, _ head: [UInt8], _ tail: [UInt8]) -> String {
        var hasher = SHA256()
        hasher.update(data: Array("\(count)\n".utf8))
        hasher.update(data: head)
        hasher.update(data: tail)
        return prefix + hex(hasher.finalize())
    }

    /// Every digest of what was read so far that a database may hold.
    var values: [String] {
        let copy = whole
        return [ofEnds] + (copy.map { [hex($0.finalize())] } ?? [])
    }
}
