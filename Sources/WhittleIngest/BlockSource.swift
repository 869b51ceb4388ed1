import Foundation
import WhittleModel

/// The blocks of one log, behind what an earlier load has read.
final class BlockSource {
    private let stream: ByteStream
    /// Known logs whose ends may still be met in a stream, and the counts of their bytes.
    private var candidates: [KnownLogs.Group] = []
    private var counts: ArraySlice<Int> = []
    private var digest: LogDigest
    /// Bytes read, and those of them that were dealt with.
    private var read = 0
    private var dealt = 0
    /// Whether an earlier load ended behind what is carried.
    private var isAtKnownCount = false
    private var isInLine = false
    private var carried: [UInt8] = []
    private var isAtEnd = false
    private(set) var failure: IngestError?
    /// The first line of a log whose beginning an earlier load has read.
    private(set) var firstLine: [UInt8]?
    /// The longest known log that it begins with, and the count of its bytes.
    private(set) var earlier: (log: KnownLog, count: Int)?
    /// What `firstLine` becomes.
    private var beginning: [UInt8] = []
    /// Line feeds in what was dealt with.
    var lineCount = 0
    /// The part at hand, and all parts together.
    var log: UsageFold.Log
    private(set) var total: UsageFold.Log

    init(_ stream: ByteStream, path: String, known: KnownLogs) {
        self.stream = stream
        log = UsageFold.Log(path: path)
        total = log
        digest = LogDigest(needsWhole: known.needsWhole)
        if isToldByPlace { beginInFile(known) } else { beginInStream(known) }
    }

    /// Goes to the end of the longest known log that the file begins with.
    private func beginInFile(_ known: KnownLogs) {
        let beginning = LogDigest.Beginning(descriptor: stream.descriptor)
        let found = Self.longest(of: known.candidates(head: beginning.head), beginning, limit: stream.size ?? 0) { count in
            LogDigest.ofEnds(beginning, descriptor: stream.descriptor, count: count).map { [$0] } ?? []
        }
        guard let (earlier, count) = found else { return }
        self.beginning = beginning.bytes
        stream.seek(to: count)
        (read, dealt) = (count, count)
        goOn(behind: earlier)
    }

    /// Reads how the stream begins, which tells most logs from those that are known, and small ones wholly.
    private func beginInStream(_ known: KnownLogs) {
        carried = [UInt8](unsafeUninitializedCapacity: LogDigest.span) { buffer, count in
            if let start = buffer.baseAddress { count = fill(start, buffer.count) }
        }
        let beginning = LogDigest.Beginning(carried)
        candidates = known.candidates(head: beginning.head)
        guard !candidates.isEmpty else { return }
        self.beginning = carried
        let found = Self.longest(of: candidates, beginning, limit: read) { count in
            var digest = LogDigest(needsWhole: known.needsWhole)
            carried.withUnsafeBufferPointer { digest.update(UnsafeBufferPointer(rebasing: $0[..<count])) }
            return digest.values
        }
        // Whatever ends in what was read is known by now.
        counts = isAtEnd ? [] : candidates.flatMap(\.counts).filter { $0 > read }.sorted()[...]
        guard let (earlier, count) = found else { return }
        carried.withUnsafeBufferPointer { digest.update(UnsafeBufferPointer(rebasing: $0[..<count])) }
        carried.removeFirst(count)
        dealt = count
        goOn(behind: earlier)
    }

    private static func longest(
        of candidates: [KnownLogs.Group], _ beginning: LogDigest.Beginning, limit: Int, digests: (Int) -> [String]
    ) -> (log: KnownLog, count: Int)? {
        candidates.compactMap { group in
            let counts = group.counts.prefix { $0 <= limit }
            // Of very many only those that are likely.
            for count in counts.reversed() where counts.count <= 64 || beginning.mayEnd(behind: count) {
                if let log = group.log(ofBytes: count, digests(count)) { return (log, count) }
            }
            return nil
        }.max { $0.count < $1.count }
    }

