import ArgumentParser
import Foundation
import WhittleIngest
import WhittleRender
import WhittleStore

struct UsageMergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Add exported usage to a database.",
        discussion: """
            Parts may be merged in any order and any grouping with the same result. A part whose logs are all known changes nothing; \
            one that holds known logs beside others cannot be told apart and is refused. Of parts that are given together, those of more \
            log are merged first, so that a part is not refused for what it holds of a smaller one.
            """)

    @Argument(help: "Files written by `whittle usage export`, folders of them, or patterns; plain, gzip or zstd; - is standard input.")
    var parts: [String]

    @Option(help: "Names kept of one verb on one resource for one user; with more, none is kept.")
    var maxNames = 1_000

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func validate() throws {
        guard (0...1_000_000_000).contains(maxNames) else { throw ValidationError("--max-names must be 0 to 1000000000") }
    }

    func run() throws {
        let console = Console.current
        let database = try WhittleDatabase.open(db ?? console.environment["WHITTLE_DB"] ?? "whittle.db", isReadOnly: false)
        let expansion = AuditLogFiles.expand(parts)
        for (path, reason) in expansion.skipped { console.error("\(path): not read: \(reason)\n") }
        guard !expansion.files.isEmpty || !expansion.failures.isEmpty || !expansion.empty.isEmpty else {
            throw CommandFailure("there is no part in \(parts.map { "`\($0)`" }.joined(separator: ", "))")
        }
        let dropped = try database.countDroppedNames()
        defer { tellDroppedNames(since: dropped, in: database, limit: maxNames) }
        var isWhole = true
        func report(_ message: String) {
            console.error("whittle: error: \(message.printable())\n")
            isWhole = false
        }
        expansion.failures.forEach { report("\($0)") }
        for (path, count) in expansion.empty {
            report("\(count) of the files in `\(path)` \(count == 1 ? "is empty: no part is" : "are empty: no parts are")")
        }
        // What is wrong with one part keeps no other out.
        for part in Self.largestFirst(expansion.files) {
            do {
                try mergeUnlessOvertaken(part, into: database)
            } catch let failure as IngestError {
                report("\(failure)")
            } catch let failure as CommandFailure {
                report(failure.message)
            }
        }
        if !isWhole { throw CommandFailure("") }
    }

    /// Parts in an order in which each comes before those whose logs it holds.
    private static func largestFirst(_ parts: [String]) -> [String] {
        guard parts.count > 1 else { return parts }
        let sizes = parts.map { part in
            // What cannot be read, or not twice, is told or read when it is merged.
            let logs = AuditLogFiles.isReadOnce(part) ? nil : try? UsageExportReader.logs(in: part)
            return (logs ?? []).reduce(0.0) { $0 + Double($1.byteCount) }
        }
        return zip(parts, sizes).sorted { $0.1 > $1.1 }.map(\.0)
    }

    /// Merges a part, once more when somebody else has added something since it was compared with the database.
    private func mergeUnlessOvertaken(_ part: String, into database: WhittleDatabase) throws {
        var attempts = 1
        while true {
            do {
                return try merge(part, into: database)
            } catch let error as StoreError {
                guard case .overtaken = error, attempts < 100, !AuditLogFiles.isReadOnce(part) else { throw error }
                Console.current.error("\(part): another load has added something meanwhile, maybe some of it; reading again\n")
                attempts += 1
            }
        }
    }

    private func merge(_ part: String, into database: WhittleDatabase) throws {
        let fold = try UsageExportReader.read(part)
        // Whoever adds something from here on is found out when the fold is added.
        let known = Set(try database.knownUsage().logs.values.flatMap { $0.map(\.digest) })
        let repeated = fold.logs.filter { known.contains($0.digest) }
        guard repeated.count < fold.logs.count || fold.logs.isEmpty else {
            return Console.current.error("\(part): nothing new\n")
        }
        if let log = repeated.first {
            throw CommandFailure(
                "`\(part)` holds `\(log.path)`, which the database holds already, beside logs that it does not; merge the parts it was made of"
            )
        }
        let heads = Set(try database.logHeads())
        if let log = fold.logs.first(where: { heads.contains($0.head) }) {
            throw CommandFailure(
                "`\(part)` holds `\(log.path)`, which begins like a log that the database holds: an earlier or later state of it, or an export that overlaps, whose events would count twice; merge only the part in which it is complete, or load the logs themselves"
            )
        }
        try database.add(fold, maxNames: maxNames)
        Console.current.error("\(part): \(counted(fold.facts.count, "fact")) of \(counted(fold.logs.count, "log"))\n")
    }
}
