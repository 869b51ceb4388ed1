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
    private var names: OrderedSet<ByteString> = []
    private var atoms: OrderedSet<AtomKey> = []

    private struct AtomKey: Hashable {
        var verb: ByteString
        var apiGroup: ByteString?
        var target: ByteString
    }

    /// Opens the dictionaries of a database; a new one gets its rows with id 0.
    init(_ database: Database, isNew: Bool) throws {
        insertNamespace = try BulkStatement(
            database, "INSERT INTO namespace (namespace_id, name, declared, labels) VALUES (?, ?, 0, '{}')")
        insertIdentity = try BulkStatement(database, "INSERT INTO identity VALUES (?, ?, ?)")
        insertName = try BulkStatement(database, "INSERT INTO object_name VALUES (?, ?)")
        insertAtom = try BulkStatement(database, "INSERT INTO atom (atom_id, verb, api_group, resource, url) VALUES (?, ?, ?, ?, ?)")
        atoms.append(AtomKey(verb: ByteString(""), apiGroup: nil, target: ByteString("")))
        if isNew {
            _ = try namespace("")
            _ = try identity(Identity(.user, ""))
            _ = try objectName("")
            return
        }
        for row in try Row.fetchAll(database, sql: "SELECT name FROM namespace ORDER BY namespace_id") {
            namespaces.append(ByteString(row[0]))
        }
        for row in try Row.fetchAll(database, sql: "SELECT kind, name FROM identity ORDER BY identity_id") {
            identities.append(Identity(row[0] == "Group" ? .group : .user, row[1]))
        }
        for row in try Row.fetchAll(database, sql: "SELECT name FROM object_name ORDER BY object_name_id") {
            names.append(ByteString(row[0]))
        }
        for row in try Row.fetchAll(database, sql: "SELECT verb, api_group, coalesce(resource, url) FROM atom ORDER BY atom_id") {
            let apiGroup: String? = row[1]
            atoms.append(AtomKey(verb: ByteString(row[0]), apiGroup: apiGroup.map(ByteString.init), target: ByteString(row[2])))
        }
        let last = try Row.fetchOne(
            database,
            sql: """
                SELECT (SELECT max(namespace_id) FROM namespace), (SELECT max(identity_id) FROM identity),
                       (SELECT max(object_name_id) FROM object_name), coalesce((SELECT max(atom_id) FROM atom), 0)
                """)
        let counts = [namespaces.count, identities.count, names.count, atoms.count]
        guard let last, (0..<4).allSatisfy({ last[$0] == counts[$0] - 1 }) else {
            throw StoreError.sql(code: 0, message: "the dictionaries of the file were changed by hand")
        }
    }

    func namespace(_ name: String) throws -> Int64 {
        let (isNew, id) = namespaces.append(ByteString(name))
        if isNew { try insertNamespace.run(.integer(Int64(id)), .text(name)) }
        return Int64(id)
    }

    func identity(_ identity: Identity) throws -> Int64 {
        let (isNew, id) = identities.append(identity)
        if isNew { try insertIdentity.run(.integer(Int64(id)), .text(identity.kind.rawValue), .text(identity.name)) }
        return Int64(id)
    }

    func objectName(_ name: String) throws -> Int64 {
        let (isNew, id) = names.append(ByteString(name))
        if isNew { try insertName.run(.integer(Int64(id)), .text(name)) }
        return Int64(id)
    }

    /// - Parameter apiGroup: `nil` for a URL, which `target` then is.
    func atom(verb: String, apiGroup: String?, target: String) throws -> Int64 {
        let key = AtomKey(verb: ByteString(verb), apiGroup: apiGroup.map(ByteString.init), target: ByteString(target))
        let (isNew, id) = atoms.append(key)
        if isNew {
            try insertAtom.run(
                .integer(Int64(id)), .text(verb), .optional(apiGroup), apiGroup == nil ? .null : .text(target),
                apiGroup == nil ? .text(target) : .null)
        }
        return Int64(id)
    }

    /// The atom of a request, all parts literal.
    func atom(_ request: Request) throws -> Int64 {
        if let path = request.path { return try atom(verb: request.verb, apiGroup: nil, target: path) }
        return try atom(verb: request.verb, apiGroup: request.apiGroup, target: request.combinedResource)
    }

    /// Every user identity that has a row, by id.
    var users: [(name: String, id: Int64)] {
        identities.enumerated().filter { $0.offset > 0 && $0.element.kind == .user }.map { ($0.element.name, Int64($0.offset)) }
    }
}
