import ArgumentParser
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

struct ProposeCommand: ParsableCommand {
    /// How proposals are written.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case yaml, json
    }

    static let configuration = CommandConfiguration(
        commandName: "propose", abstract: "Write the Roles and bindings that are enough for a service account.",
        discussion: """
            Allows exactly what the usage proves and --declared states: nothing that was refused, no wildcards, names and \
            namespaces kept, and nothing that the API server's own default bindings give already. Apply with `kubectl apply -f`.
            """)

    @Argument(help: "sa/NAME, sa/NS/NAME or NS:NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account that usage was seen of.")
    var allNamespaces = false

    @Option(help: "Needs that an author declares: Roles as manifests, or requests one JSON object per line.")
    var declared: String?

    @Option(name: [.short, .customLong("output")], help: "yaml or json.")
    var output: Format = .yaml

    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions

    func validate() throws {
        if allNamespaces {
            guard identity == nil, declared == nil else { throw ValidationError("-A takes neither an account nor --declared") }
        } else {
            guard let identity, identity.kind == "ServiceAccount", !identity.name.isEmpty else {
                throw ValidationError("needs sa/NAME, or -A")
            }
        }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let used = try ProposalInput.accounts(identity, namespace: namespace, in: database)
        guard !used.isEmpty else { throw CommandFailure("no usage of any service account; read audit logs with `whittle usage load`") }
        let accounts = used.filter { matching.matches(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else {
            throw CommandFailure("none of the \(used.count) service accounts with usage matches `\(matching.match ?? "")`")
        }
        let staying = try database.authorizer(onlyBootstrap: true)
        var proposals: [RoleProposal] = []
        for account in accounts {
            var needs = try ProposalInput.observed(account, in: database)
            if let declared {
                let (items, diagnostics) = try DeclaredUsage.read(declared, defaultNamespace: account.namespace)
                DiagnosticReport.write(diagnostics)
                let wanted = DeclaredNeed.Account(namespace: account.namespace, name: account.name)
                needs += items.filter { $0.concerns(wanted) }.map { Need($0.atom, namespace: $0.namespace) }
            }
            guard !needs.isEmpty else {
                throw CommandFailure("no usage and no declaration of ServiceAccount \(account.namespace)/\(account.name)")
            }
            let proposal = RoleProposal(namespace: account.namespace, name: account.name, needs: needs, staying: staying)
            if !proposal.inexpressible.isEmpty {
                Console.current.error(
                    "whittle: warning: \(proposal.inexpressible.count) requests of ServiceAccount \(account.namespace)/\(account.name) spell a `*` that a rule would read as a wildcard; they are left out\n"
                )
            }
            proposals.append(proposal)
        }
        let console = Console.current
        switch output {
        case .yaml: console.output(proposals.map { Self.comment($0) + ManifestRenderer.yaml($0) }.joined())
        case .json: console.output(ManifestRenderer.list(proposals).indented)
        }
    }

    private static func comment(_ proposal: RoleProposal) -> String {
        let rules = proposal.roles.reduce(0) { $0 + $1.rules.count }
        return """
            # ServiceAccount \(proposal.namespace)/\(proposal.name): \(proposal.needs.count) needs, \(proposal.alreadyGiven.count) given \
            by default bindings, \(rules) rules\(proposal.isProvenMinimal ? ", the fewest possible" : "")

            """
    }
}

/// Where needs come from.
enum ProposalInput {
    /// A service account.
    struct Account: Hashable {
        var namespace: String
        var name: String
    }

    /// The account that was named, or every one that usage was seen of.
    static func accounts(_ identity: IdentityArgument?, namespace: String?, in database: WhittleDatabase) throws -> [Account] {
        if let identity { return [Account(namespace: identity.namespace(or: namespace), name: identity.name)] }
        return try database.serviceAccountsWithUsage().map { Account(namespace: $0.namespace, name: $0.name) }
            .filter { try !observed($0, in: database).isEmpty }
    }

    /// What the usage proves that an account needs.
    static func observed(_ account: Account, in database: WhittleDatabase) throws -> [Need] {
        let user = ServiceAccountName.username(namespace: account.namespace, name: account.name)
        return try database.run("needs", ["user": .text(user)]).named.map { row in
            if let path = row["path"].string { return Need(Request(verb: row["verb"].string ?? "", path: path)) }
            let combined = row["resource"].string ?? ""
            let (resource, subresource) = combined.splitBytes(at: "/")
            return Need(
                Request(
                    verb: row["verb"].string ?? "", apiGroup: row["api_group"].string ?? "",
                    resource: resource, subresource: subresource ?? "",
                    namespace: row["namespace"].string ?? "", name: row["name"].string ?? ""))
        }
    }
}
