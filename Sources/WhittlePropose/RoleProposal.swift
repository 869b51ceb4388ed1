import WhittleModel

/// What a proposal is made of.
public struct ProposalBasis: Sendable {
    /// What the usage proves.
    public var observed: [EvidencedNeed] = []
    /// What an author states; never generalised.
    public var declared: [EvidencedNeed] = []
    /// What was refused; never granted unless `includesDenied` says so.
    public var denied: [EvidencedNeed] = []
    /// Which refused requests the user chose to allow.
    public var includesDenied: @Sendable (Need) -> Bool = { _ in false }
    /// Flags of the usage, see `UsageFlag`.
    public var hints: [String] = []
    /// What was seen and is not taken as a need, one sentence each.
    public var doubts: [String] = []
    /// Verbs and resources whose names the usage does not hold, because there were too many.
    public var droppedNames: [RuleAtom] = []
    /// All bindings of the cluster; `nil` = not known.
    public var current: Authorizer?
    /// Whose rights in `current` count; `nil` = those of the account that the proposal is for.
    public var holder: UserInfo?
    /// Bindings that remain whatever happens, such as those of the API server's own defaults.
    public var staying: Authorizer
    /// The steps to take beyond the needs.
    public var policy = GeneralisationPolicy()
    /// What over-grant is counted in.
    public var universe = ReferenceUniverse()
    /// Resources with their kinds and scopes.
    public var resources: [APIResource] = []
    /// What the admission policies and webhooks of the cluster ask the authorizer about.
    public var policyChecks: [PolicyCheck] = []
    /// How rules are grouped.
    public var layout = RoleMinimizer.Layout.compact
    /// So many namespaces with the same rules share one ClusterRole; 0 = none do.
    public var sharedRoleMinimum = 0

    /// A basis without evidence.
    public init(staying: Authorizer) { self.staying = staying }
}

/// The Roles, ClusterRoles and bindings that are enough for one service account.
public struct RoleProposal: Sendable {
    /// The account.
    public var namespace: String
    /// The account.
    public var name: String
    /// Everything it needs, also what stays from elsewhere, in canonical order.
    public var needs: [EvidencedNeed]
    /// Steps beyond the needs, in the order they were taken.
    public var generalisations: [Generalisation]
    /// Permissions that may be needed and cannot be said exactly, one sentence each.
    public var warnings: [String]
    /// What was refused and stays so.
    public var attempts: [EvidencedNeed]
    /// Requests that no rule can allow alone, see `Need.isExpressible`; left out.
    public var inexpressible: [Need]
    /// Of needs and steps: those that bindings which stay already give.
    public var alreadyGiven: [Need]
    /// The rules by scope, the cluster scope first.
    public var scopes: [RoleMinimizer.Scope]
    /// Roles and ClusterRoles, ClusterRoles first.
    public var roles: [Role]
    /// One binding per scope, in the order of `scopes`.
    public var bindings: [Binding]

    /// The label that says whose an object is.
    public static let managedByLabel = "app.kubernetes.io/managed-by"
    /// Its value on everything proposed.
    public static let manager = "whittle"
    /// What the names of everything proposed begin with.
    public static let namePrefix = "whittle:"

    /// Whether fewer rules are proven impossible.
    public var isProvenMinimal: Bool { scopes.allSatisfy(\.isProvenMinimal) }
    /// Rules in all roles.
    public var ruleCount: Int { roles.reduce(0) { $0 + $1.rules.count } }

    /// Proposes roles for exactly the needs that `staying` does not give.
    public init(namespace: String, name: String, needs: some Sequence<Need>, staying: Authorizer) {
        var basis = ProposalBasis(staying: staying)
        basis.observed = needs.map { EvidencedNeed($0, Evidence()) }
        basis.policy = .exact
        self.init(namespace: namespace, name: name, basis)
    }

