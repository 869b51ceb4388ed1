import WhittleModel

/// A change of one RBAC object as a patch of kustomize, for objects whose manifest is not edited.
public struct KustomizePatch: Sendable, Hashable {
    /// What is done to the object.
    public enum Change: Sendable, Hashable {
        /// Its rules become these.
        case rules([PolicyRule])
        /// Its subjects become these.
        case subjects([Subject])
        /// It goes.
        case delete
    }

    /// `Role`, `ClusterRole`, `RoleBinding` or `ClusterRoleBinding`.
    public var kind: String
    /// `""` for a cluster-scoped object.
    public var namespace: String
    /// metadata.name.
    public var name: String
    /// What is done to it.
    public var change: Change

    /// Creates a patch.
    public init(kind: String, namespace: String, name: String, change: Change) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.change = change
    }

    private static let group = "rbac.authorization.k8s.io"

    /// The name of the patch's file: `role-shop-cart.yaml`; other characters than letters, digits and `.` are written `-`.
    public var fileName: String {
        let text = [kind.lowercased(), namespace, name].filter { !$0.isEmpty }.joined(separator: "-")
        let isPlain = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: ".")
        }
        return String(decoding: text.utf8.map { isPlain($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self) + ".yaml"
    }

    /// The patch: JSON 6902 operations, or `$patch: delete` for an object that goes.
    public var document: JSONValue {
        switch change {
        case .rules(let rules): Self.replacing("/rules", .array(rules.map(ManifestRenderer.document)))
        case .subjects(let subjects): Self.replacing("/subjects", .array(subjects.map(Self.document)))
        case .delete:
            .members([
                "$patch": .string("delete"), "apiVersion": .string("\(Self.group)/v1"), "kind": .string(kind),
                "metadata": .members(["name": .string(name), "namespace": namespace.isEmpty ? nil : .string(namespace)]),
            ])
        }
    }

    private static func replacing(_ path: String, _ value: JSONValue) -> JSONValue {
        .array([.members(["op": .string("replace"), "path": .string(path), "value": value])])
    }

    private static func document(_ subject: Subject) -> JSONValue {
        let group = subject.kind == "ServiceAccount" ? "" : Self.group
        return .members([
            "apiGroup": group.isEmpty ? nil : .string(group), "kind": .string(subject.kind), "name": .string(subject.name),
            "namespace": subject.namespace.map(JSONValue.string),
        ])
    }

    /// Which object the patch is for, as kustomize names it; its names are regular expressions.
    private var target: JSONValue {
        .members([
            "group": .string(Self.group), "version": .string("v1"), "kind": .string(kind), "name": .string(Self.escaped(name)),
            "namespace": namespace.isEmpty ? nil : .string(Self.escaped(namespace)),
        ])
    }

    private static func escaped(_ name: String) -> String {
        String(
            decoding: name.utf8.flatMap { byte in
                "\\.+*?()|[]{}^$".utf8.contains(byte) ? [UInt8(ascii: "\\"), byte] : [byte]
            }, as: UTF8.self)
    }

    /// The entry of a kustomization for the patch in a file.
    public func entry(path: String) -> JSONValue {
        JSONValue.members(["path": .string(path), "target": change == .delete ? nil : target])
    }

    /// The text of a kustomization.yaml.
    ///
    /// - Parameters:
    ///   - resources: paths of manifests and folders, in order.
    ///   - patches: patches with the paths of their files.
    ///   - labels: labels that every object gets; the selectors of others are left alone.
    public static func kustomization(
        resources: [String], patches: [(path: String, patch: KustomizePatch)] = [], labels: [String: String] = [:]
    ) -> String {
        let entries = patches.map { path, patch in patch.entry(path: path) }
        let pairs = labels.sorted { bytesPrecede($0.key, $1.key) }.map { JSONValue.Member(key: $0.key, value: .string($0.value)) }
        return JSONValue.members([
            "apiVersion": .string("kustomize.config.k8s.io/v1beta1"), "kind": .string("Kustomization"),
            "resources": resources.isEmpty ? nil : .strings(resources), "patches": entries.isEmpty ? nil : .array(entries),
            "labels": pairs.isEmpty ? nil : .array([.members(["pairs": .object(pairs)])]),
        ]).yaml
    }
}
