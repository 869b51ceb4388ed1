import WhittleModel
import WhittleStore

/// What a service account is declared to need, is granted and was seen to do, side by side.
public struct UsageComparison: Sendable {
    /// What the three say together about one atom.
    public enum Verdict: String, CaseIterable, Sendable {
        /// Granted and seen; declared, too, at least in part, when anything is declared.
        case used = "used"
        /// Granted, neither declared nor seen.
        case unused = "unused"
        /// Seen to be allowed, and no binding of the loaded state gives it.
        case usedNotGranted = "used but not granted"
        /// Granted and seen, and not part of the declaration.
        case usedNotDeclared = "used but not declared"
        /// Declared and granted, not seen.
        case declaredNeverSeen = "declared but never seen"
        /// Declared and not granted, not seen either.
        case declaredNotGranted = "declared but not granted"
        /// Seen and refused, never allowed.
        case denied = "denied"
        /// Declared and granted; no usage was loaded.
        case declaredAndGranted = "declared and granted"
        /// Granted and not declared; no usage was loaded.
        case grantedNotDeclared = "granted but not declared"
    }

    /// Whether an atom is part of the declaration.
    public enum Declared: String, Sendable {
        /// All of it.
        case yes
        /// It is a pattern or holds in more namespaces, and only a part is declared.
        case partly
        /// Nothing of it.
        case no
    }

    /// One distinct request that was seen.
    public struct Observation: Hashable, Sendable {
        /// The request.
        public var request: Request
        /// Completed requests that were allowed; 0 = an open watch or exec, or only implied.
        public var allowedCount: Int
        /// Requests that were refused.
        public var refusedCount: Int
        /// Microseconds since 1970-01-01 UTC; `nil` unknown.
        public var lastSeen: Int64?
        /// Whether it was allowed at least once.
        var isAllowed: Bool
        /// Whether only other requests imply it.
        var isImplied: Bool
        /// Whether its names were dropped, so that it may have had any.
        var hasUnknownName: Bool
    }

    /// One atom in one scope.
    public struct Row: Sendable {
        /// `nil` = in every namespace and for cluster-scoped objects and URLs.
        public var scopeNamespace: String?
        /// The atom as the rule, the declaration or the request writes it.
        public var atom: RuleAtom
        /// `nil` when nothing was declared at all.
        public var declared: Declared?
        /// The needs that say so.
        public var needs: [DeclaredNeed] = []
        /// What gives it, own grants before those of groups.
        public var grants: [Grant] = []
        /// The requests that it was used for, or that were refused.
        public var observations: [Observation] = []
        /// What follows.
        public var verdict = Verdict.unused

        /// Whether it reaches the account by itself, not through a group.
        var isOwn: Bool { grants.contains { $0.subject.kind != "Group" } }
        /// Whether the three agree about it.
        public var agrees: Bool { [.used, .declaredAndGranted].contains(verdict) && !(declared == .partly && isOwn) }
        /// Completed requests that were allowed.
        public var allowedCount: Int { observations.reduce(0) { $0 + $1.allowedCount } }
        /// Requests that were refused.
        public var refusedCount: Int { observations.reduce(0) { $0 + $1.refusedCount } }
        /// Microseconds since 1970-01-01 UTC of the last request; `nil` none.
        public var lastSeen: Int64? { observations.compactMap(\.lastSeen).max() }

        fileprivate var rule: PolicyRule { atom.rule }

        fileprivate func allows(_ observation: Observation) -> Bool {
            let request = observation.request
            if let scopeNamespace {
                guard request.isResourceRequest, scopeNamespace.isSameBytes(as: request.namespace) else { return false }
            }
            var rule = rule
            if observation.hasUnknownName { rule.resourceNames = nil }
            return RuleMatcher.allows(rule, request)
        }

        /// Whether all of `other` is part of this.
        fileprivate func covers(_ other: Row) -> Bool {
            if let scopeNamespace {
                guard let scope = other.scopeNamespace, scopeNamespace.isSameBytes(as: scope) else { return false }
            }
            return RuleCoverage.covers(rule, other.atom)
        }
    }

    /// The account.
    public var account: DeclaredNeed.Account
    /// Sorted by scope, group, resource, URL, verb and name; what only a group gives is left out unless it is declared or used.
    public var rows: [Row]
    /// Whether requests of the account were seen.
    public var hasUsage: Bool
    /// Kinds the input did not hold, so that what is granted may not be all.
    public var missingKinds: [String]

    /// Whether declared, granted and observed agree.
    public var agrees: Bool { rows.allSatisfy(\.agrees) }

