import WhittleModel

/// Needs → the fewest rules that allow exactly them.
///
/// Exact: no wildcard, no verb, name or namespace beyond the needs. Minimal: per scope no smaller set of rules allows the
/// same (see docs/synthesis.md; hard cases fall back to a good cover and say so). The same needs give the same rules, whatever
/// their order and on every machine: the search counts steps, not time.
public enum RoleMinimizer {
    /// How rules are arranged; the allowed set is the same.
    public enum Layout: String, CaseIterable, Hashable, Sendable {
        /// The fewest rules.
        case compact
        /// One rule per group and resource (and set of names with equal verbs): the easiest to diff.
        case grouped
    }

    /// What is known about how few rules there can be.
    public enum Certificate: Hashable, Sendable {
        /// Every smaller choice was ruled out; the independent needs alone do not show it.
        case searchExhausted
        /// No fewer rules than this can do; when it is the number of rules, they are the fewest.
        case lowerBound(Int)
    }

    /// How the rules were found.
    public enum Method: String, Hashable, Sendable {
        /// All rules that can matter were looked at and none of the searches had to stop early.
        case exact
        /// The step budget was spent on some part: greedy over rules that cannot grow, with local exchange.
        case greedy
        /// No search: the layout says what the rules are.
        case grouped
    }

    /// The rules of one scope.
    public struct Scope: Hashable, Sendable {
        /// `""` = a ClusterRole with a ClusterRoleBinding.
        public var namespace: String
        /// In canonical order.
        public var rules: [PolicyRule]
        /// How the rules were found.
        public var method: Method
        /// What is known about how few rules there can be.
        public var certificate: Certificate
        /// Needs of which no two fit one rule that stays inside the needs: there must be at least so many rules.
        public var independentNeeds: [RuleAtom]

        /// Whether fewer rules are proven impossible.
        public var isProvenMinimal: Bool {
            switch certificate {
            case .searchExhausted: true
            case .lowerBound(let count): count == rules.count
            }
        }
    }

    /// Steps that one scope may cost for each kind of rule, see `SearchBudget`.
    private static let stepLimit = 20_000_000

    /// Rules per scope, the cluster scope first, then namespaces in byte order; scopes without rules are left out.
    ///
    /// What a cluster-wide need gives is given in every namespace: never repeated there (semantics MIN-1).
    public static func minimize(_ needs: some Sequence<Need>, layout: Layout = .compact) -> [Scope] {
        minimize(needs, layout: layout, stepLimit: stepLimit)
    }

    /// - Parameter stepLimit: for tests of what happens when it is spent.
    package static func minimize(_ needs: some Sequence<Need>, layout: Layout, stepLimit: Int) -> [Scope] {
        var lexicon = AtomLexicon()
        var codesByScope: [ByteString: [AtomCode]] = [:]
        for need in needs { codesByScope[ByteString(need.scope), default: []].append(lexicon.add(need.atom)) }
        let renumbered = lexicon.sort()
        let cluster = codesByScope[ByteString("")].map { AtomCodeSet($0.lazy.map(renumbered), lexicon) }
        return codesByScope.keys.map(\.string).sorted(by: bytesPrecede).compactMap { namespace in
            let isCluster = namespace.isEmpty
            let codes = AtomCodeSet((codesByScope[ByteString(namespace)] ?? []).lazy.map(renumbered), lexicon)
            let synthesis = ScopeSynthesis(codes, given: isCluster ? nil : cluster, lexicon: lexicon)
            let found = synthesis.compact(steps: stepLimit)
            guard !found.rules.isEmpty else { return nil }
            let rules = layout == .compact ? found.rules : synthesis.grouped()
            let isSearched = found.usedSearch && found.lowerBound == rules.count
            return Scope(
                namespace: namespace, rules: rules.map(canonical).sorted(by: precedes),
                method: layout == .grouped ? .grouped : found.isExact ? .exact : .greedy,
                certificate: isSearched ? .searchExhausted : .lowerBound(found.lowerBound), independentNeeds: found.independent)
        }
    }

    // MARK: Canonical order (MIN-8)

    private static let verbOrder = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]

    private static func canonical(_ rule: PolicyRule) -> PolicyRule {
        var rule = rule
        rule.verbs = rule.verbs?.sorted { left, right in
            let places = [left, right].map { verbOrder.firstIndex(of: $0) ?? verbOrder.count }
            return places[0] == places[1] ? bytesPrecede(left, right) : places[0] < places[1]
        }
        return rule
    }

    /// By groups, resources, names, verbs; URL rules last.
    private static func precedes(_ left: PolicyRule, _ right: PolicyRule) -> Bool {
        func key(_ rule: PolicyRule) -> [[String]] {
            [rule.nonResourceURLs ?? [], rule.apiGroups ?? [], rule.resources ?? [], rule.resourceNames ?? [], rule.verbs ?? []]
        }
        for (left, right) in zip(key(left), key(right)) where !left.isSameBytes(as: right) {
            return left.lexicographicallyPrecedes(right, by: bytesPrecede)
        }
        return false
    }
}
