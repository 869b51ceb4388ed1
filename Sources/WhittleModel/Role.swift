/// What every object of the input carries besides its own fields.
public struct ObjectMeta: Hashable, Sendable {
    /// `""` for a cluster-scoped object.
    public var namespace: String
    /// metadata.name.
    public var name: String
    /// metadata.uid; `nil` in a manifest at rest, present in everything that an API server gave out.
    public var uid: String?
    /// metadata.creationTimestamp, seconds since 1970 UTC; `nil` unknown.
    public var creationTimestamp: Int64?
    /// metadata.labels.
    public var labels: Labels
    /// Who else writes the object; `nil` nobody that is known. Read for roles and bindings only.
    public var manager: ObjectManager?
    /// Where the object is written; `nil` for built-in ones.
    public var location: SourceLocation?

    /// Creates the metadata of an object.
    public init(
        namespace: String = "", name: String, uid: String? = nil, creationTimestamp: Int64? = nil,
        labels: Labels = [:], manager: ObjectManager? = nil, location: SourceLocation? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.creationTimestamp = creationTimestamp
        self.labels = labels
        self.manager = manager
        self.location = location
    }

    /// Whether an API server gave the object out: its text is no source that people edit.
    public var isLive: Bool { uid != nil }
}

/// A rule with the place where it is written.
public struct WrittenRule: Hashable, Sendable {
    /// The rule.
    public var rule: PolicyRule
    /// Where it is written; `nil` for built-in rules.
    public var location: SourceLocation?
    /// The ClusterRole that an aggregated rule was taken from; `nil` for a rule of the role itself.
    public var aggregatedFrom: String?

    /// Creates a rule with its place.
    public init(_ rule: PolicyRule, location: SourceLocation? = nil, aggregatedFrom: String? = nil) {
        self.rule = rule
        self.location = location
        self.aggregatedFrom = aggregatedFrom
    }
}

/// A Role or ClusterRole.
public struct Role: Hashable, Sendable {
    /// Name, namespace (`""` for a ClusterRole), labels, place.
    public var meta: ObjectMeta
    /// Rules as stored, duplicates and empty ones included.
    public var rules: [WrittenRule]
    /// Selectors of the aggregationRule; `nil` when there is none. A `nil` element is a null selector.
    public var aggregationSelectors: [LabelSelector?]?
    /// The rules computed from the selectors where they are used instead of the stored ones; `nil` = stored rules count.
    public var computedRules: [WrittenRule]?
    /// Whether the role comes from the built-in set of Kubernetes defaults, not from the input.
    public var isAssumed: Bool

    /// Creates a role.
    public init(
        meta: ObjectMeta, rules: [WrittenRule], aggregationSelectors: [LabelSelector?]? = nil, isAssumed: Bool = false
    ) {
        self.meta = meta
        self.rules = rules
        self.aggregationSelectors = aggregationSelectors
        self.isAssumed = isAssumed
    }

    /// `Role` or `ClusterRole`.
    public var kind: String { meta.namespace.isEmpty ? "ClusterRole" : "Role" }
    /// The rules that count.
    public var effectiveRules: [WrittenRule] { computedRules ?? rules }
}

/// The role that a binding points at; its apiGroup is never examined (semantics SCP-7).
public struct RoleRef: Hashable, Sendable {
    /// `Role` or `ClusterRole`, as written.
    public var kind: String
    /// As written.
    public var name: String

    /// Creates a reference.
    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// A subject with the place where it is written.
public struct WrittenSubject: Hashable, Sendable {
    /// The subject.
    public var subject: Subject
    /// Where it is written; `nil` for built-in bindings.
    public var location: SourceLocation?

    /// Creates a subject with its place.
    public init(_ subject: Subject, location: SourceLocation? = nil) {
        self.subject = subject
        self.location = location
    }
}

/// A RoleBinding or ClusterRoleBinding.
public struct Binding: Hashable, Sendable {
    /// Name, namespace (`""` for a ClusterRoleBinding), labels, place. The namespace is the scope of every grant of it.
    public var meta: ObjectMeta
    /// The role it points at.
    public var roleRef: RoleRef
    /// Subjects in list order.
    public var subjects: [WrittenSubject]
    /// Whether the binding comes from the built-in set of Kubernetes defaults, not from the input.
    public var isAssumed: Bool

    /// Creates a binding.
    public init(meta: ObjectMeta, roleRef: RoleRef, subjects: [WrittenSubject], isAssumed: Bool = false) {
        self.meta = meta
        self.roleRef = roleRef
        self.subjects = subjects
        self.isAssumed = isAssumed
    }

    /// `RoleBinding` or `ClusterRoleBinding`.
    public var kind: String { meta.namespace.isEmpty ? "ClusterRoleBinding" : "RoleBinding" }
}
