import CScan
import Foundation
import WhittleModel

/// Audit logs → distinct facts. Streams: memory grows with the facts and the longest value, not with the log.
///
/// Logs are read one after the other; facts are collected until they are taken.
public final class AuditLogReader {
    /// How logs are read.
    public struct Options: Sendable {
        /// Names that are kept of one verb on one resource for one user; with more of them no name is kept.
        public var maxNames = 1_000
        /// The envelope that every record must be in; `nil` = each record is looked at for itself.
        public var format: String?
        /// Bytes of one line or value.
        public var lineLimit = 32 << 20
        /// Threads that fold, at least 1; more do not help where a log must be decompressed.
        public var threads = min(ProcessInfo.processInfo.activeProcessorCount, 4) {
            didSet { threads = max(threads, 1) }
        }
        /// Bytes after which facts are handed out while a log is read.
        public var partSize = 1 << 30
        /// Bytes of kinds of events that all threads together remember; a quarter more of what events have in common.
        package var memoryLimit = 12 << 20

        /// Creates the default options.
        public init() {}
    }

    /// How far a reader is.
    public struct Progress: Sendable {
        /// Bytes of the file at hand, compressed or plain.
        public var bytes = 0
        /// The place of the file at hand among all that were read.
        public var file = -1
        /// Decompressed bytes of all logs.
        public var folded = 0
        /// Events of all logs.
        public var events = 0
        /// Lines and records of all logs that are no event.
        public var rejected = 0
    }

    private let options: Options
    private var known: [Int: Set<KnownLog>]
    private var window: SharedWindow?
    private var pipeline: FoldingPipeline?
    private var session: AuditSession?
    private var logs: [UsageFold.Log] = []
    private var diagnostics: [Diagnostic] = []
    private var progress = Progress()
    private var spare: [AuditBlock] = []
    private var subjects: Set<ByteString> = []
    /// Bytes folded since facts were handed out.
    private var sinceTaken = 0
    /// Called as the reader gets on.
    public var onProgress: ((Progress) -> Void)?
    /// Called with each text that is no event.
    public var onReject: ((UnsafeBufferPointer<UInt8>) -> Void)?

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - known: byte count → logs that were folded before; what repeats them is not counted again.
    ///   - window: the latest events of these; `nil` = none.
    public init(options: Options = Options(), known: [Int: Set<KnownLog>] = [:], window: EventWindowState? = nil) {
        self.options = options
        self.known = known
        self.window = window.map { SharedWindow($0) }
        tune_memory()
    }

    /// Folds one log that is known to nobody, at once.
    ///
    /// - Throws: `IngestError` when it cannot be opened.
    public static func fold(_ path: String, options: Options = Options()) throws -> UsageFold {
        var options = options
        options.partSize = .max
        let reader = AuditLogReader(options: options)
        let (log, _) = try reader.read(path) { _ in }
        var fold = reader.take() ?? UsageFold()
        fold.logs = [log]
        return fold
    }

    /// Users that were seen so far, in all logs; not for every event, because it takes time.
    public func countSubjects() -> Int {
        pipeline?.counter.tellSubjects(&subjects)
        session?.reader.tellSubjects(&subjects)
        return subjects.count
    }

    /// What was counted since the last call; `nil` when nothing was.
    public func take() -> UsageFold? {
        guard !logs.isEmpty else {
            (pipeline, session) = (nil, nil)
            return nil
        }
        var fold = UsageFold()
        if let window {
            if let counter = pipeline?.counter {
                if let session, !session.reader.folder.isEmpty { counter.absorb(session.reader.folder) }
                fold = counter.takeResult()
            }
            fold.window = window.state
        }
        fold.logs = logs
        fold.diagnostics = diagnostics
        (pipeline, session, logs, diagnostics, sinceTaken, spare) = (nil, nil, [], [], 0, [])
        return fold
    }

