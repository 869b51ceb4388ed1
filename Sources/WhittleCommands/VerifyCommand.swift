import ArgumentParser
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Replay the usage against proposed Roles and bindings.",
        discussion: """
            Every request that was allowed must be allowed by the proposal together with the API server's own default bindings, \
            which stay. Judged are the service accounts that the proposal binds and usage was seen of. What the proposal grants beyond the \
            usage is listed; with --exact it is a finding.
            """)

    @Argument(help: "Files with the proposal; - is standard input.")
    var proposal: [String]

    @Option(name: .customLong("as"), help: "Only this account: sa/NS/NAME.")
    var identity: IdentityArgument?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account that usage was seen of.")
    var allNamespaces = false

    @Flag(help: "Exit with 1 also when something is granted beyond the usage, or a rule is not needed.")
    var exact = false

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func validate() throws {
        if let identity, identity.name.isEmpty { throw ValidationError("--as needs a name: sa/NS/NAME") }
    }

    func run() throws {
        let console = Console.current
        let database = try WhittleDatabase.open(db ?? console.environment["WHITTLE_DB"] ?? "whittle.db")
        let state = try ManifestLoader(usesDefaults: false).load(proposal)
        DiagnosticReport.write(state.diagnostics)
        guard !state.bindings.isEmpty || allNamespaces || identity != nil else {
            throw CommandFailure("the proposal holds no bindings; name the account with --as")
        }
        let staying = try database.authorizer(onlyBootstrap: true)
        let accounts = try self.accounts(in: database, state)
        guard !accounts.isEmpty else { throw CommandFailure("no usage of any service account that the proposal binds") }
        var isProven = true
        for account in accounts {
            let needs = try ProposalInput.observed(account, in: database)
            guard !needs.isEmpty else { throw CommandFailure("no usage of ServiceAccount \(account.namespace)/\(account.name)") }
            let proof = ProposalProof(
                roles: state.roles, bindings: state.bindings, needs: needs, namespace: account.namespace, name: account.name,
                staying: staying)
            console.output(proof.text(namespace: account.namespace, name: account.name))
            isProven = isProven && (exact ? proof.isExact : proof.isSound)
        }
        if !isProven { throw CommandFailure("", code: .no) }
    }

    private func accounts(in database: WhittleDatabase, _ state: ClusterState) throws -> [ProposalInput.Account] {
        let observed = try ProposalInput.accounts(identity, namespace: nil, in: database)
        if identity != nil || allNamespaces { return observed }
        let bound = Set(
            state.bindings.flatMap { binding in
                binding.subjects.compactMap { $0.subject.identity(inBindingOf: binding.meta.namespace) }
            })
        return observed.filter {
            bound.contains(Identity(.user, ServiceAccountName.username(namespace: $0.namespace, name: $0.name)))
        }
    }
}
