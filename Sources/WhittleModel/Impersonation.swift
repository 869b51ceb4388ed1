/// The checks that the API server makes before it lets one user act as another (semantics §10).
public enum Impersonation {
    /// The checks of the legacy mode: verb `impersonate` on everything that is asked for.
    public static func legacyChecks(wanted: UserInfo, uid: String = "", extra: [String: [String]] = [:]) -> [Request] {
        checks(verb: "impersonate", coreGroup: "", wanted: wanted, uid: uid, extra: extra)
    }

    /// The checks of a constrained mode (KEP-5284): on the request itself, then on the identity.
    ///
    /// - Parameter mode: `user-info`, `serviceaccount`, `arbitrary-node` or `associated-node`.
    public static func constrainedChecks(
        mode: String, request: Request, wanted: UserInfo, uid: String = "", extra: [String: [String]] = [:]
    ) -> [Request] {
        var on = request
        on.verb = "impersonate-on:\(mode):\(request.verb)"
        let verb = "impersonate:\(mode)"
        let group = "authentication.k8s.io"
        switch mode {
        case "associated-node": return [on, Request(verb: verb, apiGroup: group, resource: "nodes", name: "*")]
        case "arbitrary-node":
            let name = String(wanted.name.dropFirst(ImplicitGroup.nodeUserPrefix.count))
            return [on, Request(verb: verb, apiGroup: group, resource: "nodes", name: name)]
        default: return [on] + checks(verb: verb, coreGroup: group, wanted: wanted, uid: uid, extra: extra)
        }
    }

    /// The groups of an impersonated user that somebody must have asked for: an event does not tell, so those that the
    /// server adds by itself are left out (semantics AUD-5).
    ///
    /// - Parameter isLegacy: whether the mode is the legacy one, which adds nothing for a node (IMP-3).
    public static func explicitGroups(of user: UserInfo, isLegacy: Bool) -> [String] {
        let implicit = ImplicitGroup.groups(ofUser: user.name).filter { !isLegacy || $0 != ImplicitGroup.nodes }
        return user.groups.filter { !implicit.containsBytes($0) }.uniqued()
    }

    private static func checks(
        verb: String, coreGroup: String, wanted: UserInfo, uid: String, extra: [String: [String]]
    ) -> [Request] {
        var result: [Request] = []
        if let account = ServiceAccountName.split(wanted.name) {
            result.append(
                Request(verb: verb, apiGroup: coreGroup, resource: "serviceaccounts", namespace: account.namespace, name: account.name))
        } else {
            result.append(Request(verb: verb, apiGroup: coreGroup, resource: "users", name: wanted.name))
        }
        if !uid.isEmpty { result.append(Request(verb: verb, apiGroup: "authentication.k8s.io", resource: "uids", name: uid)) }
        for group in wanted.groups { result.append(Request(verb: verb, apiGroup: coreGroup, resource: "groups", name: group)) }
        for (key, values) in extra.sorted(by: { bytesPrecede($0.key, $1.key) }) {
            for value in values {
                result.append(
                    Request(verb: verb, apiGroup: "authentication.k8s.io", resource: "userextras", subresource: key, name: value))
            }
        }
        return result
    }
}
