import ArgumentParser
import WhittleModel
import WhittleRender
import WhittleStore

struct BindingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bindings", abstract: "List the bindings of a subject, its groups included, with role and place.")

    @Argument(help: "sa/NAME, NS:NAME, NS/NAME, user/NAME or group/NAME.")
    var subject: String

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func run() throws {
        let database = try input.open(namespace: namespace)
        let user = try identity()
        let result = try database.run("subject-bindings", ["user": .text(user.name), "groups": .list(user.groups)])
        let rows = result.named.map { row -> [String] in
            let subject =
                "\(row["subject_kind"].string ?? "") " + (row["subject_namespace"].string.map { "\($0)/" } ?? "")
                + (row["subject_name"].string ?? "")
            let scope = row["scope_namespace"].string
            let role = (row["role_kind"].string ?? "") + "/" + (row["role"].string ?? "") + (row["dangling"].isTrue ? " (missing)" : "")
            let place = row["file"].string.map { "\($0):\(row["line"].integer ?? 0):\(row["column"].integer ?? 0)" }
            let source = "\(row["binding_kind"].string ?? "")/\(row["binding"].string ?? "")"
            return [subject, scope ?? "cluster-wide", role, source, place ?? (row["assumed"].isTrue ? "built-in defaults" : "")]
        }
        let missing = try database.completeness().missingKinds(forNamespace: nil)
        if rows.isEmpty, !missing.isEmpty { throw couldNotJudge(missing) }
        warnIncomplete(missing)
        format.write(Table(columns: ["subject", "scope", "role", "source", "place"], rows: rows), QueryTable(result).document)
        if rows.isEmpty { throw CommandFailure("no binding names it or a group it is in", code: .no) }
    }

    private func identity() throws -> UserInfo {
        let argument = IdentityArgument(argument: subject) ?? accountWithoutKind()
        guard let argument else { throw ValidationError("`\(subject)` is no subject; write sa/NAME, NS:NAME, user/NAME or group/NAME") }
        switch argument.kind {
        case "ServiceAccount": return ServiceAccountName.user(namespace: argument.namespace(or: namespace), name: argument.name)
        case "User": return UserInfo(name: argument.name, groups: ImplicitGroup.groups(ofUser: argument.name))
        case "Group": return UserInfo(name: "", groups: [argument.name])
        default: throw ValidationError("bindings name service accounts, users and groups; ask `whittle permissions` for \(argument.kind)s")
        }
    }

    /// `NS:NAME` and `NS/NAME`, as other tools write accounts.
    private func accountWithoutKind() -> IdentityArgument? {
        let parts = subject.split(whereSeparator: { $0 == ":" || $0 == "/" })
        return parts.count == 2 ? IdentityArgument(argument: "sa/\(parts[0])/\(parts[1])") : nil
    }
}
