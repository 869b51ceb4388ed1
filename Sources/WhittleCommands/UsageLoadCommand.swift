import ArgumentParser
import Foundation
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

/// How audit logs are read, the same for every command that does.
struct AuditLogOptions: ParsableArguments {
    @Option(help: "What every record is wrapped in: \(AuditFormats.formats.joined(separator: ", ")), or auto.")
    var format = "auto"

    @Option(help: "Names kept of one verb on one resource for one user; with more, none is kept.")
    var maxNames = 1_000

    @Option(help: "File that keeps every line that is no event, as it was; it may hold secrets of the log.")
    var rejects: String?

    @Option(help: "Threads that fold (default: one per core, at most 4).")
    var threads: Int?

    func validate() throws {
        guard format == "auto" || AuditFormats.formats.contains(format) else {
            throw ValidationError("`\(format)` is no format: \(AuditFormats.formats.joined(separator: ", ")), auto")
        }
        guard (0...1_000_000_000).contains(maxNames) else { throw ValidationError("--max-names must be 0 to 1000000000") }
        guard threads.map({ (1...64).contains($0) }) ?? true else { throw ValidationError("--threads must be 1 to 64") }
    }

    var reading: AuditLogReader.Options {
        var options = AuditLogReader.Options()
        options.format = format == "auto" ? nil : format
        options.maxNames = maxNames
        if let threads { options.threads = threads }
        return options
    }
}

struct UsageLoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Fold audit logs into the usage of a database.",
        discussion: """
            Reads audit.k8s.io events as JSON lines or EventLists, plain, gzip or zstd, in a stream, also inside what EKS, GKE, AKS and \
            log shippers wrap around them; each record is looked at for itself. A log that was read before, or the \
            part of a grown log that was, is not counted again, and neither is an event that two logs hold.
            """)

    @Argument(help: "Audit logs, folders of them, or patterns; - is standard input.")
    var logs: [String]

    @OptionGroup var options: AuditLogOptions

    @Option(help: "Megabytes of log after which what was counted is kept, so that an interruption loses no more.")
    var commitEvery = 1_024

    @Flag(help: "Go on reading one file as it grows, through rotation, until interrupted; wait for it when it is not there.")
    var follow = false

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func validate() throws {
        guard (1...1 << 20).contains(commitEvery) else { throw ValidationError("--commit-every must be 1 to 1048576") }
        if follow, logs.count != 1 || logs == ["-"] { throw ValidationError("--follow takes one file") }
    }

    func run() throws {
        let path = db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db"
        let database = try WhittleDatabase.open(path, isReadOnly: false)
        var reading = options.reading
        reading.partSize = commitEvery << 20
        let folding = try AuditFolding(
            reading, rejects: options.rejects, beside: path, known: try database.foldedLogs(), window: try database.eventWindow()
        ) { try database.add($0, maxNames: options.maxNames) }
        if follow {
            try folding.follow(logs[0], wasRead: try database.hasFolded(path: logs[0]))
        } else {
            try folding.read(all: logs)
        }
        try Interruption.end()
    }
}

/// Reads audit logs one after the other and says what came of them.
final class AuditFolding {
    private let reader: AuditLogReader
    private let progress: FoldingProgress
    private let commit: (UsageFold) throws -> Void
    private let rejects: RejectFile?
    private var total = UsageFold.Log(path: "")
    /// Logs that could not be read.
    private var failures: [IngestError] = []
    /// Whether every byte of the logs was read as an event.
    private(set) var isWhole = true
    private var logCount = 0
    /// Whether a part of some log was read before.
    private var hasKnown = false

