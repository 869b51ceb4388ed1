import ArgumentParser
import Foundation
import WhittleIngest
import WhittleModel
import WhittleStore

/// Says of how many verbs on resources the names are no longer kept: the database does not know the limit of earlier loads.
func tellDroppedNames(since before: Int, in database: WhittleDatabase, limit: Int) {
    guard let now = try? database.countDroppedNames(), now > before else { return }
    let count = now - before == 1 ? "one verb on a resource" : "\(now - before) verbs on resources"
    Console.current.error("names are not kept of \(count): some user asked for more than \(limit) (--max-names)\n")
}

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
        guard rejects != "-" else { throw ValidationError("--rejects takes a file") }
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

    @Argument(help: "Audit logs, folders of them, or patterns such as 'logs/audit-*' in quotes; - is standard input.")
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
        // A pipe may have no name any more when it is asked again.
        let isReadOnce = logs.contains(where: AuditLogFiles.isReadOnce)
        var attempts = 1
        while true {
            do {
                return try load(isReadOnce: isReadOnce)
            } catch let error as StoreError {
                if follow, EndOfInput.signal != nil { throw error }
                switch error {
                case .overtaken(let log) where attempts < 100 || follow:
                    Console.current.error("\(log): another load has added something meanwhile, maybe some of it; reading again\n")
                case .replaced(let path) where !isReadOnce && (attempts < 100 || follow):
                    let copies = follow ? "; load copies of it, too" : ""
                    Console.current.error("\(path): a load has dropped its usage meanwhile; reading again\(copies)\n")
                case .locked(let path) where follow: tellLocked(path)
                default: throw error
                }
                attempts += 1
            }
        }
    }

    private func tellLocked(_ path: String) { Console.current.error("\(path): another process is writing it; waiting\n") }

    /// Keeps facts. What others have added meanwhile is an error, but of what cannot be read again.
    ///
    /// - Parameters:
    ///   - isReadOnce: whether it cannot be read again.
    ///   - countsTwice: whether some of it may have been counted twice so far.
    private func keep(
        _ fold: UsageFold, in database: WhittleDatabase, isReadOnce: Bool, _ countsTwice: inout Bool
    ) throws -> Bool {
        do throws(StoreError) {
            let isKept = try database.add(fold, maxNames: options.maxNames, mayCountTwice: countsTwice)
            if !isKept {
                let logs = fold.logs.map { "`\($0.path)`" }.joined(separator: ", ").printable()
                let what = countsTwice ? "the rest" : "all"
                Console.current.error(
                    "another load has added \(what) of \(logs) meanwhile; \(countsTwice ? "that" : "it") is not counted twice\n")
            }
            return isKept
        } catch {
            switch error {
            case .overtaken(let log) where isReadOnce:
                Console.current.error("\(log): another load has added something meanwhile; what it had of this counts twice\n")
                countsTwice = true
            case .locked(let path) where follow && EndOfInput.signal == nil: tellLocked(path)
            default: throw error
            }
        }
        return try keep(fold, in: database, isReadOnce: isReadOnce, &countsTwice)
    }

    private func load(isReadOnce: Bool) throws {
        let path = db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db"
        let database = try WhittleDatabase.open(path, isReadOnly: false)
        var reading = options.reading
        reading.partSize = commitEvery << 20
        let known = try database.knownUsage()
        let dropped = try database.countDroppedNames()
        defer { tellDroppedNames(since: dropped, in: database, limit: options.maxNames) }
        var countsTwice = false
        let folding = try AuditFolding(
            reading, rejects: options.rejects, beside: path, known: known.logs, window: known.window
        ) { try keep($0, in: database, isReadOnce: isReadOnce, &countsTwice) }
        if !follow {
            Interruption.explain("what was counted since the last commit (--commit-every) is not kept: the same command reads it again")
        }
        defer { Interruption.explain(nil) }
        if follow {
            try folding.follow(logs[0], wasRead: try database.hasFolded(path: logs[0]))
        } else {
            try folding.read(all: logs)
            let digests = folding.digestsWithoutNews
            if !digests.isEmpty, try database.hasOnlyRejects(ofLogs: digests) {
                throw CommandFailure("no event tells who asked for what, nor did one when an earlier load read these logs")
            }
        }
        try Interruption.end()
    }
}
