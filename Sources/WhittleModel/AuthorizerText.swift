/// The reason that the RBAC authorizer gives for an allow (semantics REA-1).
public struct GrantReason: Hashable, Sendable {
    /// `RoleBinding` or `ClusterRoleBinding`.
    public var bindingKind: String
    /// `""` for a ClusterRoleBinding.
    public var bindingNamespace: String
    /// The binding's name.
    public var bindingName: String
    /// `Role` or `ClusterRole`.
    public var roleKind: String
    /// The role's name.
    public var roleName: String
    /// The subject through which it applies; a ServiceAccount has its namespace.
    public var subject: Subject

    /// Parses `RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "app/ns"`; `nil` for any other text.
    public init?(_ text: String) {
        var scanner = TextScanner(text)
        guard scanner.take("RBAC: allowed by "), let bindingKind = scanner.word(), let binding = scanner.quoted(),
            scanner.take(" of "), let roleKind = scanner.word(), let role = scanner.quoted(), scanner.take(" to "),
            let subjectKind = scanner.word(), let subjectName = scanner.quoted(), scanner.isAtEnd
        else { return nil }
        self.bindingKind = bindingKind
        (bindingName, bindingNamespace) = bindingKind == "RoleBinding" ? Self.split(binding) : (binding, "")
        self.roleKind = roleKind
        roleName = role
        if subjectKind == "ServiceAccount" {
            let (name, namespace) = Self.split(subjectName)
            subject = Subject(kind: subjectKind, namespace: namespace, name: name)
        } else {
            subject = Subject(kind: subjectKind, name: subjectName)
        }
    }

    /// The server writes `name/namespace`, the reverse of the usual order; names hold no slash.
    private static func split(_ text: String) -> (name: String, namespace: String) {
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (text, "") }
        return (String(text[..<slash]), String(text[text.utf8.index(after: slash)...]))
    }
}

/// What an authorizer's reason tells when it names no grant.
public enum ReasonClass: String, Sendable {
    /// No text: system:masters, Node, AlwaysAllow, a silent webhook, or a plain denial.
    case empty
    /// RBAC met roles it could not resolve.
    case rbacError = "rbac-error"
    /// The authorizer itself failed.
    case authorizerError = "authorizer-error"
    /// Another authorizer's words.
    case other

    /// Classifies a text that is no `GrantReason`.
    public init(_ text: String) {
        if text.isEmpty {
            self = .empty
        } else if text.hasPrefix("RBAC: ") {
            self = .rbacError
        } else if text == "internal error" {
            self = .authorizerError
        } else {
            self = .other
        }
    }
}

/// The message of a request that authorization refused (semantics REA-4).
public struct ForbiddenMessage: Hashable, Sendable {
    /// Who was refused.
    public var user: String
    /// What was refused.
    public var request: Request
    /// The authorizer's reason; `""` none.
    public var reason: String

    /// Parses `pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" in the namespace "n"`.
    public init?(_ text: String) {
        var scanner = TextScanner(text)
        var name = ""
        if !scanner.take("forbidden: ") {
            guard scanner.skip(past: " is forbidden: ", orQuoted: &name) else { return nil }
        }
        guard scanner.take("User "), let user = scanner.quoted(), scanner.take(" cannot "), let verb = scanner.word() else {
            return nil
        }
        if scanner.take("path ") {
            guard let path = scanner.quoted() else { return nil }
            request = Request(verb: Self.unescaped(verb), path: Self.unescaped(path))
        } else {
            guard let (resource, apiGroup, subresource) = Self.resource(&scanner) else { return nil }
            var namespace = ""
            if scanner.take("in the namespace ") {
                guard let quoted = scanner.quoted() else { return nil }
                namespace = quoted
            } else if !scanner.take("at the cluster scope") {
                return nil
            }
            request = Request(
                verb: Self.unescaped(verb), apiGroup: Self.unescaped(apiGroup),
                resource: Self.unescaped(resource), subresource: Self.unescaped(subresource),
                namespace: Self.unescaped(namespace), name: name)
        }
        self.user = Self.unescaped(user)
        // Before Kubernetes 1.9 the sentence ended.
        _ = scanner.take(".")
        reason = scanner.take(": ") ? scanner.rest : ""
        guard scanner.isAtEnd || !reason.isEmpty else { return nil }
    }

