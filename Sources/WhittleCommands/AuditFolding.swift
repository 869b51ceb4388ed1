import Foundation
import WhittleIngest
import WhittleModel
import WhittleRender

/// Reads audit logs one after the other and says what came of them.
final class AuditFolding {
    private let reader: AuditLogReader
    private let progress: FoldingProgress
    private let commit: (UsageFold) throws -> Void
    private let rejects: RejectFile?
    private let format: String?
    private var total = UsageFold.Log(path: "")
    /// Logs that could not be read.
    private var failures: [IngestError] = []
    /// Whether every byte of the logs was read as an event.
    private(set) var isWhole = true
    private var logCount = 0
    /// Whether a part of some log was read before.
    private var hasKnown = false
    /// Whether some log has grown since a part of it was read.
    private var hasGrown = false
    /// Digests of all logs, as they are by now.
    private var digests: Set<String> = []
    /// The same if they hold nothing new that tells who asked for what, but earlier loads have read some of them.
    var digestsWithoutNews: Set<String> { hasKnown && total.events <= useless ? digests : [] }
    /// Events that do not tell who asked for what.
    private var useless: Int { (total.rejects["no-user"] ?? 0) + (total.rejects["no-attributes"] ?? 0) }

    /// - Parameters:
    ///   - rejects: file that keeps what is no event; it must not be `database`.
    ///   - commit: keeps facts; `false` = others have kept them before.
    init(
        _ options: AuditLogReader.Options, rejects: String? = nil, beside database: String? = nil, known: [Int: Set<KnownLog>] = [:],
        window: EventWindowState? = nil, commit: @escaping (UsageFold) throws -> Bool
    ) throws {
        reader = AuditLogReader(options: options, known: known, window: window)
        format = options.format
        let progress = FoldingProgress(isShown: Console.current.showsProgress)
        let rejectFile = try rejects.map { try RejectFile($0) }
        self.progress = progress
        self.rejects = rejectFile
        self.commit = { fold in
            progress.finish()
            DiagnosticReport.write(fold.diagnostics)
            // What is counted as read is not read again: its rejects must be kept.
            try rejectFile?.finish()
            var isKept = false
            // What is not kept is read again, or its rejects are another's.
            defer { if isKept { rejectFile?.keep() } else { rejectFile?.rollBack() } }
            isKept = try commit(fold)
        }
        if let database, let rejects = self.rejects, rejects.isFile(database) {
            throw CommandFailure("--rejects would write into the database `\(database)`", code: .usage)
        }
        reader.onProgress = { [unowned reader] in progress.update($0, subjects: reader.countSubjects()) }
        if let rejects = self.rejects {
            reader.onReject = { rejects.add($0, isRest: $1) }
            reader.onForget = { rejects.rollBack() }
        }
    }

    /// Reads files, what is in folders, and what patterns match.
    func read(all paths: [String]) throws {
        let expansion = AuditLogFiles.expand(paths)
        var files = expansion.files
        for (path, reason) in expansion.skipped { tell("not read: \(reason)", path) }
        for (path, count) in expansion.empty { tell("\(count) of the files in it \(count == 1 ? "is" : "are") empty", path) }
        expansion.failures.forEach(report)
        if let rejects {
            if let log = paths.first(where: rejects.isFile) {
                throw CommandFailure("--rejects would write into the log `\(log)`", code: .usage)
            }
            // In a folder, maybe under several names.
            for file in files where rejects.isFile(file) { tell("not read: --rejects writes it", file) }
            files.removeAll(where: rejects.isFile)
        }
        guard !files.isEmpty || !failures.isEmpty || !expansion.empty.isEmpty else {
            throw CommandFailure("there is no log in \(paths.map { "`\($0)`" }.joined(separator: ", "))")
        }
        progress.expect(files)
        // An interruption is the end of what cannot be read again.
        if files.contains(where: AuditLogFiles.isReadOnce) { Interruption.endInput() }
        try read(files)
    }

    /// Says something about a log.
    private func tell(_ text: String, _ path: String) { Console.current.error("\(path.printable()): \(text)\n") }

    private func report(_ failure: IngestError) {
        progress.finish()
        Console.current.error("whittle: error: \("\(failure)".printable())\n")
        failures.append(failure)
        isWhole = false
    }

