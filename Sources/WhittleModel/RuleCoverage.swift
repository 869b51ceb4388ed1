/// Whether some rules give at least what other rules give.
///
/// Follows component-helpers/auth/rbac/validation/policy_comparator.go (semantics COV): every atom of the servant must be
/// covered by one rule of the owner. Syntactic: an enumeration never covers a `*`.
public enum RuleCoverage {
    /// The atoms of `servant` that no rule of `owner` covers, in order, duplicates kept.
    public static func uncovered(owner: [PolicyRule], servant: [PolicyRule]) -> [RuleAtom] {
        servant.flatMap(\.atoms).filter { atom in !owner.contains { covers($0, atom) } }
    }

    /// Whether one rule covers one atom, all five dimensions tested (semantics COV-7).
    public static func covers(_ rule: PolicyRule, _ atom: RuleAtom) -> Bool {
        guard has(rule.verbs, atom.verb) else { return false }
        guard atom.apiGroup.map({ has(rule.apiGroups, $0) }) ?? true else { return false }
        guard atom.resource.map({ resource($0, isCoveredBy: rule.resources) }) ?? true else { return false }
        guard atom.nonResourceURL.map({ url in rule.nonResourceURLs?.contains { self.url($0, covers: url) } ?? false }) ?? true
        else { return false }
        guard let names = rule.resourceNames, !names.isEmpty else { return true }
        return atom.resourceName.map { names.containsBytes($0) } ?? false
    }

    /// Whether one URL pattern covers another pattern or path.
    public static func url(_ owner: String, covers other: String) -> Bool {
        if owner.isSameBytes(as: other) { return true }
        guard let prefix = RuleMatcher.prefix(ofPattern: owner) else { return false }
        return other.utf8.starts(with: prefix)
    }

    private static func has(_ list: [String]?, _ element: String) -> Bool {
        list?.contains { $0 == "*" || $0.isSameBytes(as: element) } ?? false
    }

    private static func resource(_ resource: String, isCoveredBy resources: [String]?) -> Bool {
        guard let resources else { return false }
        if resources.contains(where: { $0 == "*" || $0.isSameBytes(as: resource) }) { return true }
        guard let subresource = resource.splitBytes(at: "/").after else { return false }
        return resources.containsBytes("*/" + subresource)
    }
}
