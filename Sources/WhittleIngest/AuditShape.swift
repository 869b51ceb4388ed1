import WhittleModel

/// Objects that exporters write in another shape than the API server, written anew as it does.
///
/// Texts stay as they are, escapes included.
enum AuditShape {
    private static let depthLimit = 16

    /// The object of a record whose members stand on one level, such as `user.username`, also behind a common prefix; `nil` when it
    /// is none of an event.
    ///
    /// Lists of one value are that value, because Elasticsearch writes all `fields` as lists.
    static func nested(_ value: DocumentValue) -> String? {
        let name = Array("user.username".utf8)
        let isName = { (key: UnsafeBufferPointer<UInt8>) in
            key.suffix(name.count).elementsEqual(name) && (key.count == name.count || key[key.count - name.count - 1] == UInt8(ascii: "."))
        }
        guard value.value("user")?.kind != .object, let user = value.members.first(where: { isName($0.key.bytes) })?.key.string else {
            return nil
        }
        let prefix = user.dropLast(name.count)
        let root = Member()
        for (key, member) in value.members where !member.isNull {
            guard let key = key.string, key.hasPrefix(prefix) else { continue }
            let path = path(key.dropFirst(prefix.count))
            if path.count <= depthLimit { root.add(path, member) }
        }
        guard root.members["stage"] != nil else { return nil }
        return root.json
    }

    /// The object of a list of keys and values, as OTLP writes it; `nil` when it is none.
    static func object(keysAndValues list: DocumentValue) -> [UInt8]? {
        var object: [UInt8] = []
        // It says everything in fewer words.
        object.reserveCapacity(list.bytes.count + AuditEnvelope.padding)
        return append(keysAndValues: list, to: &object) ? object : nil
    }

    private static func append(keysAndValues list: DocumentValue, to object: inout [UInt8]) -> Bool {
        guard let values = list.value("values"), values.kind == .array else { return false }
        object.append(UInt8(ascii: "{"))
        for element in values.elements {
            guard let key = element.value("key"), key.kind == .string else { continue }
            if object.last != UInt8(ascii: "{") { object.append(UInt8(ascii: ",")) }
            append(key, to: &object)
            object.append(UInt8(ascii: ":"))
            if let value = element.value("value") { append(any: value, to: &object) } else { object += "null".utf8 }
        }
        object.append(UInt8(ascii: "}"))
        return true
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

    private static func append(_ value: DocumentValue, to object: inout [UInt8]) {
        if value.kind == .string { object.append(UInt8(ascii: "\"")) }
        object += value.bytes
        if value.kind == .string { object.append(UInt8(ascii: "\"")) }
    }

    private static func json(_ value: DocumentValue) -> String {
        let text = String(decoding: value.bytes, as: UTF8.self)
        return value.kind == .string ? "\"\(text)\"" : text
    }

    /// The names of the objects around a member and its own; those of annotations and of what a user has as extra hold dots themselves.
    private static func path(_ key: Substring) -> [Substring] {
        let parts = key.split(separator: ".", omittingEmptySubsequences: false)
        guard let opening = parts.dropLast().firstIndex(where: { $0 == "annotations" || $0 == "extra" }), opening + 2 < parts.count else {
            return parts
        }
        var name = parts[(opening + 1)...]
        var place: [Substring] = []
        // An element of a list.
        if parts[opening] == "extra", let last = name.last, Int(last) != nil { place = [name.removeLast()] }
        return parts[...opening] + [name.joined(separator: ".")[...]] + place
    }

    /// A member that is written anew.
    private final class Member {
        private(set) var members: [Substring: Member] = [:]
        private var text: String?

        func add(_ path: [Substring], _ value: DocumentValue) {
            guard let name = path.first else {
                text = AuditShape.json(value)
                return
            }
            let member = members[name] ?? Member()
            members[name] = member
            var values = value.elements
            if path.count == 1, let only = values.next(), values.first == nil {
                member.add([], only)
            } else {
                member.add(Array(path.dropFirst()), value)
            }
        }

        var json: String {
            // Elasticsearch has some texts once more one level below.
            if let text { return text }
            let numbers = members.keys.compactMap { Int($0) }.sorted()
            if numbers.elementsEqual(0..<members.count) {
                return "[\(numbers.compactMap { members["\($0)"[...]]?.json }.joined(separator: ","))]"
            }
            let all = members.sorted { $0.key < $1.key }.map { "\(jsonQuoted(String($0.key))):\($0.value.json)" }
            return "{\(all.joined(separator: ","))}"
        }
    }
}