    /// - Parameters:
    ///   - rejects: file that keeps what is no event; it must not be `database`.
    ///   - commit: keeps facts.
    init(
        _ options: AuditLogReader.Options, rejects: String? = nil, beside database: String? = nil, known: [Int: Set<KnownLog>] = [:],
        window: EventWindowState? = nil, commit: @escaping (UsageFold) throws -> Void
    ) throws {
        reader = AuditLogReader(options: options, known: known, window: window)
        let progress = FoldingProgress(isShown: Console.current.showsProgress)
        self.progress = progress
        self.commit = { fold in
            progress.finish()
            DiagnosticReport.write(fold.diagnostics)
            try commit(fold)
        }
        self.rejects = try rejects.map { try RejectFile($0) }
        if let database, let rejects = self.rejects, rejects.isFile(database) {
            throw CommandFailure("--rejects would write into the database `\(database)`", code: .usage)
        }
        reader.onProgress = { [unowned reader] in progress.update($0, subjects: reader.countSubjects()) }
        if let rejects = self.rejects { reader.onReject = { rejects.add($0) } }
    }

    /// Reads files, what is in folders, and what patterns match.
    func read(all paths: [String]) throws {
        let expansion = AuditLogFiles.expand(paths)
        let files = expansion.files
        for path in expansion.skipped { Console.current.error("\(path): not read: hidden, a link to a folder, or no file\n") }
        expansion.failures.forEach(report)
        guard !files.isEmpty || !failures.isEmpty else {
            throw CommandFailure("there is no log in \(paths.map { "`\($0)`" }.joined(separator: ", "))")
        }
        if let rejects, let file = files.first(where: rejects.isFile) {
            throw CommandFailure("--rejects would write into the log `\(file)`", code: .usage)
        }
        progress.expect(files)
        // What comes on standard input cannot be read again: an interruption is its end.
        if files.contains("-") { Interruption.endInput() }
        try read(files)
    }

    private func report(_ failure: IngestError) {
        progress.finish()
        Console.current.error("whittle: error: \(failure)\n")
        failures.append(failure)
        isWhole = false
    }

    private func read(_ paths: [String]) throws {
        for path in paths where EndOfInput.signal == nil {
            do { try read(path) } catch let failure as IngestError { report(failure) }
        }
        if let fold = reader.take() { try commit(fold) }
        try rejects?.finish()
        let console = Console.current
        if total.events > 0 {
            for line in CoverageText.lines(total, logs: logCount) { console.error("  \(line)\n") }
        } else if logCount == 0, !hasKnown, !failures.isEmpty {
            throw CommandFailure("no log could be read")
        } else if logCount > 0, !hasKnown {
            let names = paths.count == 1 ? "`\(paths[0])` holds" : "the logs hold"
            throw CommandFailure("\(names) no audit events")
        }
    }

    private func read(_ path: String) throws {
        let console = Console.current
        let (log, unfinished) = try reader.read(path, commit: commit)
        progress.finish()
        if unfinished > 0 || log.rejected > 0 { isWhole = false }
        if unfinished > 0 {
            console.error("\(path): the last \(unfinished) bytes are no whole line; they are read when the log has grown\n")
        }
        let isKnown = log.extendedDigest != nil
        if isKnown { hasKnown = true }
        guard log.events > 0 || log.rejected > 0 || log.skipped > 0 else {
            if unfinished == 0 { console.error("\(path): \(isKnown ? "nothing new" : "no audit events")\n") } else { logCount += 1 }
            return
        }
        logCount += 1
        total.add(log)
        console.error("\(path): \(CoverageText.summary(log))\n")
    }