    /// Compares.
    ///
    /// - Parameters:
    ///   - declared: needs of this account, or of nobody in particular; `nil` = nothing was declared.
    ///   - isUsageKnown: whether the database holds usage, be it of others.
    /// - Throws: `StoreError` when the database cannot be read.
    public init(
        _ account: DeclaredNeed.Account, declared: [DeclaredNeed]?, isUsageKnown: Bool, in database: WhittleDatabase
    ) throws {
        self.account = account
        let permissions = try EffectivePermissions(of: .serviceAccount(namespace: account.namespace, name: account.name), in: database)
        missingKinds = permissions.missingKinds
        let observations = try isUsageKnown ? Self.observations(of: account, in: database) : []
        hasUsage = !observations.isEmpty
        var table = ComparisonTable(permissions.permissions, declared: declared, observations, isUsageKnown: isUsageKnown)
        rows = table.finish().sorted(by: Self.precedes)
    }

    private static func observations(of account: DeclaredNeed.Account, in database: WhittleDatabase) throws -> [Observation] {
        let user = ServiceAccountName.username(namespace: account.namespace, name: account.name)
        return try database.run("observed-requests", ["user": .text(user)]).named.map { row in
            Observation(
                request: row.request, allowedCount: row["allowed_count"].integer ?? 0, refusedCount: row["refused_count"].integer ?? 0,
                lastSeen: row["last_seen"].integer.map(Int64.init), isAllowed: row["allowed"].isTrue, isImplied: row["implied"].isTrue,
                hasUnknownName: row["names_dropped"].isTrue)
        }
    }

    private static func precedes(_ left: Row, _ right: Row) -> Bool {
        func key(_ row: Row) -> [String] {
            [
                row.atom.nonResourceURL == nil ? "0" : "1", row.scopeNamespace ?? "", row.atom.apiGroup ?? "", row.atom.resource ?? "",
                row.atom.nonResourceURL ?? "", row.atom.verb, row.atom.resourceName ?? "",
            ]
        }
        return key(left).lexicographicallyPrecedes(key(right), by: bytesPrecede)
    }
}

/// The rows while they are made.
private struct ComparisonTable {
    typealias Row = UsageComparison.Row

    private struct Key: Hashable {
        var scope: ByteString?
        var atom: RuleAtom
    }

    private var rows: [Row] = []
    private var placeOfKey: [Key: Int] = [:]
    /// Rows that a binding gives, by verb.
    private var granted: [ByteString: [Int]] = [:]
    /// Rows that are declared and that no row of `granted` equals.
    private var declaredOnly: [Int] = []
    /// Rows about observed requests alone.
    private var observedOnly: Set<Int> = []
    private let hasDeclaration: Bool
    private let isUsageKnown: Bool

    init(
        _ permissions: [EffectivePermissions.Permission], declared: [DeclaredNeed]?, _ observations: [UsageComparison.Observation],
        isUsageKnown: Bool
    ) {
        hasDeclaration = declared != nil
        self.isUsageKnown = isUsageKnown
        for permission in permissions { add(permission) }
        let needs = (declared ?? []).map { need in
            var row = Row(scopeNamespace: need.namespace.isEmpty ? nil : need.namespace, atom: need.atom, declared: .yes)
            row.needs = [need]
            return row
        }
        compare(needs)
        let needsByVerb = Dictionary(grouping: needs.indices) { ByteString(needs[$0].atom.verb) }
        for observation in observations {
            let places = [ByteString(observation.request.verb), ByteString("*")].flatMap { needsByVerb[$0] ?? [] }
            add(observation, isDeclared: places.contains { needs[$0].allows(observation) })
        }
    }

    /// The rows with their verdicts.
    mutating func finish() -> [Row] {
        for index in rows.indices where !observedOnly.contains(index) { rows[index].verdict = verdict(of: rows[index]) }
        // What every member of a group may do is not this account's to use.
        return rows.filter { $0.grants.isEmpty || $0.isOwn || !$0.observations.isEmpty || !$0.needs.isEmpty }
    }

    private func verdict(of row: Row) -> UsageComparison.Verdict {
        let isDeclared = row.declared == .yes || row.declared == .partly
        let isSeen = row.observations.contains(where: \.isAllowed)
        if !isSeen, !row.observations.isEmpty { return .denied }
        if row.grants.isEmpty { return isSeen ? .usedNotGranted : .declaredNotGranted }
        guard isUsageKnown else { return isDeclared ? .declaredAndGranted : .grantedNotDeclared }
        guard isSeen else { return isDeclared ? .declaredNeverSeen : .unused }
        return hasDeclaration && !isDeclared && row.isOwn ? .usedNotDeclared : .used
    }

