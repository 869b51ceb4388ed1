import WhittleModel

/// Collects decoded objects; a later object replaces an earlier one of the same kind, namespace and name.
struct ClusterStateBuilder {
    /// What has been collected.
    var state = ClusterState()
    private var places: [Key: Int] = [:]

    private struct Key: Hashable {
        var kind: String
        var namespace: ByteString
        var name: ByteString
    }

    mutating func add(_ role: Role) { put(role, kind: role.kind, \.roles, \.meta) }
    mutating func add(_ binding: Binding) { put(binding, kind: binding.kind, \.bindings, \.meta) }
    mutating func add(_ account: ServiceAccount) { put(account, kind: "ServiceAccount", \.serviceAccounts, \.meta) }
    mutating func add(_ pod: Pod) { put(pod, kind: "Pod", \.pods, \.meta) }
    mutating func add(_ workload: Workload) { put(workload, kind: workload.kind, \.workloads, \.meta) }
    mutating func add(namespace: ObjectMeta) { put(namespace, kind: "Namespace", \.namespaces, \.self) }
    mutating func add(node: ObjectMeta) { put(node, kind: "Node", \.nodes, \.self) }
    mutating func add(_ secret: TokenSecret) { state.tokenSecrets.append(secret) }

    private mutating func put<Object: Equatable>(
        _ object: Object, kind: String, _ list: WritableKeyPath<ClusterState, [Object]>,
        _ meta: WritableKeyPath<Object, ObjectMeta>
    ) {
        let own = object[keyPath: meta]
        let key = Key(kind: kind, namespace: ByteString(own.namespace), name: ByteString(own.name))
        guard let place = places[key] else {
            places[key] = state[keyPath: list].count
            state[keyPath: list].append(object)
            return
        }
        let earlier = state[keyPath: list][place]
        if Self.withoutPlaces(earlier, meta) != Self.withoutPlaces(object, meta) {
            let name = own.namespace.isEmpty ? own.name : "\(own.namespace)/\(own.name)"
            state.diagnostics.append(
                Diagnostic(
                    .warning, id: "duplicate-object", "\(kind) `\(name)` is defined again and differently; this one counts",
                    at: own.location,
                    notes: earlier[keyPath: meta].location.map { ["first defined at \($0)"] } ?? [],
                    help: "keep one of the two definitions"))
        }
        state[keyPath: list][place] = object
    }

    private static func withoutPlaces<Object>(_ object: Object, _ meta: WritableKeyPath<Object, ObjectMeta>) -> Object {
        var copy = object
        copy[keyPath: meta].location = nil
        if var role = copy as? Role {
            for index in role.rules.indices { role.rules[index].location = nil }
            return role as? Object ?? copy
        }
        if var binding = copy as? Binding {
            for index in binding.subjects.indices { binding.subjects[index].location = nil }
            return binding as? Object ?? copy
        }
        return copy
    }
}
