import Foundation
import WhittleModel

/// Objects that exporters write in another shape than the API server, written anew as it does.
///
/// Texts stay as they are, escapes included.
enum AuditShape {
    private static let depthLimit = 16
    private static let timestamp: StaticString = "timestamp"

    /// The object of a record whose members stand on one level, such as `user.username`, also behind a common prefix; `nil` when it
    /// is none of an event.
    ///
    /// Lists of one value are that value, because Elasticsearch writes all `fields` as lists.
    static func nested(_ value: DocumentValue) -> [UInt8]? {
        guard value.value("user")?.kind != .object, let prefix = prefix(ofMembersOf: value) else { return nil }
        var root = ObjectTree()
        for (key, member) in value.members where !member.isNull {
            let key = ByteSlice(key.bytes)
            guard key.count >= prefix.count, memcmp(key.start, prefix.start, prefix.count) == 0 else { continue }
            let path = path(ByteSlice(start: key.start + prefix.count, count: key.count - prefix.count))
            if path.count <= depthLimit, !isNothing(member, at: path, in: value) { root.add(path, member) }
        }
        guard root.hasMember("stage") || entryMethods.contains(where: { root.hasMember($0.payload) }) else { return nil }
        // When it was stored, if nobody asked for more.
        if !root.hasMember("requestReceivedTimestamp"), !root.hasMember("stageTimestamp"), let time = value.value("@timestamp") {
            root.add([ByteSlice(start: timestamp.utf8Start, count: timestamp.utf8CodeUnitCount)], time)
        }
        var object: [UInt8] = []
        object.reserveCapacity(value.bytes.count + AuditEnvelope.padding)
        root.append(to: &object)
        return object
    }

    /// Members of an entry of Google Cloud that tell its method, as Google and BigQuery name them.
    static let entryMethods: [(name: StaticString, payload: StaticString)] = [
        ("protoPayload.methodName", "protoPayload"), ("protopayload_auditlog.methodName", "protopayload_auditlog"),
    ]

    /// What stands before the names of all members of an event; `nil` when they are none of one. A body may hold such names, too, which
    /// are longer, and so may what stands beside the event, without such a stage.
    private static func prefix(ofMembersOf value: DocumentValue) -> ByteSlice? {
        let (user, stage): (StaticString, StaticString) = ("user.username", "stage")
        var users: Set<ByteString> = []
        var shortest: ByteSlice?
        for (key, member) in value.members {
            let key = ByteSlice(key.bytes)
            if entryMethods.contains(where: { key.isText($0.name) }) { return ByteSlice(start: key.start, count: 0) }
            func prefix(_ name: StaticString) -> ByteSlice? {
                key.isText(name) || key.ends(withName: name)
                    ? ByteSlice(start: key.start, count: key.count - name.utf8CodeUnitCount) : nil
            }
            if let prefix = prefix(user), !isOfBody(prefix.text) { users.insert(ByteString(prefix.text)) }
            // Others have stages too, of another kind.
            if let prefix = prefix(stage), prefix.count < shortest?.count ?? .max,
                AuditTally.place(ofStage: ByteSlice((member.kind == .array ? member.elements.first ?? member : member).bytes)) != nil
            {
                shortest = prefix
            }
        }
        guard let shortest, users.contains(ByteString(shortest.text)) else { return nil }
        return shortest
    }

    /// Whether what stands before the name of a member tells that it is one of the body of a request or its answer.
    static func isOfBody(_ prefix: some StringProtocol) -> Bool {
        prefix.lowercased().replacing("_", with: "").split(separator: ".").contains { name in
            ["requestobject", "responseobject", "oldobject"].contains { name.hasPrefix($0) }
        }
    }

    /// Whether a word for nothing stands at a path, and no name that may be one.
    private static func isNothing(_ member: DocumentValue, at path: [ByteSlice], in value: DocumentValue) -> Bool {
        guard AuditEvent.isNothing(member) else { return false }
        guard path.count == 2, !member.bytes.isEmpty else { return true }
        if path[0].isText("objectRef"), path[1].isText("name") || path[1].isText("namespace") {
            // Names have small letters.
            return !member.bytes.allSatisfy { $0 &- UInt8(ascii: "a") < 26 }
        }
        // Who is impersonated has groups.
        return !path[0].isText("impersonatedUser")
            || !value.members.contains { key, member in
                ByteSlice(key.bytes).contains("impersonatedUser.groups") && !member.isNull && !AuditEvent.isNothing(member)
            }
    }

    /// The object of a list of keys and values, as OTLP writes it; `nil` when it is none.
    static func object(keysAndValues list: DocumentValue) -> [UInt8]? {
        var object: [UInt8] = []
        // It says everything in fewer words.
        object.reserveCapacity(list.bytes.count + AuditEnvelope.padding)
        return append(keysAndValues: list, to: &object) ? object : nil
    }

    /// The object of a list of keys and values, as OTLP writes attributes; `nil` when it is none.
    static func object(attributes list: DocumentValue) -> [UInt8]? {
        guard list.elements.first?.value("key")?.kind == .string else { return nil }
        var object: [UInt8] = []
        object.reserveCapacity(list.bytes.count + AuditEnvelope.padding)
        append(elements: list, to: &object)
        return object
    }

