import WhittleModel

/// Writes the rules of one role after the other multiplied out, in the order of the table's key: appending to a B-tree is
/// several times cheaper than inserting into its middle.
struct RuleWriter {
    private let dictionaries: Dictionaries
    private let insertAtom: BulkStatement
    private let insertName: BulkStatement
    private let insertSize: BulkStatement
    private let star: Dictionaries.Part
    private var atoms: [Atom] = []

    private struct Atom {
        var id: Int64
        var ordinal: Int
        var isNamed: Bool
        var isURL = false
        var isWildcard: Bool
    }

    init(_ writer: BulkWriter, _ dictionaries: Dictionaries) {
        self.dictionaries = dictionaries
        insertAtom = writer.insert(into: "rule_atom", columns: 5)
        insertName = writer.insert(into: "rule_name", columns: 3)
        insertSize = writer.insert(into: "role_size", columns: 5)
        star = dictionaries.part("*")
    }

    private var names: [(ordinal: Int, id: Int64)] = []

    /// Takes a rule of the role that is written next.
    mutating func collect(_ rule: PolicyRule, ordinal: Int) throws {
        let isNamed = !(rule.resourceNames ?? []).isEmpty
        let apiGroups = (rule.apiGroups ?? []).map(dictionaries.part)
        let resources = (rule.resources ?? []).map(dictionaries.part)
        let urls = (rule.nonResourceURLs ?? []).map(dictionaries.part)
        for verb in (rule.verbs ?? []).map(dictionaries.part) {
            for apiGroup in apiGroups {
                for resource in resources {
                    let atom = try dictionaries.atom(verb: verb, apiGroup: apiGroup, target: resource)
                    let isWildcard = verb == star || apiGroup == star || resource == star
                    atoms.append(Atom(id: atom, ordinal: ordinal, isNamed: isNamed, isWildcard: isWildcard))
                }
            }
            for url in urls {
                let atom = try dictionaries.atom(verb: verb, apiGroup: nil, target: url)
                atoms.append(Atom(id: atom, ordinal: ordinal, isNamed: false, isURL: true, isWildcard: verb == star || url == star))
            }
        }
        for name in (rule.resourceNames ?? []).uniqued() { names.append((ordinal, try dictionaries.objectName(name))) }
    }

    /// Writes the collected rules as those of `role`; of an entry that a rule lists twice, once.
    mutating func write(role: Int64, namespace: Int64) throws {
        atoms.sort { ($0.id, $0.ordinal) < ($1.id, $1.ordinal) }
        var last: Atom?
        var (count, urls, wildcards, wildcardURLs) = (0, 0, 0, 0)
        for atom in atoms where last?.id != atom.id || last?.ordinal != atom.ordinal {
            try insertAtom.run(role, atom.id, atom.ordinal, namespace, atom.isNamed)
            if last?.id != atom.id {
                count += 1
                urls += atom.isURL ? 1 : 0
                wildcards += atom.isWildcard ? 1 : 0
                wildcardURLs += atom.isURL && atom.isWildcard ? 1 : 0
            }
            last = atom
        }
        if count > 0 { try insertSize.run(role, count, urls, wildcards, wildcardURLs) }
        for name in names { try insertName.run(role, name.ordinal, name.id) }
        atoms.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
    }
}
