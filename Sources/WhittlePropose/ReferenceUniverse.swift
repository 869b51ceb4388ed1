import WhittleModel

/// The requests that a cluster could see: served resources × their verbs × namespaces × names, from inventory and usage.
///
/// Over-grant is counted in it, not guessed (docs/proposing.md).
public struct ReferenceUniverse: Sendable {
    /// A group and a resource[/subresource].
    public struct Target: Hashable, Sendable {
        private var apiGroup: ByteString
        private var resource: ByteString

        /// Creates a target; `resource` with its subresource.
        public init(apiGroup: String, resource: String) {
            self.apiGroup = ByteString(apiGroup)
            self.resource = ByteString(resource)
        }

        /// The resource without its subresource.
        var base: Target {
            var base = self
            base.resource = ByteString(resource.string.splitBytes(at: "/").before)
            return base
        }
    }

    private struct Object: Hashable {
        var target: Target
        var namespace: ByteString
    }

    /// Namespaces present.
    public var namespaces: Set<String> = []
    /// Labels of those whose object is known.
    public var namespaceLabels: [ByteString: Labels] = [:]
    private var clusterScoped: Set<Target> = []
    private var names: [Object: Set<ByteString>] = [:]
    private var owners: [Object: [ByteString: String]] = [:]

    /// Creates a universe of nothing.
    public init(resources: some Sequence<APIResource> = []) {
        for resource in resources where !resource.isNamespaced {
            clusterScoped.insert(Target(apiGroup: resource.apiGroup, resource: resource.resource))
        }
    }

    /// Tells that an object exists, and the kind and name of what made it, as `ReplicaSet/cart-7d9c`.
    public mutating func add(_ name: String, of target: Target, namespace: String, owner: String? = nil) {
        let object = Object(target: target, namespace: ByteString(namespace))
        names[object, default: []].insert(ByteString(name))
        if let owner { owners[object, default: [:]][ByteString(name)] = owner }
    }

    /// What made an object; `nil` = nothing, or not known.
    func owner(of name: String, target: Target, namespace: String) -> String? {
        owners[Object(target: target.base, namespace: ByteString(namespace))]?[ByteString(name)]
    }

    /// Requests of the universe that an atom allows in a scope (`""` = cluster-wide) and that `isNeeded` denies to be needs.
    ///
    /// - Returns: the count, and whether further objects or namespaces would make it grow.
    func size(of atom: RuleAtom, scope: String, isNeeded: (Need) -> Bool) -> (requests: Int, isUnbounded: Bool) {
        guard let resource = atom.resource, let apiGroup = atom.apiGroup else { return (1, atom.hasPattern) }
        let target = Target(apiGroup: apiGroup, resource: resource)
        let isEverywhere = scope.isEmpty && !clusterScoped.contains(target.base)
        let places = isEverywhere ? namespaces.union([""]).sorted(by: bytesPrecede) : [scope]
        let (name, subresource) = resource.splitBytes(at: "/")
        var count = 0
        for place in places {
            let known = names[Object(target: target.base, namespace: ByteString(place))] ?? []
            let wanted: [String] = atom.resourceName.map { [$0] } ?? ([""] + (Self.takesName(atom) ? known.map(\.string) : []))
            for object in wanted {
                let request = Request(
                    verb: atom.verb, apiGroup: apiGroup, resource: name, subresource: subresource ?? "", namespace: place, name: object)
                if !isNeeded(Need(request)) { count += 1 }
            }
        }
        return (count, atom.resourceName == nil && Self.takesName(atom) || isEverywhere || atom.hasPattern)
    }

    /// Whether requests of the verb name an object.
    static func takesName(_ atom: RuleAtom) -> Bool {
        let isCreate = atom.verb == "create" && !(atom.resource ?? "").utf8.contains(UInt8(ascii: "/"))
        return !isCreate && !["list", "watch", "deletecollection"].contains(atom.verb)
    }
}
