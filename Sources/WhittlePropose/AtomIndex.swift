import WhittleModel

/// A set of atoms that answers quickly whether it covers another one.
struct AtomIndex {
    private var atoms: Set<RuleAtom> = []
    /// The few atoms with a pattern in them, which cover more than what is spelled like them.
    private var patterns: [PolicyRule] = []

    init(_ atoms: some Sequence<RuleAtom>) {
        for atom in atoms where self.atoms.insert(atom).inserted && atom.hasPattern { patterns.append(atom.rule) }
    }

    /// Whether one of the atoms covers `atom`; itself does not count when `isStrict`.
    func covers(_ atom: RuleAtom, isStrict: Bool = false) -> Bool {
        if !isStrict, atoms.contains(atom) { return true }
        if atom.resourceName != nil {
            var unrestricted = atom
            unrestricted.resourceName = nil
            if atoms.contains(unrestricted) { return true }
        }
        return patterns.contains { pattern in
            guard RuleCoverage.covers(pattern, atom) else { return false }
            return !isStrict || !pattern.atoms.allSatisfy { RuleCoverage.covers(atom.rule, $0) }
        }
    }
}

extension RuleAtom {
    /// Whether a part would be read as a pattern in a rule.
    var hasPattern: Bool {
        verb == "*" || apiGroup == "*" || resource == "*" || resource?.hasBytePrefix("*/") ?? false
            || nonResourceURL?.utf8.last == UInt8(ascii: "*")
    }
}
