import ArgumentParser
import Foundation
import WhittleModel
import WhittleRender
import WhittleStore

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "Read audit logs, and list what was used.",
        subcommands: [UsageLoadCommand.self, UsageListCommand.self, UsageExportCommand.self, UsageMergeCommand.self])
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

    @Option(
        name: [.short, .customLong("namespace")],
        help: "Namespace of the service account (default: default); without one, only those of this namespace.")
    var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Everybody, which is the default.")
    var allNamespaces = false

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
        if let identity, identity.kind != "ServiceAccount", identity.kind != "User" {
            throw ValidationError("usage is of service accounts and users: sa/NAME, user/NAME; `--by pod` tells which pods asked")
        }
        if allNamespaces, namespace != nil { throw ValidationError("give either -A or -n, not both") }
        if allNamespaces, identity != nil { throw ValidationError("-A lists everybody; name nobody beside it") }
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
        var usage = try database.run("usage" + (by.map { "-by-\($0.rawValue)" } ?? ""), parameters)
        if identity == nil, let namespace, let user = usage.columns.firstIndex(of: "user") {
            usage.rows.removeAll { row in row[user].string.flatMap { ServiceAccountName.split($0) }?.namespace != namespace }
        }
        let list = UsageList(usage)
        if output == .jsonl {
            var lines = ""
            for document in list.documents {
                lines += document.line + "\n"
                if lines.utf8.count > 1 << 16 {
                    console.output(lines)
                    lines = ""
                }
            }
            console.output(lines)
        } else {
            console.output(
                Output.render(
                    list.table, .array(Array(list.documents)), as: OutputFormat(rawValue: output.rawValue) ?? .table, hasHeader: !noHeaders,
                    isColoured: console.isColoured))
        }
        if list.isEmpty { throw CommandFailure("no usage of it was seen", code: .no) }
    }
}
