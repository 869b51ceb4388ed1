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

    /// Whether every need is allowed.
    public var isSound: Bool { refused.isEmpty }
    /// Whether nothing is granted beyond the needs and every rule is needed.
    public var isExact: Bool { isSound && excess.isEmpty && redundantRules.isEmpty }

    /// Replays needs of a service account against roles and bindings.
    ///
    /// - Parameters:
    ///   - staying: bindings that remain beside the proposal; they allow, and are no excess.
    public init(
        roles: [Role], bindings: [Binding], needs: [Need], namespace: String, name: String, staying: Authorizer
    ) {
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let proposed = Authorizer(roles: roles, bindings: bindings)
        replayed = needs.count
        let open = needs.filter { !RoleProposal.isGiven($0, to: user, by: staying) }
        refused = open.filter { !RoleProposal.isGiven($0, to: user, by: proposed) }
        excess = []
        redundantRules = []
        let clusterNeeds = needs.filter { $0.scope.isEmpty }.map(\.atom.rule)
        for attachment in proposed.attachments(of: user, in: nil) {
            guard let roleIndex = proposed.roleOfBinding[attachment.binding] else { continue }
            let scope = bindings[attachment.binding].meta.namespace
            let local = scope.isEmpty ? [] : needs.filter { $0.request.path == nil && $0.scope.isSameBytes(as: scope) }.map(\.atom.rule)
            for written in roles[roleIndex].effectiveRules {
                for atom in written.rule.atoms where !(clusterNeeds + local).contains(where: { RuleCoverage.covers($0, atom) }) {
                    // URLs in a Role grant nothing.
                    if atom.nonResourceURL == nil || scope.isEmpty { excess.append((scope, atom)) }
                }
            }
            for index in roles[roleIndex].effectiveRules.indices {
                var fewer = roles
                var rules = fewer[roleIndex].effectiveRules
                rules.remove(at: index)
                fewer[roleIndex].rules = rules
                fewer[roleIndex].computedRules = nil
                let weaker = Authorizer(roles: fewer, bindings: bindings)
                if !open.contains(where: { need in
                    !RoleProposal.isGiven(need, to: user, by: weaker) && RoleProposal.isGiven(need, to: user, by: proposed)
                }) {
                    let role = roles[roleIndex]
                    let place = role.meta.namespace.isEmpty ? role.meta.name : "\(role.meta.namespace)/\(role.meta.name)"
                    redundantRules.append("\(role.kind) \(place) rule \(index)")
                }
            }
        }
    }
}
