/// Where the elements of a list begin, which are read one after the other.
struct ListBeginning {
    /// Members that hold records, and the envelope that they tell; `""` = each record tells it.
    struct Member {
        var parent: StaticString
        var key: StaticString
        var envelope: String
    }

    /// Bytes in which the elements must begin.
    static let limit = 1 << 16
    /// What is told of a list that is known to be of another log, or to hold nothing: what is no record in it is passed over.
    static let other = "other"

    static let members = [
        Member(parent: "", key: "items", envelope: "list"), Member(parent: "", key: "events", envelope: "eks"),
        Member(parent: "", key: "logEvents", envelope: "eks"), Member(parent: "", key: "records", envelope: "aks"),
        Member(parent: "", key: "entries", envelope: "loki"), Member(parent: "", key: "streams", envelope: "loki"),
        Member(parent: "data", key: "result", envelope: "loki"), Member(parent: "", key: "responses", envelope: "elastic"),
        Member(parent: "hits", key: "hits", envelope: "elastic"), Member(parent: "", key: "resourceLogs", envelope: "otlp"),
        Member(parent: "", key: "results", envelope: ""), Member(parent: "", key: "data", envelope: ""),
    ]
    /// Members of an element that hold the records themselves; such an element is taken apart when it has not ended, or is damaged.
    static let innerMembers = [
        Member(parent: "", key: "values", envelope: "loki"), Member(parent: "", key: "scopeLogs", envelope: "otlp"),
        Member(parent: "", key: "logRecords", envelope: "otlp"), Member(parent: "", key: "records", envelope: "aks"),
        Member(parent: "", key: "logEvents", envelope: "eks"), Member(parent: "hits", key: "hits", envelope: "elastic"),
    ]

    /// The place of the first element, or of the end of the list.
    let offset: Int
    let envelope: String
    /// Objects around the list.
    let depth: Int

    /// Looks for the list that a value is, as far as the value has come; `nil` when it is none yet.
    ///
    /// That may change only when an array begins in the value, with two brackets around it at most (`Nesting.tellsNewArray`).
    init?(of value: UnsafeBufferPointer<UInt8>, among members: [Member]) {
        let bytes = UnsafeBufferPointer(rebasing: value.prefix(Self.limit))
        guard var json = try? JSONText(bytes) else { return nil }
        if json.take(UInt8(ascii: "[")) {
            guard json.peek() == UInt8(ascii: "{") || json.position == json.end else { return nil }
            (offset, envelope, depth) = (json.position, "", 0)
            return
        }
        guard json.take(UInt8(ascii: "{")) else { return nil }
        var isOther = false
        var parent = ByteSlice(UnsafeBufferPointer(rebasing: bytes[..<0]))
        while let key = try? json.scanString(), json.take(UInt8(ascii: ":")) {
            let name = ByteSlice(UnsafeBufferPointer(rebasing: bytes[key.start..<key.start + key.count]))
            if json.peek() == UInt8(ascii: "["),
                let known = members.first(where: { name.isText($0.key) && parent.isText($0.parent) })
            {
                (offset, envelope, depth) = (json.position + 1, isOther ? Self.other : known.envelope, parent.isEmpty ? 1 : 2)
                return
            }
            if parent.isEmpty, !name.isEmpty, members.contains(where: { name.isText($0.parent) }), json.take(UInt8(ascii: "{")) {
                parent = name
                continue
            }
            let start = json.position
            guard (try? json.skipValue()) != nil else { return nil }
            let value = bytes[start..<json.position]
            if name.isText("kind"), value.elementsEqual("\"Event\"".utf8) { return nil }
            if name.isText("messageType") {
                // What a subscription sends to see whether it arrives.
                isOther = isOther || value.elementsEqual("\"CONTROL_MESSAGE\"".utf8)
            } else if name.isText("logStream") || name.isText("logStreamName") {
                isOther = isOther || AuditEnvelope.isOther(stream: value.dropFirst().dropLast())
            }
            guard json.take(UInt8(ascii: ",")) else { return nil }
        }
        return nil
    }
}