    /// What was dealt with so far was counted before.
    private func goOn(behind earlier: KnownLog) {
        log = log.emptied
        log.byteCount = dealt
        log.extendedDigest = earlier.digest
        total = log
        self.earlier = (earlier, dealt)
        lineCount = earlier.lineCount
        isInLine = false
        let isMarked = beginning.starts(with: [0xEF, 0xBB, 0xBF])
        let lines = beginning.prefix(1 << 14).dropFirst(isMarked ? 3 : 0).split(
            separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
        let isBefore = lines.first?.withUnsafeBufferPointer(AuditCSV.isBeforeHeader) ?? false
        firstLine = lines.dropFirst(isBefore ? 1 : 0).first.map(Array.init)
    }

    /// Whether the part at hand holds anything.
    var hasNews: Bool { log.hasNews }

    /// Whether all ended parts together do.
    var hasHadNews: Bool { total.hasNews }

    /// Whether the end of some earlier log lies ahead, so that what was read so far may be its beginning.
    var mayMeetKnown: Bool { counts.last.map { $0 > dealt } ?? false }

    /// A block was dealt with.
    func note(_ block: AuditBlock) {
        dealt += block.count
        if let code = block.shortfall {
            let reason = code == 0 ? "it was cut off while it was read" : String(cString: strerror(code))
            failure = .cannotRead(path: log.path, reason: reason)
            isAtEnd = true
        }
        guard !isToldByPlace else { return }
        digest.update(block.bytes)
    }

    /// Whether what was dealt with so far was read by an earlier load, so that what was counted of it is not to be counted again.
    func forgetIfKnown() -> Bool {
        let values = digest.values
        guard let earlier = candidates.lazy.compactMap({ $0.log(ofBytes: self.dealt, values) }).first else { return false }
        goOn(behind: earlier)
        return true
    }

    /// Fills a block, or says where its bytes are; `nil` at the end.
    func next(_ block: AuditBlock) -> AuditBlock? {
        block.clear()
        if let end = endOfLines() {
            block.count = end - read
            block.unread = (stream.descriptor, read)
            read = end
            stream.seek(to: end)
            return block
        }
        block.count = carried.count
        block.start.update(from: carried, count: carried.count)
        carried = []
        if isAtKnownCount {
            // Behind the end of a piece of a line whole lines may come first.
            let end = block.bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            if end > 0, end < block.count {
                carried = Array(block.bytes[end...])
                block.count = end
                return block
            }
            (isAtKnownCount, block.endsAtKnownCount) = (false, true)
            // The earlier load took this for the end of a line; if it was none, the line goes on.
            if end == 0 { (block.isPiece, isInLine) = (true, true) }
            return block
        }
        while let first = counts.first, first <= read { counts = counts.dropFirst() }
        while block.count < AuditBlock.size, !isAtEnd {
            let room = min(AuditBlock.size - block.count, counts.first.map { $0 - read } ?? .max)
            if room == 0 { break }
            block.count += fill(block.start + block.count, room)
        }
        guard block.count > 0 else { return nil }
        cut(block)
        let isMet = counts.first == read
        block.endsAtKnownCount = isMet && carried.isEmpty
        isAtKnownCount = isMet && !carried.isEmpty
        return block
    }

    /// Reads so many bytes, if no end or failure comes before.
    private func fill(_ target: UnsafeMutablePointer<UInt8>, _ count: Int) -> Int {
        var got = 0
        while got < count, !isAtEnd {
            do throws(IngestError) {
                let more = try stream.read(into: target + got, count: count - got)
                isAtEnd = more == 0
                got += more
            } catch {
                failure = error
                isAtEnd = true
            }
        }
        read += got
        return got
    }

    /// Where the lines of the next block end, if they need not be read to tell: in the middle of a plain file.
    private func endOfLines() -> Int? {
        guard isToldByPlace, !isInLine, !isAtKnownCount, failure == nil else { return nil }
        let start = read - carried.count
        let limit = start + AuditBlock.size
        guard counts.first.map({ $0 > limit }) ?? true else { return nil }
        let tail = withUnsafeTemporaryAllocation(byteCount: Self.tailSize, alignment: 16) { tail -> Int? in
            guard pread(stream.descriptor, tail.baseAddress, tail.count, off_t(limit - tail.count)) == tail.count else { return nil }
            return tail.lastIndex(of: UInt8(ascii: "\n"))
        }
        guard let tail else { return nil }
        // What was read beyond the last block is read again.
        (read, carried) = (start, [])
        return limit - Self.tailSize + tail + 1
    }

    /// Bytes at the end of a block in which a line most likely ends.
    private static let tailSize = 1 << 14

    /// Plain files are told apart by their places.
    var isToldByPlace: Bool { stream.isSeekable && !digest.needsWhole }

    /// Leaves whole lines in the block, or marks it as a piece of one.
    private func cut(_ block: AuditBlock) {
        let newline = UInt8(ascii: "\n")
        let end = isInLine ? block.bytes.firstIndex(of: newline) : block.bytes.lastIndex(of: newline)
        (block.isPiece, block.endsLine) = (isInLine || end == nil, isInLine && end != nil)
        isInLine = end == nil
        guard let end, end + 1 < block.count else { return }
        carried = Array(block.bytes[(end + 1)...])
        block.count = end + 1
    }

    /// Ends the part at hand; the next one begins behind it.
    func endPart(unfinished: Int) -> UsageFold.Log {
        log.byteCount = dealt - unfinished
        // What waits is read again, and its lines are counted then.
        log.lineCount = lineCount - unfinishedLines(unfinished)
        if isToldByPlace {
            let beginning = LogDigest.Beginning(descriptor: stream.descriptor)
            log.digest = LogDigest.ofEnds(beginning, descriptor: stream.descriptor, count: log.byteCount) ?? LogDigest.ofLost
            log.head = beginning.head
        } else {
            (log.digest, log.head) = (digest.ofEnds(dropping: unfinished), digest.ofBeginning)
        }
        let ended = log
        total.add(ended)
        log = ended.emptied
        log.byteCount = ended.byteCount
        log.extendedDigest = ended.digest
        return ended
    }

    private func unfinishedLines(_ unfinished: Int) -> Int {
        isToldByPlace ? lineFeeds(from: dealt - unfinished, to: dealt) : digest.lineFeeds(inLast: unfinished)
    }

    /// Of a plain file; only of these something waits.
    private func lineFeeds(from start: Int, to end: Int) -> Int {
        var buffer = [UInt8](repeating: 0, count: min(end - start, 1 << 16))
        var (count, position) = (0, start)
        while position < end {
            let got = buffer.withUnsafeMutableBytes {
                pread(stream.descriptor, $0.baseAddress, min($0.count, end - position), off_t(position))
            }
            guard got > 0 else { break }
            count += buffer[..<got].count { $0 == UInt8(ascii: "\n") }
            position += got
        }
        return count
    }
}

extension UsageFold.Log {
    fileprivate var hasNews: Bool { events > 0 || rejected > 0 || skipped > 0 }

    /// Of the same file, with nothing read of it.
    fileprivate var emptied: Self {
        var log = Self(path: path)
        log.isFormatForced = isFormatForced
        return log
    }
}
