import WhittleModel

/// Whether roles and bindings allow what a subject needs, and nothing else.
public struct ProposalProof: Sendable {
    /// A request that shows what an entry of a rule is there for.
    public struct Witness: Hashable, Sendable {
        /// The rule, as `Role shop/cart rule 0`.
        public var rule: String
        /// The entry, as `verb get` or `resource pods`.
        public var entry: String
        /// A need, or a step beyond the needs, that the entry allows; `nil` = there is none.
        public var need: Need?
    }

    /// Needs that are refused.
    public var refused: [Need]
    /// Atoms with their scope (`""` = cluster-wide) that are granted beyond the needs and the steps.
    public var excess: [(namespace: String, atom: RuleAtom)]
    /// Of `excess`: what the subject does not hold today either.
    public var widened: [(namespace: String, atom: RuleAtom)]
    /// Rules that could be left out without refusing a need or a step, as `Role shop/cart rule 0`.
    public var redundantRules: [String]
    /// One for each entry of each rule.
    public var witnesses: [Witness]
    /// Needs that were replayed.
    public var replayed: Int
    /// Requests that no rule can allow alone, see `Need.isExpressible`; not replayed.
    public var inexpressible: Int

    /// Whether every need is allowed.
    public var isSound: Bool { refused.isEmpty }
    /// Whether it is sound, no rule is without use, and nothing is granted that is not held today.
    public var isProven: Bool { isSound && redundantRules.isEmpty && widened.isEmpty }
    /// Whether it is proven, and nothing is granted beyond the needs and the steps.
    public var isExact: Bool { isProven && excess.isEmpty }

    /// Replays needs of a service account against roles and bindings.
    ///
    /// - Parameters:
    ///   - steps: what may be granted beyond the needs.
    ///   - staying: bindings that remain beside the proposal; they allow, and are no excess.
    ///   - current: all that the account holds today; `nil` = not known, then nothing may be beyond needs and steps.
    ///   - holder: whose rights in `current` count; `nil` = those of the account.
    public init(
        roles: [Role], bindings: [Binding], needs all: [Need], steps: [Generalisation] = [], namespace: String, name: String,
        staying: Authorizer, current: Authorizer? = nil, holder: UserInfo? = nil
    ) {
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let proposed = Authorizer(roles: roles, bindings: bindings)
        let needs = all.filter(\.isExpressible)
        replayed = needs.count
        inexpressible = all.count - needs.count
        let open = needs.filter { !$0.isGiven(to: user, by: staying) }
        let added = steps.flatMap { step in step.atoms.map { Need($0, observedIn: step.namespace) } }
        refused = []
        // A rule is needed when it alone allows some need or step.
        var needed: Set<RulePlace> = []
        for need in open {
            let givers = Self.givers(of: need, to: user, by: proposed)
            if givers.isEmpty { refused.append(need) }
            if givers.count == 1 { needed.formUnion(givers) }
        }
        for need in added where !need.isGiven(to: user, by: staying) {
            let givers = Self.givers(of: need, to: user, by: proposed)
            if givers.count == 1 { needed.formUnion(givers) }
        }
        (excess, widened, redundantRules, witnesses) = ([], [], [], [])
        let reasons = needs + added
        let clusterNeeds = AtomIndex(reasons.filter { $0.scope.isEmpty }.map(\.atom))
        let localNeeds = Dictionary(grouping: reasons.filter { !$0.scope.isEmpty }) { ByteString($0.scope) }
            .mapValues { AtomIndex($0.map(\.atom)) }
        var judged: Set<RulePlace> = []
        var hasWitness: Set<RulePlace> = []
        for attachment in proposed.attachments(of: user, in: nil) {
            guard let roleIndex = proposed.roleOfBinding[attachment.binding] else { continue }
            let scope = bindings[attachment.binding].meta.namespace
            let local = localNeeds[ByteString(scope)]
            let role = roles[roleIndex]
            let held = current.map { $0.rules(for: holder ?? user, namespace: scope).rules } ?? []
            let place = role.meta.namespace.isEmpty ? role.meta.name : "\(role.meta.namespace)/\(role.meta.name)"
            for (index, written) in role.effectiveRules.enumerated() {
                for atom in written.rule.atoms where !clusterNeeds.covers(atom) && !(local?.covers(atom) ?? false) {
                    // URLs in a Role grant nothing.
                    guard atom.nonResourceURL == nil || scope.isEmpty else { continue }
                    excess.append((scope, atom))
                    if !held.contains(where: { RuleCoverage.covers($0, atom) }) { widened.append((scope, atom)) }
                }
                let rulePlace = RulePlace(role: roleIndex, rule: index)
                let title = "\(role.kind) \(place) rule \(index)"
                if judged.insert(rulePlace).inserted, !needed.contains(rulePlace) { redundantRules.append(title) }
                // A role that several namespaces share is shown once.
                guard hasWitness.insert(rulePlace).inserted else { continue }
                let inScope = reasons.filter { scope.isEmpty || $0.scope.isSameBytes(as: scope) }
                witnesses += Self.witnesses(of: written.rule, title, among: inScope)
            }
        }
    }

    private static func witnesses(of rule: PolicyRule, _ title: String, among needs: [Need]) -> [Witness] {
        let covered = needs.filter { RuleCoverage.covers(rule, $0.atom) }
        var result: [Witness] = []
        func add(_ word: String, _ entries: [String]?, _ keep: WritableKeyPath<PolicyRule, [String]?>) {
            for entry in entries ?? [] {
                var only = rule
                only[keyPath: keep] = [entry]
                let shown = entry.isEmpty ? "\"\"" : entry
                result.append(Witness(rule: title, entry: "\(word) \(shown)", need: covered.first { RuleCoverage.covers(only, $0.atom) }))
            }
        }
        add("apiGroup", rule.apiGroups, \.apiGroups)
        add("resource", rule.resources, \.resources)
        add("resourceName", rule.resourceNames, \.resourceNames)
        add("nonResourceURL", rule.nonResourceURLs, \.nonResourceURLs)
        add("verb", rule.verbs, \.verbs)
        return result
    }

    private struct RulePlace: Hashable {
        var role: Int
        var rule: Int
    }

    /// The rules that give a need, each by itself.
    private static func givers(of need: Need, to user: UserInfo, by authorizer: Authorizer) -> Set<RulePlace> {
        var request = need.request
        request.name = need.name ?? ""
        var result: Set<RulePlace> = []
        for attachment in authorizer.attachments(of: user, in: need.scope) {
            guard let role = authorizer.roleOfBinding[attachment.binding] else { continue }
            for (index, written) in authorizer.roles[role].effectiveRules.enumerated() {
                let isGiver = need.isDeclared ? RuleCoverage.covers(written.rule, need.atom) : RuleMatcher.allows(written.rule, request)
                if isGiver { result.insert(RulePlace(role: role, rule: index)) }
            }
        }
        return result
    }
}