    /// Proposes roles for the needs and the steps that the basis asks for, less what stays.
    public init(namespace: String, name: String, _ basis: ProposalBasis) {
        self.namespace = namespace
        self.name = name
        let all = EvidencedNeed.merged(basis.observed + basis.declared)
        needs = all.filter(\.need.isExpressible)
        inexpressible = all.filter { !$0.need.isExpressible }.map(\.need)
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let observed = Set(basis.observed.map(\.need).filter(\.isExpressible))

        generalisations = []
        warnings = []
        let denied = EvidencedNeed.merged(basis.denied)
        let included = denied.filter { $0.need.isExpressible && basis.includesDenied($0.need) }
        attempts = denied.filter { !basis.includesDenied($0.need) }
        for (scope, group) in Dictionary(grouping: included, by: { ByteString($0.need.scope) }) {
            generalisations.append(
                Generalisation(
                    step: .includedDenied, namespace: scope.string, atoms: group.map(\.need.atom),
                    reason: Self.reasonToInclude(group)))
        }
        generalisations.sort { bytesPrecede($0.namespace, $1.namespace) }
        if basis.policy.hidden {
            let hidden = HiddenPermissions(
                needs: Array(observed), hints: basis.hints, user: basis.holder ?? user, current: basis.current, resources: basis.resources,
                policyChecks: basis.policyChecks)
            generalisations += hidden.steps
            warnings = hidden.warnings
        }
        var generaliser = Generaliser(observed, denied: attempts.map(\.need), policy: basis.policy, universe: basis.universe)
        generaliser.run()
        generalisations += generaliser.steps
        warnings += basis.doubts + generaliser.refusals
        generalisations += Self.dropped(basis.droppedNames, among: needs, basis.universe)
        let given = Self.index(needs.map(\.need))
        generalisations = generalisations.compactMap { Self.counted($0, beyond: given, basis.universe) }

        let added = generalisations.flatMap { step in step.atoms.map { Need($0, observedIn: step.namespace) } }
        let wanted = Set(needs.map(\.need) + added)
        alreadyGiven = wanted.filter { $0.isGiven(to: user, by: basis.staying) }.sorted(by: Need.precedes)
        scopes = RoleMinimizer.minimize(wanted.subtracting(alreadyGiven), layout: basis.layout)
        (roles, bindings) = Self.objects(scopes, namespace: namespace, name: name, sharedRoleMinimum: basis.sharedRoleMinimum)
    }

    // MARK: Steps

    private static func reasonToInclude(_ tried: [EvidencedNeed]) -> String {
        let count = tried.reduce(0) { $0 + $1.evidence.count }
        return "not allowed \(count == 1 ? "once" : "\(count) times"), and asked for with --include-denied"
    }

    private typealias GivenAtoms = [ByteString: AtomIndex]

    private static func index(_ needs: [Need]) -> GivenAtoms {
        Dictionary(grouping: needs, by: { ByteString($0.scope) }).mapValues { AtomIndex($0.map(\.atom)) }
    }

    /// The step without what the needs hold anyway, and with its size; `nil` = nothing is left of it.
    private static func counted(_ step: Generalisation, beyond given: GivenAtoms, _ universe: ReferenceUniverse) -> Generalisation? {
        let places = [given[ByteString(step.namespace)], given[ByteString("")]].compactMap { $0 }
        var step = step
        if step.step == .droppedNames { return step }
        step.atoms = step.atoms.filter { atom in !places.contains { $0.covers(atom) } }
        guard !step.atoms.isEmpty else { return nil }
        for atom in step.atoms {
            let (requests, isUnbounded) = universe.size(of: atom, scope: step.namespace) { need in
                [given[ByteString(need.scope)], given[ByteString("")]].contains { $0?.covers(need.atom) ?? false }
            }
            step.size += requests
            step.isUnbounded = step.isUnbounded || isUnbounded
        }
        return step
    }