    /// The place of the row about an atom, which is made when there is none.
    private mutating func place(_ scope: String?, _ atom: RuleAtom) -> (place: Int, isNew: Bool) {
        let key = Key(scope: scope.map(ByteString.init), atom: atom)
        if let place = placeOfKey[key] { return (place, false) }
        rows.append(Row(scopeNamespace: scope, atom: atom, declared: hasDeclaration ? .no : nil))
        placeOfKey[key] = rows.count - 1
        return (rows.count - 1, true)
    }

    private mutating func add(_ permission: EffectivePermissions.Permission) {
        var atoms = [RuleAtom(verb: permission.verb, nonResourceURL: permission.url ?? "")]
        if permission.url == nil {
            let names: [String?] = permission.grant.names.map { $0 } ?? [nil]
            atoms = names.map {
                RuleAtom(verb: permission.verb, apiGroup: permission.apiGroup ?? "", resource: permission.resource ?? "", resourceName: $0)
            }
        }
        for atom in atoms {
            let (place, isNew) = place(permission.grant.scopeNamespace, atom)
            if permission.grant.subject.kind == "Group" {
                rows[place].grants.append(permission.grant)
            } else {
                let own = rows[place].grants.prefix { $0.subject.kind != "Group" }.count
                rows[place].grants.insert(permission.grant, at: own)
            }
            if isNew { granted[ByteString(atom.verb), default: []].append(place) }
        }
    }

    private func grantedRows(forVerb verb: String) -> [Int] {
        (granted[ByteString(verb)] ?? []) + (verb == "*" ? [] : granted[ByteString("*")] ?? [])
    }

    private mutating func compare(_ needs: [Row]) {
        for need in needs {
            // A `*` may cover rows of every verb.
            let candidates = need.atom.verb == "*" ? granted.values.flatMap { $0 }.sorted() : grantedRows(forVerb: need.atom.verb)
            var grants: [Grant] = []
            for place in candidates {
                if need.covers(rows[place]) {
                    rows[place].declared = .yes
                    rows[place].needs += need.needs
                } else if rows[place].covers(need) {
                    if rows[place].declared != .yes { rows[place].declared = .partly }
                    rows[place].needs += need.needs
                }
                if rows[place].covers(need) { grants += rows[place].grants }
            }
            let (place, isNew) = place(need.scopeNamespace, need.atom)
            guard isNew else { continue }
            rows[place].declared = .yes
            rows[place].needs = need.needs
            rows[place].grants = grants.filter { $0.subject.kind != "Group" } + grants.filter { $0.subject.kind == "Group" }
            declaredOnly.append(place)
        }
    }

    private mutating func add(_ observation: UsageComparison.Observation, isDeclared: Bool) {
        let request = observation.request
        let covering = grantedRows(forVerb: request.verb).filter { rows[$0].allows(observation) }
        let declaring = declaredOnly.filter { rows[$0].allows(observation) }
        if observation.isAllowed {
            for place in covering + declaring { rows[place].observations.append(observation) }
            let isShown = declaring.contains { rows[$0].grants.isEmpty } || observation.isImplied
            if covering.isEmpty, !isShown { addRow(observation, isDeclared: isDeclared, [], .usedNotGranted) }
            // The row of a pattern says that it was used; that part of the use is not declared needs a row of its own.
            let own = covering.filter { rows[$0].isOwn }
            if hasDeclaration, !isDeclared, !observation.isImplied, own.count == covering.count, !own.isEmpty,
                own.allSatisfy({ rows[$0].declared == .partly })
            {
                addRow(observation, isDeclared: false, own.flatMap { rows[$0].grants }, .usedNotDeclared)
            }
        } else {
            addRow(observation, isDeclared: isDeclared, covering.flatMap { rows[$0].grants }, .denied)
        }
    }

    /// A row about a request, unless one about the same atom exists.
    private mutating func addRow(
        _ observation: UsageComparison.Observation, isDeclared: Bool, _ grants: [Grant], _ verdict: UsageComparison.Verdict
    ) {
        let request = observation.request
        let atom =
            request.path.map { RuleAtom(verb: request.verb, nonResourceURL: $0) }
            ?? RuleAtom(
                verb: request.verb, apiGroup: request.apiGroup, resource: request.combinedResource,
                resourceName: request.name.isEmpty ? nil : request.name)
        let (place, isNew) = place(request.namespace.isEmpty ? nil : request.namespace, atom)
        rows[place].observations.append(observation)
        guard isNew else { return }
        rows[place].declared = hasDeclaration ? (isDeclared ? .yes : .no) : nil
        rows[place].grants = grants
        rows[place].verdict = verdict
        observedOnly.insert(place)
    }
}
