import WhittleModel

/// The ClusterRoles, Roles and bindings that every API server of Kubernetes 1.36 creates at its start.
enum DefaultRoles {
    /// Adds the default objects that `state` refers to but does not contain, marked as assumed.
    ///
    /// What an API server gave out (objects with a uid) is complete by itself: nothing is assumed for a kind that came so.
    /// Otherwise a ClusterRole is referred to by a roleRef, or by the selectors of an aggregated default role; a binding by
    /// the identities that the input has: its service accounts with their implicit groups, and the subjects it names.
    static func addReferenced(to state: inout ClusterState) {
        guard state.objectCount > 0 else { return }
        let isLive = state.roles.contains { $0.meta.uid != nil } || state.bindings.contains { $0.meta.uid != nil }
        guard !isLive else { return }
        let defaults = load()
        let identities = identities(of: state)
        let existing = Set(state.bindings.map { key($0.meta) })
        var wanted = Set<ByteString>()
        for binding in state.bindings { wanted.insert(referenceKey(binding)) }
        for binding in defaults.bindings where !existing.contains(key(binding.meta)) {
            let isReferenced = binding.subjects.contains { written in
                written.subject.identity(inBindingOf: binding.meta.namespace).map { identities.contains($0) } ?? false
            }
            guard isReferenced else { continue }
            var assumed = binding
            assumed.isAssumed = true
            state.bindings.append(assumed)
            wanted.insert(referenceKey(binding))
        }
        let present = Set(state.roles.map { key($0.meta) })
        var added = Set<ByteString>()
        func add(_ role: Role) {
            guard !present.contains(key(role.meta)), added.insert(key(role.meta)).inserted else { return }
            var assumed = role
            assumed.isAssumed = true
            state.roles.append(assumed)
            for selector in role.aggregationSelectors ?? [] {
                for other in defaults.roles where selector?.matches(other.meta.labels) ?? false { add(other) }
            }
        }
        for role in defaults.roles where wanted.contains(key(role.meta)) { add(role) }
    }

    /// All default objects.
    static func load() -> ClusterState {
        let decoder = ManifestDecoder(defaultNamespace: "default")
        for file in EmbeddedBuiltIn.files where file.name == "default-rbac.json" {
            var text = file.text
            text.withUTF8 { ManifestReader.read($0, file: file.name, into: decoder) }
        }
        var state = decoder.builder.state
        for index in state.roles.indices {
            state.roles[index].meta.location = nil
            for rule in state.roles[index].rules.indices { state.roles[index].rules[rule].location = nil }
        }
        for index in state.bindings.indices {
            state.bindings[index].meta.location = nil
            for subject in state.bindings[index].subjects.indices { state.bindings[index].subjects[subject].location = nil }
        }
        return state
    }

    private static func key(_ meta: ObjectMeta) -> ByteString { ByteString("\(meta.namespace)/\(meta.name)") }

    private static func referenceKey(_ binding: Binding) -> ByteString {
        let namespace = binding.roleRef.kind == "Role" ? binding.meta.namespace : ""
        return ByteString("\(namespace)/\(binding.roleRef.name)")
    }

    private static func identities(of state: ClusterState) -> Set<Identity> {
        var users = state.serviceAccounts.map { ServiceAccountName.username(namespace: $0.meta.namespace, name: $0.meta.name) }
        users += (state.pods.map { ($0.meta.namespace, $0.spec) } + state.workloads.map { ($0.meta.namespace, $0.spec) })
            .map { ServiceAccountName.username(namespace: $0.0, name: $0.1.effectiveServiceAccountName) }
        var result = Set<Identity>()
        for binding in state.bindings {
            for written in binding.subjects {
                guard let identity = written.subject.identity(inBindingOf: binding.meta.namespace) else { continue }
                if identity.kind == .user { users.append(identity.name) } else { result.insert(identity) }
            }
        }
        for user in users {
            result.insert(Identity(.user, user))
            for group in ImplicitGroup.groups(ofUser: user) { result.insert(Identity(.group, group)) }
        }
        return result
    }
}
