import Foundation

/// NUL bytes in a row: a system that went down leaves them for what was not written yet, whoever truncates a log under its writer for
/// what was.
struct GapOfNULs {
    /// What is shorter may be text in some other encoding.
    private static let shortest = 64

    var count = 0
    var line = 0
    var column = 0

    /// The first gap in some bytes.
    static func first(in bytes: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        var position = 0
        while let base = bytes.baseAddress, let found = memchr(base + position, 0, bytes.count - position) {
            let start = UnsafeRawPointer(base).distance(to: found)
            let end = start + zeros(in: UnsafeBufferPointer(rebasing: bytes[start...]))
            if end - start >= shortest { return start..<end }
            position = end
        }
        return nil
    }

    /// Whether there is any NUL byte.
    static func holdsNUL(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false
    }

    /// NUL bytes that some bytes begin with.
    static func zeros(in bytes: UnsafeBufferPointer<UInt8>) -> Int { bytes.firstIndex { $0 != 0 } ?? bytes.count }
}

/// Gaps, which end whatever is at hand: what follows stands for itself, though it may be in the same line.
extension AuditSession {
    /// Takes a line, or a piece of one, if there is a gap in it, or one before it that may go on.
    ///
    /// - Parameter bytes: the buffer goes on for `AuditEnvelope.padding` bytes behind them.
    func takeGaps(in bytes: UnsafeBufferPointer<UInt8>, line: Int, endsLine: Bool) -> Bool {
        // What is quoted in a table may hold anything.
        guard !texts.isInTable else { return false }
        var position = gapOfNULs.count > 0 ? GapOfNULs.zeros(in: bytes) : 0
        gapOfNULs.count += position
        var gap = GapOfNULs.first(in: UnsafeBufferPointer(rebasing: bytes[position...]))
        guard position > 0 || gap != nil else {
            endGap()
            return false
        }
        let isAtLineStart = isAtLineStart
        while let (start, end) = gap.map({ (position + $0.lowerBound, position + $0.upperBound) }) {
            if start > position { endGap() }
            takeCut(UnsafeBufferPointer(rebasing: bytes[position..<start]), line)
            gapOfNULs = GapOfNULs(count: end - start, line: line, column: isAtLineStart ? start + 1 : 1)
            position = end
            gap = GapOfNULs.first(in: UnsafeBufferPointer(rebasing: bytes[position...]))
        }
        if position < bytes.count {
            endGap()
            takeText(UnsafeBufferPointer(rebasing: bytes[position...]), line: line, endsLine: endsLine)
        }
        return true
    }

    /// Takes the end of what stands before a gap.
    private func takeCut(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int) {
        if !bytes.isEmpty || !isAtLineStart {
            var text = Array(bytes) + [UInt8(ascii: "\n")]
            AuditEnvelope.padded(&text) { takeText($0, line: line, endsLine: true) }
        }
        endCutValue()
        if reader.isInParts { reader.rejectParts(line: line) }
    }

    /// The log ends; the bytes of a gap at its end, which may go on.
    func gapAtEnd(waiting limit: Int) -> Int {
        guard gapOfNULs.count <= limit else {
            rejectGap()
            return 0
        }
        defer { gapOfNULs = GapOfNULs() }
        return gapOfNULs.count
    }

    /// Something follows the gap at hand.
    private func endGap() {
        guard gapOfNULs.count > 0 else { return }
        // Before the first line, nothing of this log is lost.
        if isAtStart, !isContinued, gapOfNULs.line == 1 { gapOfNULs = GapOfNULs() } else { rejectGap() }
    }

    private func rejectGap() {
        reader.reject(
            "nul-bytes", "\(gapOfNULs.count) NUL bytes stand where a line may have been lost", gapOfNULs.line, gapOfNULs.column, [])
        gapOfNULs = GapOfNULs()
    }
}
