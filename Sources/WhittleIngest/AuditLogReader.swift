import Dispatch
import Foundation
import WhittleModel

/// Takes a text that is no event, or more of the one before.
public typealias RejectHandler = (_ text: UnsafeBufferPointer<UInt8>, _ isRest: Bool) -> Void

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
        /// Bytes of kinds of events that all threads together remember; a quarter more of what events have in common, and 5 MiB more by
        /// who reads unusual lines.
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
    private var known: KnownLogs
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
    public var onReject: RejectHandler?
    /// Called when what was read of a log turns out to be known: its texts since the last commit were told before.
    public var onForget: (() -> Void)?

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - known: byte count → logs that were folded before; what repeats them is not counted again.
    ///   - window: the latest events of these; `nil` = none.
    public init(options: Options = Options(), known: [Int: Set<KnownLog>] = [:], window: EventWindowState? = nil) {
        self.options = options
        self.known = KnownLogs(known)
        self.window = window.map { SharedWindow($0) }
    }

    /// Texts that are no event and are told of, of one log; the others are counted.
    public static let rejectsShown = 20

    /// Whether a file, which stays as it is, begins as a compressed one.
    public static func isCompressed(_ descriptor: Int32) -> Bool {
        var magic = [UInt8](repeating: 0, count: 4)
        let got = magic.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return ByteStream.isCompressed(magic.prefix(max(got, 0)))
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
        // To free what folded takes longer than to take what came of it.
        if let pipeline { DispatchQueue.global().async { withExtendedLifetime(pipeline) {} } }
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
        if next == nil, source.earlier == nil, let failure = source.failure { throw failure }
        let hadWindow = window != nil
        if source.mayMeetKnown {
            // What turns out to be known while it is read is forgotten, and only that.
            if let fold = take() { try commit(fold) }
            window?.mark()
        }
        defer { window?.unmark() }
        while let current = next {
            let (pipeline, session) = folding(beginningWith: current)
            session.begin(path, firstLine: source.firstLine, onReject: onReject)
            pipeline.submit(current)
            sinceTaken += current.count
            let isAtKnownCount = current.endsAtKnownCount
            if !isAtKnownCount { next = block(from: source) }
            // What may turn out to be known cannot be handed out yet.
            let isAtPartEnd = sinceTaken >= options.partSize && next != nil && !source.mayMeetKnown
            while pipeline.blocksInFlight >= (isAtKnownCount || isAtPartEnd || next == nil ? 1 : pipeline.depth) {
                if let block = pipeline.takeOldest() { take(block, pipeline, session, source) }
            }
            progress.bytes = stream.consumed
            if isAtKnownCount {
                if source.forgetIfKnown() {
                    (self.pipeline, self.session, diagnostics) = (nil, nil, [])
                    if hadWindow { window?.rollBack() } else { window = nil }
                    onForget?()
                    sinceTaken = 0
                }
                next = block(from: source)
                continue
            }
            if isAtPartEnd, session.isIdle {
                collect(source, session)
                var part = source.endPart(unfinished: 0)
                part.isEnded = false
                logs.append(part)
                if let fold = take() { try commit(fold) }
            }
            report(source)
        }
        let unfinished = finish(source)
        keep(source, unfinished, isFollowed: descriptor != nil)
        progress.events += source.total.events
        progress.rejected += source.total.rejected
        if sinceTaken >= options.partSize, let fold = take() { try commit(fold) }
        return (source.total, unfinished)
    }

    /// The log has ended; the bytes that wait for the rest of their line.
    private func finish(_ source: BlockSource) -> Int {
        guard let session else { return 0 }
        let unfinished = session.finish(waiting: source.isToldByPlace ? .max : LogDigest.droppable)
        collect(source, session)
        // Of a log that was read as far as it can be, the damage was told; an interruption is none.
        if let failure = source.failure, EndOfInput.signal == nil, source.hasNews || source.total.extendedDigest == nil {
            session.reader.rejectDamage(failure, line: source.lineCount)
            collect(source, session)
        }
        return unfinished
    }

    /// Remembers what was read of the log.
    private func keep(_ source: BlockSource, _ unfinished: Int, isFollowed: Bool) {
        var log = source.endPart(unfinished: unfinished)
        log.isEnded = !isFollowed
        // Earlier parts may have been handed out, and nothing may have come behind them.
        guard source.hasHadNews else { return }
        if log.digest != log.extendedDigest { logs.append(log) }
        // Who follows a log would remember each of its states.
        if isFollowed, let earlier = source.earlier { known.remove(earlier.log, earlier.count) }
        known.insert(KnownLog(digest: log.digest, lineCount: log.lineCount, head: log.head), log.byteCount)
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

    /// Counts what is in a block, line after line, and gives the block back to be filled again.
    private func take(_ block: AuditBlock, _ pipeline: FoldingPipeline, _ session: AuditSession, _ source: BlockSource) {
        defer { spare.append(block) }
        progress.folded += block.count
        source.note(block)
        if block.isPiece {
            session.take(block.bytes, line: source.lineCount + 1, endsLine: block.endsLine)
            source.lineCount += block.endsLine ? 1 : 0
            return
        }
        let unusual = block.unusual
        // Whether the lanes have looked at each line.
        let takesUsual = AuditEnvelope.accepts("", as: options.format)
        // How many usual and unusual lines are dealt with, and of the latter, how many are up to where those end that follow each other.
        var (usual, index, runEnd) = (0, 0, 0)
        while usual + index < block.lineCount {
            let usualEnd = (index < unusual.count ? unusual[index].number : block.lineCount) - index
            if usual < usualEnd {
                if session.mayHoldEvent() {
                    let line = pipeline.counter.line(ofUsual: usual, in: block)
                    session.takeInside(UnsafeBufferPointer(rebasing: block.bytes[line.range]), line: source.lineCount + line.number + 1)
                    usual += 1
                } else {
                    takeUsual(usual..<usualEnd, of: block, from: usual + index, pipeline, session, source)
                    usual = usualEnd
                }
                continue
            }
            var start = 0
            while runEnd <= index || runEnd < unusual.count && unusual[runEnd].number == unusual[runEnd - 1].number + 1 { runEnd += 1 }
            if runEnd - index > 1 {
                let range = unusual[index].range.lowerBound..<unusual[runEnd - 1].range.upperBound
                let lines = UnsafeBufferPointer(rebasing: block.bytes[range])
                start = range.lowerBound + session.takeWhole(lines, line: source.lineCount + unusual[index].number + 1)
                while index < runEnd, unusual[index].range.upperBound <= start { index += 1 }
                if index == runEnd { continue }
            }
            take(unusual[index], of: block, from: start, session, source, isUnusual: takesUsual)
            index += 1
        }
        source.lineCount += block.lineCount
        block.tally.add(to: &source.log)
    }

    /// Counts usual events, the first of which stands in line `first` of the block.
    private func takeUsual(
        _ usual: Range<Int>, of block: AuditBlock, from first: Int, _ pipeline: FoldingPipeline, _ session: AuditSession,
        _ source: BlockSource
    ) {
        var next = first
        for line in pipeline.count(usual, of: block) {
            if line.number > next { session.interrupt() }
            take(line, of: block, session, source, isUnusual: true)
            next = line.number + 1
        }
        if next < first + usual.count { session.interrupt() }
    }

    /// Gives a line to the session, or what there is of it from `start` on.
    private func take(
        _ line: BlockLine, of block: AuditBlock, from start: Int = 0, _ session: AuditSession, _ source: BlockSource, isUnusual: Bool
    ) {
        let bytes = UnsafeBufferPointer(rebasing: block.bytes[max(start, line.range.lowerBound)..<line.range.upperBound])
        session.take(bytes, line: source.lineCount + line.number + 1, endsLine: true, isUnusual: isUnusual)
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
        copy.events += source.total.events + source.log.events + (session?.reader.eventCount ?? 0)
        copy.rejected += source.total.rejected + source.log.rejected + (session?.reader.rejectCount ?? 0)
        onProgress(copy)
    }

    /// What the hashes of events start from: nobody who sends requests can foresee how a log begins.
    private static func seed(of bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        UInt64(hexDigest(of: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes).prefix(4_096))).prefix(16), radix: 16) ?? 1
    }
}
