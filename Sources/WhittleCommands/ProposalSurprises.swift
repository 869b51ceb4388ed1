import WhittleModel

/// What applying a proposal would change for others than the accounts that it is judged for.
struct ProposalSurprises {
    /// One sentence each.
    private(set) var findings: [String] = []
    /// Roles that bindings of the proposal refer to and nobody has, as `Role shop/cart`.
    private(set) var unknownRoles: [String] = []
    /// The proposal's roles, and roles of the input that its bindings refer to.
    private(set) var roles: [Role]

    /// - Parameter shared: what is known of the input.
    init(_ proposal: ClusterState, judged: [ProposalInput.Account], _ shared: ProposalInput.Shared) {
        roles = proposal.roles
        let current = shared.current ?? shared.staying
        let users = Set(judged.map { Identity(.user, ServiceAccountName.username(namespace: $0.namespace, name: $0.name)) })
        for binding in proposal.bindings {
            let scope = binding.roleRef.kind == "Role" ? binding.meta.namespace : ""
            func isReferenced(_ role: Role) -> Bool {
                role.meta.namespace.isSameBytes(as: scope) && role.meta.name.isSameBytes(as: binding.roleRef.name)
            }
            if !roles.contains(where: isReferenced) {
                if let role = current.roles.first(where: isReferenced) {
                    roles.append(role)
                } else {
                    unknownRoles.append("\(binding.roleRef.kind) \(scope.isEmpty ? "" : scope + "/")\(binding.roleRef.name)")
                }
            }
            for written in binding.subjects {
                let identity = written.subject.identity(inBindingOf: binding.meta.namespace)
                guard let identity, !users.contains(identity) else { continue }
                findings.append("\(Self.text(binding)) binds \(written.subject.kind) \(written.subject.name), of whom nothing is judged")
            }
        }
        findings += shared.taken(by: proposal.roles, proposal.bindings).map { object, place in
            "\(object)\(place.map { " of \($0)" } ?? "") is not managed by whittle, and applying the proposal replaces it; rename or delete it first"
        }
        for role in proposal.roles {
            if role.aggregationSelectors != nil { findings.append("\(Self.text(role)) takes rules of other roles by its aggregationRule") }
            let takers = shared.aggregatingRoles.filter { $0.takes(role) }
            findings += takers.map { "\(Self.text(role)) is aggregated into \($0.text) by its labels" }
            // Labels for roles that the input does not have.
            if takers.isEmpty, role.meta.labels.pairs.contains(where: { $0.key.hasBytePrefix("rbac.authorization.k8s.io/aggregate-to-") }) {
                findings.append("\(Self.text(role)) is aggregated into other roles by its labels")
            }
            findings += Self.othersBound(to: role, users, proposal, current)
            // The API server makes and repairs these.
            if role.meta.name.hasBytePrefix("system:") { findings.append("\(Self.text(role)) bears a name of the API server's own roles") }
        }
    }

    /// Whom a role of the input that the proposal replaces is bound to besides.
    private static func othersBound(
        to role: Role, _ users: Set<Identity>, _ proposal: ClusterState, _ current: Authorizer
    ) -> [String] {
        guard
            let place = current.roles.firstIndex(where: {
                $0.meta.namespace.isSameBytes(as: role.meta.namespace) && $0.meta.name.isSameBytes(as: role.meta.name)
            }), current.roles[place].rules.map(\.rule) != role.rules.map(\.rule)
        else { return [] }
        let others = current.bindings.indices.filter { index in
            let binding = current.bindings[index]
            let isReplaced = proposal.bindings.contains {
                $0.meta.namespace.isSameBytes(as: binding.meta.namespace) && $0.meta.name.isSameBytes(as: binding.meta.name)
            }
            return current.roleOfBinding[index] == place && !isReplaced
                && binding.subjects.contains { written in
                    written.subject.identity(inBindingOf: binding.meta.namespace).map { !users.contains($0) } ?? false
                }
        }
        return others.map { "\(text(role)) replaces one that \(text(current.bindings[$0])) gives to others" }
    }

    private static func text(_ role: Role) -> String {
        "\(role.kind) \(role.meta.namespace.isEmpty ? "" : role.meta.namespace + "/")\(role.meta.name)"
    }

    private static func text(_ binding: Binding) -> String {
        "\(binding.kind) \(binding.meta.namespace.isEmpty ? "" : binding.meta.namespace + "/")\(binding.meta.name)"
    }
}
