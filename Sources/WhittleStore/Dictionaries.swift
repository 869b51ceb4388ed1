import GRDB
import OrderedCollections
import WhittleModel

/// Interns the texts of the dictionary tables: each distinct text is one row, numbered in order of first use.
final class Dictionaries {
    private let insertNamespace: BulkStatement
    private let insertIdentity: BulkStatement
    private let insertName: BulkStatement
    private let insertAtom: BulkStatement
    /// Place = id. Ids are dense, because only this class gives them; 0 stands for nothing, nobody and no name.
    private var namespaces: OrderedSet<ByteString> = []
    private var identities: OrderedSet<Identity> = []
    /// Ids of names that may be asked for; '' has 0.
    private var names: [ByteString: Int64] = [:]
    /// The names with the ids 1, 2, … as long as each came behind the last one in the order of bytes, which tells at once that it is
    /// new.
    private var ascendingNames: ContiguousArray<String> = []
    private var lastName: Int64 = 0
    private var atoms: OrderedSet<AtomKey> = []
    private var parts: OrderedSet<ByteString> = []

    /// A verb, group, resource or URL, numbered so that an atom is found without hashing its texts again.
    typealias Part = Int32

    private struct AtomKey: Hashable {
        var verb: Part
        /// -1 for a URL, which `target` then is.
        var apiGroup: Part
        var target: Part
    }

    /// Opens the dictionaries of a database.
    ///
    /// - Parameter fold: whose texts will be asked for; `nil` = the database is new and gets its rows with id 0.
    init(_ database: Database, _ writer: BulkWriter, for fold: UsageFold?) throws {
        insertNamespace = writer.statement("INSERT INTO namespace (namespace_id, name, declared, labels) VALUES (?, ?, 0, '{}')")
        insertIdentity = writer.insert(into: "identity", columns: 3)
        // Without its id, which SQLite gives it then, one more than the last, it need not look whether there is such a row.
        insertName = writer.insert(into: "object_name (name)", columns: 1)
        insertAtom = writer.insert(into: "atom (atom_id, verb, api_group, resource, url)", columns: 5)
        // No atom has these parts: the place 0 is taken.
        atoms.append(AtomKey(verb: -1, apiGroup: -1, target: -1))
        guard let fold else {
            _ = try namespace("")
            _ = try identity(Identity(.user, ""))
            try database.execute(sql: "INSERT INTO object_name VALUES (0, '')")
            return
        }
        for row in try Row.fetchAll(database, sql: "SELECT name FROM namespace ORDER BY namespace_id") {
            try namespaces.append(ByteString(row.at(0)))
        }
        for row in try Row.fetchAll(database, sql: "SELECT kind, name FROM identity ORDER BY identity_id") {
            try identities.append(Identity(row.at(0) == "Group" ? .group : .user, row.at(1)))
        }
        try readNames(database, fold)
        for row in try Row.fetchAll(database, sql: "SELECT verb, api_group, coalesce(resource, url) FROM atom ORDER BY atom_id") {
            let apiGroup: String? = try row.at(1)
            try atoms.append(AtomKey(verb: part(row.at(0)), apiGroup: apiGroup.map(part) ?? -1, target: part(row.at(2))))
        }
        let last = try Row.fetchOne(
            database,
            sql: """
                SELECT (SELECT max(namespace_id) FROM namespace), (SELECT max(identity_id) FROM identity),
                       coalesce((SELECT max(atom_id) FROM atom), 0)
                """)
        let counts = [namespaces.count, identities.count, atoms.count]
        guard let last, (0..<3).allSatisfy({ last[$0] == counts[$0] - 1 }) else { throw Self.changedByHand }
    }

    static var changedByHand: StoreError { .sql(code: 0, message: "ids in the file were changed by hand") }

