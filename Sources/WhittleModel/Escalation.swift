/// What the API server checks when a role or a binding is written, beyond the request itself (semantics §9).
///
/// Follows pkg/registry/rbac/escalation_check.go and the policybased storages.
public enum Escalation {
    private static let group = "rbac.authorization.k8s.io"

    /// What the authorizer says; more than RBAC may have a say.
    public typealias Authorize = (Request) -> Bool

    /// What is missing to write a role; empty = it is allowed.
    ///
    /// - Parameters:
    ///   - role: the new object.
    ///   - old: the one that it replaces; `nil` = it is created, and the request carries no name.
    ///   - held: rules of the user that count in the role's namespace.
    public static func missing(
        toWrite role: Role, replacing old: Role? = nil, by user: UserInfo, held: [PolicyRule], isAuthorized: Authorize
    ) -> [RuleAtom] {
        guard !user.groups.contains(ImplicitGroup.masters) else { return [] }
        // Finalizers and owners, which are not kept here, may change freely.
        let isSame = old.map {
            $0.rules.map(\.rule) == role.rules.map(\.rule) && $0.aggregationSelectors == role.aggregationSelectors
                && $0.meta.labels == role.meta.labels
        }
        if isSame ?? false { return [] }
        let resource = role.meta.namespace.isEmpty ? "clusterroles" : "roles"
        let escalate = Request(
            verb: "escalate", apiGroup: group, resource: resource, namespace: role.meta.namespace, name: old == nil ? "" : role.meta.name)
        if isAuthorized(escalate) { return [] }
        var needed = role.rules.map(\.rule)
        // Who may choose which roles flow in must hold everything.
        if !(role.aggregationSelectors ?? []).isEmpty || !(old?.aggregationSelectors ?? []).isEmpty {
            needed += [
                PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"]), PolicyRule(verbs: ["*"], nonResourceURLs: ["*"]),
            ]
        }
        return RuleCoverage.uncovered(owner: held, servant: needed)
    }

    /// What is missing to write a binding; `nil` = its role does not exist, and `bind` was not granted.
    ///
    /// - Parameters:
    ///   - rules: those of the role that it refers to; `nil` = there is no such role.
    ///   - held: rules of the user that count in the binding's namespace.
    public static func missing(
        toWrite binding: Binding, rules: [PolicyRule]?, by user: UserInfo, held: [PolicyRule], isAuthorized: Authorize
    ) -> [RuleAtom]? {
        guard !user.groups.contains(ImplicitGroup.masters) else { return [] }
        let resource = binding.roleRef.kind == "Role" ? "roles" : "clusterroles"
        let bind = Request(
            verb: "bind", apiGroup: group, resource: resource, namespace: binding.meta.namespace, name: binding.roleRef.name)
        if isAuthorized(bind) { return [] }
        return rules.map { RuleCoverage.uncovered(owner: held, servant: $0) }
    }
}
