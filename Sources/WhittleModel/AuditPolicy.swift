/// What an API server was told to log: `audit.k8s.io` kind Policy.
///
/// Follows apiserver/pkg/audit/policy/checker.go. A policy is asked about the authenticated user, before impersonation, and about
/// the attributes of the authorizer, so a create without subresource has no name (semantics AUD-4). All comparison is byte-wise.
public struct AuditPolicy: Hashable, Sendable {
    /// How much of a request an event tells.
    public enum Level: String, CaseIterable, Sendable {
        /// There is no event.
        case none = "None"
        /// Everything but the bodies.
        case metadata = "Metadata"
        /// The body of the request too.
        case request = "Request"
        /// Both bodies.
        case requestResponse = "RequestResponse"
    }

    /// When an event is written.
    public enum Stage: String, CaseIterable, Sendable {
        /// Before anything was decided.
        case requestReceived = "RequestReceived"
        /// The headers of a long-running answer were sent.
        case responseStarted = "ResponseStarted"
        /// The answer was sent.
        case responseComplete = "ResponseComplete"
        /// The handler failed.
        case panic = "Panic"
    }

    /// Resources of one group.
    public struct GroupResources: Hashable, Sendable {
        /// `""` is the core group; there is no wildcard.
        public var group: String
        /// `pods`, `pods/log`, `pods/*`, `*/scale`, `*`; none = every resource and subresource.
        public var resources: [String]
        /// None = every request, named or not.
        public var resourceNames: [String]

        /// Creates an element.
        public init(group: String = "", resources: [String] = [], resourceNames: [String] = []) {
            self.group = group
            self.resources = resources
            self.resourceNames = resourceNames
        }
    }

    /// One rule; an empty list puts no condition.
    public struct Rule: Hashable, Sendable {
        /// What is logged of a request that the rule matches.
        public var level: Level
        /// User names.
        public var users: [String]
        /// Groups, one of which the user must be in.
        public var userGroups: [String]
        /// Verbs as the authorizer sees them; there is no wildcard.
        public var verbs: [String]
        /// With this or `namespaces` the rule is for resource requests only.
        public var resources: [GroupResources]
        /// `""` is a request without namespace.
        public var namespaces: [String]
        /// Paths; a trailing `*` is a prefix match. Without `resources` and `namespaces` the rule is for URLs only.
        public var nonResourceURLs: [String]
        /// Stages that are not logged, beside those of the policy.
        public var omitStages: Set<Stage>

        /// Creates a rule without conditions.
        public init(
            _ level: Level, users: [String] = [], userGroups: [String] = [], verbs: [String] = [], resources: [GroupResources] = [],
            namespaces: [String] = [], nonResourceURLs: [String] = [], omitStages: Set<Stage> = []
        ) {
            self.level = level
            self.users = users
            self.userGroups = userGroups
            self.verbs = verbs
            self.resources = resources
            self.namespaces = namespaces
            self.nonResourceURLs = nonResourceURLs
            self.omitStages = omitStages
        }
    }

    /// What a policy says about a request.
    public struct Decision: Hashable, Sendable {
        /// How much is told.
        public var level: Level
        /// Stages without an event.
        public var omittedStages: Set<Stage>

        /// Whether a request leaves an event that proves something once it was answered (semantics AUD-2).
        ///
        /// Only what runs long has stage ResponseStarted, and only what fails has stage Panic.
        public func leavesEvidence(of request: Request) -> Bool {
            guard level != .none else { return false }
            return !omittedStages.contains(.responseComplete) || (request.isLongRunning && !omittedStages.contains(.responseStarted))
        }
    }

    /// The rules, of which the first that matches counts.
    public var rules: [Rule]
    /// Stages that no rule logs.
    public var omitStages: Set<Stage>

    /// Creates a policy.
    public init(rules: [Rule], omitStages: Set<Stage> = []) {
        self.rules = rules
        self.omitStages = omitStages
    }

    /// What is logged of a request; nothing when no rule matches.
    public func decision(on request: Request, by user: UserInfo) -> Decision {
        for rule in rules where rule.matches(user) && rule.matches(request) {
            return Decision(level: rule.level, omittedStages: rule.omitStages.union(omitStages))
        }
        return Decision(level: .none, omittedStages: omitStages)
    }

    /// The policy as it is for one user: the rules for others are left out, and no rule names a user.
    public func rules(for user: UserInfo) -> AuditPolicy {
        AuditPolicy(
            rules: rules.filter { $0.matches(user) }.map { rule in
                var rule = rule
                (rule.users, rule.userGroups) = ([], [])
                return rule
            }, omitStages: omitStages)
    }
}

extension AuditPolicy.Rule {
    /// Whether the rule is for requests of a user.
    func matches(_ user: UserInfo) -> Bool {
        (users.isEmpty || users.containsBytes(user.name))
            && (userGroups.isEmpty || user.groups.contains { userGroups.containsBytes($0) })
    }

    /// Whether the rule is for requests with these attributes.
    func matches(_ request: Request) -> Bool {
        guard verbs.isEmpty || verbs.containsBytes(request.verb) else { return false }
        if !namespaces.isEmpty || !resources.isEmpty {
            guard request.isResourceRequest, namespaces.isEmpty || namespaces.containsBytes(request.namespace) else { return false }
            return resources.isEmpty || resources.contains { $0.matches(request) }
        }
        guard !nonResourceURLs.isEmpty else { return true }
        return request.path.map { RuleMatcher.nonResourceURL($0, isIn: nonResourceURLs) } ?? false
    }
}

extension AuditPolicy.GroupResources {
    fileprivate func matches(_ request: Request) -> Bool {
        guard group.isSameBytes(as: request.apiGroup) else { return false }
        // An empty list is the whole group, whatever names stand beside it.
        guard !resources.isEmpty else { return true }
        guard resourceNames.isEmpty || resourceNames.containsBytes(request.name) else { return false }
        return covers(request.resource, request.subresource)
    }

    /// Whether some name of a resource, as a Role spells it, is meant.
    package func coversSome(of resource: String, in apiGroup: String) -> Bool {
        let (base, subresource) = resource.splitBytes(at: "/")
        return group.isSameBytes(as: apiGroup) && (resources.isEmpty || covers(base, subresource ?? ""))
    }

    private func covers(_ resource: String, _ subresource: String) -> Bool {
        resources.contains { pattern in
            if pattern == "*" || pattern.isSameBytes(as: subresource.isEmpty ? resource : "\(resource)/\(subresource)") { return true }
            if !subresource.isEmpty, pattern.isSameBytes(as: "*/\(subresource)") { return true }
            // `pods/*` is pods itself too.
            return pattern.isSameBytes(as: "\(resource)/*")
        }
    }
}

extension Request {
    private static let longRunningSubresources: Set = ["attach", "exec", "log", "portforward", "proxy"]

    /// Whether the server answers over a long time and writes stage ResponseStarted (upstream's defaults).
    public var isLongRunning: Bool {
        if let path { return path.hasBytePrefix("/debug/pprof/") }
        return verb == "watch" || verb == "proxy" || Self.longRunningSubresources.contains(subresource)
    }
}
