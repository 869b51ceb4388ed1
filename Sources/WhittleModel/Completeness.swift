/// Which kinds and namespaces the input held, and so which "nobody" can be believed.
public struct Completeness: Hashable, Sendable {
    /// One statement: the objects of a kind are known in a namespace.
    public struct Entry: Hashable, Sendable {
        /// `Role`, `ClusterRole`, `RoleBinding`, `ClusterRoleBinding`, `ServiceAccount`, `Pod`.
        public var kind: String
        /// `nil` = in every namespace, or the kind has none.
        public var namespace: String?
        /// Objects seen there.
        public var objects: Int

        /// Creates an entry.
        public init(kind: String, namespace: String?, objects: Int) {
            self.kind = kind
            self.namespace = namespace
            self.objects = objects
        }
    }

    /// What is known; a kind that does not occur is not known at all.
    public var entries: [Entry]

    /// Documents that could not be read and may have held anything.
    public var unreadable: Int

    /// Creates a statement from its entries.
    public init(entries: [Entry], unreadable: Int = 0) {
        self.entries = entries
        self.unreadable = unreadable
    }

    /// Works out what the input held.
    ///
    /// What an API server gave out carries a uid. There, every kind exists in every real cluster (kube-system and
    /// kube-public hold Roles and RoleBindings), so a kind without objects was not asked for, and one without objects in
    /// kube-system and another namespace was asked for in some namespaces only. Manifests at rest are taken as the whole:
    /// the kinds that matter are known as soon as one binding and one role are there, unless bindings refer to a kind of
    /// role that does not occur at all.
    public init(_ state: ClusterState) {
        var entries: [Entry] = []
        typealias Known = (namespace: String, isLive: Bool)
        func known(_ meta: ObjectMeta) -> Known { (meta.namespace, meta.uid != nil) }
        func add(_ kind: String, _ metas: some Collection<Known>, isNamespaced: Bool) {
            let isLive = metas.contains(where: \.isLive)
            let isListed = !isNamespaced && state.listedKinds.contains(kind)
            if isListed || (!metas.isEmpty && (!isNamespaced || !isLive)) {
                entries.append(Entry(kind: kind, namespace: nil, objects: metas.count))
            } else if isLive {
                let counts = metas.reduce(into: [String: Int]()) { $0[$1.namespace, default: 0] += 1 }
                if counts["kube-system"] != nil, counts.count > 1 {
                    entries.append(Entry(kind: kind, namespace: nil, objects: metas.count))
                } else {
                    for (namespace, count) in counts.sorted(by: { bytesPrecede($0.key, $1.key) }) {
                        entries.append(Entry(kind: kind, namespace: namespace, objects: count))
                    }
                }
            }
        }
        let roles = state.roles.lazy.filter { !$0.isAssumed }
        let bindings = state.bindings.lazy.filter { !$0.isAssumed }
        add("ClusterRole", roles.filter { $0.kind == "ClusterRole" }.map { known($0.meta) }, isNamespaced: false)
        add("Role", roles.filter { $0.kind == "Role" }.map { known($0.meta) }, isNamespaced: true)
        add("ClusterRoleBinding", bindings.filter { $0.kind == "ClusterRoleBinding" }.map { known($0.meta) }, isNamespaced: false)
        add("RoleBinding", bindings.filter { $0.kind == "RoleBinding" }.map { known($0.meta) }, isNamespaced: true)
        add("ServiceAccount", state.serviceAccounts.lazy.map { known($0.meta) }, isNamespaced: true)
        add("Pod", state.pods.lazy.map { known($0.meta) }, isNamespaced: true)
        let isAtRest = !roles.contains { $0.meta.uid != nil } && !bindings.contains { $0.meta.uid != nil }
        if isAtRest, !roles.isEmpty || state.roles.contains(where: \.isAssumed), !bindings.isEmpty {
            // A kind of role that a binding refers to in vain, and of which there is no object, was left out of the input.
            let isResolved = Authorizer(roles: state.roles, bindings: state.bindings).roleOfBinding.map { $0 != nil }
            let missing = Set(zip(state.bindings, isResolved).filter { !$0.1 }.map(\.0.roleRef.kind))
            for kind in ["ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"]
            where !entries.contains(where: { $0.kind == kind }) && !missing.contains(kind) {
                entries.append(Entry(kind: kind, namespace: nil, objects: 0))
            }
        }
        self.entries = entries
        // A dump of an API server is whole, whatever lies in files beside it, unless the dump itself is cut off.
        let isUnreadable = state.diagnostics.contains { Diagnostic.unreadableIDs.contains($0.id) }
        let liveFiles =
            isUnreadable ? Set((roles.map(\.meta) + bindings.map(\.meta)).filter { $0.uid != nil }.compactMap(\.location?.file)) : []
        unreadable =
            state.diagnostics.filter { diagnostic in
                Diagnostic.unreadableIDs.contains(diagnostic.id)
                    && (isAtRest || diagnostic.location.map { liveFiles.contains($0.file) } ?? true)
            }.count
    }

    /// The kinds that a "no" to a request in `namespace` needs and the input did not hold.
    ///
    /// - Parameter namespace: `""` for a cluster-wide request or a URL, `nil` for every namespace.
    public func missingKinds(forNamespace namespace: String?) -> [String] {
        var needed = ["ClusterRole", "ClusterRoleBinding"]
        if namespace != "" { needed += ["Role", "RoleBinding"] }
        let missing = needed.filter { kind in
            !entries.contains { $0.kind == kind && ($0.namespace == nil || $0.namespace == namespace) }
        }
        return missing + (unreadable > 0 ? ["\(unreadable) \(unreadable == 1 ? "document" : "documents") that could not be read"] : [])
    }
}
