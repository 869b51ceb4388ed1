/// What the API server would reject about an RBAC object (semantics MAN-1).
///
/// Follows pkg/apis/rbac/validation/validation.go. The evaluator is laxer, so such objects are evaluated all the same.
public enum Validation {
    /// One problem.
    public struct Problem: Hashable, Sendable, CustomStringConvertible {
        /// `Required`, `Invalid` or `NotSupported`, as the API names them.
        public var type: String
        /// The field: `rules[0].verbs`.
        public var field: String

        /// Creates a problem.
        public init(_ type: String, _ field: String) {
            self.type = type
            self.field = field
        }

        /// `rules[0].verbs is required`.
        public var description: String {
            let words = ["Required": "required", "Invalid": "invalid", "NotSupported": "not supported"]
            return "\(field) is \(words[type] ?? type)"
        }
    }

    /// Problems of a Role or ClusterRole, `kind` as written.
    public static func problems(of role: Role, kind: String) -> [Problem] {
        problems(of: role.meta, kind: kind)
            + role.rules.enumerated().flatMap { problems(of: $1.rule, at: "rules[\($0)]", isNamespaced: kind == "Role") }
    }

    /// Problems of one rule.
    public static func problems(of rule: PolicyRule, at field: String, isNamespaced: Bool) -> [Problem] {
        func isEmpty(_ list: [String]?) -> Bool { list?.isEmpty ?? true }
        var result: [Problem] = []
        if isEmpty(rule.verbs) { result.append(Problem("Required", "\(field).verbs")) }
        if !isEmpty(rule.nonResourceURLs) {
            if isNamespaced || !isEmpty(rule.apiGroups) || !isEmpty(rule.resources) || !isEmpty(rule.resourceNames) {
                result.append(Problem("Invalid", "\(field).nonResourceURLs"))
            }
            return result
        }
        if isEmpty(rule.apiGroups) { result.append(Problem("Required", "\(field).apiGroups")) }
        if isEmpty(rule.resources) { result.append(Problem("Required", "\(field).resources")) }
        return result
    }

    /// Problems of a RoleBinding or ClusterRoleBinding, `kind` as written.
    ///
    /// - Parameter roleRefGroup: the roleRef's apiGroup as written; absent and empty are defaulted.
    public static func problems(of binding: Binding, kind: String, roleRefGroup: String?) -> [Problem] {
        var result = problems(of: binding.meta, kind: kind) + problems(of: binding.roleRef, of: kind, apiGroup: roleRefGroup)
        for (index, written) in binding.subjects.enumerated() {
            result += problems(of: written.subject, at: "subjects[\(index)]", isNamespaced: kind == "RoleBinding")
        }
        return result
    }

    /// Problems of the roleRef of a RoleBinding or ClusterRoleBinding, `kind` as written.
    public static func problems(of roleRef: RoleRef, of kind: String, apiGroup: String?) -> [Problem] {
        var result: [Problem] = []
        if !(apiGroup ?? "").isEmpty, apiGroup != rbacGroup { result.append(Problem("NotSupported", "roleRef.apiGroup")) }
        let kinds = kind == "RoleBinding" ? ["Role", "ClusterRole"] : ["ClusterRole"]
        if !kinds.contains(roleRef.kind) { result.append(Problem("NotSupported", "roleRef.kind")) }
        if roleRef.name.isEmpty { result.append(Problem("Required", "roleRef.name")) }
        return result
    }

    private static let rbacGroup = "rbac.authorization.k8s.io"

    /// Problems of one subject of a RoleBinding (`isNamespaced`) or ClusterRoleBinding.
    public static func problems(of subject: Subject, at field: String, isNamespaced: Bool) -> [Problem] {
        guard !subject.name.isEmpty else { return [Problem("Required", "\(field).name")] }
        let group = subject.apiGroup ?? ""
        switch subject.kind {
        case "ServiceAccount":
            var result: [Problem] = []
            if !ServiceAccountName.isSubdomain(subject.name[...]) { result.append(Problem("Invalid", "\(field).name")) }
            if !group.isEmpty { result.append(Problem("NotSupported", "\(field).apiGroup")) }
            if !isNamespaced, (subject.namespace ?? "").isEmpty { result.append(Problem("Required", "\(field).namespace")) }
            return result
        case "User", "Group":
            return group.isEmpty || group == rbacGroup ? [] : [Problem("NotSupported", "\(field).apiGroup")]
        default: return [Problem("NotSupported", "\(field).kind")]
        }
    }

