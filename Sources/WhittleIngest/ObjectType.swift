/// What apiVersion and kind make of a document. The same kind in an older group is the same type.
enum ObjectType: UInt8 {
    case role, clusterRole, roleBinding, clusterRoleBinding
    case serviceAccount, namespace, node, pod, secret
    case deployment, statefulSet, daemonSet, replicaSet, replicationController, job, cronJob, podTemplate
    case validatingAdmissionPolicy, mutatingAdmissionPolicy, validatingWebhookConfiguration, mutatingWebhookConfiguration
    case customResourceDefinition, resourceList, aggregatedDiscovery
    /// Discovery documents that say nothing beyond the others.
    case otherDiscovery
    /// A list of objects, or an object of a kind that Whittle has no use for.
    case other

    init(group: String, kind: String) {
        self =
            switch (group, kind) {
            case ("rbac.authorization.k8s.io", "Role"): .role
            case ("rbac.authorization.k8s.io", "ClusterRole"): .clusterRole
            case ("rbac.authorization.k8s.io", "RoleBinding"): .roleBinding
            case ("rbac.authorization.k8s.io", "ClusterRoleBinding"): .clusterRoleBinding
            case ("", "ServiceAccount"): .serviceAccount
            case ("", "Namespace"): .namespace
            case ("", "Node"): .node
            case ("", "Pod"): .pod
            case ("", "Secret"): .secret
            case ("apps", "Deployment"), ("extensions", "Deployment"): .deployment
            case ("apps", "StatefulSet"): .statefulSet
            case ("apps", "DaemonSet"), ("extensions", "DaemonSet"): .daemonSet
            case ("apps", "ReplicaSet"), ("extensions", "ReplicaSet"): .replicaSet
            case ("", "ReplicationController"): .replicationController
            case ("batch", "Job"): .job
            case ("batch", "CronJob"): .cronJob
            case ("", "PodTemplate"): .podTemplate
            case (Self.admissionGroup, "ValidatingAdmissionPolicy"): .validatingAdmissionPolicy
            case (Self.admissionGroup, "MutatingAdmissionPolicy"): .mutatingAdmissionPolicy
            case (Self.admissionGroup, "ValidatingWebhookConfiguration"): .validatingWebhookConfiguration
            case (Self.admissionGroup, "MutatingWebhookConfiguration"): .mutatingWebhookConfiguration
            case ("apiextensions.k8s.io", "CustomResourceDefinition"): .customResourceDefinition
            case ("", "APIResourceList"): .resourceList
            case ("apidiscovery.k8s.io", "APIGroupDiscoveryList"): .aggregatedDiscovery
            case ("", "APIGroupList"), ("", "APIVersions"), ("", "APIGroup"): .otherDiscovery
            default: .other
            }
    }

    /// The type of a workload, whose kind decides it.
    init(workloadKind kind: String) {
        self = ["", "apps", "batch"].lazy.map { ObjectType(group: $0, kind: kind) }.first { $0 != .other } ?? .other
    }

    /// The group of admission policies and webhooks.
    static let admissionGroup = "admissionregistration.k8s.io"

    /// The type of an admission policy or webhook configuration.
    init(policyKind kind: String) { self.init(group: Self.admissionGroup, kind: kind) }

    /// Whether this is an RBAC object.
    var isRBAC: Bool { rawValue <= Self.clusterRoleBinding.rawValue }

    /// Where the pod template of a workload stands; `nil` for kinds without one (semantics POD-6).
    var templatePath: [StaticString]? {
        switch self {
        case .deployment, .statefulSet, .daemonSet, .replicaSet, .replicationController, .job: ["spec", "template", "spec"]
        case .cronJob: ["spec", "jobTemplate", "spec", "template", "spec"]
        case .podTemplate: ["template", "spec"]
        default: nil
        }
    }

    /// Whether a workload of this kind says how many pods it wants.
    var hasReplicas: Bool {
        switch self {
        case .deployment, .statefulSet, .replicaSet, .replicationController: true
        default: false
        }
    }
}

/// apiVersion and kind of a document.
final class TypeMeta {
    let apiVersion: String
    let kind: String
    /// `""` for the core group.
    let group: String
    let version: String
    let type: ObjectType

    init(apiVersion: String, kind: String) {
        self.apiVersion = apiVersion
        self.kind = kind
        let (first, second) = apiVersion.splitBytes(at: "/")
        group = second == nil ? "" : first
        version = second ?? first
        type = ObjectType(group: group, kind: kind)
    }

    /// `Kind.group`, as kubectl writes it.
    var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
}

/// The few combinations of apiVersion and kind that an input has, so that they are taken apart once and not per object.
struct TypeMetaCache {
    private var entries: [(apiVersion: [UInt8], kind: [UInt8], meta: TypeMeta)] = []
    private var last = 0
    private static let limit = 64

    /// - Parameters:
    ///   - apiVersion: as the document writes it; `nil` when it does not.
    ///   - list: of the list that the document stands in; it holds for what the document leaves out.
    mutating func meta(apiVersion: DocumentValue?, kind: DocumentValue, in list: TypeMeta?) -> TypeMeta? {
        if let apiVersion {
            let (versionBytes, kindBytes) = (apiVersion.bytes, kind.bytes)
            func matches(_ index: Int) -> Bool {
                isSame(entries[index].kind, kindBytes) && isSame(entries[index].apiVersion, versionBytes)
            }
            if last < entries.count, matches(last) { return entries[last].meta }
            if let found = entries.indices.first(where: matches) {
                last = found
                return entries[found].meta
            }
        }
        guard let kindText = kind.string else { return nil }
        let meta = TypeMeta(apiVersion: apiVersion?.string ?? list?.apiVersion ?? "", kind: kindText)
        let isPlain = apiVersion?.kind == .string && !(apiVersion?.bytes.contains(UInt8(ascii: "\\")) ?? true)
        if let apiVersion, isPlain, !kind.bytes.contains(UInt8(ascii: "\\")), entries.count < Self.limit {
            entries.append((Array(apiVersion.bytes), Array(kind.bytes), meta))
        }
        return meta
    }

    private func isSame(_ left: [UInt8], _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        left.count == right.count && left.elementsEqual(right)
    }
}
