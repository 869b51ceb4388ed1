/// The parts of a pod spec that decide which API credentials its containers hold.
public struct PodSpec: Hashable, Sendable {
    /// The lists of a spec that hold containers.
    public enum ContainerList: String, Sendable, CaseIterable {
        /// The containers of the pod's life.
        case containers
        /// Run before, or beside them as sidecars.
        case initContainers
        /// Added to a running pod.
        case ephemeralContainers
    }

    /// One container of any list.
    public struct Container: Hashable, Sendable {
        /// The list it stands in.
        public var list: ContainerList
        /// Whether a volume is mounted at exactly the place where the token would be injected.
        public var mountsTokenPath: Bool

        /// Creates a container.
        public init(list: ContainerList, mountsTokenPath: Bool) {
            self.list = list
            self.mountsTokenPath = mountsTokenPath
        }
    }

    /// A projected `serviceAccountToken` source.
    public struct TokenProjection: Hashable, Sendable {
        /// The volume's name.
        public var volume: String
        /// `nil` = the API server's audience.
        public var audience: String?

        /// Creates a projection.
        public init(volume: String, audience: String?) {
            self.volume = volume
            self.audience = audience
        }

        /// Whether the admission plugin put it there.
        public var isInjected: Bool { audience == nil && volume.hasPrefix("kube-api-access-") }
    }

    /// spec.serviceAccountName, as written.
    public var serviceAccountName: String?
    /// The deprecated spec.serviceAccount, as written.
    public var serviceAccount: String?
    /// spec.automountServiceAccountToken, as written.
    public var automount: Bool?
    /// Containers of all three lists, in order.
    public var containers: [Container] = []
    /// Projected tokens, in volume order.
    public var tokenProjections: [TokenProjection] = []
    /// Secrets mounted as volumes (also as projected sources).
    public var secretVolumes: [String] = []
    /// Secrets read into the environment.
    public var secretEnvironment: [String] = []
    /// Drivers of inline CSI volumes.
    public var csiDrivers: [String] = []
    /// spec.imagePullSecrets, names.
    public var imagePullSecrets: [String] = []
    /// spec.nodeName; `nil` not scheduled.
    public var nodeName: String?
    /// spec.hostNetwork.
    public var hostNetwork = false
    /// Whether some container is privileged.
    public var privileged = false

    /// Creates an empty spec.
    public init() {}

    /// The account as written: serviceAccountName, else serviceAccount, else `default` (semantics POD-1).
    public var effectiveServiceAccountName: String {
        for name in [serviceAccountName, serviceAccount] { if let name, !name.isEmpty { return name } }
        return "default"
    }
}

/// How a token for the API reaches a pod's containers.
public enum TokenExposure: String, Sendable {
    /// Injected by the ServiceAccount admission plugin.
    case automount
    /// An explicit projected `serviceAccountToken` source.
    case projected
    /// A token Secret mounted as a volume.
    case secretVolume = "secret-volume"
    /// A token Secret read into the environment.
    case secretEnvironment = "secret-env"
    /// A CSI driver with tokenRequests may hold one.
    case csi
}

/// A credential for the API that a pod's containers can read.
public struct PodToken: Hashable, Sendable {
    /// The account it speaks for, in the pod's namespace.
    public var serviceAccountName: String
    /// How it gets there.
    public var exposure: TokenExposure
    /// `nil` = the API server's audience.
    public var audience: String?

    /// Creates a token.
    public init(serviceAccountName: String, exposure: TokenExposure, audience: String? = nil) {
        self.serviceAccountName = serviceAccountName
        self.exposure = exposure
        self.audience = audience
    }
}

/// What becomes of a pod in the ServiceAccount admission plugin (semantics §11).
public struct PodIdentity: Hashable, Sendable {
    /// Whether the plugin refuses the pod: a missing account, or a mirror pod that refers to one.
    public var isRejected = false
    /// The account it runs as; `nil` for a mirror pod.
    public var serviceAccountName: String?
    /// Places in the spec's `containers` that get the injected token.
    public var injectedInto: [Int] = []
    /// Names of imagePullSecrets after admission.
    public var imagePullSecrets: [String] = []
    /// Credentials that the containers can read.
    public var tokens: [PodToken] = []

    /// Applies the plugin to a spec.
    ///
    /// - Parameters:
    ///   - spec: of a pod or of a pod template.
    ///   - isMirror: whether the pod carries the annotation `kubernetes.io/config.mirror`.
    ///   - account: automount and pull secrets of an account by name; `nil` when it does not exist.
    ///   - isAccountRequired: whether a missing account refuses the pod, as the plugin does. Offline it is only unknown.
    ///   - tokenAccount: the account that a Secret of the pod's namespace holds a token of; `nil` when it holds none.
    public init(
        spec: PodSpec, isMirror: Bool, isAccountRequired: Bool = false, account: (String) -> ServiceAccount?,
        tokenAccount: (String) -> String? = { _ in nil }
    ) {
        if isMirror {
            // A static pod has no identity; one that asks for any is refused (semantics POD-7).
            isRejected =
                !(spec.serviceAccountName ?? "").isEmpty || !spec.secretVolumes.isEmpty || !spec.secretEnvironment.isEmpty
                || !spec.tokenProjections.isEmpty
            return
        }
        let name = spec.effectiveServiceAccountName
        let found = account(name)
        if found == nil, isAccountRequired {
            isRejected = true
            return
        }
        serviceAccountName = name
        imagePullSecrets = spec.imagePullSecrets.isEmpty ? found?.imagePullSecrets ?? [] : spec.imagePullSecrets
        if spec.automount ?? found?.automount ?? true {
            injectedInto = spec.containers.indices.filter {
                spec.containers[$0].list != .ephemeralContainers && !spec.containers[$0].mountsTokenPath
            }
        }
        let wasInjected = !injectedInto.isEmpty || spec.tokenProjections.contains(where: \.isInjected)
        if wasInjected { tokens.append(PodToken(serviceAccountName: name, exposure: .automount)) }
        for projection in spec.tokenProjections where !projection.isInjected {
            tokens.append(PodToken(serviceAccountName: name, exposure: .projected, audience: projection.audience))
        }
        for secret in spec.secretVolumes {
            guard let other = tokenAccount(secret) else { continue }
            tokens.append(PodToken(serviceAccountName: other, exposure: .secretVolume))
        }
        for secret in spec.secretEnvironment {
            guard let other = tokenAccount(secret) else { continue }
            tokens.append(PodToken(serviceAccountName: other, exposure: .secretEnvironment))
        }
    }
}
