/// The meaning of a rule: whether it allows a request.
///
/// The one definition in Swift; `Queries/can-i.sql` and `Queries/who-can.sql` say the same in SQL, and tests prove them
/// equal. Follows pkg/apis/rbac/v1/evaluation_helpers.go of Kubernetes. All comparison is byte-wise.
public enum RuleMatcher {
    /// Whether `rule` allows `request` (semantics RUL-1).
    public static func allows(_ rule: PolicyRule, _ request: Request) -> Bool {
        guard verb(request.verb, isIn: rule.verbs) else { return false }
        if let path = request.path { return nonResourceURL(path, isIn: rule.nonResourceURLs) }
        return apiGroup(request.apiGroup, isIn: rule.apiGroups)
            && resource(request.combinedResource, subresource: request.subresource, isIn: rule.resources)
            && resourceName(request.name, isIn: rule.resourceNames)
    }

    /// Exact, or `*` in the rule; no prefix wildcards and no implication between verbs.
    public static func verb(_ verb: String, isIn verbs: [String]?) -> Bool {
        verbs?.contains { $0 == "*" || $0.isSameBytes(as: verb) } ?? false
    }

    /// Exact, or `*` in the rule; `""` is the core group only.
    public static func apiGroup(_ apiGroup: String, isIn apiGroups: [String]?) -> Bool {
        apiGroups?.contains { $0 == "*" || $0.isSameBytes(as: apiGroup) } ?? false
    }

    /// `*` is everything with all subresources; `*/sub` any resource with exactly that subresource; else exact.
    public static func resource(_ combined: String, subresource: String, isIn resources: [String]?) -> Bool {
        resources?.contains { pattern in
            if pattern == "*" || pattern.isSameBytes(as: combined) { return true }
            // `*/sub` only when the request has a subresource (semantics RUL-4).
            guard !subresource.isEmpty, pattern.utf8.count == subresource.utf8.count + 2 else { return false }
            return pattern.hasBytePrefix("*/") && pattern.utf8.dropFirst(2).elementsEqual(subresource.utf8)
        } ?? false
    }

    /// An empty list is every request; otherwise the request's name must be an element, and `*` is literal.
    public static func resourceName(_ name: String, isIn resourceNames: [String]?) -> Bool {
        guard let resourceNames, !resourceNames.isEmpty else { return true }
        return resourceNames.containsBytes(name)
    }

    /// Exact, or a prefix match for patterns that end in `*` (all trailing stars are stripped).
    public static func nonResourceURL(_ path: String, isIn nonResourceURLs: [String]?) -> Bool {
        nonResourceURLs?.contains { pattern in
            if pattern == "*" || pattern.isSameBytes(as: path) { return true }
            guard let prefix = prefix(ofPattern: pattern) else { return false }
            return path.utf8.starts(with: prefix)
        } ?? false
    }

    /// What a URL pattern with trailing stars matches the start of; `nil` when it has none.
    static func prefix(ofPattern pattern: String) -> Substring.UTF8View? {
        let star = UInt8(ascii: "*")
        guard pattern.utf8.last == star else { return nil }
        var end = pattern.utf8.endIndex
        while end > pattern.utf8.startIndex, pattern.utf8[pattern.utf8.index(before: end)] == star {
            end = pattern.utf8.index(before: end)
        }
        return pattern[..<end].utf8
    }
}
