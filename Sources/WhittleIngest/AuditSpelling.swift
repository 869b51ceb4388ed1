import WhittleModel

/// Events whose members have other names than the API server gives them: in small letters or with capital ones, as Athena and programs
/// in Go write them, joined by underscores or dashes, as OpenObserve, Graylog and Cribl do with members of members, or both.
struct AuditSpelling {
    /// Members by what is left of their names without capitals and signs between words.
    private static let paths = Dictionary(
        uniqueKeysWithValues: members.map { path in (path.map { $0.description.lowercased() }.joined(), path) })

    private static let members: [[StaticString]] =
        [
            ["kind"], ["apiVersion"], ["level"], ["auditID"], ["stage"], ["requestURI"], ["verb"], ["userAgent"], ["sourceIPs"],
            ["requestReceivedTimestamp"], ["stageTimestamp"], ["timestamp"], ["annotations"], ["requestObject"], ["responseObject"],
            ["responseStatus", "code"], ["responseStatus", "message"], ["authenticationMetadata", "impersonationConstraint"],
            ["requestObject", "metadata", "name"], ["responseObject", "metadata", "name"], ["responseObject", "status", "allowed"],
            ["requestObject", "roleRef", "kind"], ["requestObject", "roleRef", "name"],
            ["requestObject", "spec", "user"], ["requestObject", "spec", "namespace"],
            ["requestObject", "spec", "nonResourceAttributes", "path"], ["requestObject", "spec", "nonResourceAttributes", "verb"],
        ]
        + ["username", "uid", "groups", "extra"].flatMap { [["user", $0], ["impersonatedUser", $0]] }
        + ["apiGroup", "apiVersion", "resource", "subresource", "namespace", "name", "uid"].map { ["objectRef", $0] }
        + ["verb", "group", "resource", "subresource", "namespace", "name"].map { ["requestObject", "spec", "resourceAttributes", $0] }

    /// Objects whose members are spelled in the same way.
    private static let objects: [String: StaticString] = [
        "user": "user", "impersonateduser": "impersonatedUser", "objectref": "objectRef", "responsestatus": "responseStatus",
        "authenticationmetadata": "authenticationMetadata",
    ]
    /// Objects and lists whose members may have any name.
    private static let containers = [
        "annotations", "userextra", "impersonateduserextra", "usergroups", "impersonatedusergroups", "sourceips",
    ]
    private static let stage: StaticString = "stage"

    private var tree = ObjectTree()
    private var isTaken: Set<String> = []
    /// Whether some name is not that of the API server.
    private var isChanged = false
    /// Whether all values are written as lists.
    private let areLists: Bool
    private var parsed: [ParsedText] = []

    private init(areLists: Bool) { self.areLists = areLists }

    /// The object of an event as the API server spells it, also of one whose members have a common prefix; `nil` when the value is none,
    /// or spelled so already. It may lack what an event must have.
    static func respelled(_ value: DocumentValue) -> [UInt8]? {
        guard let prefix = prefix(ofMembersOf: value) else { return nil }
        var spelling = AuditSpelling(areLists: value.members.allSatisfy { $1.kind == .array })
        spelling.isChanged = !prefix.isEmpty
        // What a shipper has added under a similar name stands behind the event's own.
        for isExact in [true, false] {
            for (key, member) in value.members {
                let key = ByteSlice(key.bytes)
                guard key.count > prefix.count, key.buffer.starts(with: prefix.buffer) else { continue }
                let name = ByteSlice(start: key.start + prefix.count, count: key.count - prefix.count)
                if names.contains(name.text) == isExact { spelling.add(member, name) }
            }
        }
        defer { withExtendedLifetime(spelling.parsed) {} }
        guard spelling.isChanged, needed.contains(where: { spelling.tree.hasMember($0) }) else { return nil }
        var object: [UInt8] = []
        object.reserveCapacity(value.bytes.count + AuditEnvelope.padding)
        spelling.tree.append(to: &object)
        return object
    }

    /// Names of members as the API server writes them.
    private static let names = Set(members.map { $0[0].description } + objects.values.map(\.description))
    /// Members beside the stage, one of which every event has.
    private static let needed: [StaticString] = ["user", "verb", "requestURI", "objectRef", "auditID"]
    /// What no name of a member of an event itself begins with, or stands behind.
    private static let inner = ["requestobject", "responseobject", "oldobject", "impersonateduser"]

