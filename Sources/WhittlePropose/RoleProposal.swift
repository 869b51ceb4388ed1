import WhittleModel

/// The Roles, ClusterRole and bindings that are enough for one service account.
public struct RoleProposal: Sendable {
    /// The account.
    public var namespace: String
    /// The account.
    public var name: String
    /// Everything it needs, also what stays from elsewhere.
    public var needs: [Need]
    /// Requests that no rule can allow alone, see `Need.isExpressible`; left out.
    public var inexpressible: [Need]
    /// Of the needs: those that bindings which stay already give.
    public var alreadyGiven: [Need]
    /// Roles and ClusterRole, the ClusterRole first.
    public var roles: [Role]
    /// One binding per role.
    public var bindings: [Binding]
    /// Whether fewer rules are proven impossible.
    public var isProvenMinimal: Bool

    /// Proposes roles for exactly the needs that `staying` does not give.
    ///
    /// - Parameter staying: bindings that remain whatever happens, such as those of the API server's own defaults.
    public init(namespace: String, name: String, needs: some Sequence<Need>, staying: Authorizer) {
        self.namespace = namespace
        self.name = name
        let all = Set(needs).sorted(by: Self.precedes)
        self.needs = all.filter(\.isExpressible)
        inexpressible = all.filter { !$0.isExpressible }
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        alreadyGiven = self.needs.filter { $0.isGiven(to: user, by: staying) }
        let given = Set(alreadyGiven)
        let scopes = RoleMinimizer.minimize(self.needs.filter { !given.contains($0) })
        isProvenMinimal = scopes.allSatisfy(\.isProvenMinimal)
        let objectName = "whittle:\(namespace):\(name)"
        let labels: Labels = ["app.kubernetes.io/managed-by": "whittle"]
        roles = scopes.map { scope in
            Role(
                meta: ObjectMeta(namespace: scope.namespace, name: objectName, labels: labels),
                rules: scope.rules.map { WrittenRule($0) })
        }
        bindings = scopes.map { scope in
            Binding(
                meta: ObjectMeta(namespace: scope.namespace, name: objectName, labels: labels),
                roleRef: RoleRef(kind: scope.namespace.isEmpty ? "ClusterRole" : "Role", name: objectName),
                subjects: [WrittenSubject(Subject(kind: "ServiceAccount", namespace: namespace, name: name))])
        }
    }

    static func precedes(_ left: Need, _ right: Need) -> Bool {
        func key(_ need: Need) -> [String] {
            let request = need.request
            return [
                request.namespace, request.path ?? "", request.apiGroup, request.resource, request.subresource, need.name ?? "",
                request.verb,
            ]
        }
        return key(left).lexicographicallyPrecedes(key(right), by: bytesPrecede)
    }
}
