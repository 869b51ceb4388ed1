import WhittleModel

/// What no audit log shows of a right, whatever the policy (semantics §13, AUD-22).
enum GrantNature: Hashable {
    /// Every use is a request of its own.
    case asked
    /// No request of the API has these attributes: it is checked inside other requests.
    case inside(String)
    /// No request of the API has these attributes: other servers ask for it, which shows in the bodies of access reviews.
    case reviewed(String)
    /// It is asked, but not only where the API server logs it.
    case alsoElsewhere(String)

    private static let apiVerbs: Set = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
    private static let signerVerbs: Set = ["approve", "sign", "attest"]
    /// Subresources of nodes that the API server itself serves.
    private static let servedOfNodes: Set = ["nodes/proxy", "nodes/status"]
    private static let rbac = "rbac.authorization.k8s.io"
    private static let groupsWithOtherVerbs: Set = [rbac, "certificates.k8s.io", "security.openshift.io"]
    /// Still in the default roles, served by nobody since Kubernetes 1.22.
    private static let removedGroup = "extensions"

    init(_ grant: OwnGrant, _ catalogue: ResourceCatalogue) {
        guard let resource = grant.resource, let group = grant.apiGroup else {
            self = .alsoElsewhere("other servers ask for paths too, by access reviews")
            return
        }
        let subresource = resource.splitBytes(at: "/").after
        if let never = Self.neverAsked(verb: grant.verb, group: group, resource: resource, subresource: subresource) {
            self = never
        } else if resource == "*" || group == "*"
            || (grant.verb == "*" || resource.hasBytePrefix("*/")) && Self.groupsWithOtherVerbs.contains(group)
        {
            self = .alsoElsewhere("the wildcard includes rights that no log shows")
        } else if group.isEmpty, resource == "nodes/proxy" || resource == "*/proxy" {
            self = .alsoElsewhere("kubelets ask for it by access reviews")
        } else if group != Self.removedGroup, !catalogue.servesItself(apiGroup: group) {
            self = .alsoElsewhere("the group `\(group)` may be served by another API server, which can be asked directly")
        } else {
            self = .asked
        }
    }

    private static func neverAsked(verb: String, group: String, resource: String, subresource: String?) -> GrantNature? {
        if subresource == "finalizers" {
            return .inside("`finalizers` is checked when an object with blocking owner references is written")
        }
        if group == rbac, verb == "escalate" || verb == "bind" {
            return .inside("`\(verb)` is checked when a role or binding is written")
        }
        if group == "certificates.k8s.io", resource == "signers" || signerVerbs.contains(verb) {
            return .inside("rights on signers are checked when a certificate request or trust bundle is written")
        }
        if group == "resource.k8s.io", resource == "resourceclaims/binding" || resource == "resourceclaims/driver" {
            return .inside("`\(resource)` is checked when the status of a claim is written")
        }
        if group.isEmpty, resource.hasBytePrefix("nodes/"), !servedOfNodes.contains(resource) {
            return .reviewed("`\(resource)` is asked of kubelets, which check it by access reviews")
        }
        if verb == "*" || apiVerbs.contains(verb) || verb == "impersonate" || verb.hasBytePrefix("impersonate:")
            || verb.hasBytePrefix("impersonate-on:")
        {
            return nil
        }
        return .reviewed("no request has the verb `\(verb)`: it is checked inside other requests, or by access reviews")
    }

    /// What no log shows of some grants, each reason once with a few of the grants.
    static func sentences(about grants: [OwnGrant], _ catalogue: ResourceCatalogue, hasAccessReviews: Bool) -> [String] {
        var texts: [ByteString: [String]] = [:]
        var order: [String] = []
        var isReviewed = false
        func add(_ reason: String, _ grant: OwnGrant) {
            if texts[ByteString(reason)] == nil { order.append(reason) }
            texts[ByteString(reason), default: []].append(grant.text)
        }
        for grant in grants {
            if grant.writesRBAC { add("who writes roles or bindings needs `escalate`, `bind` or all that they hold", grant) }
            switch GrantNature(grant, catalogue) {
            case .asked: continue
            case .inside(let reason): add(reason, grant)
            case .reviewed(let reason), .alsoElsewhere(let reason):
                isReviewed = true
                add(reason, grant)
            }
        }
        let reviews = "the logs hold no body of an access review, which would tell what other servers asked"
        return (isReviewed && !hasAccessReviews ? [reviews] : [])
            + order.map { reason in
                let all = (texts[ByteString(reason)] ?? []).uniqued()
                return "\(reason): \(all.prefix(3).joined(separator: "; "))\(all.count > 3 ? "; and \(all.count - 3) more" : "")"
            }
    }
}

extension OwnGrant {
    /// Whether no request of the API has the attributes of the grant, so that an audit policy has nothing to say about it.
    var isNeverAsked: Bool {
        if verb.hasBytePrefix("impersonate") { return true }
        return switch GrantNature(self, ResourceCatalogue([])) {
        case .inside, .reviewed: true
        case .asked, .alsoElsewhere: false
        }
    }

    private static let bodyVerbs: Set = ["create", "update", "patch"]
    private static let reviews: Set = ["subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews"]

    /// Whether only the bodies of its requests tell which further rights they need or ask about (semantics HID-2, AUD-22, AUD-23).
    var asksByBody: Bool {
        guard Self.bodyVerbs.contains(verb), let resource else { return false }
        return writesRBAC || (apiGroup == "authorization.k8s.io" && verb == "create" && Self.reviews.contains(resource))
    }

    /// Whether it writes roles or bindings (semantics HID-2).
    var writesRBAC: Bool {
        apiGroup == "rbac.authorization.k8s.io" && (verb == "*" || Self.bodyVerbs.contains(verb))
            && ["*", "roles", "clusterroles", "rolebindings", "clusterrolebindings"].contains(resource ?? "")
    }
}
