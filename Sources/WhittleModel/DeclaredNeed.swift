/// Something that an author says an account needs.
public struct DeclaredNeed: Hashable, Sendable {
    /// The form that the author wrote it in.
    public enum Origin: String, Hashable, Sendable {
        /// A `+kubebuilder:rbac` comment in Go source.
        case marker
        /// A permission of a ClusterServiceVersion.
        case csv
        /// A rule of a Role or ClusterRole.
        case manifest
        /// An entry of a `Needs` list.
        case needs
        /// A request, one JSON object per line.
        case request
    }

    /// A service account.
    public struct Account: Hashable, Sendable {
        /// Its namespace.
        public var namespace: String
        /// Its name.
        public var name: String

        /// Creates a reference.
        public init(namespace: String, name: String) {
            self.namespace = namespace
            self.name = name
        }

        /// Byte-wise equality.
        public static func == (left: Account, right: Account) -> Bool {
            left.namespace.isSameBytes(as: right.namespace) && left.name.isSameBytes(as: right.name)
        }

        /// Hashes the bytes.
        public func hash(into hasher: inout Hasher) {
            hasher.combine(ByteString(namespace))
            hasher.combine(ByteString(name))
        }
    }

    /// Where it is needed; `""` = in every namespace and for cluster-scoped objects and URLs.
    public var namespace: String
    /// Verb, group, resource, name, or verb and URL; only here a `*` is a wildcard.
    public var atom: RuleAtom
    /// Who needs it; `nil` = the account that is asked about.
    public var serviceAccount: Account?
    /// Where it is written; `nil` for a rule of a built-in role.
    public var location: SourceLocation?
    /// How it is written.
    public var origin: Origin

    /// Creates a need.
    public init(
        _ atom: RuleAtom, namespace: String, serviceAccount: Account? = nil, location: SourceLocation? = nil, origin: Origin
    ) {
        self.namespace = namespace
        self.atom = atom
        self.serviceAccount = serviceAccount
        self.location = location
        self.origin = origin
    }

    /// Byte-wise equality.
    public static func == (left: DeclaredNeed, right: DeclaredNeed) -> Bool {
        left.namespace.isSameBytes(as: right.namespace) && left.atom == right.atom && left.serviceAccount == right.serviceAccount
            && left.location == right.location && left.origin == right.origin
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ByteString(namespace))
        hasher.combine(atom)
        hasher.combine(serviceAccount)
        hasher.combine(location)
        hasher.combine(origin)
    }

    /// Whether the account needs it: it is named, or nobody is.
    public func concerns(_ account: Account) -> Bool { serviceAccount.map { $0 == account } ?? true }
}
