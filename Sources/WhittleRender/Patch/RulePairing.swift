import WhittleModel

/// Which of the wanted rules stand in a role already, which are a changed form of one, and which are new.
struct RulePairing {
    /// What becomes of one rule that is there.
    enum Fate: Equatable {
        case keep
        case remove
        case change(PolicyRule)
    }

    /// In the order of the rules that are there.
    private(set) var fates: [Fate]
    /// Rules that none of them becomes.
    private(set) var added: [PolicyRule] = []

    /// - Parameters:
    ///   - current: the rules of the role.
    ///   - wanted: the rules it shall have; neither their order nor the order of a list means anything.
    init(_ current: [PolicyRule], _ wanted: [PolicyRule]) {
        fates = current.map { _ in .remove }
        var places: [SortedRule: [Int]] = [:]
        for (index, rule) in current.enumerated().reversed() { places[SortedRule(rule), default: []].append(index) }
        var open: [PolicyRule] = []
        for rule in wanted {
            if let place = places[SortedRule(rule)]?.popLast() { fates[place] = .keep } else { open.append(rule) }
        }
        let free = fates.indices.filter { fates[$0] == .remove }
        // Every pair is looked at; a role whose rules all differ is a rewritten one.
        var pairs: [(score: Int, old: Int, new: Int)] = []
        if free.count * open.count <= 1 << 20 {
            for old in free {
                for (new, rule) in open.enumerated() {
                    if let score = Self.likeness(current[old], rule) { pairs.append((score, old, new)) }
                }
            }
        }
        pairs.sort { ($1.score, $0.old, $0.new) < ($0.score, $1.old, $1.new) }
        var taken: Set<Int> = []
        for pair in pairs where fates[pair.old] == .remove && !taken.contains(pair.new) {
            fates[pair.old] = .change(open[pair.new])
            taken.insert(pair.new)
        }
        added = open.indices.filter { !taken.contains($0) }.map { open[$0] }
    }

    /// How many entries both have; `nil` when the old one is about something else.
    private static func likeness(_ old: PolicyRule, _ new: PolicyRule) -> Int? {
        var score = 0
        for field in [RuleField.apiGroups, .resources, .nonResourceURLs, .resourceNames, .verbs] {
            let (left, right) = (field.list(of: old), field.list(of: new))
            let common = right.count { left.containsBytes($0) } * 2
            let stars = left.containsBytes("*") ? 1 : 0
            if field == .apiGroups || field == .resources || field == .nonResourceURLs {
                guard left.isEmpty == right.isEmpty, right.isEmpty || common + stars > 0 else { return nil }
            }
            score += common + stars
        }
        return score
    }
}

/// A rule whose lists are sorted, to tell whether two say the same.
package struct SortedRule: Hashable {
    private let lists: [[ByteString]]

    /// Sorts the lists of a rule; an absent list is an empty one.
    package init(_ rule: PolicyRule) {
        lists = RuleField.allCases.map { $0.list(of: rule).sorted(by: bytesPrecede).map(ByteString.init) }
    }
}