    /// `resource "pods/log" in API group "" `; before Kubernetes 1.12 `pods/log ` or `deployments.apps/scale `.
    private static func resource(_ scanner: inout TextScanner) -> (resource: String, apiGroup: String, subresource: String)? {
        var rest = scanner
        if rest.take("resource "), let combined = rest.quoted() {
            guard rest.take(" in API group "), let apiGroup = rest.quoted(), rest.take(" ") else { return nil }
            scanner = rest
            let (resource, subresource) = combined.splitBytes(at: "/")
            return (resource, apiGroup, subresource ?? "")
        }
        guard let word = scanner.word() else { return nil }
        let (whole, subresource) = word.splitBytes(at: "/")
        let (resource, apiGroup) = whole.splitBytes(at: ".")
        return (resource, apiGroup ?? "", subresource ?? "")
    }

    /// The server escapes `&`, `<` and `>` for HTML in this text.
    private static func unescaped(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "&")) else { return text }
        return text.replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&#34;", with: "\"")
            .replacing("&#39;", with: "'").replacing("&amp;", with: "&")
    }
}

/// Reads fixed words and Go `%q` literals from left to right.
struct TextScanner {
    private var remaining: Substring.UTF8View

    init(_ text: String) { remaining = text[...].utf8 }

    var isAtEnd: Bool { remaining.isEmpty }
    var rest: String { String(Substring(remaining)) }

    mutating func take(_ prefix: String) -> Bool {
        guard remaining.starts(with: prefix.utf8) else { return false }
        remaining = remaining.dropFirst(prefix.utf8.count)
        return true
    }

    /// The next word and the space after it.
    mutating func word() -> String? {
        guard let space = remaining.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        defer { remaining = remaining[remaining.index(after: space)...] }
        return String(Substring(remaining[..<space]))
    }

    /// Moves past `marker`; the last quoted text before it goes to `quoted`.
    mutating func skip(past marker: String, orQuoted quoted: inout String) -> Bool {
        while !remaining.isEmpty {
            if take(marker) { return true }
            if remaining.first == UInt8(ascii: "\"") {
                guard let text = self.quoted() else { return false }
                quoted = text
            } else {
                remaining = remaining.dropFirst()
            }
        }
        return false
    }

    /// A Go string literal in double quotes, unquoted.
    mutating func quoted() -> String? {
        guard remaining.first == UInt8(ascii: "\"") else { return nil }
        var bytes: [UInt8] = []
        var rest = remaining.dropFirst()
        func hex(_ count: Int) -> UInt32? {
            let digits = rest.prefix(count)
            rest = rest.dropFirst(count)
            guard digits.count == count, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else { return nil }
            return UInt32(Substring(digits), radix: 16)
        }
        while let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            bytes += rest[..<end]
            let isEnd = rest[end] == UInt8(ascii: "\"")
            rest = rest[rest.index(after: end)...]
            if isEnd {
                remaining = rest
                return String(decoding: bytes, as: UTF8.self)
            }
            guard let code = rest.popFirst() else { return nil }
            switch UnicodeScalar(code) {
            case "n": bytes.append(0x0A)
            case "t": bytes.append(0x09)
            case "r": bytes.append(0x0D)
            case "a": bytes.append(0x07)
            case "b": bytes.append(0x08)
            case "f": bytes.append(0x0C)
            case "v": bytes.append(0x0B)
            case "x":
                guard let value = hex(2) else { return nil }
                bytes.append(UInt8(truncatingIfNeeded: value))
            case "u", "U":
                guard let value = hex(code == UInt8(ascii: "u") ? 4 : 8) else { return nil }
                bytes += Array(String(UnicodeScalar(value) ?? "\u{FFFD}").utf8)
            default: bytes.append(code)
            }
        }
        return nil
    }
}
