import ArgumentParser
import WhittleAnalysis
import WhittleRender
import WhittleStore

/// How permissions are written: all formats of an answer, or a matrix.
enum PermissionsFormat: String, CaseIterable, ExpressibleByArgument {
    case table, wide, matrix, json, yaml, csv, markdown
}

struct PermissionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "permissions", abstract: "List everything that an identity may do, with scope and reason.",
        discussion: "A node may do what its pods may do together. A workload without pods counts through its template.")

    @Argument(help: .identity)
    var identity: IdentityArgument

    @Option(name: .long, help: "A group of a user beside those that authentication adds; may be repeated.")
    var asGroup: [String] = []

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the identity (default: default).")
    var namespace: String?

    @Option(name: [.short, .customLong("output")], help: "table, wide, matrix, json, yaml, csv or markdown.")
    var output: PermissionsFormat = .table

    @Flag(help: "Leave out the header of tables.")
    var noHeaders = false

    @OptionGroup var selection: SelectionOptions
    @OptionGroup var input: InputOptions

    func validate() throws {
        if identity.name.isEmpty, ["User", "Group", "Node"].contains(identity.kind) {
            throw ValidationError("needs a name; -l selects pods, workloads and service accounts")
        }
        if !identity.name.isEmpty, selection.selector != nil || selection.allNamespaces {
            throw ValidationError("give either a name or -l and -A")
        }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let permissions: EffectivePermissions
        do {
            permissions = try EffectivePermissions(of: target(in: database), in: database)
        } catch let error as AnalysisError {
            throw CommandFailure("\(error)")
        }
        let isAssumedOnly = permissions.permissions.allSatisfy(\.grant.isAssumed)
        if isAssumedOnly, !permissions.missingKinds.isEmpty { throw couldNotJudge(permissions.missingKinds) }
        try warnIfUnknown(in: database)
        warnIncomplete(permissions.missingKinds)
        let console = Console.current
        let format = OutputFormat(rawValue: output.rawValue) ?? .table
        let isMatrix = output == .matrix
        try console.output(
            Output.render(
                isMatrix ? permissions.matrixTable : permissions.table,
                isMatrix
                    ? permissions.matrixDocument : permissions.document.with(database.diagnostics()), as: format, hasHeader: !noHeaders,
                isColoured: console.isColoured))
        if permissions.permissions.isEmpty {
            console.error("\(identity.kind)\(identity.name.isEmpty ? "s selected" : " \(identity.name)") may do nothing through RBAC\n")
            throw CommandFailure("", code: .no)
        }
    }

    private func target(in database: WhittleDatabase) throws -> EffectivePermissions.Target {
        guard identity.name.isEmpty else { return target(namespace: identity.namespace(or: namespace), name: identity.name) }
        let objects = try selection.objects(of: identity.kind, namespace: namespace, in: database)
        return .all(objects.map { target(namespace: $0.namespace, name: $0.name) })
    }

    private func target(namespace space: String, name: String) -> EffectivePermissions.Target {
        switch identity.kind {
        case "ServiceAccount": .serviceAccount(namespace: space, name: name)
        case "User": .user(name, groups: asGroup)
        case "Group": .group(name)
        case "Node": .node(name)
        default: .runner(kind: identity.kind, namespace: space, name: name)
        }
    }

    /// A service account or user that nothing names may be a typing error; what it may do through groups is true all the same.
    private func warnIfUnknown(in database: WhittleDatabase) throws {
        guard !identity.name.isEmpty, ["ServiceAccount", "User", "Group"].contains(identity.kind) else { return }
        let space = identity.kind == "ServiceAccount" ? identity.namespace(or: namespace) : ""
        if try !database.exists(kind: identity.kind, namespace: space, name: identity.name) {
            Console.current.error(
                "whittle: warning: \(AnalysisError.unknown(kind: identity.kind, namespace: space, name: identity.name))\n")
        }
    }
}