    /// Waits for a file to be there, and opens it.
    private func opened(_ path: String) throws -> Int32 {
        var isWaiting = false
        while true {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            var status = stat()
            if descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                close(descriptor)
                throw CommandFailure("--follow takes one file, and `\(path)` is a folder", code: .usage)
            }
            if descriptor >= 0 { return descriptor }
            guard errno == ENOENT else { throw IngestError.cannotOpen(path: path, reason: String(cString: strerror(errno))) }
            if !isWaiting { Console.current.error("\(path): not there yet\n") }
            isWaiting = true
            Thread.sleep(forTimeInterval: 1)
        }
    }

    /// Reads a log as it grows. A file that is renamed is read to its end before the new one, one that is cut off from its start.
    ///
    /// - Parameter wasRead: whether an earlier load has read a log of this path.
    func follow(_ path: String, wasRead: Bool) throws {
        var descriptor = try opened(path)
        defer { close(descriptor) }
        var isFirst = true
        /// Bytes at the end that were no whole line, and the place behind them.
        var waiting: (count: Int, end: Int) = (0, 0)
        var patience = 3
        while true {
            var (held, named) = (stat(), stat())
            fstat(descriptor, &held)
            let isReplaced = stat(path, &named) == 0 && (named.st_ino != held.st_ino || named.st_dev != held.st_dev)
            if held.st_size < waiting.end, waiting.count > 0 {
                Console.current.error(
                    "\(path): it was cut off: the last \(waiting.count) bytes before that were no whole line and are lost\n")
            }
            let (log, unfinished) = try reader.read(path, descriptor: descriptor, commit: commit)
            waiting = (unfinished, log.byteCount + unfinished)
            if isFirst, wasRead, log.extendedDigest == nil, log.byteCount > 0 {
                Console.current.error(
                    "\(path): this is not the log that was read under this name before; what was written to that one since may be in a rotated copy: load it, too\n"
                )
            }
            isFirst = false
            progress.finish()
            if let fold = reader.take() {
                try commit(fold)
                Console.current.error("\(path): \(CoverageText.summary(log))\n")
            }
            // Who writes may be in the middle of a line when the log is renamed.
            patience = isReplaced && unfinished > 0 ? patience - 1 : 3
            if isReplaced, unfinished == 0 || patience == 0 {
                if unfinished > 0 {
                    Console.current.error("\(path): the last \(unfinished) bytes before it was replaced are no whole line\n")
                }
                (waiting, patience) = ((0, 0), 3)
                let next = open(path, O_RDONLY | O_CLOEXEC)
                if next >= 0 {
                    close(descriptor)
                    descriptor = next
                    continue
                }
            }
            Thread.sleep(forTimeInterval: 1)
        }
    }
}

/// What logs could show, in words.
enum CoverageText {
    static func summary(_ log: UsageFold.Log) -> String {
        let window = [log.firstEvent, log.lastEvent].compactMap { $0.map(TimeText.rfc3339) }.joined(separator: " to ")
        var parts = [
            "\(log.requests) requests from \(log.events) events\(window.isEmpty ? "" : ", \(window)")",
            "\(log.undecided) undecided, \(log.ignored) refused before authorization, \(log.rejected) unreadable"
                + (log.rejects.isEmpty ? "" : " (\(counts(log.rejects)))"),
        ]
        if log.skipped > 0 { parts.append("\(log.skipped) of other logs") }
        if log.repeated > 0 { parts.append("\(log.repeated) read before") }
        if !log.envelopes.isEmpty { parts.append("wrapped: \(counts(log.envelopes))") }
        return parts.joined(separator: "; ")
    }

    /// Window, gaps, stages, levels, decisions, and what the wrappers cannot carry.
    static func lines(_ log: UsageFold.Log, logs: Int) -> [String] {
        var lines = ["coverage: \(logs) \(logs == 1 ? "log" : "logs"), \(gaps(log.minutes))"]
        lines.append("stages: \(counts(log.stages)); levels: \(counts(log.levels)); decisions: \(counts(log.decisions))")
        if log.stages.keys.allSatisfy({ $0 == "RequestReceived" }) {
            lines.append("no event tells an answer: only stage RequestReceived was logged, which proves nothing")
        }
        for envelope in log.envelopes.keys.sorted() {
            guard let missing = AuditFormats.cannotCarry[envelope] else { continue }
            lines.append("\(envelope) cannot carry: \(missing.joined(separator: ", "))")
        }
        return lines
    }