    /// Whether a member of this name may hold what whoever sends requests has put there.
    static func isOfClient(_ name: ByteSlice) -> Bool {
        let name = folded(name.buffer)
        return inner.contains(where: name.contains) || ["useragent", "requesturi", "username"].contains(where: name.hasSuffix)
    }

    /// Whether names are those of the members of an event, however they are spelled.
    static func areMembers(_ names: [String]) -> Bool {
        let folded = Set(names.map { Self.folded($0.utf8) })
        return folded.contains("stage") && !folded.isDisjoint(with: ["user", "userusername"])
            && !folded.isDisjoint(with: ["requesturi", "verb"])
    }

    /// What stands before the name of the stage; the shortest, if there are several. `nil` when there is none, or its value is none of an
    /// event's: what has a longer name then is of a body.
    private static func prefix(ofMembersOf value: DocumentValue) -> ByteSlice? {
        var shortest: ByteSlice?
        var isStage = false
        for (key, member) in value.members {
            let key = ByteSlice(key.bytes)
            let before = key.count - stage.utf8CodeUnitCount
            guard before >= 0, before < shortest?.count ?? .max, key.start[key.count - 1] | 0x20 == UInt8(ascii: "e"),
                before == 0 || isSeparator(key.start[before - 1]), folded(key.buffer[before...]) == stage.description
            else { continue }
            let prefix = folded(key.buffer[..<before])
            guard !inner.contains(where: prefix.contains) else { continue }
            shortest = ByteSlice(start: key.start, count: before)
            isStage = AuditTally.place(ofStage: ByteSlice((member.kind == .array ? member.elements.first ?? member : member).bytes)) != nil
        }
        return isStage ? shortest : nil
    }

    private static func isSeparator(_ byte: UInt8) -> Bool { "_.-".utf8.contains(byte) }

    private static func folded(_ name: some Sequence<UInt8>) -> String {
        String(decoding: name.filter { !isSeparator($0) }, as: UTF8.self).lowercased()
    }

    /// Adds a member, or those of an object, if an event has such.
    ///
    /// - Parameter outer: the folded name of the object that it is of; `""` for the event.
    private mutating func add(_ member: DocumentValue, _ name: ByteSlice, inside outer: String = "") {
        guard !member.isNull, !AuditEvent.isNothing(member) else { return }
        let (name, index) = name.withoutListMark
        let folded = outer + Self.folded(name.buffer)
        if let object = Self.objects[folded] {
            let value = ParsedText.unpacked(member, &parsed)
            // What is of another type must not go unnoticed.
            guard value.kind == .object else { return add(member, at: [object]) }
            if !name.isText(object) { isChanged = true }
            for (key, inner) in value.members { add(inner, ByteSlice(key.bytes), inside: folded) }
        } else if let path = Self.paths[folded] {
            if outer.isEmpty && path.count > 1 || !(path.last.map { name.isText($0) } ?? false) { isChanged = true }
            add(member, at: path, index.map { [$0] } ?? [])
        } else if let container = Self.containers.first(where: { folded.hasPrefix($0) }), let path = Self.paths[container],
            let rest = Self.rest(of: name, behind: container.utf8.count - outer.utf8.count)
        {
            isChanged = true
            add(member, at: path, rest)
        }
    }

    private mutating func add(_ member: DocumentValue, at path: [StaticString], _ rest: [ByteSlice] = []) {
        let path = path.map { ByteSlice(start: $0.utf8Start, count: $0.utf8CodeUnitCount) } + rest
        // Of names that differ in spelling only, the first counts.
        if isTaken.insert(path.map(\.text).joined(separator: "\0")).inserted {
            tree.add(path, member, unwraps: areLists)
        }
    }

    /// What stands behind so many letters and a separator, and the place in a list, if there is one; `nil` when nothing does.
    private static func rest(of name: ByteSlice, behind letters: Int) -> [ByteSlice]? {
        var (position, left) = (0, letters)
        while position < name.count, left > 0 {
            if !isSeparator(name.start[position]) { left -= 1 }
            position += 1
        }
        guard position > 0, position + 1 < name.count, isSeparator(name.start[position]) else { return nil }
        let rest = ByteSlice(start: name.start + position + 1, count: name.count - position - 1)
        if let separator = rest.buffer.lastIndex(where: isSeparator), separator > 0 {
            let last = ByteSlice(start: rest.start + separator + 1, count: rest.count - separator - 1)
            if last.number != nil { return [ByteSlice(start: rest.start, count: separator), last] }
        }
        return [rest]
    }
}
