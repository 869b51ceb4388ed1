import WhittleModel
import WhittleStore

/// A subject as people read it.
public struct SubjectName: Hashable, Sendable, CustomStringConvertible {
    /// `User`, `Group` or `ServiceAccount`.
    public var kind: String
    /// Namespace of a ServiceAccount; `nil` for the others.
    public var namespace: String?
    /// The name.
    public var name: String

    /// Creates a subject.
    public init(kind: String, namespace: String? = nil, name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }

    /// `ServiceAccount shop/cart`.
    public var description: String { "\(kind) \(namespace.map { "\($0)/" } ?? "")\(name)" }
}

/// The way a right reaches a subject: scope, binding, role and rule.
public struct Grant: Hashable, Sendable {
    /// Where it holds; `nil` = in every namespace and for cluster-scoped objects.
    public var scopeNamespace: String?
    /// `RoleBinding` or `ClusterRoleBinding`.
    public var bindingKind: String
    /// Name of the binding; a RoleBinding is in `scopeNamespace`.
    public var binding: String
    /// `Role` or `ClusterRole`.
    public var roleKind: String
    /// Name of the role; a Role is in `scopeNamespace`.
    public var role: String
    /// 0-based place of the rule among the role's rules.
    public var rule: Int
    /// Names the rule is limited to; `nil` = any request.
    public var names: [String]?
    /// Whether binding or role come from the built-in defaults.
    public var isAssumed: Bool
    /// Where the rule is written; `nil` for a built-in one.
    public var location: SourceLocation?
    /// The subject through which it applies.
    public var subject: SubjectName

    init(_ row: QueryResult.Row) {
        scopeNamespace = row["scope_namespace"].string
        bindingKind = row["binding_kind"].string ?? ""
        binding = row["binding"].string ?? ""
        roleKind = row["role_kind"].string ?? ""
        role = row["role"].string ?? ""
        rule = row["rule"].integer ?? 0
        names = row["only_named"].isTrue ? row["names"].string.flatMap { strings(fromJSONArray: $0) } : nil
        isAssumed = row["assumed"].isTrue
        if let file = row["file"].string, let line = row["line"].integer, let column = row["column"].integer {
            location = SourceLocation(file: file, line: line, column: column)
        }
        subject = SubjectName(
            kind: row["subject_kind"].string ?? "", namespace: row["subject_namespace"].string,
            name: row["subject_name"].string ?? "")
    }

    /// `RoleBinding shop/cart`.
    public var bindingText: String { bindingKind + " " + (scopeNamespace.map { "\($0)/" } ?? "") + binding }
    /// `Role shop/cart`.
    public var roleText: String { roleKind + " " + (roleKind == "Role" ? scopeNamespace.map { "\($0)/" } ?? "" : "") + role }
}

/// Why an answer cannot be given.
public enum AnalysisError: Error, CustomStringConvertible, Equatable {
    /// The input holds no such object.
    case unknown(kind: String, namespace: String, name: String)

    /// One sentence for people.
    public var description: String {
        switch self {
        case .unknown(let kind, let namespace, let name):
            "the input has no \(kind) `\(namespace.isEmpty ? name : "\(namespace)/\(name)")`"
        }
    }
}
