import WhittleModel

/// One thing that a subject needs to be allowed.
public struct Need: Hashable, Sendable {
    /// Verb, group, resource, namespace, path; `name` is ignored.
    public var request: Request
    /// The one name; `nil` = without a name, or any name.
    public var name: String?
    /// Whether an author declared it; then parts may be patterns and no name means any name.
    public var isDeclared: Bool

    /// The need that a request proves: a request without a name needs a rule without resourceNames.
    public init(_ request: Request) {
        self.request = request
        name = request.name.isEmpty || request.path != nil ? nil : request.name
        self.request.name = ""
        isDeclared = false
    }

    /// The need that an atom of a declared rule states in a namespace (`""` = cluster-wide).
    public init(_ atom: RuleAtom, namespace: String) {
        if let url = atom.nonResourceURL {
            request = Request(verb: atom.verb, path: url)
        } else {
            request = Request(verb: atom.verb, apiGroup: atom.apiGroup ?? "", resource: atom.resource ?? "", namespace: namespace)
        }
        name = atom.resourceName
        isDeclared = true
    }

    /// Byte-wise equality.
    public static func == (left: Need, right: Need) -> Bool {
        left.isDeclared == right.isDeclared && left.request == right.request
            && left.name.map(ByteString.init) == right.name.map(ByteString.init)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(request)
        hasher.combine(name.map(ByteString.init))
    }

    /// Whether a rule can allow it and nothing else.
    ///
    /// A request for a resource literally called `*` (a 404 that a broad grant allowed) cannot be told from a wildcard.
    /// Neither can a request in a namespace that no cluster can have (a 404 as well), nor one without verb or resource. What
    /// held a credential is not known.
    public var isExpressible: Bool {
        guard scope.isEmpty || ServiceAccountName.isLabel(scope[...]), !request.verb.isEmpty else { return false }
        if isMasked { return false }
        if request.path != nil { return isDeclared || !atom.hasPattern }
        return isDeclared || !request.resource.isEmpty && !atom.hasPattern && !(atom.resource ?? "").hasSuffix("/*")
    }

    /// Whether a credential in it is not kept: in its path, in what was told of somebody impersonated, or instead of a name.
    public var isMasked: Bool {
        guard !isDeclared else { return false }
        if let path = request.path { return path.contains(Request.maskedCredential) }
        let names = [request.verb, request.apiGroup, request.resource, request.subresource, request.namespace, name]
        return names.contains(Request.maskedCredential)
            || request.isOfImpersonation
                && (request.subresource.contains(Request.maskedCredential) || name?.contains(Request.maskedCredential) ?? false)
    }

    /// Whether an authorizer gives `user` all of it.
    package func isGiven(to user: UserInfo, by authorizer: Authorizer) -> Bool {
        guard isDeclared else {
            var request = request
            request.name = name ?? ""
            return !authorizer.grants(for: request, by: user).isEmpty
        }
        return authorizer.rules(for: user, namespace: scope).rules.contains { RuleCoverage.covers($0, atom) }
    }

    /// The need as an atom of a rule.
    public var atom: RuleAtom {
        if let path = request.path { return RuleAtom(verb: request.verb, nonResourceURL: path) }
        return RuleAtom(
            verb: request.verb, apiGroup: request.apiGroup, resource: request.combinedResource, resourceName: name)
    }

    /// The scope that a rule for it must have; `""` = cluster-wide or a URL.
    public var scope: String { request.path == nil ? request.namespace : "" }
}

extension Need {
    /// By scope, path, group, resource, name and verb, in byte order.
    static func precedes(_ left: Need, _ right: Need) -> Bool {
        let (first, second) = (left.request, right.request)
        let pairs: [(String, String)] = [
            (first.namespace, second.namespace), (first.path ?? "", second.path ?? ""), (first.apiGroup, second.apiGroup),
            (first.resource, second.resource), (first.subresource, second.subresource), (left.name ?? "", right.name ?? ""),
        ]
        for (one, other) in pairs where !one.isSameBytes(as: other) { return bytesPrecede(one, other) }
        return bytesPrecede(first.verb, second.verb)
    }
}
