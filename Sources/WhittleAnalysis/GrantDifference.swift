import WhittleModel

/// What subjects gained and lost between two states, by meaning and not by text.
public struct GrantDifference: Sendable {
    /// How a grant changed.
    public enum Change: String, Sendable {
        /// Allowed now and not before.
        case gained
        /// Allowed before and not now.
        case lost
        /// Written differently, with the same meaning.
        case rewritten
    }

    /// One atom that a subject gained or lost, or a scope whose rules were rewritten.
    public struct Entry: Hashable, Sendable {
        /// How it changed.
        public var change: Change
        /// The user or group; service accounts are users.
        public var identity: Identity
        /// `nil` = in every namespace and for cluster-scoped objects.
        public var scopeNamespace: String?
        /// What; `nil` for a rewritten scope.
        public var atom: RuleAtom?
    }

    /// By subject, scope, change and atom.
    public var entries: [Entry]

    /// Whether some request is answered differently.
    public var isDifferent: Bool { entries.contains { $0.change != .rewritten } }

    /// Compares two states.
    public init(old: Authorizer, new: Authorizer) {
        let before = Self.rules(of: old)
        let after = Self.rules(of: new)
        entries = []
        for identity in Set(before.keys).union(after.keys).sorted(by: Self.precedes) {
            let (left, right) = (before[identity] ?? [:], after[identity] ?? [:])
            for scope in Set(left.keys).union(right.keys).sorted(by: { bytesPrecede($0.string, $1.string) }) {
                entries += Self.compare(identity, scope, left, right)
            }
        }
    }

    private typealias RulesByScope = [ByteString: [PolicyRule]]

    private static func compare(_ identity: Identity, _ scope: ByteString, _ left: RulesByScope, _ right: RulesByScope) -> [Entry] {
        let namespace = scope.string.isEmpty ? nil : scope.string
        let everywhere = ByteString("")
        func reach(_ rules: RulesByScope) -> [PolicyRule] {
            (rules[scope] ?? []) + (namespace == nil ? [] : rules[everywhere] ?? [])
        }
        func entries(_ change: Change, of rules: RulesByScope, beyond other: RulesByScope) -> [Entry] {
            RuleCoverage.uncovered(owner: reach(other), servant: rules[scope] ?? [])
                .filter { namespace == nil || $0.nonResourceURL == nil }
                .reduce(into: [RuleAtom]()) { if !$0.contains($1) { $0.append($1) } }
                .map { Entry(change: change, identity: identity, scopeNamespace: namespace, atom: $0) }
        }
        let changed = entries(.gained, of: right, beyond: left) + entries(.lost, of: left, beyond: right)
        if changed.isEmpty, Set((left[scope] ?? []).map(\.normalized)) != Set((right[scope] ?? []).map(\.normalized)) {
            return [Entry(change: .rewritten, identity: identity, scopeNamespace: namespace, atom: nil)]
        }
        return changed
    }

    /// The rules that bindings give to each subject, by scope.
    private static func rules(of authorizer: Authorizer) -> [Identity: RulesByScope] {
        var result: [Identity: RulesByScope] = [:]
        for (index, binding) in authorizer.bindings.enumerated() {
            guard let role = authorizer.roleOfBinding[index] else { continue }
            let rules = authorizer.roles[role].effectiveRules.map(\.rule)
            for identity in Set(binding.subjects.compactMap { $0.subject.identity(inBindingOf: binding.meta.namespace) }) {
                result[identity, default: [:]][ByteString(binding.meta.namespace), default: []] += rules
            }
        }
        return result
    }

    private static func precedes(_ left: Identity, _ right: Identity) -> Bool {
        left.kind == right.kind ? bytesPrecede(left.name, right.name) : left.kind.rawValue < right.kind.rawValue
    }
}