    /// The object of names, which are texts, and their values.
    static func object(_ fields: [(key: DocumentValue, value: DocumentValue?)]) -> [UInt8] {
        var object = [UInt8(ascii: "{")]
        for (key, value) in fields where key.kind == .string {
            if object.count > 1 { object.append(UInt8(ascii: ",")) }
            append(key, to: &object)
            object.append(UInt8(ascii: ":"))
            if let value { append(value, to: &object) } else { object += "null".utf8 }
        }
        object.append(UInt8(ascii: "}"))
        return object
    }

    private static func append(keysAndValues list: DocumentValue, to object: inout [UInt8]) -> Bool {
        guard let values = list.value("values"), values.kind == .array else { return false }
        append(elements: values, to: &object)
        return true
    }

    private static func append(elements list: DocumentValue, to object: inout [UInt8]) {
        object.append(UInt8(ascii: "{"))
        for element in list.elements {
            guard let key = element.value("key"), key.kind == .string else { continue }
            if object.last != UInt8(ascii: "{") { object.append(UInt8(ascii: ",")) }
            append(key, to: &object)
            object.append(UInt8(ascii: ":"))
            if let value = element.value("value") { append(any: value, to: &object) } else { object += "null".utf8 }
        }
        object.append(UInt8(ascii: "}"))
    }

    private static func append(any value: DocumentValue, to object: inout [UInt8]) {
        if let list = value.value("kvlistValue") {
            if !append(keysAndValues: list, to: &object) { object += "{}".utf8 }
        } else if let list = value.value("arrayValue") {
            object.append(UInt8(ascii: "["))
            for element in (list.value("values")).elements {
                if object.last != UInt8(ascii: "[") { object.append(UInt8(ascii: ",")) }
                append(any: element, to: &object)
            }
            object.append(UInt8(ascii: "]"))
        } else if let scalar = value.value("stringValue") ?? value.value("boolValue") ?? value.value("doubleValue") {
            append(scalar, to: &object)
        } else {
            // A whole number is written as text, too.
            object += (value.value("intValue")?.number.map(String.init) ?? "null").utf8
        }
    }

    static func append(_ value: DocumentValue, to object: inout [UInt8]) {
        if value.kind == .string { object.append(UInt8(ascii: "\"")) }
        object += value.bytes
        if value.kind == .string { object.append(UInt8(ascii: "\"")) }
    }

    /// The names of the objects around a member and its own; those of annotations and of what a user has as extra hold dots themselves.
    private static func path(_ key: ByteSlice) -> [ByteSlice] {
        var path: [ByteSlice] = []
        func add(_ name: ByteSlice) {
            let (name, index) = name.withoutListMark
            path.append(name)
            if let index { path.append(index) }
        }
        var rest = key
        while let dot = memchr(rest.start, Int32(UInt8(ascii: ".")), rest.count) {
            let count = UnsafeRawPointer(rest.start).distance(to: dot)
            let name = ByteSlice(start: rest.start, count: count)
            add(name)
            rest = ByteSlice(start: rest.start + count + 1, count: rest.count - count - 1)
            guard name.isText("annotations") || name.isText("extra") || name.isText("labels") else { continue }
            // An element of a list.
            if name.isText("extra"), let dot = rest.buffer.lastIndex(of: UInt8(ascii: ".")) {
                let last = ByteSlice(start: rest.start + dot + 1, count: rest.count - dot - 1)
                if last.number != nil { return path + [ByteSlice(start: rest.start, count: dot), last] }
            }
            break
        }
        add(rest)
        return path
    }
}

extension ByteSlice {
    /// Whether it is a dot and the text behind something else.
    fileprivate func ends(withName name: StaticString) -> Bool {
        let before = count - name.utf8CodeUnitCount
        return before > 0 && start[before - 1] == UInt8(ascii: ".") && memcmp(start + before, name.utf8Start, count - before) == 0
    }

    /// Without what Splunk writes behind the name of a list (`{}`), and the place that others write behind those of its elements (`[0]`).
    var withoutListMark: (name: ByteSlice, index: ByteSlice?) {
        guard count > 2 else { return (self, nil) }
        if start[count - 2] == UInt8(ascii: "{"), start[count - 1] == UInt8(ascii: "}") {
            return (ByteSlice(start: start, count: count - 2), nil)
        }
        guard start[count - 1] == UInt8(ascii: "]"), let bracket = buffer.lastIndex(of: UInt8(ascii: "[")), bracket > 0 else {
            return (self, nil)
        }
        let index = ByteSlice(start: start + bracket + 1, count: count - bracket - 2)
        return index.number == nil ? (self, nil) : (ByteSlice(start: start, count: bracket), index)
    }

    /// The number that it is written as, without needless zeros; `nil` when there is none.
    var number: Int? {
        guard (1...9).contains(count), count == 1 || start.pointee != UInt8(ascii: "0") else { return nil }
        var number = 0
        for byte in buffer {
            guard byte &- UInt8(ascii: "0") < 10 else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }
}
