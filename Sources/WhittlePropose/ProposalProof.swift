import WhittleModel

/// Whether roles and bindings allow what a subject needs, and nothing else.
public struct ProposalProof: Sendable {
    /// Needs that are refused.
    public var refused: [Need]
    /// Atoms with their scope (`""` = cluster-wide) that are granted beyond the needs.
    public var excess: [(namespace: String, atom: RuleAtom)]
    /// Rules that could be left out without refusing a need, as `Role shop/cart rule 0`.
    public var redundantRules: [String]
    /// Needs that were replayed.
    public var replayed: Int
    /// Requests that no rule can allow alone, see `Need.isExpressible`; not replayed.
    public var inexpressible: Int

    /// Whether every need is allowed.
    public var isSound: Bool { refused.isEmpty }
    /// Whether nothing is granted beyond the needs and every rule is needed.
    public var isExact: Bool { isSound && excess.isEmpty && redundantRules.isEmpty }

    /// Replays needs of a service account against roles and bindings.
    ///
    /// - Parameter staying: bindings that remain beside the proposal; they allow, and are no excess.
    public init(
        roles: [Role], bindings: [Binding], needs all: [Need], namespace: String, name: String, staying: Authorizer
    ) {
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let proposed = Authorizer(roles: roles, bindings: bindings)
        let needs = all.filter(\.isExpressible)
        replayed = needs.count
        inexpressible = all.count - needs.count
        let open = needs.filter { !$0.isGiven(to: user, by: staying) }
        refused = []
        // A rule is needed when it alone allows some need.
        var needed: Set<RulePlace> = []
        for need in open {
            let givers = Self.givers(of: need, to: user, by: proposed)
            if givers.isEmpty { refused.append(need) }
            if givers.count == 1 { needed.formUnion(givers) }
        }
        excess = []
        redundantRules = []
        let clusterNeeds = AtomIndex(needs.filter { $0.scope.isEmpty }.map(\.atom))
        let localNeeds = Dictionary(grouping: needs.filter { !$0.scope.isEmpty }) { ByteString($0.scope) }
            .mapValues { AtomIndex($0.map(\.atom)) }
        var judged: Set<Int> = []
        for attachment in proposed.attachments(of: user, in: nil) {
            guard let roleIndex = proposed.roleOfBinding[attachment.binding] else { continue }
            let scope = bindings[attachment.binding].meta.namespace
            let local = localNeeds[ByteString(scope)]
            let role = roles[roleIndex]
            for written in role.effectiveRules {
                for atom in written.rule.atoms where !clusterNeeds.covers(atom) && !(local?.covers(atom) ?? false) {
                    // URLs in a Role grant nothing.
                    if atom.nonResourceURL == nil || scope.isEmpty { excess.append((scope, atom)) }
                }
            }
            guard judged.insert(roleIndex).inserted else { continue }
            let place = role.meta.namespace.isEmpty ? role.meta.name : "\(role.meta.namespace)/\(role.meta.name)"
            redundantRules += role.effectiveRules.indices
                .filter { !needed.contains(RulePlace(role: roleIndex, rule: $0)) }.map { "\(role.kind) \(place) rule \($0)" }
        }
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
