import ArgumentParser
import Foundation
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "Read audit logs, and list what was used.",
        subcommands: [UsageLoadCommand.self, UsageListCommand.self])
}

struct UsageLoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Fold audit logs into the usage of a database.",
        discussion: """
            Reads audit.k8s.io events as JSON lines or EventLists, plain or gzip, in a stream, also inside what EKS, GKE, AKS and \
            log shippers wrap around them; each record is looked at for itself. A log that was read before, or the \
            part of a grown log that was, is not counted again.
            """)

    @Argument(help: "Audit logs; - is standard input.")
    var logs: [String]

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func run() throws {
        let console = Console.current
        let path = db ?? console.environment["WHITTLE_DB"] ?? "whittle.db"
        let database = try WhittleDatabase.open(path, isReadOnly: false)
        let progress = Progress("reading", isShown: console.showsProgress)
        for log in logs {
            var fold = UsageFold()
            let reader = AuditLogReader(known: try database.foldedLogs(), progress: { progress.update($0) })
            try reader.read(log, into: &fold)
            progress.finish()
            DiagnosticReport.write(fold.diagnostics)
            guard let read = fold.logs.first else { continue }
            guard read.events > 0 || read.rejected > 0 else {
                console.error("\(log): nothing new\n")
                continue
            }
            try database.add(fold)
            let window = [read.firstEvent, read.lastEvent].compactMap { $0.map(TimeText.rfc3339) }.joined(separator: " to ")
            let wrapped = read.envelopes.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.value) in \($0.key)" }
            let envelopes = wrapped.isEmpty ? "" : "; " + wrapped.joined(separator: ", ")
            console.error(
                "\(log): \(read.requests) requests in \(fold.facts.count) facts from \(read.events) events, \(window); \(read.undecided) undecided, \(read.ignored) refused before authorization, \(read.rejected) unreadable\(envelopes)\n"
            )
            if read.events == 0 { throw CommandFailure("`\(log)` holds no audit events") }
        }
    }
}

struct UsageListCommand: ParsableCommand {
    /// How the list is written.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, wide, json, jsonl, yaml, csv, markdown
    }

    /// What rows are split by.
    enum Split: String, CaseIterable, ExpressibleByArgument {
        case pod, agent, binding, day
    }

    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List distinct requests with answer, count, first and last seen.")

    @Argument(help: "Only this one: sa/NAME, user/NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Option(help: "Split rows by pod, agent, binding or day.")
    var by: Split?

    @Option(name: [.short, .customLong("output")], help: "table, wide, json, jsonl, yaml, csv or markdown.")
    var output: Format = .table

    @Flag(help: "Leave out the header of tables.")
    var noHeaders = false

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func validate() throws {
        if let identity, identity.name.isEmpty { throw ValidationError("needs a name: sa/NAME, user/NAME") }
    }

    func run() throws {
        let console = Console.current
        let database = try WhittleDatabase.open(db ?? console.environment["WHITTLE_DB"] ?? "whittle.db")
        guard try database.hasUsage() else {
            throw CommandFailure("the database holds no usage; read audit logs with `whittle usage load`")
        }
        var parameters: [String: SQLValue] = [:]
        if let identity {
            parameters["user"] = .text(
                identity.kind == "ServiceAccount"
                    ? ServiceAccountName.username(namespace: identity.namespace(or: namespace), name: identity.name) : identity.name)
        }
        let list = UsageList(try database.run("usage" + (by.map { "-by-\($0.rawValue)" } ?? ""), parameters))
        if output == .jsonl {
            console.output(list.documents.map { $0.line + "\n" }.joined())
        } else {
            console.output(
                Output.render(
                    list.table, .array(list.documents), as: OutputFormat(rawValue: output.rawValue) ?? .table, hasHeader: !noHeaders,
                    isColoured: console.isColoured))
        }
        if list.documents.isEmpty { throw CommandFailure("no usage of it was seen", code: .no) }
    }
}
