import WhittleModel

/// Finds the rules for what one scope needs.
struct ScopeSynthesis {
    private let lexicon: AtomLexicon
    /// What needs a rule: nothing else of the needs covers it.
    private let open: [AtomCode]
    /// Everything that the scope needs, and what is allowed in it anyway.
    private let own: AtomCodeSet
    private let given: AtomCodeSet?

    /// Cells that are looked at beyond the needs, so that memory has a bound.
    private static let freeCellLimit = 1 << 20

    /// - Parameter given: what is allowed in the scope anyway.
    init(_ codes: AtomCodeSet, given: AtomCodeSet?, lexicon: AtomLexicon) {
        self.lexicon = lexicon
        self.given = given
        own = codes
        // An atom that another one covers needs nothing of its own: a name under any name, a verb under `*`.
        open = codes.codes.filter { !(given?.covers($0) ?? false) && !codes.coversFromElsewhere($0) }
    }

    /// Rules and what is known about how few there can be.
    struct Result {
        var rules: [PolicyRule] = []
        /// Needs of which no two fit one rule.
        var independent: [RuleAtom] = []
        var lowerBound = 0
        var usedSearch = false
        var isExact = true
    }

    // MARK: Grouped

    /// One rule per group, resource and set of names with equal verbs, and per set of URLs with equal verbs.
    func grouped() -> [PolicyRule] {
        var verbs: [AtomCode: [Int32]] = [:]
        for code in open {
            verbs[AtomCode(group: code.group, resource: code.resource, verb: -1, name: code.name), default: []].append(code.verb)
        }
        struct Key: Hashable {
            var group: Int32
            var resource: Int32
            var isNamed: Bool
            var verbs: [Int32]
        }
        var members: [Key: [AtomCode]] = [:]
        for (target, verbs) in verbs {
            let key = Key(
                group: target.group, resource: target.isURL ? -1 : target.resource, isNamed: target.name >= 0, verbs: verbs.sorted())
            members[key, default: []].append(target)
        }
        return members.map { key, targets in
            let verbs = key.verbs.map { lexicon.verbs.texts[Int($0)] }
            guard key.group >= 0 else {
                return PolicyRule(verbs: verbs, nonResourceURLs: targets.map(\.resource).sorted().map { lexicon.urls.texts[Int($0)] })
            }
            return PolicyRule(
                verbs: verbs, apiGroups: [lexicon.groups.texts[Int(key.group)]],
                resources: [lexicon.resources.texts[Int(key.resource)]],
                resourceNames: key.isNamed ? targets.map(\.name).sorted().map { lexicon.names.texts[Int($0)] } : nil)
        }
    }

    // MARK: Compact

    /// The fewest rules.
    func compact(steps: Int) -> Result {
        var result = Result()
        add(open.filter { !$0.isURL && $0.name < 0 }, fields: [.group, .resource, .verb], steps: steps, to: &result)
        add(open.filter { $0.name >= 0 }, fields: [.group, .resource, .verb, .name], steps: steps, to: &result)
        add(open.filter(\.isURL), fields: [.url, .verb], steps: steps, to: &result)
        return result
    }

    private enum Field {
        case group, resource, verb, name, url

        func place(_ code: AtomCode) -> Int {
            switch self {
            case .group: Int(code.group)
            case .resource, .url: Int(code.resource)
            case .verb: Int(code.verb)
            case .name: Int(code.name)
            }
        }

        func words(_ lexicon: AtomLexicon) -> AtomLexicon.Words {
            switch self {
            case .group: lexicon.groups
            case .resource: lexicon.resources
            case .verb: lexicon.verbs
            case .name: lexicon.names
            case .url: lexicon.urls
            }
        }
    }

    /// The words of one field that the cells of a grid have, numbered in byte order.
    private struct Axis {
        let places: [Int]
        private let numbers: [Int: Int]

        init(_ places: some Sequence<Int>) {
            self.places = Set(places).sorted()
            numbers = Dictionary(uniqueKeysWithValues: self.places.enumerated().map { ($1, $0) })
        }

        func number(_ place: Int) -> Int? { numbers[place] }
    }

