import ArgumentParser
import Foundation
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

struct VerifyCommand: ParsableCommand {
    /// How the proof is written.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case text, json
    }

    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Replay the usage against proposed Roles and bindings.",
        discussion: """
            Every request that was allowed must be allowed by the proposal together with the API server's own default bindings, \
            which stay; every rule must be there for some need; and nothing may be granted beyond what the account holds today, the needs, \
            and the steps that `whittle propose` would take with the same options. For each entry of each rule a request is shown that it is \
            there for. Judged are the service accounts that the proposal binds and usage was seen of.
            """)

    @Argument(help: "Files or folders with the proposal; - is standard input.")
    var files: [String] = []

    @Option(help: "File or folder with the proposal, as `whittle propose --out` wrote it.")
    var proposal: [String] = []

    @Option(help: "Audit logs to replay instead of the usage of the database.")
    var usage: [String] = []

    @Option(name: .customLong("as"), help: "Only this account: sa/NAME or sa/NS/NAME.")
    var identity: IdentityArgument?

    @Option(
        name: [.short, .customLong("namespace")],
        help: "Namespace of what is written without one (default: default); without --as, only the accounts of this namespace.")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account that usage was seen of.")
    var allNamespaces = false

    @Option(help: "Needs that an author declares, as `whittle propose --declared` took them.")
    var declared: [String] = []

    @Option(name: [.short, .customLong("output")], help: "text or json.")
    var output: Format = .text

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    /// `--exact` here makes every grant beyond the needs and the other steps a finding.
    @OptionGroup(title: "Steps beyond the needs that are allowed") var generalisations: GeneralisationOptions

    func validate() throws {
        if let identity, identity.name.isEmpty { throw ValidationError("--as needs a name: sa/NS/NAME") }
        if allNamespaces, namespace != nil { throw ValidationError("give either -A or -n, not both") }
        if namespace == "" { throw ValidationError("-n needs a namespace") }
        if files.isEmpty, proposal.isEmpty { throw ValidationError("needs a proposal: files, or --proposal DIR") }
    }

    func run() throws {
        let console = Console.current
        var state = try ManifestLoader(defaultNamespace: namespace ?? "default", usesDefaults: false).load(files + proposal)
        DiagnosticReport.write(state.diagnostics)
        let expected = (files + proposal).flatMap { ProposalFolder.accounts(of: $0) ?? [] }
        guard !state.bindings.isEmpty || allNamespaces || identity != nil || !expected.isEmpty else {
            throw CommandFailure("the proposal holds no bindings; name the account with --as")
        }
        let source = try ProofSource(self, state)
        var accounts = try source.accounts(self, state, expected: expected)
        if let namespace, identity == nil {
            let isOther = { (account: ProposalInput.Account) in !account.namespace.isSameBytes(as: namespace) }
            state.leaveOut(accounts.map(\.account).filter(isOther))
            accounts.removeAll { isOther($0.account) }
        }
        guard !accounts.isEmpty else {
            let place = namespace.flatMap { identity == nil ? " in namespace `\($0)`" : nil } ?? ""
            throw CommandFailure("no usage of any service account\(place) that the proposal binds")
        }
        let surprises = ProposalSurprises(state, judged: accounts.map(\.account), source.shared)
        var isProven = surprises.findings.isEmpty
        var documents: [JSONValue] = []
        for item in accounts {
            let needs = item.basis.observed + item.basis.declared
            guard !needs.isEmpty else { throw CommandFailure("no usage of \(item.account.text)") }
            let wanted = item.account.proposal(item.basis)
            let proof = ProposalProof(
                roles: surprises.roles, bindings: state.bindings, needs: needs.map(\.need), steps: wanted.generalisations,
                namespace: item.account.namespace, name: item.account.name, staying: source.shared.staying,
                current: source.shared.current, holder: item.basis.holder)
            let isPassed = generalisations.exact ? proof.isExact : proof.isProven
            switch output {
            case .text: console.output(proof.text(namespace: item.account.namespace, name: item.account.name, isPassed: isPassed))
            case .json:
                documents.append(proof.document(namespace: item.account.namespace, name: item.account.name, isPassed: isPassed))
            }
            isProven = isProven && isPassed
        }
        if output == .json { console.output(JSONValue.array(documents).indented) }
        for finding in surprises.findings { console.error("whittle: finding: \(finding)\n") }
        if !isProven { throw CommandFailure("", code: .no) }
        for folder in files + proposal {
            guard let accounts = ProposalFolder.accounts(of: folder),
                let edited = ProposalFolder.editedKustomizations(of: folder, accounts).first
            else { continue }
            throw CommandFailure("\(folder)/\(edited) is not as it was written: kustomize would apply something else than what was judged")
        }
        if let unknown = surprises.unknownRoles.first {
            throw CommandFailure("could not judge: \(unknown) is neither in the proposal nor in the input")
        }
        if !source.isWhole { throw CommandFailure("the logs could not be read whole; what could be read is proven") }
        if state.diagnostics.contains(where: { $0.severity == .error }) {
            throw CommandFailure("the proposal could not be read whole; what could be read is proven")
        }
    }
}

