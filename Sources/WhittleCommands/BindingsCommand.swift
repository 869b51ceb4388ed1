import ArgumentParser
import WhittleAnalysis
import WhittleModel
import WhittleRender
import WhittleStore

struct BindingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bindings", abstract: "List the bindings of a subject, its groups included, with role and place.",
        discussion:
            "`whittle bindings sa -l team=shop -A` takes all accounts of a label, `whittle bindings --match '^ci-'` all subjects of a name."
    )

    @Argument(help: "sa/NAME, NS:NAME, NS/NAME, user/NAME or group/NAME; sa alone with -l or -A.")
    var subject: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @OptionGroup var selection: SelectionOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        if subject == nil, matching.match == nil { throw ValidationError("needs a subject, or --match") }
        if let subject, !["ServiceAccount", "User", "Group"].contains(subject.kind) {
            throw ValidationError("bindings name service accounts, users and groups; ask `whittle permissions` for \(subject.kind)s")
        }
        if let subject, subject.name.isEmpty, subject.kind != "ServiceAccount" {
            throw ValidationError("needs a name: user/NAME, group/NAME")
        }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        var rows: [QueryResult.Row] = []
        var columns: [String] = []
        var seen: Set<[SQLValue]> = []
        for parameters in try questions(of: database) {
            let result = try database.run("subject-bindings", parameters)
            columns = result.columns
            rows += result.named.filter { row in
                matching.matches(namespace: row["subject_namespace"].string, name: row["subject_name"].string ?? "")
                    && seen.insert(row.values).inserted
            }
        }
        let missing = try database.completeness().missingKinds(forNamespace: nil)
        if rows.isEmpty, !missing.isEmpty { throw couldNotJudge(missing) }
        warnIncomplete(missing)
        if let subject, !subject.name.isEmpty {
            let space = subject.kind == "ServiceAccount" ? subject.namespace(or: namespace) : ""
            if try !database.exists(kind: subject.kind, namespace: space, name: subject.name) {
                Console.current.error(
                    "whittle: warning: \(AnalysisError.unknown(kind: subject.kind, namespace: space, name: subject.name))\n")
            }
        }
        let table = Table(
            columns: ["subject", "scope", "role", "source", "place"], rows: rows.map(Self.cells), wideColumns: ["place"])
        format.write(table, QueryTable(QueryResult(columns: columns, rows: rows.map(\.values))).document)
        if rows.isEmpty { throw CommandFailure("no binding names it or a group it is in", code: .no) }
    }

    private static func cells(_ row: QueryResult.Row) -> [String] {
        let subject =
            "\(row["subject_kind"].string ?? "") " + (row["subject_namespace"].string.map { "\($0)/" } ?? "")
            + (row["subject_name"].string ?? "")
        let role = (row["role_kind"].string ?? "") + "/" + (row["role"].string ?? "") + (row["dangling"].isTrue ? " (missing)" : "")
        let place = row["file"].string.map { "\($0):\(row["line"].integer ?? 0):\(row["column"].integer ?? 0)" }
        let source = "\(row["binding_kind"].string ?? "")/\(row["binding"].string ?? "")"
        return [
            subject, row["scope_namespace"].string ?? "cluster-wide", role, source,
            place ?? (row["assumed"].isTrue ? "built-in defaults" : ""),
        ]
    }

    /// Parameters of the query, one set per subject; none for every subject.
    private func questions(of database: WhittleDatabase) throws -> [[String: SQLValue]] {
        guard let subject else { return [[:]] }
        let users: [UserInfo]
        switch subject.kind {
        case "User": users = [UserInfo(name: subject.name, groups: ImplicitGroup.groups(ofUser: subject.name))]
        case "Group": users = [UserInfo(name: "", groups: [subject.name])]
        default:
            let accounts =
                subject.name.isEmpty
                ? try selection.objects(of: subject.kind, namespace: namespace, in: database)
                : [(subject.namespace(or: namespace), subject.name)]
            users = accounts.map { ServiceAccountName.user(namespace: $0.0, name: $0.1) }
        }
        return users.map { ["user": .text($0.name), "groups": .list($0.groups)] }
    }
}