    private func add(_ needed: [AtomCode], fields: [Field], steps: Int, to result: inout Result) {
        guard !needed.isEmpty else { return }
        let axes = fields.map { field in Axis(needed.lazy.map(field.place)) }
        func cell(_ code: AtomCode) -> [Int]? {
            var result: [Int] = []
            for (field, axis) in zip(fields, axes) {
                guard let number = axis.number(field.place(code)) else { return nil }
                result.append(number)
            }
            return result
        }
        // Resources first, then names or groups: what is left of a resource keeps its verbs together.
        let shrinkOrder = [1, 3, 0, 2].filter { $0 < fields.count }
        var grid = Grid(sizes: axes.map(\.places.count), shrinkOrder: shrinkOrder, plainAxis: fields[0] == .group ? 0 : nil)
        for code in needed { if let cell = cell(code) { grid.need(cell) } }
        var freeCells = 0
        let isURL = fields[0] == .url
        for set in [own, given].compactMap({ $0 }) {
            for code in set.codes where code.isURL == isURL && !lexicon.hasPattern(code) {
                if code.name >= 0 || fields.count < 4 {
                    guard (code.name >= 0) == (fields.count == 4), let cell = cell(code) else { continue }
                    grid.allow(cell)
                } else if var cell = cell(
                    AtomCode(group: code.group, resource: code.resource, verb: code.verb, name: Int32(axes[3].places[0])))
                {
                    // What is allowed under any name is allowed under each of these names.
                    freeCells += axes[3].places.count
                    guard freeCells <= Self.freeCellLimit else { break }
                    for name in axes[3].places.indices {
                        cell[3] = name
                        grid.allow(cell)
                    }
                }
            }
            for pattern in set.patterns where pattern.code.isURL == isURL && (pattern.code.name < 0 || fields.count == 4) {
                let sides = zip(fields, axes).map { field, axis in
                    axis.places.indices.filter { covers(pattern.code, field, axis.places[$0]) }
                }
                freeCells += sides.reduce(1) { $0 * $1.count }
                guard freeCells <= Self.freeCellLimit else { break }
                for cell in sides.reduce([[]], { partial, side in partial.flatMap { prefix in side.map { prefix + [$0] } } }) {
                    grid.allow(cell)
                }
            }
        }
        var cover = grid.cover(steps: steps)
        if freeCells > Self.freeCellLimit {
            // Boxes may be missing that hold cells nobody counted.
            cover.independent = Array(cover.independent.prefix(1))
            cover.lowerBound = 1
            cover.isExact = false
        }
        func texts(_ box: Grid.Box, _ field: Field) -> [String]? {
            guard let axis = fields.firstIndex(of: field) else { return nil }
            let words = field.words(lexicon)
            return box.sides[axis].map { words.texts[axes[axis].places[$0]] }
        }
        result.rules += cover.boxes.map { box in
            PolicyRule(
                verbs: texts(box, .verb), apiGroups: texts(box, .group), resources: texts(box, .resource),
                resourceNames: texts(box, .name), nonResourceURLs: texts(box, .url))
        }
        result.independent += cover.independent.map { cell in
            var code = AtomCode(group: -1, resource: -1, verb: -1, name: -1)
            for (place, field) in fields.enumerated() {
                let word = Int32(axes[place].places[cell[place]])
                switch field {
                case .group: code.group = word
                case .resource, .url: code.resource = word
                case .verb: code.verb = word
                case .name: code.name = word
                }
            }
            return lexicon.atom(code)
        }
        result.lowerBound += cover.lowerBound
        result.usedSearch = result.usedSearch || cover.usedSearch
        result.isExact = result.isExact && cover.isExact
    }

    /// Whether a pattern reaches a word on one axis.
    private func covers(_ pattern: AtomCode, _ field: Field, _ place: Int) -> Bool {
        let (owner, text) = (lexicon.atom(pattern), field.words(lexicon).texts[place])
        switch field {
        case .group: return owner.apiGroup == "*" || (owner.apiGroup ?? "").isSameBytes(as: text)
        case .verb: return owner.verb == "*" || owner.verb.isSameBytes(as: text)
        case .name: return owner.resourceName.map { $0.isSameBytes(as: text) } ?? true
        case .url: return RuleCoverage.url(owner.nonResourceURL ?? "", covers: text)
        case .resource:
            let rule = PolicyRule(verbs: ["get"], apiGroups: [""], resources: [owner.resource ?? ""])
            return RuleCoverage.covers(rule, RuleAtom(verb: "get", apiGroup: "", resource: text))
        }
    }
}
