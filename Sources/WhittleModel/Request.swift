/// One request as the authorizer sees it: the question side of matching.
///
/// `""` is the API's empty string: the core group, no subresource, a cluster-wide request, a request without a name.
public struct Request: Hashable, Sendable {
    /// The verb: `get`, `list`, …; for a URL the lower-case HTTP method.
    public var verb: String
    /// The group of the URL; `""` is the core group.
    public var apiGroup = ""
    /// The resource in plural, without subresource.
    public var resource = ""
    /// The subresource; `""` is none.
    public var subresource = ""
    /// The namespace; `""` is a cluster-scoped object or all namespaces.
    public var namespace = ""
    /// The object's name; `""` is a request that carries none.
    public var name = ""
    /// The decoded path without query; `nil` makes it a resource request.
    public var path: String?
    /// What stands in a path, and in other texts of usage, in the place of a credential.
    public static let maskedCredential = "REDACTED"

    /// Creates a resource request.
    public init(
        verb: String, apiGroup: String = "", resource: String, subresource: String = "", namespace: String = "",
        name: String = ""
    ) {
        self.verb = verb
        self.apiGroup = apiGroup
        self.resource = resource
        self.subresource = subresource
        self.namespace = namespace
        self.name = name
    }

    /// Creates a non-resource request.
    public init(verb: String, path: String) {
        self.verb = verb
        self.path = path
    }

    /// Byte-wise equality.
    public static func == (left: Request, right: Request) -> Bool {
        left.verb.isSameBytes(as: right.verb) && left.apiGroup.isSameBytes(as: right.apiGroup)
            && left.resource.isSameBytes(as: right.resource) && left.subresource.isSameBytes(as: right.subresource)
            && left.namespace.isSameBytes(as: right.namespace) && left.name.isSameBytes(as: right.name)
            && left.path.map(ByteString.init) == right.path.map(ByteString.init)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        for part in [verb, apiGroup, resource, subresource, namespace, name] { hasher.combine(ByteString(part)) }
        hasher.combine(path.map(ByteString.init))
    }

    /// Whether the request is for a resource, not a URL.
    public var isResourceRequest: Bool { path == nil }

    /// Whether it is the check of what is told of somebody impersonated, of the UID or the extra (semantics IMP-2).
    public var isOfImpersonation: Bool { apiGroup == "authentication.k8s.io" && (resource == "uids" || resource == "userextras") }

    /// The resource as a Role spells it: `pods`, or `pods/exec`.
    public var combinedResource: String { subresource.isEmpty ? resource : "\(resource)/\(subresource)" }
}

/// Who asks: what authentication hands to the authorizer.
public struct UserInfo: Hashable, Sendable {
    /// The user name.
    public var name: String
    /// The groups, exactly as authenticated.
    public var groups: [String]

    /// Creates a user.
    public init(name: String, groups: [String]) {
        self.name = name
        self.groups = groups
    }
}
