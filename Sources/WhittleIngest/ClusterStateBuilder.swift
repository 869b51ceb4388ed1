import WhittleModel

/// Collects decoded objects; a later object replaces an earlier one of the same kind, namespace and name.
struct ClusterStateBuilder {
    /// What has been collected.
    var state = ClusterState()
    private var places: [Key: Int] = [:]

    private struct Key: Hashable {
        var type: ObjectType
        var namespace: ByteString
        var name: ByteString
    }

    mutating func add(_ role: Role, _ type: ObjectType) {
        note(Self.put(role, type, role.kind, into: &state.roles, &places))
    }
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
    mutating func add(_ secret: TokenSecret) { state.tokenSecrets.append(secret) }

    private mutating func note(_ diagnostic: Diagnostic?) {
        if let diagnostic { state.diagnostics.append(diagnostic) }
    }

    private static func put<Object: PlacedObject>(
        _ object: Object, _ type: ObjectType, _ kind: String, into list: inout [Object], _ places: inout [Key: Int]
    ) -> Diagnostic? {
        let own = object.meta
        let place = places.updateValue(list.count, forKey: Key(type: type, namespace: ByteString(own.namespace), name: ByteString(own.name)))
        guard let place else {
            list.append(object)
            return nil
        }
        places[Key(type: type, namespace: ByteString(own.namespace), name: ByteString(own.name))] = place
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
