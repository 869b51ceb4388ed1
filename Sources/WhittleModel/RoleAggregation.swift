/// Rules of aggregated ClusterRoles, resolved without a controller (semantics AGG).
///
/// Follows pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
public enum RoleAggregation {
    /// The rules that one sync of the controller would compute for `role`; `nil` when a selector is invalid.
    ///
    /// Selectors in order; candidates by name, the role itself excluded; each rule once, whole rules compared.
    public static func rules(for role: Role, among candidates: [Role]) -> [WrittenRule]? {
        guard let selectors = role.aggregationSelectors, selectors.allSatisfy({ $0?.isValid ?? true }) else { return nil }
        return rules(of: selectors, for: role.meta.name, among: byName(candidates))
    }

    private static func byName(_ candidates: some Sequence<Role>) -> [Role] {
        candidates.filter { $0.meta.namespace.isEmpty }.sorted { bytesPrecede($0.meta.name, $1.meta.name) }
    }

    private static func rules(of selectors: [LabelSelector?], for name: String, among sorted: [Role]) -> [WrittenRule] {
        var result: [WrittenRule] = []
        var seen: Set<PolicyRule> = []
        for selector in selectors {
            guard let selector else { continue }
            for candidate in sorted where !candidate.meta.name.isSameBytes(as: name) {
                guard selector.matches(candidate.meta.labels) else { continue }
                for written in candidate.effectiveRules where seen.insert(written.rule.normalized).inserted {
                    result.append(
                        WrittenRule(
                            written.rule, location: written.location,
                            aggregatedFrom: written.aggregatedFrom ?? candidate.meta.name))
                }
            }
        }
        return result
    }

    /// The least fix-point over all aggregated ClusterRoles, starting from empty rules (semantics AGG-7).
    ///
    /// - Parameter roles: every role of the cluster; Roles are ignored.
    /// - Returns: computed rules by place in `roles`; a role whose selector is invalid is absent, its stored rules stay.
    public static func fixPoint(_ roles: [Role]) -> [Int: [WrittenRule]] {
        let aggregated = roles.indices
            .filter { roles[$0].meta.namespace.isEmpty && roles[$0].aggregationSelectors?.allSatisfy { $0?.isValid ?? true } ?? false }
        guard !aggregated.isEmpty else { return [:] }
        var sorted = byName(roles)
        let names = Set(aggregated.map { ByteString(roles[$0].meta.name) })
        let places = sorted.indices.filter { names.contains(ByteString(sorted[$0].meta.name)) }
        for place in places { sorted[place].computedRules = [] }
        // Rules are only ever added, so this ends after as many rounds as the longest chain of aggregation.
        var changed = true
        while changed {
            changed = false
            for place in places {
                let next = rules(of: sorted[place].aggregationSelectors ?? [], for: sorted[place].meta.name, among: sorted)
                if next.map(\.rule) != (sorted[place].computedRules ?? []).map(\.rule) {
                    sorted[place].computedRules = next
                    changed = true
                }
            }
        }
        let computed = Dictionary(
            places.map { (ByteString(sorted[$0].meta.name), sorted[$0].computedRules ?? []) }, uniquingKeysWith: { first, _ in first })
        return Dictionary(uniqueKeysWithValues: aggregated.map { ($0, computed[ByteString(roles[$0].meta.name)] ?? []) })
    }
}

extension ClusterState {
    /// Gives aggregated ClusterRoles the rules that count.
    ///
    /// What an API server gave out (a role with a uid) keeps its stored rules, and a difference to the computed ones is
    /// reported; a manifest at rest gets the computed ones (semantics AGG-9).
    public mutating func resolveAggregation() {
        for (index, computed) in RoleAggregation.fixPoint(roles).sorted(by: { $0.key < $1.key }) {
            let role = roles[index]
            guard role.meta.uid != nil else {
                roles[index].computedRules = computed
                continue
            }
            let stored = Set(role.rules.map(\.rule.normalized))
            let expected = Set(computed.map(\.rule.normalized))
            guard stored != expected else { continue }
            diagnostics.append(
                Diagnostic(
                    .warning, id: "aggregation-drift",
                    "stored rules of aggregated ClusterRole `\(role.meta.name)` differ from what its selectors give",
                    at: role.meta.location,
                    notes: [
                        "\(stored.subtracting(expected).count) stored rules are not selected, \(expected.subtracting(stored).count) selected rules are not stored"
                    ],
                    help: "the stored rules are what the API server uses, and what is answered here"))
        }
    }
}