    /// Reads a log, or what is new of it.
    ///
    /// - Parameters:
    ///   - descriptor: the open log, if it is; it stays the caller's.
    ///   - commit: called with facts that are to be kept before the reader goes on.
    /// - Returns: what was read, and the bytes at the end that wait for the rest of their line.
    /// - Throws: `IngestError` when the log cannot be opened, or nothing of it can be read or decompressed; what `commit` throws.
    public func read(
        _ path: String, descriptor: Int32? = nil, commit: (UsageFold) throws -> Void
    ) throws -> (log: UsageFold.Log, unfinished: Int) {
        progress.file += 1
        let stream = try ByteStream.open(path: path, descriptor: descriptor)
        let source = BlockSource(stream, path: path, known: known)
        source.log.isFormatForced = options.format != nil
        var next = block(from: source)
        // Nothing of this log is in what is being folded.
        if next == nil, let failure = source.failure { throw failure }
        if !source.isToldByPlace, let first = next {
            source.keepKnown(beginningLike: LogDigest.ofBeginning(first.bytes))
            // What turns out to be known while it is read is forgotten, and only that.
            if source.mayBeKnown, let fold = take() { try commit(fold) }
        }
        let before = window?.state
        while let current = next {
            let (pipeline, session) = folding(beginningWith: current)
            session.begin(path, firstLine: source.firstLine, onReject: onReject)
            pipeline.submit(current)
            sinceTaken += current.count
            let isAtKnownCount = current.endsAtKnownCount
            if !isAtKnownCount { next = block(from: source) }
            // What may turn out to be known cannot be handed out yet.
            let isAtPartEnd = sinceTaken >= options.partSize && next != nil && !source.mayMeetKnown
            while pipeline.count >= (isAtKnownCount || isAtPartEnd || next == nil ? 1 : pipeline.depth) {
                if let block = pipeline.takeOldest() { take(block, session, source) }
            }
            progress.bytes = stream.consumed
            if isAtKnownCount {
                if source.isKnown {
                    // Everything up to here was folded before.
                    source.forget()
                    (self.pipeline, self.session, diagnostics) = (nil, nil, [])
                    self.window = before.map { SharedWindow($0) }
                    sinceTaken = 0
                }
                next = block(from: source)
                continue
            }
            if isAtPartEnd, session.isIdle {
                collect(source, session)
                logs.append(source.endPart(unfinished: 0))
                if let fold = take() { try commit(fold) }
            }
            report(source)
        }
        var unfinished = 0
        if let session {
            unfinished = session.finish(waiting: source.isToldByPlace ? .max : LogDigest.droppable)
            collect(source, session)
            // Of a log that was read as far as it can be, the damage was told.
            if let failure = source.failure, source.hasNews || source.total.extendedDigest == nil {
                session.reader.reject("damaged", failure.description, source.lineCount, 1, [])
                collect(source, session)
            }
        }
        let hasNews = source.hasNews
        let log = source.endPart(unfinished: unfinished)
        if hasNews {
            logs.append(log)
            // Who follows a log would remember each of its states.
            if descriptor != nil, let earlier = log.extendedDigest {
                known = known.compactMapValues { logs in
                    let others = logs.filter { $0.digest != earlier }
                    return others.isEmpty ? nil : others
                }
            }
            known[log.byteCount, default: []].insert(KnownLog(digest: log.digest, lineCount: log.lineCount, head: log.head))
        }
        progress.events += source.total.events
        progress.rejected += source.total.rejected
        if sinceTaken >= options.partSize, let fold = take() { try commit(fold) }
        return (source.total, unfinished)
    }

    private func block(from source: BlockSource) -> AuditBlock? { source.next(spare.popLast() ?? AuditBlock()) }

    /// What folds blocks and what reads the rest of them; made when there are none.
    private func folding(beginningWith block: AuditBlock) -> (FoldingPipeline, AuditSession) {
        if let pipeline, let session { return (pipeline, session) }
        if window == nil { block.load() }
        let window = self.window ?? SharedWindow(EventWindowState(seed: Self.seed(of: block.bytes)))
        let options = options
        let pipeline = FoldingPipeline(
            AuditCounter(maxNames: options.maxNames), window, lanes: options.threads,
            takesUsual: AuditEnvelope.accepts("", as: options.format),
            makeLane: { AuditLane(seed: window.seed, memoryLimit: options.memoryLimit / options.threads) })
        let records = AuditRecordReader(
            window: window, lineLimit: options.lineLimit, format: options.format, maxNames: options.maxNames)
        let session = AuditSession(records, lineLimit: options.lineLimit, format: options.format)
        (self.window, self.pipeline, self.session) = (window, pipeline, session)
        return (pipeline, session)
    }

    /// Gives the unusual lines of a folded block to the session, and the block back to be filled again.
    private func take(_ block: AuditBlock, _ session: AuditSession, _ source: BlockSource) {
        defer { spare.append(block) }
        progress.folded += block.count
        source.note(block)
        block.tally.add(to: &source.log)
        if block.isPiece {
            session.take(block.bytes, line: source.lineCount + 1, endsLine: block.endsLine)
            source.lineCount += block.endsLine ? 1 : 0
            return
        }
        // The lanes have looked at each line then.
        let takesUsual = AuditEnvelope.accepts("", as: options.format)
        var next = 0
        for place in block.unusual {
            if place.line > next { session.interrupt() }
            next = place.line + 1
            session.take(
                UnsafeBufferPointer(rebasing: block.bytes[place.range]), line: source.lineCount + place.line + 1, endsLine: true,
                isUnusual: takesUsual, isChecked: place.isChecked)
        }
        if block.lineCount > next { session.interrupt() }
        source.lineCount += block.lineCount
    }

    /// Moves what the session has counted to the log.
    private func collect(_ source: BlockSource, _ session: AuditSession) {
        session.reader.takeTally().add(to: &source.log)
        let (rejects, envelopes, skipped, found) = session.reader.takeFindings()
        source.log.skipped += skipped
        source.log.rejects.merge(rejects, uniquingKeysWith: +)
        source.log.envelopes.merge(envelopes, uniquingKeysWith: +)
        diagnostics += found
    }

