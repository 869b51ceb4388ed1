/// A resource that an API server serves.
public struct APIResource: Hashable, Sendable {
    /// Where the knowledge comes from.
    public enum Origin: String, Sendable {
        /// The catalogue that Whittle carries.
        case builtIn = "built-in"
        /// A CustomResourceDefinition of the input.
        case crd
        /// A discovery document of the input.
        case discovery
    }

    /// `""` is the core group.
    public var apiGroup: String
    /// The served version.
    public var version: String
    /// Plural, with subresource: `pods`, `pods/exec`.
    public var resource: String
    /// The kind of its objects.
    public var kind: String
    /// `""` = none.
    public var singular: String
    /// Short names.
    public var shortNames: [String]
    /// Whether its objects live in namespaces.
    public var isNamespaced: Bool
    /// Supported verbs.
    public var verbs: [String]
    /// Where the knowledge comes from.
    public var origin: Origin

    /// Creates a resource.
    public init(
        apiGroup: String, version: String, resource: String, kind: String, singular: String = "", shortNames: [String] = [],
        isNamespaced: Bool, verbs: [String], origin: Origin
    ) {
        self.apiGroup = apiGroup
        self.version = version
        self.resource = resource
        self.kind = kind
        self.singular = singular
        self.shortNames = shortNames
        self.isNamespaced = isNamespaced
        self.verbs = verbs
        self.origin = origin
    }
}

/// The resources that are known, for reading what a user types.
public struct ResourceCatalogue: Sendable {
    /// How a typed resource was understood.
    public struct Resolution: Hashable, Sendable {
        /// The API group; `""` is the core group.
        public var apiGroup: String
        /// Plural name without subresource.
        public var resource: String
        /// Whether its objects live in namespaces; `nil` when the catalogue does not know the resource.
        public var isNamespaced: Bool?

        /// Creates a resolution.
        public init(apiGroup: String, resource: String, isNamespaced: Bool?) {
            self.apiGroup = apiGroup
            self.resource = resource
            self.isNamespaced = isNamespaced
        }
    }

    /// All resources, later origins after earlier ones.
    public let resources: [APIResource]
    /// Groups that the API server itself serves: its own and those of custom resources, not those only a discovery document names.
    private let ownGroups: Set<ByteString>

    /// Creates a catalogue.
    public init(_ resources: [APIResource]) {
        self.resources = resources
        ownGroups = Set(resources.lazy.filter { $0.origin != .discovery }.map { ByteString($0.apiGroup) })
    }

    /// Whether the API server itself serves a group, as far as is known.
    public func servesItself(apiGroup: String) -> Bool { ownGroups.contains(ByteString(apiGroup)) }

    /// Finds what `text` means: plural, singular, short name or kind, with `.group` as in kubectl.
    ///
    /// An unknown resource is taken literally; the part after the first dot is then its group.
    public func resolve(_ text: String) -> Resolution {
        let lower = text.lowercased()
        func find(_ name: String, group: String?) -> Resolution? {
            let candidates = resources.filter { resource in
                guard !resource.resource.contains("/") else { return false }
                guard let group else { return true }
                return resource.apiGroup == group || "\(resource.version).\(resource.apiGroup)" == group
            }
            let found =
                candidates.first { $0.resource == name } ?? candidates.first { $0.singular == name }
                ?? candidates.first { $0.shortNames.contains(name) } ?? candidates.first { $0.kind.lowercased() == name }
            return found.map { Resolution(apiGroup: $0.apiGroup, resource: $0.resource, isNamespaced: $0.isNamespaced) }
        }
        if let found = find(lower, group: nil) { return found }
        guard let dot = text.firstIndex(of: ".") else {
            return Resolution(apiGroup: "", resource: text, isNamespaced: nil)
        }
        let group = String(text[text.index(after: dot)...])
        return find(String(text[..<dot]).lowercased(), group: group)
            ?? Resolution(apiGroup: group, resource: String(text[..<dot]), isNamespaced: nil)
    }

    /// Entries of a rule's resources that no known API serves in any of its apiGroups, with their group.
    ///
    /// They are unknown, not dead: the server checks some resources that no discovery document lists (semantics HID-5).
    public func unknownResources(of rule: PolicyRule) -> [String] {
        (rule.apiGroups ?? []).filter { $0 != "*" }.flatMap { group in
            (rule.resources ?? []).filter { entry in
                entry != "*" && !entry.hasPrefix("*/") && !resources.contains { $0.apiGroup == group && $0.resource == entry }
            }.map { group.isEmpty ? $0 : "\($0).\(group)" }
        }
    }

    /// Subresources of nodes that kubelets check and no discovery document lists.
    private static let kubeletPaths: Set = ["checkpoint", "configz", "healthz", "log", "metrics", "pods", "spec", "stats"]

    /// Whether `resource/subresource` is served in `apiGroup`.
    ///
    /// `finalizers` is checked for every resource and served by no discovery document (semantics HID-5). Of a resource that
    /// the catalogue does not know, `status` and `scale` are taken as subresources too.
    public func knows(subresource: String, of resource: String, apiGroup: String) -> Bool {
        if subresource == "finalizers" || (apiGroup.isEmpty && resource == "nodes" && Self.kubeletPaths.contains(subresource)) {
            return true
        }
        let isKnown = resources.contains { $0.apiGroup == apiGroup && $0.resource == resource }
        if !isKnown { return subresource == "status" || subresource == "scale" }
        return resources.contains { $0.apiGroup == apiGroup && $0.resource == "\(resource)/\(subresource)" }
    }
}