    /// Problems of the metadata of a Role, ClusterRole, RoleBinding or ClusterRoleBinding.
    public static func problems(of meta: ObjectMeta, kind: String) -> [Problem] {
        var result: [Problem] = []
        if meta.name.isEmpty { result.append(Problem("Required", "metadata.name")) }
        if ["Role", "RoleBinding"].contains(kind), meta.namespace.isEmpty { result.append(Problem("Required", "metadata.namespace")) }
        return result
    }
}

/// What a rule says that its author hardly meant, although the API server accepts it (semantics MAN-4).
public enum RuleLint {
    /// A finding about one rule.
    public struct Finding: Hashable, Sendable {
        /// Kebab-case, a heading in docs/diagnostics.md.
        public var id: String
        /// One sentence.
        public var message: String
        /// How to mend it.
        public var help: String
    }

    private static func holdsWhiteSpace(_ text: String) -> Bool {
        text.utf8.contains { $0 <= 0x20 || $0 >= 0x80 } && text.unicodeScalars.contains(where: \.properties.isWhitespace)
    }

    private static func holdsRepetition(_ list: [String]) -> Bool {
        // Most lists hold a handful of entries: comparing them is cheaper than hashing.
        guard list.count <= 8 else { return list.uniqued().count < list.count }
        return list.indices.contains { index in list[..<index].contains { $0.isSameBytes(as: list[index]) } }
    }

    /// Findings of one rule, in the order of its fields.
    public static func findings(_ rule: PolicyRule) -> [Finding] {
        var result: [Finding] = []
        let lists = [rule.verbs, rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs].map { $0 ?? [] }
        for entry in lists.joined() where holdsWhiteSpace(entry) {
            result.append(
                Finding(
                    id: "white-space-in-rule", message: "`\(entry)` holds white space, which is part of it", help: "remove the white space")
            )
        }
        for list in lists where holdsRepetition(list) {
            result.append(
                Finding(id: "duplicate-entry-in-rule", message: "a list of the rule names an entry twice", help: "keep one of them"))
        }
        for resource in rule.resources ?? [] where resource.utf8.contains(UInt8(ascii: "*")) && resource != "*" {
            let isSubresourcePattern = resource.hasPrefix("*/") && resource.count > 2 && !resource.dropFirst(2).contains("*")
            if !isSubresourcePattern {
                result.append(
                    Finding(
                        id: "literal-resource-pattern", message: "`\(resource)` is no pattern: it matches only a resource spelled so",
                        help: "only `*`, `pods/exec` and `*/exec` have a meaning; name the subresources meant"))
            }
        }
        for url in rule.nonResourceURLs ?? []
        where url.utf8.contains(UInt8(ascii: "*")) && url.dropLast().contains("*") && url.contains(where: { $0 != "*" }) {
            let inner = url.reversed().drop { $0 == "*" }
            if inner.contains("*") {
                result.append(
                    Finding(
                        id: "literal-url-star", message: "the inner `*` of `\(url)` is literal", help: "only a `*` at the end is a pattern")
                )
            }
        }
        if !(rule.resourceNames ?? []).isEmpty, !(rule.resourceNames ?? []).contains("") {
            let topLevel = (rule.resources ?? []).contains { !$0.contains("/") }
            for verb in rule.verbs ?? [] where topLevel && ["create", "list", "watch", "deletecollection"].contains(verb) {
                let when =
                    switch verb {
                    case "create": "creation by apply or PUT, never POST"
                    case "deletecollection": "nothing: it carries no name"
                    default: "requests with the field selector metadata.name"
                    }
                result.append(
                    Finding(
                        id: "names-with-nameless-verb", message: "`\(verb)` with resourceNames matches \(when)",
                        help: "put `\(verb)` into a rule without resourceNames if other requests are meant"))
            }
        }
        return result
    }
}