extension ClusterState {
    /// Drops the bindings of these accounts only, and the roles that nothing but such bindings refers to.
    fileprivate mutating func leaveOut(_ accounts: [ProposalInput.Account]) {
        let users = Set(accounts.map { Identity(.user, ServiceAccountName.username(namespace: $0.namespace, name: $0.name)) })
        func isOthers(_ binding: Binding) -> Bool {
            !binding.subjects.isEmpty
                && binding.subjects.allSatisfy { written in
                    written.subject.identity(inBindingOf: binding.meta.namespace).map(users.contains) ?? false
                }
        }
        func roles(of bindings: [Binding]) -> Set<ByteString> {
            Set(
                bindings.map { binding in
                    let space = binding.roleRef.kind == "Role" ? binding.meta.namespace : ""
                    return ByteString("\(space)\0\(binding.roleRef.name)")
                })
        }
        let others = bindings.filter(isOthers)
        bindings.removeAll(where: isOthers)
        let left = roles(of: others).subtracting(roles(of: bindings))
        self.roles.removeAll { left.contains(ByteString("\($0.meta.namespace)\0\($0.meta.name)")) }
    }
}

extension [ProposalInput.Account] {
    /// Each once, in order of first appearance.
    fileprivate func uniqued() -> [ProposalInput.Account] {
        var seen: Set<ProposalInput.Account> = []
        return filter { seen.insert($0).inserted }
    }
}

/// What a proposal is proven against.
private struct ProofSource {
    let shared: ProposalInput.Shared
    private let usage: WhittleDatabase
    /// Whether the logs of `--usage` were read whole.
    private(set) var isWhole = true

    init(_ command: VerifyCommand, _ proposal: ClusterState) throws {
        let path = command.db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db"
        let hasDatabase = command.db != nil || command.usage.isEmpty || FileManager.default.fileExists(atPath: path)
        let database = try hasDatabase ? WhittleDatabase.open(path) : WhittleDatabase.inMemory(Self.defaults(for: proposal))
        shared = try ProposalInput.Shared(database)
        guard !command.usage.isEmpty else {
            usage = database
            return
        }
        // The inventory tells the workloads of pods; usage of the database does not count here.
        let replayed = try WhittleDatabase.inMemory(hasDatabase ? ClusterState() : Self.defaults(for: proposal))
        let folding = try AuditFolding(AuditLogReader.Options()) { try replayed.add($0) }
        try folding.read(all: command.usage)
        isWhole = folding.isWhole
        usage = replayed
    }

    /// The API server's default bindings for the accounts of a proposal, and nothing of the proposal itself.
    private static func defaults(for proposal: ClusterState) throws -> ClusterState {
        var state = ClusterState()
        let accounts = proposal.bindings.flatMap { binding in binding.subjects.map(\.subject).filter { $0.kind == "ServiceAccount" } }
        let text = accounts.map { account in
            JSONValue.members([
                "apiVersion": .string("v1"), "kind": .string("ServiceAccount"),
                "metadata": .members(["name": .string(account.name), "namespace": .string(account.namespace ?? "default")]),
            ]).line
        }.uniqued()
        if !text.isEmpty { state = ManifestLoader().load(text: text.joined(separator: "\n---\n")) }
        return state
    }

    /// The accounts to judge, with what each of them needs.
    ///
    /// - Parameter expected: what the proposal's folders were written for; judged even when nothing in them binds it.
    func accounts(
        _ command: VerifyCommand, _ state: ClusterState, expected: [ProposalInput.Account]
    ) throws -> [(account: ProposalInput.Account, basis: ProposalBasis)] {
        let bound = Set(
            state.bindings.flatMap { binding in
                binding.subjects.compactMap { $0.subject.identity(inBindingOf: binding.meta.namespace) }
            })
        func isBound(_ account: ProposalInput.Account) -> Bool {
            bound.contains(Identity(.user, ServiceAccountName.username(namespace: account.namespace, name: account.name)))
        }
        let space = command.identity?.namespace(or: command.namespace) ?? command.namespace
        let declared = try ProposalInput.declared(command.declared, namespace: space)
        var observed = try ProposalInput.accounts(command.identity, namespace: command.namespace, in: usage)
        if command.identity == nil {
            observed += declared.items.compactMap(\.serviceAccount).map { ProposalInput.Account(namespace: $0.namespace, name: $0.name) }
                .uniqued().filter { !observed.contains($0) }
        }
        var result: [(ProposalInput.Account, ProposalBasis)] = []
        for account in observed {
            let facts = try AccountEvidence(namespace: account.namespace, name: account.name, in: usage)
            let stated = ProposalInput.needs(declared.items, of: account)
            var options = command.generalisations
            options.exact = false
            let basis = shared.basis(facts, options, declared: stated)
            if command.identity != nil || command.allNamespaces || isBound(account) || expected.contains(account) {
                result.append((account, basis))
            }
            guard command.identity == nil, !command.allNamespaces else { continue }
            // Accounts that a shared one is divided into need what their workload needs.
            let parts = try WorkloadSplit(account, shared.withoutDoubts(facts), basis, in: usage).proposed
            result += parts.filter { isBound($0.account) || expected.contains($0.account) }.map { ($0.account, $0.basis) }
        }
        return result
    }
}
