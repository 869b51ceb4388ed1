import ArgumentParser
import WhittleAnalysis
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

    /// What gets a proposal of its own.
    enum Division: String, CaseIterable, ExpressibleByArgument {
        case account, workload
    }

    static let configuration = CommandConfiguration(
        commandName: "propose", abstract: "Write the Roles and bindings that are enough for a service account.",
        discussion: """
            Allows exactly what the usage proves and --declared states, and the steps beyond that the options below name, each told with \
            its reason and size; never what was refused, no wildcards, and nothing that the API server's own default bindings give already. \
            Apply with `kubectl apply -f`.
            """)

    @Argument(help: "sa/NAME, sa/NS/NAME or NS:NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account that usage was seen of.")
    var allNamespaces = false

    @Option(help: "Needs that an author declares: manifests, kubebuilder markers, ClusterServiceVersions or lists of needs.")
    var declared: [String] = []

    @Option(help: "account: one proposal for the account; workload: a new account for each workload that shares it.")
    var by: Division = .account

    @Option(help: "compact: the fewest rules; grouped: one rule per group and resource. Both allow the same.")
    var layout: RoleMinimizer.Layout = .compact

    @Option(help: "So many namespaces with the same rules share one ClusterRole, bound in each by a RoleBinding; 0 = never.")
    var shareNamespaces = 2

    @Option(name: .customLong("out"), help: "Write a folder for a GitOps repository: manifests, kustomization.yaml and PROPOSAL.md.")
    var outputFolder: String?

    @Option(help: "Mine this part of the window, as 0.7, and report how well it foretells the rest.")
    var evaluate: Double?

    @Option(name: [.short, .customLong("output")], help: "yaml or json.")
    var output: Format = .yaml

    @OptionGroup(title: "Steps beyond the needs") var generalisations: GeneralisationOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions

    func validate() throws {
        if allNamespaces {
            guard identity == nil, declared.isEmpty else { throw ValidationError("-A takes neither an account nor --declared") }
        } else {
            guard let identity, identity.kind == "ServiceAccount", !identity.name.isEmpty else {
                throw ValidationError("needs sa/NAME, or -A")
            }
        }
        if shareNamespaces < 0 || shareNamespaces == 1 { throw ValidationError("--share-namespaces is 0, or 2 and more") }
        if let evaluate, evaluate <= 0 || evaluate >= 1 { throw ValidationError("--evaluate is between 0 and 1") }
        if evaluate != nil, outputFolder != nil || by == .workload { throw ValidationError("--evaluate only reports") }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let accounts = try accounts(in: database)
        let shared = try ProposalInput.Shared(database)
        if let evaluate { return try StabilityReport(part: evaluate, self).write(accounts, shared, in: database) }
        var made: [Proposed] = []
        var isPartial = false
        for account in accounts {
            let usage = try AccountUsage(namespace: account.namespace, name: account.name, in: database)
            let (stated, isWhole) = try ProposalInput.declared(declared, for: account)
            isPartial = isPartial || !isWhole
            var basis = shared.basis(usage, generalisations, declared: stated)
            (basis.layout, basis.sharedRoleMinimum) = (layout, shareNamespaces)
            guard !basis.observed.isEmpty || !stated.isEmpty else {
                throw CommandFailure("no usage and no declaration of \(account.text)")
            }
            switch by {
            case .account: made.append(Proposed(account: account, basis: basis, proposal: account.proposal(basis)))
            case .workload: made += try WorkloadSplit(account, usage, basis, in: database).proposed
            }
        }
        for item in made where !item.proposal.inexpressible.isEmpty {
            Console.current.error(
                "whittle: warning: \(item.proposal.inexpressible.count) requests of \(item.account.text) spell a `*` that a rule would read as a wildcard; they are left out\n"
            )
        }
        try write(made, shared)
        if isPartial { throw CommandFailure("the declaration could not be read whole; the proposal lacks what could not be read") }
    }

    private func accounts(in database: WhittleDatabase) throws -> [ProposalInput.Account] {
        let used = try ProposalInput.accounts(identity, namespace: namespace, in: database)
        guard !used.isEmpty else { throw CommandFailure("no usage of any service account; read audit logs with `whittle usage load`") }
        let accounts = used.filter { matching.matches(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else {
            throw CommandFailure("none of the \(used.count) service accounts with usage matches `\(matching.match ?? "")`")
        }
        return accounts
    }

    private func write(_ made: [Proposed], _ shared: ProposalInput.Shared) throws {
        let console = Console.current
        let digests = made.map { $0.proposal.digest(inputSHA256: shared.inputSHA256) }
        if let outputFolder {
            try ProposalFolder(outputFolder, made, digests: digests, shared).write()
            return
        }
        switch output {
        case .yaml:
            console.output(
                zip(made, digests).map { item, digest in
                    let comments = ProposalText.comments(item.proposal) + item.notes
                    return comments.map(ProposalText.comment).joined() + (item.serviceAccount.map { "---\n" + $0.yaml } ?? "")
                        + ManifestRenderer.yaml(item.proposal, digest: digest)
                }.joined())
        case .json:
            console.output(
                ManifestRenderer.list(made.map(\.proposal), digests: digests, more: made.compactMap(\.serviceAccount)).indented)
        }
    }
}

/// A proposal with what goes with it.
struct Proposed {
    /// The account that the proposal is for; a new one when a shared account is split.
    var account: ProposalInput.Account
    var basis: ProposalBasis
    var proposal: RoleProposal
    /// The new account's manifest; `nil` = the account exists.
    var serviceAccount: JSONValue?
    /// The patch that makes a workload run as it, and the workload's name.
    var workloadPatch: (workload: WorkloadAttribution.Workload, patch: JSONValue)?
    /// More to say above the documents.
    var notes: [String] = []
}

extension ProposalInput.Account {
    func proposal(_ basis: ProposalBasis) -> RoleProposal { RoleProposal(namespace: namespace, name: name, basis) }
}

extension ProposalInput.Shared {
    /// The basis of one account's proposal.
    func basis(_ usage: AccountUsage, _ options: GeneralisationOptions, declared: [EvidencedNeed]) -> ProposalBasis {
        var basis = ProposalBasis(staying: staying)
        basis.observed = ProposalInput.needs(usage.facts.filter { $0.decision == .allow })
        basis.denied = ProposalInput.needs(usage.facts.filter { $0.decision != .allow })
        basis.declared = declared
        basis.hints = usage.hints
        basis.droppedNames = usage.droppedNames
        (basis.current, basis.policy, basis.universe, basis.resources) = (current, options.policy, universe, resources)
        let chosen = options.includeDenied.map { Glob($0) }
        basis.includesDenied = { need in
            let text = ProposalText.text(need)
            return chosen.contains { $0.matches(text) }
        }
        return basis
    }
}

/// A text in which `*` stands for any text.
struct Glob: Sendable {
    private let parts: [Substring.UTF8View]

    init(_ text: String) { parts = text.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false) }

    func matches(_ text: String) -> Bool {
        guard let first = parts.first, let last = parts.last else { return false }
        var rest = text.utf8[...]
        guard rest.starts(with: first) else { return false }
        guard parts.count > 1 else { return rest.count == first.count }
        rest = rest.dropFirst(first.count)
        for part in parts.dropFirst().dropLast() {
            guard let found = rest.indices.first(where: { rest[$0...].starts(with: part) }) else { return false }
            rest = rest[found...].dropFirst(part.count)
        }
        return rest.count >= last.count && rest.suffix(last.count).elementsEqual(last)
    }
}
