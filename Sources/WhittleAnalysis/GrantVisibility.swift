import WhittleModel

/// Whether the requests that a grant allows leave events that prove something.
public enum GrantVisibility: Hashable, Sendable {
    /// All of them do.
    case visible
    /// Some do; these do not: `get pods in kube-system`, a few of them and the count of all.
    case partly(hidden: [String], count: Int)
    /// None does.
    case hidden
}

/// Asks an audit policy about everything that a grant allows.
///
/// A grant is a pattern and a policy has patterns too. Both tell requests apart by what one of them names, so a request for each
/// named value and one for any other stand for all.
package struct VisibilityProbe {
    /// The rules that count for the account.
    private let policy: AuditPolicy
    private let catalogue: ResourceCatalogue
    private let groupResources: [(group: String, pattern: String)]
    private let namespaces: [String]
    /// Elements of rules that hold for some names only.
    private let named: [AuditPolicy.GroupResources]
    private let verbs: [String]
    private let urls: [String]
    /// Whether no request of the account can be hidden.
    private let hidesNothing: Bool

    private static let apiVerbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
    private static let methods = ["get", "head", "options", "post", "put", "patch", "delete"]
    /// Values that no policy names, for they cannot occur.
    private static let otherName = "(any other)"

    package init(_ policy: AuditPolicy, user: UserInfo, _ catalogue: ResourceCatalogue) {
        let own = policy.rules(for: user)
        self.policy = own
        self.catalogue = catalogue
        let resources = own.rules.flatMap(\.resources)
        groupResources = resources.flatMap { element in element.resources.map { (element.group, $0) } }
        namespaces = own.rules.flatMap(\.namespaces).filter { !$0.isEmpty }.uniqued()
        named = resources.filter { !$0.resources.isEmpty && !$0.resourceNames.isEmpty }
        verbs = own.rules.flatMap(\.verbs).uniqued()
        urls = own.rules.flatMap(\.nonResourceURLs).uniqued()
        let hides = { (rule: AuditPolicy.Rule) in
            rule.level == .none || rule.omitStages.union(policy.omitStages).contains(.responseComplete)
        }
        let isTotal = own.rules.contains {
            $0.verbs.isEmpty && $0.resources.isEmpty && $0.namespaces.isEmpty && $0.nonResourceURLs.isEmpty
        }
        hidesNothing = isTotal && !own.rules.contains(where: hides)
    }

    /// What is logged of the requests that a grant allows.
    package func visibility(of grant: OwnGrant) -> GrantVisibility {
        guard !hidesNothing else { return .visible }
        var hidden: [String] = []
        var isSeen = false
        for request in requests(of: grant) {
            if decision(on: request).leavesEvidence(of: request) {
                isSeen = true
            } else {
                hidden.append(Self.text(request))
            }
        }
        guard !hidden.isEmpty else { return .visible }
        let distinct = hidden.uniqued()
        return isSeen ? .partly(hidden: Array(distinct.prefix(3)), count: distinct.count) : .hidden
    }

    /// Whether the bodies of all requests of a grant are logged, as far as the requests are.
    func tellsBodies(of grant: OwnGrant) -> Bool {
        requests(of: grant).allSatisfy { request in
            let level = decision(on: request).level
            return level == .request || level == .requestResponse
        }
    }

    // The probe holds the rules of one user, so that none looks at it any more.
    private func decision(on request: Request) -> AuditPolicy.Decision {
        policy.decision(on: request, by: UserInfo(name: "", groups: []))
    }

    private static func text(_ request: Request) -> String {
        if let path = request.path { return "\(request.verb) \(path)" }
        let target = targetText(resource: request.combinedResource, apiGroup: request.apiGroup, url: nil)
        let name = request.name.isEmpty || request.name == otherName ? "" : " \(request.name)"
        let place = request.namespace.isEmpty ? "" : request.namespace == otherName ? " in other namespaces" : " in \(request.namespace)"
        return "\(request.verb) \(target)\(name)\(place)"
    }

    // MARK: Requests that stand for all

    private func requests(of grant: OwnGrant) -> [Request] {
        if let url = grant.url { return requests(of: grant.verb, url: url) }
        return targets(of: grant).flatMap { target -> [Request] in
            let (resource, subresource) = target.resource.splitBytes(at: "/")
            let verbs =
                grant.verb != "*" ? [grant.verb] : (target.verbs + (target.isNamespaced == nil ? Self.apiVerbs + self.verbs : [])).uniqued()
            return verbs.flatMap { verb in
                names(verb: verb, target, subresource: subresource ?? "", only: grant.grant.names).flatMap { name in
                    namespaces(verb: verb, target, scope: grant.grant.scopeNamespace).map { namespace in
                        Request(
                            verb: verb, apiGroup: target.apiGroup, resource: resource, subresource: subresource ?? "",
                            namespace: namespace, name: name)
                    }
                }
            }
        }
    }

    private struct Target {
        var apiGroup: String
        var resource: String
        /// `nil` = not known.
        var isNamespaced: Bool?
        var verbs: [String] = []
    }

    /// The resources that a grant means: those of the catalogue, and where it knows none, those that either side names.
    private func targets(of grant: OwnGrant) -> [Target] {
        let (group, pattern) = (grant.apiGroup ?? "", grant.resource ?? "")
        let known = catalogue.resources.filter { resource in
            RuleMatcher.apiGroup(resource.apiGroup, isIn: [group])
                && RuleMatcher.resource(
                    resource.resource, subresource: resource.resource.splitBytes(at: "/").after ?? "", isIn: [pattern])
        }
        if !known.isEmpty {
            return known.map {
                Target(apiGroup: $0.apiGroup, resource: $0.resource, isNamespaced: $0.isNamespaced, verbs: $0.verbs)
            }
        }
        let isPattern = pattern == "*" || pattern.hasBytePrefix("*/")
        guard isPattern || group == "*" else { return [Target(apiGroup: group, resource: pattern, isNamespaced: nil)] }
        let groups = group == "*" ? groupResources.map(\.group).uniqued() + ["other.example"] : [group]
        return groups.flatMap { group in
            let named = groupResources.filter { $0.group.isSameBytes(as: group) && !$0.pattern.utf8.contains(UInt8(ascii: "*")) }.map(
                \.pattern)
            let resources =
                pattern == "*" ? named + ["others"] : pattern.hasBytePrefix("*/") ? ["others" + pattern.dropFirst()] : [pattern]
            return resources.map { Target(apiGroup: group, resource: $0, isNamespaced: nil) }
        }
    }

    private func names(verb: String, _ target: Target, subresource: String, only names: [String]?) -> [String] {
        if let names { return names }
        switch verb {
        case "list", "watch", "deletecollection": return [""]
        // The authorizer sees no name (semantics AUD-9).
        case "create" where subresource.isEmpty: return [""]
        default:
            // Names that the policy tells apart for this resource.
            let told = named.filter { $0.coversSome(of: target.resource, in: target.apiGroup) }.flatMap(\.resourceNames)
            return told.filter { !$0.isEmpty }.uniqued() + [Self.otherName]
        }
    }

    private func namespaces(verb: String, _ target: Target, scope: String?) -> [String] {
        if let scope { return [scope] }
        let named = namespaces + [Self.otherName]
        switch target.isNamespaced {
        case true?: return verb == "list" || verb == "watch" ? named + [""] : named
        // A request for a namespace has that namespace.
        case false?: return target.resource.hasBytePrefix("namespaces") && verb != "list" && verb != "watch" ? named : [""]
        case nil: return named + [""]
        }
    }

    private func requests(of verb: String, url: String) -> [Request] {
        let paths: [String]
        if url.utf8.last == UInt8(ascii: "*") {
            var prefix = url
            while prefix.utf8.last == UInt8(ascii: "*") { prefix.removeLast() }
            if prefix.isEmpty { prefix = "/" }
            let named = urls.map { $0.utf8.last == UInt8(ascii: "*") ? String($0.dropLast()) + "other" : $0 }
            paths = [prefix, prefix + "other"] + named.filter { $0.hasBytePrefix(prefix) }
        } else {
            paths = [url]
        }
        let verbs = verb == "*" ? (Self.methods + self.verbs.filter(Self.methods.contains)).uniqued() : [verb]
        return paths.uniqued().flatMap { path in verbs.map { Request(verb: $0, path: path) } }
    }
}