    private func read(_ paths: [String]) throws {
        for path in paths where EndOfInput.signal == nil {
            do { try read(path) } catch let failure as IngestError { report(failure) }
        }
        if let fold = reader.take() { try commit(fold) }
        try rejects?.finish()
        if total.events > 0 {
            tellCoverage()
            if useless >= total.events, !hasKnown {
                throw CommandFailure("no event tells who asked for what")
            }
        } else if logCount == 0, !hasKnown, !failures.isEmpty {
            throw CommandFailure("no log could be read")
        } else if logCount > 0, !hasKnown {
            let names = paths.count == 1 ? "`\(paths[0])` holds" : "the logs hold"
            throw CommandFailure("\(names) no audit events")
        }
    }

    /// Says what all logs together could show.
    private func tellCoverage() {
        let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
        for line in CoverageText.lines(total, logs: logCount, isWhole: !hasGrown, now: now) { Console.current.error("  \(line)\n") }
    }

    private func read(_ path: String) throws {
        let (log, unfinished) = try reader.read(path, commit: commit)
        progress.finish()
        if unfinished > 0 || log.rejected > 0 { isWhole = false }
        if unfinished > 0 {
            let isEnd = log.rejects["damaged"] != nil
            let what = "the last \(counted(unfinished, "byte")) \(unfinished == 1 ? "is" : "are") no whole line"
            tell("\(what)\(isEnd ? "" : "; what is missing may follow when the log has grown")", path)
        }
        let isKnown = log.extendedDigest != nil
        if isKnown { hasKnown = true }
        let hasNews = log.events > 0 || log.rejected > 0 || log.skipped > 0
        if let digest = hasNews ? log.digest : log.extendedDigest { digests.insert(digest) }
        guard hasNews else {
            if unfinished == 0 { tell(isKnown ? "nothing new" : "no audit events", path) } else { logCount += 1 }
            return
        }
        logCount += 1
        if isKnown { hasGrown = true }
        total.add(log)
        tell(CoverageText.summary(log), path)
        if let format, log.events > 0, log.rejects["not-an-event"] ?? 0 > 0 {
            tell("what is not of --format \(format) is passed over, and is not looked for again where it counts as read", path)
        }
        if rejects == nil, log.rejected > AuditLogReader.rejectsShown {
            let command = "`whittle usage export \(path.printable()) --rejects FILE -o /dev/null`"
            tell(
                "\(AuditLogReader.rejectsShown) of what is unreadable are shown; \(AuditLogFiles.isReadOnce(path) ? "--rejects FILE" : command) keeps all",
                path)
        }
    }

    /// Waits for a file to be there, and opens it.
    ///
    /// - Returns: `nil` when a signal has come meanwhile.
    private func opened(_ path: String) throws -> Int32? {
        var isWaiting = false
        while EndOfInput.signal == nil {
            if let descriptor = try openToFollow(path) { return descriptor }
            if !isWaiting { tell("not there yet", path) }
            isWaiting = true
            _ = pause()
        }
        return nil
    }

