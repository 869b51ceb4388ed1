import WhittleModel

/// The fields of a rule in the order that manifests mostly use.
enum RuleField: String, CaseIterable {
    case apiGroups, resources, resourceNames, nonResourceURLs, verbs

    /// The list of a rule; empty when absent.
    func list(of rule: PolicyRule) -> [String] {
        switch self {
        case .apiGroups: rule.apiGroups ?? []
        case .resources: rule.resources ?? []
        case .resourceNames: rule.resourceNames ?? []
        case .nonResourceURLs: rule.nonResourceURLs ?? []
        case .verbs: rule.verbs ?? []
        }
    }
}

/// How the rules of a file are written, taken from those that are there.
struct RuleStyle {
    /// How texts are quoted.
    enum Quote {
        case plain, single, double
    }

    /// Fields in their order; those that no rule has stand where manifests mostly have them.
    private(set) var fields = RuleField.allCases
    private var quotes: [RuleField: Quote] = [:]
    private var usualQuote = Quote.double
    /// Fields whose lists stand in brackets, and those whose lists have dashes.
    private var flowLists: [RuleField: Bool] = [:]
    /// How much deeper than its key a dash of a list is.
    private var dashIndent = 0
    /// Whether a rule is itself in brackets.
    private(set) var isFlow = false
    /// Whether keys are quoted, as in JSON.
    private var hasQuotedKeys = false
    /// How much deeper the members of a rule in brackets are than it; `nil` = on one line with it.
    private var memberIndent: Int?
    /// How much deeper the elements of a list in brackets are than its key; `nil` = on one line.
    private var elementIndent: Int?

    /// - Parameter rules: the list of rules; a rule that has lists sets the style.
    init(of rules: ManifestNode, in text: ManifestText) {
        isFlow = rules.isFlow
        for rule in rules.elements { noteLists(of: rule) }
        guard let rule = rules.elements.first(where: { $0.members.contains { !$0.value.elements.isEmpty } }) else { return }
        isFlow = rule.isFlow
        let written = rule.members.compactMap { $0.key.text.flatMap(RuleField.init(rawValue:)) }
        if written.count > 1 { fields = Self.merge(written.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }) }
        guard let member = rule.members.first(where: { !$0.value.elements.isEmpty }), let element = member.value.elements.first else {
            return
        }
        hasQuotedKeys = member.key.style == .doubleQuoted
        if let dashed = rules.elements.lazy.flatMap(\.members).first(where: { $0.value.isSequence && !$0.value.isFlow }) {
            dashIndent = max(dashed.value.column - dashed.key.column, 0)
        }
        if rule.isFlow {
            if member.key.line > rule.line {
                let outer = text.contentStart(text.lineStart(rule.range.lowerBound)) - text.lineStart(rule.range.lowerBound)
                memberIndent = max(member.key.column - 1 - outer, 0)
            }
            if element.line > member.key.line { elementIndent = max(element.column - member.key.column, 0) }
        }
    }

    /// The written order with the missing fields put in after the one they mostly follow.
    private static func merge(_ written: [RuleField]) -> [RuleField] {
        var result = written
        for (index, field) in RuleField.allCases.enumerated() where !result.contains(field) {
            let before = RuleField.allCases[..<index].last { result.contains($0) }
            result.insert(field, at: before.flatMap { result.firstIndex(of: $0) }.map { $0 + 1 } ?? 0)
        }
        return result
    }

    private mutating func noteLists(of rule: ManifestNode) {
        for member in rule.members {
            guard let field = member.key.text.flatMap(RuleField.init(rawValue:)), !member.value.elements.isEmpty else { continue }
            if flowLists[field] == nil { flowLists[field] = member.value.isFlow }
            // Texts that must be quoted tell nothing of how others are.
            for element in member.value.elements {
                guard let text = element.text, let quote = Self.quote(element.style) else { continue }
                let needsQuotes = quote != .plain && YAMLRenderer.text(text).utf8.first == UInt8(ascii: "\"")
                if needsQuotes {
                    if quotes.isEmpty { usualQuote = quote }
                } else if quotes[field] == nil {
                    quotes[field] = quote
                }
            }
        }
        if quotes.values.contains(.double) {
            usualQuote = .double
        } else if quotes.values.contains(.single) {
            usualQuote = .single
        }
    }

    private static func quote(_ style: ManifestNode.Style) -> Quote? {
        switch style {
        case .plain: .plain
        case .singleQuoted: .single
        case .doubleQuoted: .double
        default: nil
        }
    }

    /// A text of a list as the file writes such texts.
    func scalar(_ string: String, in field: RuleField) -> String {
        let isSafe = YAMLRenderer.text(string).utf8.first != UInt8(ascii: "\"")
        let quote =
            hasQuotedKeys ? .double : quotes[field] ?? (quotes.isEmpty ? usualQuote : quotes[.resources] ?? quotes[.verbs] ?? usualQuote)
        if quote == .plain, isSafe { return string }
        let isSingle = quote == .single || (quote == .plain && usualQuote == .single)
        guard isSingle, string.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else { return jsonQuoted(string) }
        return "'" + string.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    private func key(_ field: RuleField) -> String { hasQuotedKeys ? "\"\(field.rawValue)\"" : field.rawValue }

    /// The lines of a rule that is an element of a list with dashes, without the dash.
    func lines(_ rule: PolicyRule) -> [String] {
        if isFlow { return flow(rule, margin: "").split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
        return fields.flatMap { lines($0, $0.list(of: rule)) }
    }

    /// The lines of one field of such a rule; none for an empty list.
    func lines(_ field: RuleField, _ list: [String]) -> [String] {
        guard !list.isEmpty else { return [] }
        let elements = list.map { scalar($0, in: field) }
        let isFlow = flowLists[field] ?? flowLists[.resources] ?? flowLists[.verbs] ?? flowLists[.apiGroups] ?? true
        guard !isFlow else { return ["\(key(field)): [\(elements.joined(separator: ", "))]"] }
        return ["\(key(field)):"] + elements.map { String(repeating: " ", count: dashIndent) + "- \($0)" }
    }

    /// A rule in brackets.
    ///
    /// - Parameter margin: what stands before it on its line, when it has a line of its own.
    func flow(_ rule: PolicyRule, margin: String) -> String {
        let indent = memberIndent.map { margin + String(repeating: " ", count: $0) }
        let members = fields.filter { !$0.list(of: rule).isEmpty }.map { member($0, $0.list(of: rule), margin: indent ?? margin) }
        guard let indent else { return "{" + members.joined(separator: ", ") + "}" }
        return "{\n" + members.map { indent + $0 }.joined(separator: ",\n") + "\n\(margin)}"
    }

    /// One field of a rule in brackets.
    func member(_ field: RuleField, _ list: [String], margin: String) -> String {
        let elements = list.map { scalar($0, in: field) }
        guard let elementIndent, !elements.isEmpty else { return "\(key(field)): [\(elements.joined(separator: ", "))]" }
        let indent = margin + String(repeating: " ", count: elementIndent)
        return "\(key(field)): [\n" + elements.map { indent + $0 }.joined(separator: ",\n") + "\n\(margin)]"
    }
}