    private static func dropped(
        _ names: [RuleAtom], among needs: [EvidencedNeed], _ universe: ReferenceUniverse
    ) -> [Generalisation] {
        let dropped = Set(names)
        return needs.map(\.need).filter { dropped.contains($0.atom) }.map { need in
            // Nobody knows which of the names were seen: every one counts, so this is the most that it can be.
            let size = universe.size(of: need.atom, scope: need.scope) { $0.name == nil }
            let target = targetText(resource: need.atom.resource, apiGroup: need.atom.apiGroup, url: nil)
            return Generalisation(
                step: .droppedNames, namespace: need.scope, atoms: [],
                reason: "`\(need.request.verb) \(target)` was seen with more names than the usage keeps", size: size.requests,
                isUnbounded: true)
        }
    }

    // MARK: Objects

    private static func objects(
        _ scopes: [RoleMinimizer.Scope], namespace: String, name: String, sharedRoleMinimum: Int
    ) -> (roles: [Role], bindings: [Binding]) {
        let objectName = "\(namePrefix)\(namespace):\(name)"
        let labels = Labels(dictionaryLiteral: (managedByLabel, manager))
        var roles: [Role] = []
        /// Names of the roles that namespaces share, by what is in them.
        var shared: [ByteString: (name: String, rules: [PolicyRule])] = [:]
        if sharedRoleMinimum > 0 {
            let groups = Dictionary(grouping: scopes.filter { !$0.namespace.isEmpty }, by: \.contents)
            for scope in scopes where !scope.namespace.isEmpty && shared[scope.contents] == nil {
                guard let group = groups[scope.contents], group.count >= max(2, sharedRoleMinimum) else { continue }
                shared[scope.contents] = ("\(objectName):shared-\(shared.count + 1)", scope.rules)
            }
        }
        func role(_ namespace: String, _ name: String, _ rules: [PolicyRule]) -> Role {
            Role(meta: ObjectMeta(namespace: namespace, name: name, labels: labels), rules: rules.map { WrittenRule($0) })
        }
        roles += scopes.filter(\.namespace.isEmpty).map { role("", objectName, $0.rules) }
        roles += shared.values.sorted { ($0.name.utf8.count, $0.name) < ($1.name.utf8.count, $1.name) }.map { role("", $0.name, $0.rules) }
        roles += scopes.filter { !$0.namespace.isEmpty && shared[$0.contents] == nil }.map { role($0.namespace, objectName, $0.rules) }
        let bindings = scopes.map { scope in
            let sharedName = scope.namespace.isEmpty ? nil : shared[scope.contents]?.name
            // The role of a binding cannot be changed: a binding is named as its role, so that it never has to.
            return Binding(
                meta: ObjectMeta(namespace: scope.namespace, name: sharedName ?? objectName, labels: labels),
                roleRef: RoleRef(
                    kind: scope.namespace.isEmpty || sharedName != nil ? "ClusterRole" : "Role", name: sharedName ?? objectName),
                subjects: [WrittenSubject(Subject(kind: "ServiceAccount", namespace: namespace, name: name))])
        }
        return (roles, bindings)
    }

    /// Whether the rules allow something that was refused when it was asked for.
    public func allows(_ need: Need) -> Bool {
        scopes.contains { scope in
            (scope.namespace.isEmpty || scope.namespace.isSameBytes(as: need.scope))
                && scope.rules.contains { RuleCoverage.covers($0, need.atom) }
        }
    }

    /// The needs and steps that a rule is there for, in canonical order.
    public func reasons(for rule: PolicyRule, in scope: String) -> (needs: [EvidencedNeed], steps: [Generalisation]) {
        let covered = needs.filter { item in
            (item.need.scope.isSameBytes(as: scope) || scope.isEmpty) && RuleCoverage.covers(rule, item.need.atom)
        }
        let steps = generalisations.filter { step in
            (step.namespace.isSameBytes(as: scope) || scope.isEmpty) && step.atoms.contains { RuleCoverage.covers(rule, $0) }
        }
        return (covered, steps)
    }
}

extension RoleMinimizer.Scope {
    /// The rules as text that is equal only for equal bytes.
    fileprivate var contents: ByteString {
        let lists = rules.flatMap { rule in
            [rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs, rule.verbs].map { jsonArray($0 ?? []) }
        }
        return ByteString(lists.joined(separator: ";"))
    }
}
