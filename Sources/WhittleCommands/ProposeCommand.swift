import ArgumentParser
import Foundation
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

    @Flag(help: "Write a unified diff of the manifests that own the present rules, for `patch -p1` or `git apply`.")
    var patch = false

    @Flag(help: "Narrow and delete although the evidence is thin.")
    var acceptThinEvidence = false

    @Option(help: "Mine this part of the window, as 0.7, and report how well it foretells the rest.")
    var evaluate: Double?

    @Option(name: [.short, .customLong("output")], help: "yaml or json.")
    var output: Format = .yaml

    @OptionGroup(title: "Steps beyond the needs") var generalisations: GeneralisationOptions
    @OptionGroup(title: "Evidence") var evidence: EvidenceOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions

    func validate() throws {
        if allNamespaces {
            guard identity == nil else { throw ValidationError("-A takes no account") }
        } else {
            guard let identity, identity.kind == "ServiceAccount", !identity.name.isEmpty else {
                throw ValidationError("needs sa/NAME, or -A")
            }
        }
        if shareNamespaces < 0 || shareNamespaces == 1 { throw ValidationError("--share-namespaces is 0, or 2 and more") }
        if let evaluate, evaluate <= 0 || evaluate >= 1 { throw ValidationError("--evaluate is between 0 and 1") }
        if evaluate != nil, outputFolder != nil || by == .workload || patch { throw ValidationError("--evaluate only reports") }
        if patch, outputFolder != nil || by == .workload { throw ValidationError("--patch goes with neither --out nor --by workload") }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let declaration = try ProposalInput.declared(declared, namespace: identity?.namespace(or: namespace))
        let accounts = try accounts(in: database, declaration)
        let shared = try ProposalInput.Shared(database)
        if let evaluate { return try StabilityReport(part: evaluate, self).write(accounts, shared, in: database) }
        let coverage = try evidence.shared(in: database)
        var made: [Proposed] = []
        for account in accounts {
            let usage = try AccountEvidence(namespace: account.namespace, name: account.name, in: database)
            let stated = ProposalInput.needs(declaration.items, of: account)
            var basis = shared.basis(usage, generalisations, declared: stated)
            // A role of one namespace is the easier one to narrow.
            (basis.layout, basis.sharedRoleMinimum) = (layout, patch ? 0 : shareNamespaces)
            guard !basis.observed.isEmpty || !stated.isEmpty else {
                throw CommandFailure("no usage and no declaration of \(account.text)")
            }
            let statement = try statement(about: account, coverage, in: database)
            var parts: [Proposed] = []
            switch by {
            case .account: parts = [Proposed(account: account, basis: basis, proposal: account.proposal(basis))]
            case .workload:
                let split = try WorkloadSplit(account, shared.withoutDoubts(usage), basis, in: database)
                guard split.isShared || allNamespaces else { throw CommandFailure(split.whyNot) }
                parts = split.isShared ? split.proposed : [Proposed(account: account, basis: basis, proposal: account.proposal(basis))]
            }
            for index in parts.indices {
                parts[index].notes = (statement?.comments ?? []) + parts[index].notes
                parts[index].coverage = statement?.document
                parts[index].thinReasons = statement?.thinReasons ?? ["neither the input nor the logs know the account"]
            }
            warn(account, parts, isDeclared: basis.observed.isEmpty)
            for part in parts { warnOfTakenNames(part.proposal, shared) }
            made += parts
        }
        let attempts = made.flatMap(\.basis.denied).map { ProposalText.text($0.need) }
        for text in generalisations.includeDenied where !attempts.contains(where: Glob(text).matches) {
            Console.current.error("whittle: warning: no refused request matches --include-denied `\(text)`\n")
        }
        if patch { try writePatch(made, shared, in: database) } else { try write(made, shared, in: database) }
        if declaration.isIncomplete {
            throw CommandFailure("the declaration could not be read whole; the proposal lacks what could not be read")
        }
    }

    /// What the evidence covers; `nil` = the account is only declared.
    private func statement(
        about account: ProposalInput.Account, _ shared: Coverage.Shared, in database: WhittleDatabase
    ) throws -> CoverageRenderer? {
        do {
            return CoverageRenderer(
                try Coverage(namespace: account.namespace, name: account.name, shared, in: database), evidence.requirement)
        } catch AnalysisError.unknown {
            return nil
        }
    }

    /// Says what a reader of the manifests alone would miss.
    private func warn(_ account: ProposalInput.Account, _ parts: [Proposed], isDeclared: Bool) {
        let console = Console.current
        if !isDeclared, let thin = parts.first?.thinReasons, !thin.isEmpty {
            console.error("whittle: warning: thin evidence for \(account.text): \(thin.joined(separator: "; "))\n")
        }
        let count = parts.map(\.proposal.inexpressible.count).max() ?? 0
        guard count > 0 else { return }
        console.error(
            "whittle: warning: \(count) requests of \(account.text) are left out: a rule would read their `*` as a wildcard, they have no verb or resource, or a credential in them is not kept\n"
        )
    }

    /// Says which objects of others the proposal would replace, as they have its names.
    private func warnOfTakenNames(_ proposal: RoleProposal, _ shared: ProposalInput.Shared) {
        for (object, place) in shared.taken(by: proposal.roles, proposal.bindings) {
            Console.current.error(
                "\(place.map { "\($0): " } ?? "whittle: ")warning: \(object) is not managed by whittle, and applying the proposal replaces it; rename or delete it first\n"
            )
        }
    }

    private func accounts(in database: WhittleDatabase, _ declaration: DeclaredUsage.Declaration) throws -> [ProposalInput.Account] {
        var used = try ProposalInput.accounts(identity, namespace: namespace, in: database)
        if identity == nil {
            let stated = Set(declaration.items.compactMap(\.serviceAccount)).map {
                ProposalInput.Account(namespace: $0.namespace, name: $0.name)
            }
            used += stated.filter { !used.contains($0) }.sorted { bytesPrecede($0.text, $1.text) }
        }
        guard !used.isEmpty else { throw CommandFailure("no usage of any service account; read audit logs with `whittle usage load`") }
        let accounts = used.filter { matching.matches(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else {
            throw CommandFailure("none of the \(used.count) service accounts with usage matches `\(matching.match ?? "")`")
        }
        return accounts
    }

    /// What the proposals replace; `nil` when the evidence is too thin to take anything away, or nothing is known of the present.
    private func replacements(
        _ made: [Proposed], _ shared: ProposalInput.Shared, in database: WhittleDatabase
    ) throws -> [Replacement]? {
        guard let current = shared.current, acceptThinEvidence || made.allSatisfy(\.thinReasons.isEmpty), by == .account else { return nil }
        return try made.map { try Replacement(of: $0.account, by: $0.proposal, current: current, in: database) }
    }

    /// Where a new manifest of an account goes; a file of an earlier run, or of this one, stays.
    private static func freePath(of account: ProposalInput.Account, besides used: inout Set<String>) -> String {
        let base = "whittle/\(PatchPlan.fileName(account.namespace, account.name))"
        var path = "\(base).yaml"
        var number = 1
        while FileManager.default.fileExists(atPath: path) || !used.insert(path).inserted {
            number += 1
            path = "\(base)-\(number).yaml"
        }
        return path
    }

    /// Says which of the rights that go the logs could not have shown the use of.
    private func warnOfGrades(_ account: ProposalInput.Account, _ coverage: Coverage.Shared, in database: WhittleDatabase) throws {
        guard let statement = try? Coverage(namespace: account.namespace, name: account.name, coverage, in: database) else { return }
        let unused = try UnusedGrants(statement, coverage, evidence.requirement, in: database)
        for grade in [UnusedGrants.Grade.notVisible, .tooYoung] where unused.count(grade) > 0 {
            Console.current.error(
                "whittle: warning: of the rights of \(account.text) that go, \(unused.count(grade)) are graded `\(grade.rawValue)`; see `whittle unused`\n"
            )
        }
    }

    private func writePatch(_ made: [Proposed], _ shared: ProposalInput.Shared, in database: WhittleDatabase) throws {
        guard shared.current != nil else { throw CommandFailure("the input holds no bindings that could be narrowed") }
        guard let replacements = try replacements(made, shared, in: database) else {
            let thin = made.filter { !$0.thinReasons.isEmpty }.map(\.account.text).uniqued()
            throw CommandFailure(
                "the evidence for \(thin.joined(separator: ", ")) is too thin to narrow anything; --accept-thin-evidence does it all the same"
            )
        }
        let coverage = try evidence.shared(in: database)
        for item in made { try warnOfGrades(item.account, coverage, in: database) }
        let plan = try PatchPlan(replacements.flatMap(\.narrowing), in: database)
        let console = Console.current
        for sentence in plan.notes + plan.advice + plan.refusals { console.error("whittle: note: \(sentence)\n") }
        var diff = plan.diff
        var paths: Set<String> = []
        for (item, replacement) in zip(made, replacements) where !replacement.created.bindings.isEmpty {
            let text =
                (ProposalText.comments(item.proposal) + item.notes).map(ProposalText.comment).joined()
                + ManifestRenderer.yaml(replacement.created, digest: item.proposal.digest(inputSHA256: shared.inputSHA256))
            let path = Self.freePath(of: item.account, besides: &paths)
            diff += UnifiedDiff.text(path: path, from: nil, to: Array(text.utf8))
        }
        console.output(diff)
        let kustomized = plan.kustomizeText
        guard kustomized.isEmpty else {
            // Both on one stream would be neither a diff nor YAML.
            if diff.isEmpty {
                console.output(kustomized)
            } else {
                console.error("whittle: note: what no diff can say, as patches of kustomize:\n\(kustomized)")
            }
            return
        }
        if diff.isEmpty { console.error("whittle: nothing to change: the manifests grant what is needed and no more\n") }
    }

    private func write(_ made: [Proposed], _ shared: ProposalInput.Shared, in database: WhittleDatabase) throws {
        let console = Console.current
        let digests = made.map { $0.proposal.digest(inputSHA256: shared.inputSHA256) }
        if let outputFolder {
            let removals = try replacements(made, shared, in: database).map { try RemovalPatches($0, in: database) }
            if removals != nil {
                let coverage = try evidence.shared(in: database)
                for item in made { try warnOfGrades(item.account, coverage, in: database) }
            }
            try ProposalFolder(outputFolder, made, digests: digests, shared, removals: removals).write()
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
                ManifestRenderer.list(
                    made.map(\.proposal), digests: digests, coverage: made.map(\.coverage), more: made.compactMap(\.serviceAccount)
                ).indented)
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
    /// More to say above the documents: what the evidence covers, what goes with it.
    var notes: [String] = []
    /// What the evidence covers, for programs.
    var coverage: JSONValue?
    /// Why the evidence is thin; empty = it is not.
    var thinReasons: [String] = []
}

extension ProposalInput.Account {
    func proposal(_ basis: ProposalBasis) -> RoleProposal { RoleProposal(namespace: namespace, name: name, basis) }
}

extension ProposalInput.Shared {
    /// The basis of one account's proposal.
    func basis(_ usage: AccountEvidence, _ options: GeneralisationOptions, declared: [EvidencedNeed]) -> ProposalBasis {
        var basis = ProposalBasis(staying: staying)
        let (own, doubtful) = divided(usage)
        basis.observed = ProposalInput.needs(own)
        basis.doubts = ProposalInput.needs(doubtful).map { item in
            let isReview = item.evidence.causes.contains("access-review")
            let how = isReview ? "about in a SubjectAccessReview" : "by somebody who impersonated the account"
            return "`\(ProposalText.text(item.need))` is no need: it was only asked \(how), and the account does not hold it"
        }
        basis.denied = ProposalInput.needs(usage.facts.filter { $0.decision != .allow })
        basis.declared = declared
        basis.hints = usage.hints
        basis.droppedNames = usage.droppedNames
        (basis.current, basis.policy, basis.universe, basis.resources) = (current, options.policy, universe, resources)
        basis.policyChecks = policyChecks
        let chosen = options.includeDenied.map { Glob($0) }
        basis.includesDenied = { need in
            let text = ProposalText.text(need)
            return chosen.contains { $0.matches(text) }
        }
        return basis
    }

    /// The usage without what was only said or done in the account's name.
    func withoutDoubts(_ usage: AccountEvidence) -> AccountEvidence {
        var own = usage
        own.facts = divided(usage).own + usage.facts.filter { $0.decision != .allow }
        return own
    }

    /// What was allowed to the account, and what was only said or done in its name with rights that it does not hold.
    ///
    /// Who impersonates may add groups, and a SubjectAccessReview may name any; neither is kept with the usage.
    func divided(_ usage: AccountEvidence) -> (own: [AccountEvidence.Fact], doubtful: [AccountEvidence.Fact]) {
        let allowed = usage.facts.filter { $0.decision == .allow }
        let user = ServiceAccountName.user(namespace: usage.namespace, name: usage.name)
        // An account that nothing binds is one whose bindings are not in the input.
        guard let current, !current.attachments(of: UserInfo(name: user.name, groups: []), in: nil).isEmpty else { return (allowed, []) }
        let shown = Set(allowed.filter { !$0.isIndirect }.map { Need($0.request) })
        var doubtful: Set<Need> = []
        for fact in allowed where fact.isIndirect {
            let need = Need(fact.request)
            if !shown.contains(need), !need.isGiven(to: user, by: current) { doubtful.insert(need) }
        }
        guard !doubtful.isEmpty else { return (allowed, []) }
        return (allowed.filter { !doubtful.contains(Need($0.request)) }, allowed.filter { doubtful.contains(Need($0.request)) })
    }
}

extension AccountEvidence.Fact {
    /// Whether others asked in the account's name.
    fileprivate var isIndirect: Bool { isImpersonated || cause == "access-review" }
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