    private func report(_ source: BlockSource) {
        guard let onProgress else { return }
        var copy = progress
        copy.events += source.total.events + source.log.events
        copy.rejected += source.total.rejected + source.log.rejected
        onProgress(copy)
    }

    /// What the hashes of events start from: nobody who sends requests can foresee how a log begins.
    private static func seed(of bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        UInt64(hexDigest(of: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes).prefix(4_096))).prefix(16), radix: 16) ?? 1
    }
}

/// The blocks of one log, behind what an earlier load has read.
private final class BlockSource {
    private let stream: ByteStream
    private var known: [Int: Set<KnownLog>]
    /// Counts that may still be met.
    private var counts: ArraySlice<Int>
    private var digest: LogDigest
    /// Bytes read, and those of them that were dealt with.
    private var read = 0
    private var dealt = 0
    /// Whether an earlier load ended behind what is carried.
    private var isAtKnownCount = false
    private var isInLine = false
    private var isBeginningKnown = false
    private var carried: [UInt8] = []
    private var isAtEnd = false
    private(set) var failure: IngestError?
    /// The first line of a log whose beginning an earlier load has read.
    private(set) var firstLine: [UInt8]?
    /// Line feeds in what was dealt with.
    var lineCount = 0
    /// The part at hand, and all parts together.
    var log: UsageFold.Log
    private(set) var total: UsageFold.Log

    init(_ stream: ByteStream, path: String, known: [Int: Set<KnownLog>]) {
        self.stream = stream
        self.known = known
        log = UsageFold.Log(path: path)
        total = log
        counts = []
        digest = LogDigest(needsWhole: known.values.contains { $0.contains { !LogDigest.isOfEnds($0.digest) } })
        let candidates = known.keys.sorted()
        guard stream.isSeekable, let size = stream.size, !digest.needsWhole else {
            counts = candidates[...]
            return
        }
        let beginning = LogDigest.Beginning(descriptor: stream.descriptor)
        for count in candidates.reversed() where count <= size && beginning.mayEnd(behind: count) {
            guard known[count]?.contains(where: { $0.head.isEmpty || $0.head == beginning.head }) ?? false,
                let found = LogDigest.ofEnds(beginning, descriptor: stream.descriptor, count: count),
                let earlier = known[count]?.first(where: { $0.digest == found })
            else { continue }
            stream.seek(to: count)
            firstLine = Self.firstLine(descriptor: stream.descriptor)
            (read, dealt) = (count, count)
            lineCount = earlier.lineCount
            log.byteCount = count
            log.extendedDigest = found
            total.extendedDigest = found
            break
        }
    }

    private static func firstLine(descriptor: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return Array(bytes.prefix(max(got, 0)).prefix { $0 != UInt8(ascii: "\n") })
    }

    /// Of a stream only logs that begin like it may turn out to be the same; the others are no longer looked for.
    ///
    /// - Parameter head: see `LogDigest.ofBeginning`.
    func keepKnown(beginningLike head: String) {
        guard !head.isEmpty, !isBeginningKnown else { return }
        isBeginningKnown = true
        known = known.compactMapValues { logs in
            let similar = logs.filter { $0.head.isEmpty || $0.head == head }
            return similar.isEmpty ? nil : similar
        }
        counts = counts.filter { known[$0] != nil }[...]
    }

    /// Whether the part at hand holds anything.
    var hasNews: Bool { log.events > 0 || log.rejected > 0 || log.skipped > 0 }

    /// Whether some earlier log may still be met.
    var mayBeKnown: Bool { !known.isEmpty }

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
        keepKnown(beginningLike: isBeginningKnown ? "" : digest.ofBeginning)
    }

    private var earlier: KnownLog? {
        guard let logs = known[dealt] else { return nil }
        let values = digest.values
        return logs.first { values.contains($0.digest) }
    }

    /// Whether what was dealt with so far was read by an earlier load.
    var isKnown: Bool { earlier != nil }

    /// What was counted so far was counted before.
    func forget() {
        guard let earlier else { return }
        log = log.emptied
        log.byteCount = dealt
        log.extendedDigest = earlier.digest
        total = log
        lineCount = earlier.lineCount
        isInLine = false
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
            do throws(IngestError) {
                let got = try stream.read(into: block.start + block.count, count: room)
                isAtEnd = got == 0
                block.count += got
                read += got
            } catch {
                failure = error
                isAtEnd = true
            }
        }
        guard block.count > 0 else { return nil }
        cut(block)
        let isMet = counts.first == read
        block.endsAtKnownCount = isMet && carried.isEmpty
        isAtKnownCount = isMet && !carried.isEmpty
        return block
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
    /// Of the same file, with nothing read of it.
    fileprivate var emptied: Self {
        var log = Self(path: path)
        log.isFormatForced = isFormatForced
        return log
    }
}
