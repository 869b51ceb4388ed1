import WhittleModel

/// An atom with its words as places in a lexicon: small, and compared without looking at a string.
struct AtomCode: Hashable {
    /// -1: a URL.
    var group: Int32
    /// The place of the URL when it is one.
    var resource: Int32
    var verb: Int32
    /// -1: any name, or none.
    var name: Int32

    var isURL: Bool { group < 0 }
    var anyName: AtomCode { AtomCode(group: group, resource: resource, verb: verb, name: -1) }
}

/// The words of atoms in byte order, so that places order as the words do.
struct AtomLexicon {
    /// The words of one field.
    struct Words {
        private(set) var texts: [String] = []
        /// Whether a rule would read a word as a pattern.
        private(set) var isPattern: [Bool] = []
        private var places: [ByteString: Int32] = [:]

        mutating func place(_ text: String, isPattern: (String) -> Bool) -> Int32 {
            if let place = places[ByteString(text)] { return place }
            let place = Int32(texts.count)
            places[ByteString(text)] = place
            texts.append(text)
            self.isPattern.append(isPattern(text))
            return place
        }

        /// Puts the words in byte order.
        /// - Returns: the new place of each.
        mutating func sort() -> [Int32] {
            let order = texts.indices.sorted { bytesPrecede(texts[$0], texts[$1]) }
            var result = [Int32](repeating: 0, count: order.count)
            for (place, old) in order.enumerated() { result[old] = Int32(place) }
            (texts, isPattern) = (order.map { texts[$0] }, order.map { isPattern[$0] })
            places = [:]
            return result
        }
    }

    private(set) var verbs = Words()
    private(set) var groups = Words()
    private(set) var resources = Words()
    private(set) var names = Words()
    private(set) var urls = Words()

    /// The code of an atom, good until `sort()`.
    mutating func add(_ atom: RuleAtom) -> AtomCode {
        let isStar = { (text: String) in text == "*" }
        let verb = verbs.place(atom.verb, isPattern: isStar)
        if let url = atom.nonResourceURL {
            return AtomCode(
                group: -1, resource: urls.place(Self.withOneStar(url)) { $0.utf8.last == UInt8(ascii: "*") }, verb: verb, name: -1)
        }
        return AtomCode(
            group: groups.place(atom.apiGroup ?? "", isPattern: isStar),
            resource: resources.place(atom.resource ?? "") { $0 == "*" || $0.hasBytePrefix("*/") }, verb: verb,
            name: atom.resourceName.map { names.place($0) { _ in false } } ?? -1)
    }

    /// Trailing stars are one star to the authorizer; so no two words mean the same.
    private static func withOneStar(_ url: String) -> String {
        var url = url
        while url.utf8.count > 1, url.utf8.suffix(2).elementsEqual("**".utf8) { url.unicodeScalars.removeLast() }
        return url
    }

    /// Puts all words in byte order.
    /// - Returns: what makes new codes of the old ones.
    mutating func sort() -> (AtomCode) -> AtomCode {
        let (verbs, groups, resources) = (self.verbs.sort(), self.groups.sort(), self.resources.sort())
        let (names, urls) = (self.names.sort(), self.urls.sort())
        return { code in
            AtomCode(
                group: code.isURL ? -1 : groups[Int(code.group)],
                resource: code.isURL ? urls[Int(code.resource)] : resources[Int(code.resource)], verb: verbs[Int(code.verb)],
                name: code.name < 0 ? -1 : names[Int(code.name)])
        }
    }

    func hasPattern(_ code: AtomCode) -> Bool {
        if verbs.isPattern[Int(code.verb)] { return true }
        if code.isURL { return urls.isPattern[Int(code.resource)] }
        return groups.isPattern[Int(code.group)] || resources.isPattern[Int(code.resource)]
    }

    func atom(_ code: AtomCode) -> RuleAtom {
        let verb = verbs.texts[Int(code.verb)]
        if code.isURL { return RuleAtom(verb: verb, nonResourceURL: urls.texts[Int(code.resource)]) }
        return RuleAtom(
            verb: verb, apiGroup: groups.texts[Int(code.group)], resource: resources.texts[Int(code.resource)],
            resourceName: code.name < 0 ? nil : names.texts[Int(code.name)])
    }
}

/// A set of atoms that answers quickly whether it covers another one.
struct AtomCodeSet {
    let codes: Set<AtomCode>
    /// The few with a pattern, which cover more than what is spelled like them.
    private(set) var patterns: [(code: AtomCode, rule: PolicyRule)] = []
    private let lexicon: AtomLexicon

    init(_ codes: some Sequence<AtomCode>, _ lexicon: AtomLexicon) {
        self.codes = Set(codes)
        self.lexicon = lexicon
        patterns = self.codes.filter(lexicon.hasPattern).sorted(by: Self.precedes).map { ($0, lexicon.atom($0).rule) }
    }

    static func precedes(_ left: AtomCode, _ right: AtomCode) -> Bool {
        (left.group, left.resource, left.name, left.verb) < (right.group, right.resource, right.name, right.verb)
    }

    /// Whether one of the atoms covers `code`.
    func covers(_ code: AtomCode) -> Bool { codes.contains(code) || coversFromElsewhere(code) }

    /// Whether another one of the atoms covers `code`.
    func coversFromElsewhere(_ code: AtomCode) -> Bool {
        if code.name >= 0, codes.contains(code.anyName) { return true }
        guard !patterns.isEmpty else { return false }
        let atom = lexicon.atom(code)
        return patterns.contains { $0.code != code && RuleCoverage.covers($0.rule, atom) }
    }
}
