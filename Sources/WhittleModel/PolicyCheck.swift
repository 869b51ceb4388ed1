/// Something that an admission policy or webhook asks the API server's authorizer about while it decides on a request.
///
/// Such a check may concern any verb and resource, also invented ones, and leaves no audit event (semantics HID-9, HID-10).
public struct PolicyCheck: Hashable, Sendable {
    /// Which requests a policy is asked about, as `resourceRules` and the `rules` of a webhook say it.
    public struct MatchRule: Hashable, Sendable, Codable {
        /// Groups, or `*`.
        public var apiGroups: [String]
        /// Versions, or `*`.
        public var apiVersions: [String]
        /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`.
        public var operations: [String]
        /// As `pods`, `pods/exec`, `pods/*` (with and without subresource), `*` (all without subresource) or `*/*`.
        public var resources: [String]
        /// Names; empty = every name.
        public var resourceNames: [String]
        /// `Cluster`, `Namespaced` or `*`.
        public var scope: String

        /// Creates a rule.
        public init(
            apiGroups: [String], apiVersions: [String] = ["*"], operations: [String], resources: [String], resourceNames: [String] = [],
            scope: String = "*"
        ) {
            self.apiGroups = apiGroups
            self.apiVersions = apiVersions
            self.operations = operations
            self.resources = resources
            self.resourceNames = resourceNames
            self.scope = scope
        }
    }

    /// What the check is about.
    public enum Target: String, Sendable {
        /// A resource that the expression spells.
        case resource
        /// A path: `authorizer.path(…)`.
        case url
        /// Resource, namespace and name of the request itself: `authorizer.requestResource`.
        case request
        /// Every object of a policy's paramKind, asked about whoever writes the policy.
        case parameter
        /// What a scanner of call chains cannot tell.
        case computed
    }

    /// Who the check is about.
    public enum Subject: Hashable, Sendable {
        /// Who makes the request.
        case requester
        /// A service account; `nil` = computed.
        case serviceAccount(namespace: String?, name: String?)
    }

    /// `ValidatingAdmissionPolicy`, `MutatingAdmissionPolicy`, `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`.
    public var policyKind: String
    /// metadata.name of that object.
    public var policyName: String
    /// Where the expression is written; `nil` unknown.
    public var location: SourceLocation?
    /// Requests that it is made for.
    public var rules: [MatchRule]
    /// Of these: requests that it is not made for.
    public var excludedRules: [MatchRule]
    /// Whom it is about.
    public var subject = Subject.requester
    /// What it is about; decides which of the following count.
    public var target: Target
    /// The verb; `nil` = computed.
    public var verb: String?
    /// The group, `""` is the core group; `nil` = computed.
    public var apiGroup: String?
    /// The resource without subresource; `nil` = computed.
    public var resource: String?
    /// The subresource, `""` is none; `nil` = computed.
    public var subresource: String?
    /// The namespace, `""` is a cluster-wide check; `nil` = computed.
    public var namespace: String?
    /// The object's name, `""` is none; `nil` = computed.
    public var name: String?
    /// The path of a URL; `nil` = computed.
    public var path: String?
    /// The kind of a parameter; `nil` for all other targets.
    public var parameterKind: String?
    /// The call as it is written, on one line and cut when it is long.
    public var expression = ""

    /// Creates a check about the requester of which nothing but its target is known.
    public init(
        policyKind: String, policyName: String, location: SourceLocation? = nil, rules: [MatchRule] = [],
        excludedRules: [MatchRule] = [], target: Target
    ) {
        self.policyKind = policyKind
        self.policyName = policyName
        self.location = location
        self.rules = rules
        self.excludedRules = excludedRules
        self.target = target
    }
}

/// A ValidatingAdmissionPolicy, MutatingAdmissionPolicy, ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
public struct AdmissionPolicy: Hashable, Sendable {
    /// Which of the four.
    public var kind: String
    /// Name, labels, place.
    public var meta: ObjectMeta
    /// What it asks the authorizer about, in the order of its expressions; empty for most.
    public var checks: [PolicyCheck]

    /// Creates a policy.
    public init(kind: String, meta: ObjectMeta, checks: [PolicyCheck] = []) {
        self.kind = kind
        self.meta = meta
        self.checks = checks
    }
}

extension ClusterState {
    /// What the policies and webhooks of the input ask the authorizer about.
    public var policyChecks: [PolicyCheck] { admissionPolicies.flatMap(\.checks) }
}
