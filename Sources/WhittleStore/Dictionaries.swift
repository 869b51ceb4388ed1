import GRDB
import WhittleModel

/// Interns the texts of the dictionary tables: each distinct text is one row, numbered in order of first use.
final class Dictionaries {
    private let insertNamespace: BulkStatement
    private let insertIdentity: BulkStatement
    private let insertName: BulkStatement
    private let insertAtom: BulkStatement
    private var namespaces: [ByteString: Int64] = [:]
    private var identities: [Identity: Int64] = [:]
    private var names: [ByteString: Int64] = [:]
    private var atoms: [AtomKey: Int64] = [:]
    private var next: (namespace: Int64, identity: Int64, name: Int64, atom: Int64) = (1, 1, 1, 1)

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
        if isNew {
            try insertNamespace.run(.integer(0), .text(""))
            try insertIdentity.run(.integer(0), .text("User"), .text(""))
            try insertName.run(.integer(0), .text(""))
            namespaces[ByteString("")] = 0
            names[ByteString("")] = 0
            identities[Identity(.user, "")] = 0
            return
        }
        for row in try Row.fetchAll(database, sql: "SELECT namespace_id, name FROM namespace") {
            namespaces[ByteString(row[1])] = row[0]
        }
        for row in try Row.fetchAll(database, sql: "SELECT identity_id, kind, name FROM identity") {
            identities[Identity(row[1] == "Group" ? .group : .user, row[2])] = row[0]
        }
        for row in try Row.fetchAll(database, sql: "SELECT object_name_id, name FROM object_name") {
            names[ByteString(row[1])] = row[0]
        }
        for row in try Row.fetchAll(database, sql: "SELECT atom_id, verb, api_group, coalesce(resource, url) FROM atom") {
            let apiGroup: String? = row[2]
            atoms[AtomKey(verb: ByteString(row[1]), apiGroup: apiGroup.map(ByteString.init), target: ByteString(row[3]))] = row[0]
        }
        func after(_ ids: some Collection<Int64>) -> Int64 { (ids.max() ?? 0) + 1 }
        next = (after(namespaces.values), after(identities.values), after(names.values), after(atoms.values))
    }

    func namespace(_ name: String) throws -> Int64 {
        if let id = namespaces[ByteString(name)] { return id }
        let id = next.namespace
        next.namespace += 1
        namespaces[ByteString(name)] = id
        try insertNamespace.run(.integer(id), .text(name))
        return id
    }

    func identity(_ identity: Identity) throws -> Int64 {
        if let id = identities[identity] { return id }
        let id = next.identity
        next.identity += 1
        identities[identity] = id
        try insertIdentity.run(.integer(id), .text(identity.kind.rawValue), .text(identity.name))
        return id
    }

    func objectName(_ name: String) throws -> Int64 {
        if let id = names[ByteString(name)] { return id }
        let id = next.name
        next.name += 1
        names[ByteString(name)] = id
        try insertName.run(.integer(id), .text(name))
        return id
    }

    /// - Parameter apiGroup: `nil` for a URL, which `target` then is.
    func atom(verb: String, apiGroup: String?, target: String) throws -> Int64 {
        let key = AtomKey(verb: ByteString(verb), apiGroup: apiGroup.map(ByteString.init), target: ByteString(target))
        if let id = atoms[key] { return id }
        let id = next.atom
        next.atom += 1
        atoms[key] = id
        try insertAtom.run(
            .integer(id), .text(verb), .optional(apiGroup), apiGroup == nil ? .null : .text(target),
            apiGroup == nil ? .text(target) : .null)
        return id
    }

    /// The atom of a request, all parts literal.
    func atom(_ request: Request) throws -> Int64 {
        if let path = request.path { return try atom(verb: request.verb, apiGroup: nil, target: path) }
        return try atom(verb: request.verb, apiGroup: request.apiGroup, target: request.combinedResource)
    }

    /// Every user identity that has a row.
    var users: [(name: String, id: Int64)] {
        identities.filter { $0.key.kind == .user && $0.value != 0 }.map { ($0.key.name, $0.value) }.sorted { $0.id < $1.id }
    }
}