    private static func counts(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "none"
            : counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key.isEmpty ? "without" : $0.key)" }
                .joined(separator: ", ")
    }

    private static func gaps(_ minutes: Set<Int64>) -> String {
        let sorted = minutes.sorted()
        let gaps = zip(sorted, sorted.dropFirst()).filter { $1 - $0 > 10 }
        guard !gaps.isEmpty else { return "no gap of more than 10 minutes" }
        let shown = gaps.prefix(3).map { "\(TimeText.rfc3339($0 * 60_000_000)) to \(TimeText.rfc3339($1 * 60_000_000))" }
        let more = gaps.count > 3 ? " and \(gaps.count - 3) more" : ""
        return "\(gaps.count) \(gaps.count == 1 ? "gap" : "gaps") of more than 10 minutes: \(shown.joined(separator: ", "))\(more)"
    }
}

/// Whether a path, where `-` is standard input, leads to a file that is open.
func sameFile(_ path: String, as descriptor: Int32) -> Bool {
    var (named, opened) = (stat(), stat())
    guard fstat(descriptor, &opened) == 0, (path == "-" ? fstat(0, &named) : stat(path, &named)) == 0 else { return false }
    return named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
}

/// Lines that are no event, kept as they were in a file that only its owner may read.
final class RejectFile {
    private let path: String
    private let descriptor: Int32
    private var failure: String?

    init(_ path: String) throws {
        self.path = path
        // What an earlier run has put there is not read again.
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0, fchmod(descriptor, 0o600) == 0 else {
            throw CommandFailure("cannot write `\(path)`: \(String(cString: strerror(errno)))")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether this is the file at `path`.
    func isFile(_ path: String) -> Bool { sameFile(path, as: descriptor) }

    func add(_ text: UnsafeBufferPointer<UInt8>) {
        guard !text.isEmpty, failure == nil else { return }
        let line = Array(text) + (text.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")])
        var start = 0
        while start < line.count {
            let written = line.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress.map { $0 + start }, line.count - start) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else {
                failure = String(cString: strerror(errno))
                return
            }
            start += written
        }
    }

    /// Says what could not be written.
    func finish() throws {
        if let failure { throw CommandFailure("cannot write `\(path)`: \(failure)") }
    }
}

/// One line on a terminal about work that takes more than a second.
final class FoldingProgress {
    private let isShown: Bool
    private let console = Console.current
    private let start = Date()
    private var lastUpdate = Date.distantPast
    private var hasWritten = false
    /// Sizes of the files that are to be read, in bytes; `nil` = not all are known.
    private var sizes: [Int]?

    init(isShown: Bool) { self.isShown = isShown }

    /// The files that are to be read, one after the other.
    func expect(_ files: [String]) {
        let sizes = files.compactMap { file -> Int? in
            var status = stat()
            return stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
        }
        self.sizes = sizes.count == files.count ? sizes : nil
    }

    func update(_ progress: AuditLogReader.Progress, subjects: @autoclosure () -> Int) {
        guard isShown else { return }
        let now = Date()
        let seconds = now.timeIntervalSince(start)
        guard seconds > 1, now.timeIntervalSince(lastUpdate) > 0.2 else { return }
        lastUpdate = now
        hasWritten = true
        var text = "\(progress.folded / 1_000_000) MB, \(Int(Double(progress.folded) / 1e6 / seconds)) MB/s, "
        text += "\(progress.events) events, \(Int(Double(progress.events) / seconds))/s"
        text += ", \(subjects()) subjects"
        if progress.rejected > 0 { text += ", \(progress.rejected) unreadable" }
        if let sizes, progress.file < sizes.count {
            let (size, done) = (sizes.reduce(0, +), sizes[..<progress.file].reduce(progress.bytes, +))
            if size > 0, done > 0, done <= size {
                text += ", \(done * 100 / size) %, \(Int((seconds * Double(size - done) / Double(done)).rounded(.up))) s left"
            }
        }
        // A line that is wrapped could not be written over.
        console.error("\r\(text.prefix(max(console.columns - 1, 1)))\u{1B}[K")
    }

    func finish() {
        if hasWritten { console.error("\r\u{1B}[K") }
        hasWritten = false
    }
}
