/// The RBAC authorizer over a set of roles and bindings, indexed by identity.
///
/// Follows pkg/registry/rbac/validation/rule.go and plugin/pkg/auth/authorizer/rbac (semantics §5). Knows nothing of the
/// Node authorizer and of the bypass of `system:masters`; `Decision` adds the latter.
public struct Authorizer: Sendable {
    /// A rule that allows a request, with the binding, subject and role it comes through.
    public struct Grant: Hashable, Sendable {
        /// Place of the binding in `bindings`.
        public var binding: Int
        /// Place of the first matching subject in the binding's list.
        public var subject: Int
        /// Place of the role in `roles`.
        public var role: Int
        /// Place of the first matching rule in the role's effective rules.
        public var rule: Int
    }

    /// The roles, in input order.
    public let roles: [Role]
    /// The bindings, in input order.
    public let bindings: [Binding]
    /// Per binding: the place of its role in `roles`; `nil` when it dangles.
    public let roleOfBinding: [Int?]
    private let bindingsByUser: [ByteString: [Attachment]]
    private let bindingsByGroup: [ByteString: [Attachment]]

    private struct Attachment: Sendable {
        var binding: Int
        var subject: Int
    }

    /// Indexes roles and bindings.
    public init(roles: [Role], bindings: [Binding]) {
        self.roles = roles
        self.bindings = bindings
        var roleByKey: [Key: Int] = [:]
        for (index, role) in roles.enumerated() { roleByKey[Key(role.meta.namespace, role.meta.name)] = index }
        roleOfBinding = bindings.map { binding in
            switch (binding.roleRef.kind, binding.meta.namespace.isEmpty) {
            case ("ClusterRole", _): roleByKey[Key("", binding.roleRef.name)]
            case ("Role", false): roleByKey[Key(binding.meta.namespace, binding.roleRef.name)]
            default: nil
            }
        }
        var byUser: [ByteString: [Attachment]] = [:]
        var byGroup: [ByteString: [Attachment]] = [:]
        for (index, binding) in bindings.enumerated() {
            for (ordinal, written) in binding.subjects.enumerated() {
                guard let identity = written.subject.identity(inBindingOf: binding.meta.namespace) else { continue }
                let attachment = Attachment(binding: index, subject: ordinal)
                switch identity.kind {
                case .user: byUser[ByteString(identity.name), default: []].append(attachment)
                case .group: byGroup[ByteString(identity.name), default: []].append(attachment)
                }
            }
        }
        bindingsByUser = byUser
        bindingsByGroup = byGroup
    }

    private struct Key: Hashable {
        var namespace: ByteString
        var name: ByteString
        init(_ namespace: String, _ name: String) {
            self.namespace = ByteString(namespace)
            self.name = ByteString(name)
        }
    }

    /// The bindings that a subject of matches `user`, each once with its first matching subject.
    ///
    /// In the order of the walk: ClusterRoleBindings, then RoleBindings of `namespace`; none of the latter when it is `""`.
    /// `nil` stands for every namespace.
    public func attachments(of user: UserInfo, in namespace: String?) -> [(binding: Int, subject: Int)] {
        var first: [Int: Int] = [:]
        func add(_ attachments: [Attachment]?) {
            for attachment in attachments ?? [] {
                let scope = bindings[attachment.binding].meta.namespace
                guard scope.isEmpty || namespace.map({ scope.isSameBytes(as: $0) }) ?? true else { continue }
                first[attachment.binding] = min(first[attachment.binding] ?? Int.max, attachment.subject)
            }
        }
        add(bindingsByUser[ByteString(user.name)])
        for group in user.groups { add(bindingsByGroup[ByteString(group)]) }
        return first.map { ($0.key, $0.value) }.sorted {
            let left = bindings[$0.binding].meta.namespace.isEmpty
            let right = bindings[$1.binding].meta.namespace.isEmpty
            return left == right ? $0.binding < $1.binding : left
        }
    }

    /// Every binding that allows the request, with its first matching rule; empty = RBAC has no opinion.
    public func grants(for request: Request, by user: UserInfo) -> [Grant] {
        attachments(of: user, in: request.isResourceRequest ? request.namespace : "").compactMap { attachment in
            guard let role = roleOfBinding[attachment.binding],
                let rule = roles[role].effectiveRules.firstIndex(where: { RuleMatcher.allows($0.rule, request) })
            else { return nil }
            return Grant(binding: attachment.binding, subject: attachment.subject, role: role, rule: rule)
        }
    }

    /// The decision as the authorizer walks: it stops at the first allowing rule and counts what did not resolve before.
    public func authorize(_ request: Request, by user: UserInfo) -> (allowed: Bool, resolutionErrors: Int) {
        var errors = 0
        for attachment in attachments(of: user, in: request.isResourceRequest ? request.namespace : "") {
            guard let role = roleOfBinding[attachment.binding] else {
                errors += 1
                continue
            }
            if roles[role].effectiveRules.contains(where: { RuleMatcher.allows($0.rule, request) }) { return (true, errors) }
        }
        return (false, errors)
    }

    /// All rules that apply to `user` in `namespace`, duplicates included, as a SelfSubjectRulesReview lists them.
    public func rules(for user: UserInfo, namespace: String) -> (rules: [PolicyRule], resolutionErrors: Int) {
        var rules: [PolicyRule] = []
        var errors = 0
        for attachment in attachments(of: user, in: namespace) {
            guard let role = roleOfBinding[attachment.binding] else {
                errors += 1
                continue
            }
            rules += roles[role].effectiveRules.map(\.rule)
        }
        return (rules, errors)
    }

    /// Every subject, binding by binding, whose role allows the request: upstream's subject locator without its bypasses.
    public func subjects(allowed request: Request) -> [(grant: Grant, subject: Subject)] {
        bindings.indices.filter { index in
            let scope = bindings[index].meta.namespace
            return scope.isEmpty || (request.isResourceRequest && scope.isSameBytes(as: request.namespace))
        }
        .sorted { bindings[$0].meta.namespace.isEmpty && !bindings[$1].meta.namespace.isEmpty }
        .flatMap { index -> [(grant: Grant, subject: Subject)] in
            guard let role = roleOfBinding[index],
                let rule = roles[role].effectiveRules.firstIndex(where: { RuleMatcher.allows($0.rule, request) })
            else { return [] }
            return bindings[index].subjects.enumerated().map {
                (Grant(binding: index, subject: $0.offset, role: role, rule: rule), $0.element.subject)
            }
        }
    }
}