    /// Opens a file as it is written; `nil` = it is not there.
    private func openToFollow(_ path: String) throws -> Int32? {
        var status = stat()
        // To open a pipe would wait for its writer.
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            throw CommandFailure("--follow takes one file, and `\(path)` is a folder, or no file", code: .usage)
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw IngestError.cannotOpen(path: path, reason: String(cString: strerror(errno))) }
            return nil
        }
        guard !AuditLogReader.isCompressed(descriptor) else {
            close(descriptor)
            throw CommandFailure("--follow takes a file as it is written, and `\(path)` is compressed", code: .usage)
        }
        return descriptor
    }

    /// Opens what has taken the place of a log; what cannot be read is told once, and may be replaced again.
    private func openNext(_ path: String, _ problem: inout String?) -> Int32? {
        var reason: String?
        defer { problem = reason }
        do { return try openToFollow(path) } catch let failure as CommandFailure { reason = failure.message } catch { reason = "\(error)" }
        if let reason, reason != problem { tell("\(reason); waiting for another", path) }
        return nil
    }

    /// The log does not begin as it did: whoever rotates it has cut it off.
    private func tellLost(waiting count: Int, _ path: String) {
        let lost = count > 0 ? ", and the last \(counted(count, "byte")) that it had were no whole line" : ""
        tell("it was cut off: what was written just before is not in it any more\(lost); load the copy that was made of it, too", path)
    }

    /// A log that another stands in the place of; who writes may not know yet.
    private struct ReplacedLog {
        /// Looks without anything new after which nobody writes it any more.
        private static let patience = 60

        let descriptor: Int32
        /// The place behind what was read.
        var end: Int
        var looks = ReplacedLog.patience

        mutating func noteGrowth(to end: Int) { (self.end, looks) = (end, Self.patience) }
    }

    /// Keeps what is new of a log that is followed.
    private func keep(_ log: UsageFold.Log, _ path: String) throws {
        progress.finish()
        if let fold = reader.take() { try commit(fold) }
        guard log.events > 0 || log.rejected > 0 || log.skipped > 0 else { return }
        if log.extendedDigest == nil || logCount == 0 { logCount += 1 }
        if log.extendedDigest != nil { hasGrown = true }
        total.add(log)
        tell(CoverageText.summary(log), path)
    }

    /// Waits a second; `false` when a signal has come meanwhile.
    private func pause() -> Bool {
        for _ in 0..<10 where EndOfInput.signal == nil { Thread.sleep(forTimeInterval: 0.1) }
        return EndOfInput.signal == nil
    }

    /// Reads what was written to a log since it was replaced; `nil` when it is given up.
    private func readRest(of old: ReplacedLog, _ path: String) throws -> ReplacedLog? {
        var (old, status) = (old, stat())
        if fstat(old.descriptor, &status) == 0, status.st_size > old.end {
            let (log, unfinished) = try reader.read(path, descriptor: old.descriptor, commit: commit)
            try keep(log, path)
            old.noteGrowth(to: log.byteCount + unfinished)
        }
        old.looks -= 1
        guard old.looks <= 0 else { return old }
        close(old.descriptor)
        return nil
    }

    /// Reads a log as it grows, until a signal comes; says at the end what all of it could show.
    ///
    /// A file that is renamed is read to its end before the new one, one that is cut off from its start.
    ///
    /// - Parameter wasRead: whether an earlier load has read a log of this path.
    func follow(_ path: String, wasRead: Bool) throws {
        guard var descriptor = try opened(path) else { return }
        var replaced: ReplacedLog?
        defer {
            close(descriptor)
            if let replaced { close(replaced.descriptor) }
        }
        var isFirst = true
        /// Bytes at the end that were no whole line, the place behind them, and whether the log can be told from others by now.
        var waiting = (count: 0, end: 0, isKnown: false)
        var patience = 3
        /// Why what has taken the place of the log cannot be read, if that was told.
        var problem: String?
        while true {
            var (held, named) = (stat(), stat())
            fstat(descriptor, &held)
            let isReplaced = stat(path, &named) == 0 && (named.st_ino != held.st_ino || named.st_dev != held.st_dev)
            if let old = replaced { replaced = try readRest(of: old, path) }
            let isCut = held.st_size < waiting.end
            let (log, unfinished) = try reader.read(path, descriptor: descriptor, commit: commit)
            if isFirst, wasRead, log.extendedDigest == nil, log.byteCount > 0 {
                tell(
                    "this is not the log that was read under this name before; what was written to that one since may be in a rotated copy: load it, too",
                    path)
            }
            // It may be longer than before by now.
            if isCut || waiting.isKnown && log.extendedDigest == nil && log.byteCount + unfinished > 0 {
                tellLost(waiting: waiting.count, path)
            }
            let isKnown = log.extendedDigest != nil || log.events > 0 || log.rejected > 0 || log.skipped > 0
            waiting = (unfinished, log.byteCount + unfinished, isKnown)
            // There is not much to read at once from now on.
            if isFirst { Interruption.endInput() }
            isFirst = false
            try keep(log, path)
            // Who writes may be in the middle of a line when the log is renamed.
            patience = isReplaced && unfinished > 0 ? patience - 1 : 3
            if isReplaced, unfinished == 0 || patience <= 0, let next = openNext(path, &problem) {
                if unfinished > 0 {
                    tell(
                        "the last \(counted(unfinished, "byte")) before it was replaced \(unfinished == 1 ? "is" : "are") no whole line",
                        path)
                }
                if let replaced { close(replaced.descriptor) }
                replaced = ReplacedLog(descriptor: descriptor, end: waiting.end)
                (descriptor, waiting, patience) = (next, (0, 0, false), 3)
                continue
            }
            guard pause() else { break }
        }
        if total.events > 0 { tellCoverage() }
    }
}
