/// A ServiceAccount.
public struct ServiceAccount: Hashable, Sendable {
    /// Namespace, name, labels, place.
    public var meta: ObjectMeta
    /// automountServiceAccountToken; `nil` unset.
    public var automount: Bool?
    /// Names of imagePullSecrets.
    public var imagePullSecrets: [String]

    /// Creates an account.
    public init(meta: ObjectMeta, automount: Bool? = nil, imagePullSecrets: [String] = []) {
        self.meta = meta
        self.automount = automount
        self.imagePullSecrets = imagePullSecrets
    }
}

/// The object that controls another (the ownerReference with controller: true).
public struct OwnerReference: Hashable, Sendable {
    /// The owner's kind.
    public var kind: String
    /// The owner's name, in the same namespace.
    public var name: String

    /// Creates a reference.
    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// A running or declared pod.
public struct Pod: Hashable, Sendable {
    /// Namespace, name, uid, labels, place.
    public var meta: ObjectMeta
    /// What decides its identity.
    public var spec: PodSpec
    /// status.phase; `nil` in a manifest.
    public var phase: String?
    /// status.podIPs; empty in a manifest.
    public var addresses: [String]
    /// Whether it will never run again, and another pod may have its address.
    public var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
    /// Whether it mirrors a static pod.
    public var isMirror: Bool
    /// Its controller; `nil` for a bare pod.
    public var owner: OwnerReference?

    /// Creates a pod.
    public init(
        meta: ObjectMeta, spec: PodSpec, phase: String? = nil, addresses: [String] = [], isMirror: Bool = false,
        owner: OwnerReference? = nil
    ) {
        self.meta = meta
        self.spec = spec
        self.phase = phase
        self.addresses = addresses
        self.isMirror = isMirror
        self.owner = owner
    }
}

/// An object that makes pods from a template.
public struct Workload: Hashable, Sendable {
    /// `Deployment`, `CronJob`, …
    public var kind: String
    /// Namespace, name, labels, place.
    public var meta: ObjectMeta
    /// The template's spec.
    public var spec: PodSpec
    /// Wanted pods; `nil` for kinds that are not counted.
    public var replicas: Int?
    /// Its controller; `nil` at the top.
    public var owner: OwnerReference?

    /// Creates a workload.
    public init(kind: String, meta: ObjectMeta, spec: PodSpec, replicas: Int? = nil, owner: OwnerReference? = nil) {
        self.kind = kind
        self.meta = meta
        self.spec = spec
        self.replicas = replicas
        self.owner = owner
    }
}

/// A Secret of type `kubernetes.io/service-account-token`; its data is never read.
public struct TokenSecret: Hashable, Sendable {
    /// The Secret's namespace.
    public var namespace: String
    /// The Secret's name.
    public var name: String
    /// Annotation `kubernetes.io/service-account.name`.
    public var serviceAccountName: String
    /// Annotation `kubernetes.io/service-account.uid`; `nil` absent.
    public var serviceAccountUID: String?

    /// Creates the description of a token Secret.
    public init(namespace: String, name: String, serviceAccountName: String, serviceAccountUID: String?) {
        self.namespace = namespace
        self.name = name
        self.serviceAccountName = serviceAccountName
        self.serviceAccountUID = serviceAccountUID
    }
}

/// One file or stream that was read.
public struct InputSource: Hashable, Sendable {
    /// As given; `-` is standard input.
    public var path: String
    /// Hex SHA-256 of the bytes.
    public var sha256: String
    /// Bytes read.
    public var byteCount: Int

    /// Creates a source.
    public init(path: String, sha256: String, byteCount: Int) {
        self.path = path
        self.sha256 = sha256
        self.byteCount = byteCount
    }
}

/// Everything that was loaded, as one value.
public struct ClusterState: Sendable {
    /// Inputs in the order they were read.
    public var sources: [InputSource] = []
    /// Hex SHA-256 over the digests and paths of all sources; `""` for a state that no file stands behind.
    public var inputSHA256 = ""
    /// Roles and ClusterRoles.
    public var roles: [Role] = []
    /// RoleBindings and ClusterRoleBindings.
    public var bindings: [Binding] = []
    /// Service accounts.
    public var serviceAccounts: [ServiceAccount] = []
    /// Namespace objects.
    public var namespaces: [ObjectMeta] = []
    /// Node objects.
    public var nodes: [ObjectMeta] = []
    /// Pods.
    public var pods: [Pod] = []
    /// Objects with a pod template.
    public var workloads: [Workload] = []
    /// Token Secrets.
    public var tokenSecrets: [TokenSecret] = []
    /// Admission policies and webhook configurations; few of them ask the authorizer anything.
    public var admissionPolicies: [AdmissionPolicy] = []
    /// What CustomResourceDefinitions and discovery documents of the input serve.
    public var apiResources: [APIResource] = []
    /// gitVersion of the API server; `nil` unknown.
    public var serverVersion: String?
    /// Kinds of which a list document was read, even an empty one.
    public var listedKinds: Set<String> = []
    /// Objects of kinds that Whittle has no use for, by `Kind.group`.
    public var skipped: [String: Int] = [:]
    /// Documents that are no Kubernetes objects.
    public var notObjects = 0
    /// What was wrong with the input.
    public var diagnostics: [Diagnostic] = []

    /// Creates an empty state.
    public init() {}

    /// Objects that count.
    public var objectCount: Int {
        roles.count + bindings.count + serviceAccounts.count + namespaces.count + nodes.count + pods.count + workloads.count
            + tokenSecrets.count + admissionPolicies.count { !$0.checks.isEmpty }
    }

    /// The uid of Namespace kube-system: the cluster's identity.
    public var clusterUID: String? { namespaces.first { $0.name == "kube-system" }?.uid }
}
