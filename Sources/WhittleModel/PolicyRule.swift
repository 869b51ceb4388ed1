/// A rule as a Role or ClusterRole writes it.
///
/// `nil` is an absent list and `[]` an empty one; both mean the same to the authorizer.
/// `""` is an ordinary element: the core group, or the empty name.
public struct PolicyRule: Hashable, Sendable {
    /// Verbs as written; `*` is every verb.
    public var verbs: [String]?
    /// API groups as written; `""` is the core group, `*` every group.
    public var apiGroups: [String]?
    /// Resources as written: `pods`, `pods/exec`, `*`, `*/scale`.
    public var resources: [String]?
    /// Names the rule is limited to; empty or absent is every request, named or not.
    public var resourceNames: [String]?
    /// URL paths; a trailing `*` is a prefix match.
    public var nonResourceURLs: [String]?

    /// Creates a rule; what is left out is absent.
    public init(
        verbs: [String]? = nil, apiGroups: [String]? = nil, resources: [String]? = nil, resourceNames: [String]? = nil,
        nonResourceURLs: [String]? = nil
    ) {
        self.verbs = verbs
        self.apiGroups = apiGroups
        self.resources = resources
        self.resourceNames = resourceNames
        self.nonResourceURLs = nonResourceURLs
    }

    /// Byte-wise equality; absent and empty lists differ.
    public static func == (left: PolicyRule, right: PolicyRule) -> Bool {
        func same(_ left: [String]?, _ right: [String]?) -> Bool {
            switch (left, right) {
            case (nil, nil): true
            case (let left?, let right?): left.isSameBytes(as: right)
            default: false
            }
        }
        return same(left.verbs, right.verbs) && same(left.apiGroups, right.apiGroups)
            && same(left.resources, right.resources) && same(left.resourceNames, right.resourceNames)
            && same(left.nonResourceURLs, right.nonResourceURLs)
    }

    /// Hashes the bytes of every list.
    public func hash(into hasher: inout Hasher) {
        for list in [verbs, apiGroups, resources, resourceNames, nonResourceURLs] {
            hasher.combine(list?.count)
            for element in list ?? [] { hasher.combine(ByteString(element)) }
        }
    }

    /// The same rule with empty lists made absent: two rules that are equal so are semantically deep-equal upstream.
    public var normalized: PolicyRule {
        func emptied(_ list: [String]?) -> [String]? { list.flatMap { $0.isEmpty ? nil : $0 } }
        return PolicyRule(
            verbs: emptied(verbs), apiGroups: emptied(apiGroups), resources: emptied(resources),
            resourceNames: emptied(resourceNames), nonResourceURLs: emptied(nonResourceURLs))
    }

    /// Whether both say the same; absent and empty lists are equal.
    public func isSame(as other: PolicyRule) -> Bool {
        func same(_ left: [String]?, _ right: [String]?) -> Bool { (left ?? []).isSameBytes(as: right ?? []) }
        return same(resources, other.resources) && same(verbs, other.verbs) && same(apiGroups, other.apiGroups)
            && same(resourceNames, other.resourceNames) && same(nonResourceURLs, other.nonResourceURLs)
    }

    /// Every verb × apiGroup × resource (× name) and every verb × URL of the rule, in the order of upstream's breakdown.
    public var atoms: [RuleAtom] {
        var result: [RuleAtom] = []
        for apiGroup in apiGroups ?? [] {
            for resource in resources ?? [] {
                for verb in verbs ?? [] {
                    let names = resourceNames ?? []
                    if names.isEmpty {
                        result.append(RuleAtom(verb: verb, apiGroup: apiGroup, resource: resource))
                    }
                    for name in names {
                        result.append(RuleAtom(verb: verb, apiGroup: apiGroup, resource: resource, resourceName: name))
                    }
                }
            }
        }
        for url in nonResourceURLs ?? [] {
            for verb in verbs ?? [] {
                result.append(RuleAtom(verb: verb, nonResourceURL: url))
            }
        }
        return result
    }
}

/// One verb on one resource (and name), or one verb on one URL: the smallest part of a rule.
public struct RuleAtom: Hashable, Sendable {
    /// The verb as written.
    public var verb: String
    /// The group; `nil` for a URL.
    public var apiGroup: String?
    /// The resource as a Role spells it, with its subresource; `nil` for a URL.
    public var resource: String?
    /// The one name; `nil` is every request, named or not.
    public var resourceName: String?
    /// The URL pattern; `nil` for a resource.
    public var nonResourceURL: String?

    /// Creates an atom for a resource.
    public init(verb: String, apiGroup: String, resource: String, resourceName: String? = nil) {
        self.verb = verb
        self.apiGroup = apiGroup
        self.resource = resource
        self.resourceName = resourceName
    }

    /// Creates an atom for a URL.
    public init(verb: String, nonResourceURL: String) {
        self.verb = verb
        self.nonResourceURL = nonResourceURL
    }

    /// Byte-wise equality.
    public static func == (left: RuleAtom, right: RuleAtom) -> Bool { left.key == right.key }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(key) }

    private var key: Key {
        Key(
            verb: ByteString(verb), apiGroup: apiGroup.map(ByteString.init), resource: resource.map(ByteString.init),
            resourceName: resourceName.map(ByteString.init), nonResourceURL: nonResourceURL.map(ByteString.init))
    }

    private struct Key: Hashable {
        let verb: ByteString
        let apiGroup, resource, resourceName, nonResourceURL: ByteString?
    }

    /// The atom written as a rule.
    public var rule: PolicyRule {
        PolicyRule(
            verbs: [verb], apiGroups: apiGroup.map { [$0] }, resources: resource.map { [$0] },
            resourceNames: resourceName.map { [$0] }, nonResourceURLs: nonResourceURL.map { [$0] })
    }
}

/// What a rule is about, as people write it: `pods`, `deployments.apps/scale`, `/metrics`, `URL *`.
package func targetText(resource: String?, apiGroup: String?, url: String?) -> String {
    if let url { return url.hasBytePrefix("/") ? url : "URL \(url)" }
    let (name, subresource) = (resource ?? "").splitBytes(at: "/")
    let group = apiGroup ?? ""
    return name + (group.isEmpty ? "" : ".\(group)") + (subresource.map { "/\($0)" } ?? "")
}
