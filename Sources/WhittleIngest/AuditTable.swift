import WhittleModel

extension AuditEvent {
    /// Columns of the tables `AKSAudit` and `AKSAuditAdmin` of Log Analytics, by the field of an event that they hold.
    private static let columns: [String: StaticString] = [
        "stage": "Stage", "verb": "Verb", "requestURI": "RequestUri", "user": "User", "impersonatedUser": "ImpersonatedUser",
        "authenticationMetadata": "AuthenticationMetadata", "sourceIPs": "SourceIps", "userAgent": "UserAgent", "objectRef": "ObjectRef",
        "responseStatus": "ResponseStatus", "annotations": "Annotations", "requestObject": "RequestObject",
        "responseObject": "ResponseObject", "requestReceivedTimestamp": "RequestReceivedTime", "stageTimestamp": "StageReceivedTime",
        "timestamp": "TimeGenerated", "auditID": "AuditId", "level": "Level",
    ]

    /// Whether a row is of these tables.
    static func isTableRow(_ cell: (StaticString) -> DocumentValue?) -> Bool {
        cell("Stage")?.kind == .string && (cell("RequestUri") != nil || cell("Verb") != nil)
    }

    /// Reads a row of these tables; `nil` when it is none.
    ///
    /// Columns that hold objects may be written as their text. `PodName` is the pod of the API server, never that of the caller.
    init?(tableRow cell: (StaticString) -> DocumentValue?) {
        guard Self.isTableRow(cell) else { return nil }
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        self.init(field: { key in
            guard let column = Self.columns[key.description], let value = cell(column) else { return nil }
            return Self.isNothing(value) ? nil : ParsedText.unpacked(value, &parsed)
        })
        // A query may have made a name of a user; half an object is none.
        let users: [(column: StaticString, member: String)] = [("User", "user"), ("ImpersonatedUser", "impersonatedUser")]
        mistyped =
            users.first { column, _ in
                guard let value = cell(column), value.bytes.first == UInt8(ascii: "{") else { return false }
                return ParsedText.unpacked(value, &parsed).kind == .string
            }?.member
    }

    /// The words that tools write for nothing.
    fileprivate static func isNothing(_ value: DocumentValue) -> Bool { value.isText("None") || value.isText("null") || value.isText("") }
}

extension AuditShape {
    /// Columns of what tells about usual events, by the names of these members, and whether they hold objects.
    private static let columns: [(column: StaticString, name: StaticString, isObject: Bool)] = [
        ("AuditId", "auditID", false), ("Level", "level", false), ("Stage", "stage", false), ("RequestUri", "requestURI", false),
        ("Verb", "verb", false), ("UserAgent", "userAgent", false), ("RequestReceivedTime", "requestReceivedTimestamp", false),
        ("User", "user", true), ("ImpersonatedUser", "impersonatedUser", true), ("AuthenticationMetadata", "authenticationMetadata", true),
        ("SourceIps", "sourceIPs", true), ("ResponseStatus", "responseStatus", true), ("Annotations", "annotations", true),
        ("RequestObject", "requestObject", true),
    ]

    /// The event in a row of the tables `AKSAudit` and `AKSAuditAdmin`, as the API server writes it; `nil` when something in it is not as
    /// it should be, or longer than what is worth a copy.
    static func event(tableRow cell: (StaticString) -> DocumentValue?) -> [UInt8]? {
        var event: [UInt8] = []
        event.reserveCapacity(1 << 11)
        for (column, name, isObject) in columns {
            guard let value = cell(column), !value.isNull, !AuditEvent.isNothing(value) else { continue }
            guard value.bytes.count <= AuditEvent.memberLimit else { return nil }
            event.append(event.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            event.append(UInt8(ascii: "\""))
            event += UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
            event += "\":".utf8
            if !isObject || value.kind != .string {
                append(value, to: &event)
                continue
            }
            // Its text: what is no JSON must not be taken for other members.
            let start = event.count
            event += JSONText.unescapedBytes(value.bytes)
            let isJSON = event.withUnsafeBufferPointer { bytes in
                guard var json = try? JSONText(bytes, from: start), (try? json.skipValue()) != nil else { return false }
                return json.position == json.end
            }
            if !isJSON { return nil }
        }
        event.append(UInt8(ascii: "}"))
        return event
    }
}

/// JSON that is parsed for as long as its values are used.
final class ParsedText {
    private let bytes: UnsafeMutablePointer<UInt8>
    let tree: DocumentTree

    /// The object or list whose text a value is, which lives as long as `parsed`; any other value as it is.
    static func unpacked(_ value: DocumentValue, _ parsed: inout [ParsedText]) -> DocumentValue {
        let first = value.bytes.first
        guard value.kind == .string, first == UInt8(ascii: "{") || first == UInt8(ascii: "["), let whole = ParsedText(value.bytes) else {
            return value
        }
        parsed.append(whole)
        return whole.tree.root
    }

    /// - Parameter text: the inside of a JSON string.
    private init?(_ text: UnsafeBufferPointer<UInt8>) {
        bytes = .allocate(capacity: text.count)
        let count = JSONText.unescape(text, into: bytes)
        tree = DocumentTree(file: "", base: bytes)
        // Of bodies only small ones tell what somebody needs.
        let bounds = DocumentTree.Bounds(nodes: AuditEnvelope.valueLimit / 4)
        guard var json = try? JSONText(UnsafeBufferPointer(start: UnsafePointer(bytes), count: count)),
            (try? json.parseValue(into: tree, bounds)) != nil, json.peek() == 0, json.position == json.end
        else { return nil }
    }

    deinit { bytes.deallocate() }
}
