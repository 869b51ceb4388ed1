import WhittleModel

/// Needs → the fewest rules that allow exactly them.
///
/// Exact: no wildcard, no verb, name or namespace beyond the needs. Minimal: per scope no smaller set of rules allows the
/// same (see docs/proposing.md; hard cases fall back to a good cover and say so).
public enum RoleMinimizer {
    /// How rules are grouped.
    public enum Layout: String, CaseIterable, Hashable, Sendable {
        case compact, grouped
    }

    /// The rules of one scope.
    public struct Scope: Hashable, Sendable {
        /// `""` = a ClusterRole with a ClusterRoleBinding.
        public var namespace: String
        /// In canonical order.
        public var rules: [PolicyRule]
        /// Whether fewer rules are proven impossible.
        public var isProvenMinimal: Bool
    }

    /// Minimal rules per scope, the cluster scope first, then namespaces in byte order; scopes without rules are left out.
    public static func minimize(_ needs: some Sequence<Need>, layout: Layout = .compact) -> [Scope] {
        let byScope = Dictionary(grouping: Set(needs)) { ByteString($0.scope) }
        let cluster = Set((byScope[ByteString("")] ?? []).map(\.atom))
        var result: [Scope] = []
        for scope in byScope.keys.sorted(by: { bytesPrecede($0.string, $1.string) }) {
            let atoms = Set((byScope[scope] ?? []).map(\.atom))
            let isCluster = scope.string.isEmpty
            // What a cluster-wide need gives is given in every namespace: never repeated, free for boxes (MIN-1).
            let free = isCluster ? [] : cluster
            let (rules, isProven) = rules(for: atoms, free: free)
            if !rules.isEmpty { result.append(Scope(namespace: scope.string, rules: rules, isProvenMinimal: isProven)) }
        }
        return result
    }

    /// - Parameter free: atoms that are allowed anyway.
    private static func rules(for atoms: Set<RuleAtom>, free: Set<RuleAtom>) -> ([PolicyRule], Bool) {
        let given = AtomIndex(free)
        let own = AtomIndex(atoms)
        // An atom that another one covers needs nothing of its own: a name under any name, a verb under `*`.
        let open = atoms.filter { !given.covers($0) && !own.covers($0, isStrict: true) }
        let allAtoms = atoms.union(free)
        var rules: [PolicyRule] = []
        var isProven = true
        func add(_ part: ([PolicyRule], Bool)) {
            rules += part.0
            isProven = isProven && part.1
        }
        add(unrestrictedRules(open.filter { $0.resource != nil && $0.resourceName == nil }, free: free))
        add(namedRules(open.filter { $0.resource != nil && $0.resourceName != nil }, allowed: allAtoms))
        add(urlRules(open.filter { $0.nonResourceURL != nil }))
        return (rules.map(canonical).sorted(by: precedes), isProven)
    }

    /// Numbers the values of one axis in byte order.
    private struct Axis {
        var values: [String]
        private var places: [ByteString: Int]

        init(_ values: some Sequence<String>) {
            self.values = Set(values.map(ByteString.init)).map(\.string).sorted(by: bytesPrecede)
            places = [:]
            for (place, value) in self.values.enumerated() { places[ByteString(value)] = place }
        }

        func place(_ value: String) -> Int? { places[ByteString(value)] }
        func texts(_ places: [Int]) -> [String] { places.map { values[$0] } }
    }

    private static func unrestrictedRules(_ needed: Set<RuleAtom>, free: Set<RuleAtom>) -> ([PolicyRule], Bool) {
        let groups = Axis(needed.compactMap(\.apiGroup))
        let resources = Axis(needed.compactMap(\.resource))
        let verbs = Axis(needed.map(\.verb))
        func cell(_ atom: RuleAtom) -> Grid.Cell? {
            guard let group = groups.place(atom.apiGroup ?? ""), let resource = resources.place(atom.resource ?? ""),
                let verb = verbs.place(atom.verb), atom.nonResourceURL == nil
            else { return nil }
            return [group, resource, verb]
        }
        let grid = Grid(
            axisCount: 3, needed: Set(needed.compactMap(cell)),
            free: Set(free.filter { $0.resourceName == nil }.compactMap(cell)))
        let (boxes, isProven) = grid.cover()
        let rules = boxes.map {
            PolicyRule(
                verbs: verbs.texts($0.sides[2]), apiGroups: groups.texts($0.sides[0]), resources: resources.texts($0.sides[1]))
        }
        return (rules, isProven)
    }

    private static func namedRules(_ needed: Set<RuleAtom>, allowed: Set<RuleAtom>) -> ([PolicyRule], Bool) {
        let groups = Axis(needed.compactMap(\.apiGroup))
        let resources = Axis(needed.compactMap(\.resource))
        let verbs = Axis(needed.map(\.verb))
        let names = Axis(needed.compactMap(\.resourceName))
        func cells(_ atom: RuleAtom) -> [Grid.Cell] {
            guard let group = groups.place(atom.apiGroup ?? ""), let resource = resources.place(atom.resource ?? ""),
                let verb = verbs.place(atom.verb), atom.nonResourceURL == nil
            else { return [] }
            // What is allowed under any name is allowed under each of these names.
            guard let name = atom.resourceName else { return names.values.indices.map { [group, resource, verb, $0] } }
            return names.place(name).map { [[group, resource, verb, $0]] } ?? []
        }
        let grid = Grid(axisCount: 4, needed: Set(needed.flatMap(cells)), free: Set(allowed.flatMap(cells)))
        let (boxes, isProven) = grid.cover()
        let rules = boxes.map {
            PolicyRule(
                verbs: verbs.texts($0.sides[2]), apiGroups: groups.texts($0.sides[0]), resources: resources.texts($0.sides[1]),
                resourceNames: names.texts($0.sides[3]))
        }
        return (rules, isProven)
    }

    private static func urlRules(_ needed: Set<RuleAtom>) -> ([PolicyRule], Bool) {
        let urls = Axis(needed.compactMap(\.nonResourceURL))
        let verbs = Axis(needed.map(\.verb))
        let cells = needed.compactMap { atom -> Grid.Cell? in
            guard let url = urls.place(atom.nonResourceURL ?? ""), let verb = verbs.place(atom.verb) else { return nil }
            return [url, verb]
        }
        let (boxes, isProven) = Grid(axisCount: 2, needed: Set(cells), free: []).cover()
        let rules = boxes.map { PolicyRule(verbs: verbs.texts($0.sides[1]), nonResourceURLs: urls.texts($0.sides[0])) }
        return (rules, isProven)
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
