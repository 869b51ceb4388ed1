/// What a subject or caller is to the authorizer: a user name or a group name.
///
/// A service account is the user `system:serviceaccount:<namespace>:<name>`.
public struct Identity: Hashable, Sendable {
    /// User or Group.
    public enum Kind: String, Sendable {
        /// A user name, service accounts and nodes included.
        case user = "User"
        /// A group name.
        case group = "Group"
    }

    /// User or Group.
    public var kind: Kind
    /// The name, compared byte-wise.
    public var name: String

    /// Byte-wise equality.
    public static func == (left: Identity, right: Identity) -> Bool {
        left.kind == right.kind && left.name.isSameBytes(as: right.name)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(ByteString(name))
    }

    /// Creates an identity.
    public init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }
}

/// A subject as a binding lists it.
public struct Subject: Hashable, Sendable {
    /// `User`, `Group` or `ServiceAccount`; anything else never matches.
    public var kind: String
    /// As written; `nil` absent.
    public var namespace: String?
    /// As written.
    public var name: String
    /// As written; the evaluator never looks at it.
    public var apiGroup: String?

    /// Creates a subject.
    public init(kind: String, namespace: String? = nil, name: String, apiGroup: String? = nil) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.apiGroup = apiGroup
    }

    /// Whom the subject means in a binding of `namespace` (`""` for a ClusterRoleBinding), semantics SUB-2 to SUB-6.
    ///
    /// - Returns: `nil` when it can never match: an unknown kind, or a service account without a namespace in a
    ///   ClusterRoleBinding.
    public func identity(inBindingOf bindingNamespace: String) -> Identity? {
        switch kind {
        case "User": return Identity(.user, name)
        case "Group": return Identity(.group, name)
        case "ServiceAccount":
            let own = namespace ?? ""
            let effective = own.isEmpty ? bindingNamespace : own
            return effective.isEmpty ? nil : Identity(.user, ServiceAccountName.username(namespace: effective, name: name))
        default: return nil
        }
    }

    /// The place in the list of the first subject that means `user`; `nil` when none does.
    public static func firstMatch(_ subjects: [Subject], user: UserInfo, bindingNamespace: String) -> Int? {
        subjects.firstIndex { subject in
            guard let identity = subject.identity(inBindingOf: bindingNamespace) else { return false }
            switch identity.kind {
            case .user: return identity.name.isSameBytes(as: user.name)
            case .group: return user.groups.containsBytes(identity.name)
            }
        }
    }
}

/// How a service account appears to the authorizer (apiserver/pkg/authentication/serviceaccount).
public enum ServiceAccountName {
    /// `system:serviceaccount:`.
    public static let prefix = "system:serviceaccount:"
    /// The group of every service account.
    public static let everyAccount = "system:serviceaccounts"

    /// The user name of an account.
    public static func username(namespace: String, name: String) -> String { "\(prefix)\(namespace):\(name)" }

    /// The groups that authentication adds to an account, `system:authenticated` aside.
    public static func groups(namespace: String) -> [String] { [everyAccount, "\(everyAccount):\(namespace)"] }

    /// The user behind an account with all groups that a request of it carries (semantics SUB-5).
    public static func user(namespace: String, name: String) -> UserInfo {
        UserInfo(
            name: username(namespace: namespace, name: name),
            groups: groups(namespace: namespace) + [ImplicitGroup.authenticated])
    }

    /// The extra keys of a token's user, which name the pod and node it is bound to (semantics AUD-20).
    public static func tokenExtra(podName: String = "", podUID: String = "", nodeName: String = "", nodeUID: String = "") -> [String:
        [String]]
    {
        let prefix = "authentication.kubernetes.io/"
        var extra: [String: [String]] = [:]
        if !podName.isEmpty, !podUID.isEmpty {
            extra[prefix + "pod-name"] = [podName]
            extra[prefix + "pod-uid"] = [podUID]
        }
        if !nodeName.isEmpty {
            extra[prefix + "node-name"] = [nodeName]
            if !nodeUID.isEmpty { extra[prefix + "node-uid"] = [nodeUID] }
        }
        return extra
    }

    /// Whether the account is the one that `username` names; no check of either part.
    public static func matches(namespace: String, name: String, username: String) -> Bool {
        username.isSameBytes(as: self.username(namespace: namespace, name: name))
    }

    /// Namespace and name of a user name that is well formed: a DNS label and a DNS subdomain.
    public static func split(_ username: String) -> (namespace: String, name: String)? {
        guard username.hasBytePrefix(prefix) else { return nil }
        let (namespace, name) = username[username.utf8.index(username.startIndex, offsetBy: prefix.utf8.count)...].splitBytes(at: ":")
        guard let name, isLabel(namespace[...]), isSubdomain(name[...]) else { return nil }
        return (namespace, name)
    }

    /// Whether a text is a DNS label, as the name of a namespace is.
    package static func isLabel(_ text: Substring) -> Bool {
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// Whether a text is a DNS subdomain.
    static func isSubdomain(_ text: Substring) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                guard let first = label.utf8.first, let last = label.utf8.last else { return false }
                return isAlphanumeric(first) && isAlphanumeric(last)
                    && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// Groups that the API server adds by itself (semantics SUB-5, SUB-7).
public enum ImplicitGroup {
    /// Every authenticated user.
    public static let authenticated = "system:authenticated"
    /// Every anonymous request.
    public static let unauthenticated = "system:unauthenticated"
    /// Every kubelet.
    public static let nodes = "system:nodes"
    /// Allowed before any authorizer is asked (semantics SCP-8).
    public static let masters = "system:masters"
    /// The user name of anonymous requests.
    public static let anonymousUser = "system:anonymous"
    /// The start of a kubelet's user name.
    public static let nodeUserPrefix = "system:node:"

    /// The groups of a user that comes from a manifest or the command line, explicit ones included.
    public static func groups(ofUser name: String, explicit: [String] = []) -> [String] {
        var groups = explicit
        if let account = ServiceAccountName.split(name) { groups += ServiceAccountName.groups(namespace: account.namespace) }
        if name.hasBytePrefix(nodeUserPrefix) { groups.append(nodes) }
        if name == anonymousUser {
            groups.append(unauthenticated)
        } else if !groups.contains(authenticated), !groups.contains(unauthenticated) {
            groups.append(authenticated)
        }
        return groups.uniqued()
    }
}