    /// Reads all names, or where there are many more of them than the fold can ask for, these.
    private func readNames(_ database: Database, _ fold: UsageFold) throws {
        let row = try Row.fetchOne(database, sql: "SELECT max(object_name_id), count(*) FROM object_name")
        guard let row, let last: Int64 = try row.at(0), try row.at(1) - 1 == last else { throw Self.changedByHand }
        lastName = last
        guard (fold.texts.count + fold.implied.count) * 8 < last else {
            let rows = try Row.fetchCursor(database, sql: "SELECT name, object_name_id FROM object_name WHERE object_name_id > 0")
            while let row = try rows.next() { try names[ByteString(row.at(0))] = row.at(1) }
            return
        }
        let statement = try database.makeStatement(sql: "SELECT object_name_id FROM object_name WHERE name = ?")
        func read(_ name: String) throws {
            let name = name.withoutNUL
            if let id = try Int64.fetchOne(statement, arguments: [name]) { names[ByteString(name)] = id }
        }
        for place in 0..<fold.texts.count { try read(fold.texts[place]) }
        for need in fold.implied.keys { try read(need.request.name) }
    }

    /// Makes room for so many identities.
    func reserve(identities count: Int) { identities.reserveCapacity(identities.count + count) }

    /// Makes room for so many names.
    func reserve(names count: Int) {
        if lastName == 0 { ascendingNames.reserveCapacity(count) } else { names.reserveCapacity(names.count + count) }
    }

    func namespace(_ name: String) throws -> Int64 {
        let (isNew, id) = namespaces.append(ByteString(name.withoutNUL))
        if isNew { try insertNamespace.run(id, name) }
        return Int64(id)
    }

    func identity(_ identity: Identity) throws -> Int64 {
        let (isNew, id) = identities.append(
            identity.name.holdsNUL ? Identity(identity.kind, identity.name.withoutNUL) : identity)
        if isNew { try insertIdentity.run(id, identity.kind.rawValue, identity.name) }
        return Int64(id)
    }

    func objectName(_ name: String) throws -> Int64 {
        let name = name.withoutNUL
        if name.isEmpty { return 0 }
        if lastName == ascendingNames.count, bytesPrecede(ascendingNames.last ?? "", name) {
            ascendingNames.append(name)
        } else {
            if let place = placeOfAscending(name) { return Int64(place + 1) }
            if let id = names[ByteString(name)] { return id }
            names[ByteString(name)] = lastName + 1
        }
        lastName += 1
        try insertName.run(name)
        return lastName
    }

    private func placeOfAscending(_ name: String) -> Int? {
        var (start, end) = (0, ascendingNames.count)
        while start < end {
            let middle = (start + end) / 2
            if bytesPrecede(ascendingNames[middle], name) { start = middle + 1 } else { end = middle }
        }
        return start < ascendingNames.count && ascendingNames[start].isSameBytes(as: name) ? start : nil
    }

    /// The number of a verb, group, resource or URL.
    func part(_ text: String) -> Part { Part(parts.append(ByteString(text.withoutNUL)).index) }

    /// - Parameter apiGroup: `nil` for a URL, which `target` then is.
    func atom(verb: Part, apiGroup: Part?, target: Part) throws -> Int64 {
        let (isNew, id) = atoms.append(AtomKey(verb: verb, apiGroup: apiGroup ?? -1, target: target))
        if isNew {
            let text = parts[Int(target)].string
            try insertAtom.run(
                id, parts[Int(verb)].string, apiGroup.map { parts[Int($0)].string }, apiGroup == nil ? nil : text,
                apiGroup == nil ? text : nil)
        }
        return Int64(id)
    }

    /// - Parameter apiGroup: `nil` for a URL, which `target` then is.
    func atom(verb: String, apiGroup: String?, target: String) throws -> Int64 {
        try atom(verb: part(verb), apiGroup: apiGroup.map(part), target: part(target))
    }

    /// The atom of a request, all parts literal.
    func atom(_ request: Request) throws -> Int64 {
        if let path = request.path { return try atom(verb: request.verb, apiGroup: nil, target: path) }
        return try atom(verb: request.verb, apiGroup: request.apiGroup, target: request.combinedResource)
    }

    /// The id of an identity; `nil` = it has no row.
    func knownIdentity(_ identity: Identity) -> Int64? {
        identities.firstIndex(of: Identity(identity.kind, identity.name.withoutNUL)).map { Int64($0) }
    }

    /// Identities that have a row.
    var identityCount: Int { identities.count }

    /// Every user identity that has a row, by id, from the given place on.
    func users(from start: Int = 1) -> [(name: String, id: Int64)] {
        (start..<max(start, identities.count)).filter { identities[$0].kind == .user }.map { (identities[$0].name, Int64($0)) }
    }
}
