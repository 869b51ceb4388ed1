import WhittleModel

/// Collects decoded objects; a later object replaces an earlier one of the same kind, namespace and name.
struct ClusterStateBuilder {
    /// What has been collected.
    var state = ClusterState()
    private var places: Places

    /// - Parameter isPart: whether every object is kept: this is a part of an input, and `merge` into the whole looks for
    ///   duplicates.
    init(isPart: Bool = false) { places = Places(isPart: isPart) }

    /// Where the object of a type, namespace and name stands in its list.
    private struct Places {
        private struct Key: Hashable {
            var type: ObjectType
            var namespace: ByteString
            var name: ByteString
        }

        let isPart: Bool
        private var places: [Key: Int] = [:]

        init(isPart: Bool) { self.isPart = isPart }

        mutating func reserve(_ more: Int) { places.reserveCapacity(places.count + more) }

        /// The place of an earlier object; `nil` when there is none, and `next` is its place from now on.
        mutating func earlier(_ type: ObjectType, _ meta: ObjectMeta, else next: Int) -> Int? {
            guard !isPart else { return nil }
            let key = Key(type: type, namespace: ByteString(meta.namespace), name: ByteString(meta.name))
            let place = { (place: inout Int) in
                if place < 0 { place = next }
                return place
            }(&places[key, default: -1])
            return place == next ? nil : place
        }
    }

    /// Makes room for what an input of so many bytes may hold.
    mutating func reserve(forBytes count: Int) { places.reserve(min(count / 768, 1 << 20)) }

    mutating func add(_ role: Role, _ type: ObjectType) { note(Self.put(role, type, role.kind, into: &state.roles, &places)) }
    mutating func add(_ binding: Binding, _ type: ObjectType) {
        note(Self.put(binding, type, binding.kind, into: &state.bindings, &places))
    }
    mutating func add(_ account: ServiceAccount) {
        note(Self.put(account, .serviceAccount, "ServiceAccount", into: &state.serviceAccounts, &places))
    }
    mutating func add(_ pod: Pod) { note(Self.put(pod, .pod, "Pod", into: &state.pods, &places)) }
    mutating func add(_ workload: Workload, _ type: ObjectType) {
        note(Self.put(workload, type, workload.kind, into: &state.workloads, &places))
    }
    mutating func add(namespace: ObjectMeta) { note(Self.put(namespace, .namespace, "Namespace", into: &state.namespaces, &places)) }
    mutating func add(node: ObjectMeta) { note(Self.put(node, .node, "Node", into: &state.nodes, &places)) }
    mutating func add(_ policy: AdmissionPolicy, _ type: ObjectType) {
        note(Self.put(policy, type, policy.kind, into: &state.admissionPolicies, &places))
    }
    mutating func add(_ secret: TokenSecret) { state.tokenSecrets.append(secret) }

    /// Adds what `later` collected, in its order.
    mutating func merge(_ later: ClusterStateBuilder) {
        let more = later.state
        state.diagnostics += more.diagnostics
        for role in more.roles { add(role, role.meta.namespace.isEmpty ? .clusterRole : .role) }
        for binding in more.bindings { add(binding, binding.meta.namespace.isEmpty ? .clusterRoleBinding : .roleBinding) }
        for account in more.serviceAccounts { add(account) }
        for namespace in more.namespaces { add(namespace: namespace) }
        for node in more.nodes { add(node: node) }
        for pod in more.pods { add(pod) }
        for workload in more.workloads { add(workload, ObjectType(workloadKind: workload.kind)) }
        for policy in more.admissionPolicies { add(policy, ObjectType(policyKind: policy.kind)) }
        state.tokenSecrets += more.tokenSecrets
        state.apiResources += more.apiResources
        state.serverVersion = more.serverVersion ?? state.serverVersion
        state.listedKinds.formUnion(more.listedKinds)
        state.skipped.merge(more.skipped, uniquingKeysWith: +)
        state.notObjects += more.notObjects
    }

    private mutating func note(_ diagnostic: Diagnostic?) {
        if let diagnostic { state.diagnostics.append(diagnostic) }
    }

    private static func put<Object: PlacedObject>(
        _ object: Object, _ type: ObjectType, _ kind: String, into list: inout [Object], _ places: inout Places
    ) -> Diagnostic? {
        let own = object.meta
        guard let place = places.earlier(type, own, else: list.count) else {
            list.append(object)
            return nil
        }
        let earlier = list[place]
        list[place] = object
        guard earlier.withoutPlaces != object.withoutPlaces else { return nil }
        let name = own.namespace.isEmpty ? own.name : "\(own.namespace)/\(own.name)"
        return Diagnostic(
            .warning, id: "duplicate-object", "\(kind) `\(name)` is defined again and differently; this one counts", at: own.location,
            notes: earlier.meta.location.map { ["first defined at \($0)"] } ?? [], help: "keep one of the two definitions")
    }
}

/// An object that knows where it is written.
private protocol PlacedObject: Equatable {
    var meta: ObjectMeta { get set }
    /// The object without any place, to tell whether two definitions say the same.
    var withoutPlaces: Self { get }
}

extension PlacedObject {
    var withoutPlaces: Self {
        var copy = self
        copy.meta.location = nil
        return copy
    }
}

extension ServiceAccount: PlacedObject {}
extension Pod: PlacedObject {}
extension Workload: PlacedObject {}

extension ObjectMeta: PlacedObject {
    fileprivate var meta: ObjectMeta {
        get { self }
        set { self = newValue }
    }
}

extension Role: PlacedObject {
    fileprivate var withoutPlaces: Role {
        var copy = self
        copy.meta.location = nil
        for index in copy.rules.indices { copy.rules[index].location = nil }
        return copy
    }
}

extension Binding: PlacedObject {
    fileprivate var withoutPlaces: Binding {
        var copy = self
        copy.meta.location = nil
        for index in copy.subjects.indices { copy.subjects[index].location = nil }
        return copy
    }
}

extension AdmissionPolicy: PlacedObject {
    /// Only what it asks counts: of most policies nothing is wanted.
    fileprivate var withoutPlaces: AdmissionPolicy {
        var copy = self
        copy.meta = ObjectMeta(name: meta.name)
        for index in copy.checks.indices { copy.checks[index].location = nil }
        return copy
    }
}
