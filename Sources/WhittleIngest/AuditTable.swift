import WhittleModel

/// A column of the tables `AKSAudit` and `AKSAuditAdmin` of Log Analytics.
struct TableColumn {
    let name: StaticString
    /// The member of an event that it holds.
    let member: StaticString
    /// Whether it tells about usual events.
    var isUsual = true

    private static let all = [
        TableColumn(name: "AuditId", member: "auditID"), TableColumn(name: "Level", member: "level"),
        TableColumn(name: "Stage", member: "stage"), TableColumn(name: "RequestUri", member: "requestURI"),
        TableColumn(name: "Verb", member: "verb"), TableColumn(name: "UserAgent", member: "userAgent"),
        TableColumn(name: "RequestReceivedTime", member: "requestReceivedTimestamp"), TableColumn(name: "User", member: "user"),
        TableColumn(name: "ImpersonatedUser", member: "impersonatedUser"),
        TableColumn(name: "AuthenticationMetadata", member: "authenticationMetadata"),
        TableColumn(name: "SourceIps", member: "sourceIPs"), TableColumn(name: "ResponseStatus", member: "responseStatus"),
        TableColumn(name: "Annotations", member: "annotations"), TableColumn(name: "RequestObject", member: "requestObject"),
        TableColumn(name: "ResponseObject", member: "responseObject", isUsual: false),
        TableColumn(name: "ObjectRef", member: "objectRef", isUsual: false),
        TableColumn(name: "StageReceivedTime", member: "stageTimestamp", isUsual: false),
        TableColumn(name: "TimeGenerated", member: "timestamp", isUsual: false),
    ]
    /// All names, and those of columns of times.
    static let names = Set(all.map(\.name.description))
    static let times = Set(all.filter { $0.member.description.lowercased().hasSuffix("timestamp") }.map(\.name.description))
    fileprivate static let byMember = Dictionary(uniqueKeysWithValues: all.map { ($0.member.description, $0.name) })
    fileprivate static let usual = all.filter(\.isUsual).map {
        ($0.name, $0.member, isObject: AuditEvent.objects.contains($0.member.description))
    }
}

extension AuditEvent {
    /// Whether a row is of these tables.
    static func isTableRow(_ cell: (StaticString) -> DocumentValue?) -> Bool {
        cell("Stage")?.kind == .string && (cell("RequestUri") != nil || cell("Verb") != nil)
    }

    /// Reads what `isTableRow` says is a row of these tables; `nil` when its stage is none.
    ///
    /// Columns that hold objects may be written as their text. `PodName` is the pod of the API server, never that of the caller.
    init?(tableRow cell: (StaticString) -> DocumentValue?) {
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        self.init(field: { key in
            guard let column = TableColumn.byMember[key.description], let value = cell(column) else { return nil }
            if Self.isNothing(value) { return nil }
            return Self.objects.contains(key.description) ? ParsedText.unpacked(value, &parsed) : value
        })
        // A query may have made a name of a user; half an object is none.
        let users: [(column: StaticString, member: String)] = [("User", "user"), ("ImpersonatedUser", "impersonatedUser")]
        mistyped =
            users.first { column, _ in
                guard let value = cell(column), value.bytes.first == UInt8(ascii: "{") else { return false }
                return ParsedText.unpacked(value, &parsed).kind == .string
            }?.member
    }

    /// The words that tools write for nothing, as they stand in CSV and, escaped, in JSON.
    static let wordsForNothing: [StaticString] = [
        "", "-", "null", "NULL", "Null", "None", "nil", "NaN", "nan", "N/A", "n/a", "(null)", "<null>", "(empty)", "\\N", "\\\\N",
        "\"\"\"\"",
        "\\\"\\\"",
    ]

    static func isNothing(_ value: DocumentValue) -> Bool {
        value.kind == .string && value.bytes.count <= 7 && wordsForNothing.contains { value.isText($0) }
    }
}

extension AuditShape {
    /// The event in a row of the tables `AKSAudit` and `AKSAuditAdmin`, as the API server writes it; `nil` when something in it is not as
    /// it should be, or longer than what is worth a copy.
    static func event(tableRow cell: (StaticString) -> DocumentValue?) -> [UInt8]? {
        var event: [UInt8] = []
        event.reserveCapacity(1 << 11)
        for (column, member, isObject) in TableColumn.usual {
            guard let value = cell(column), !value.isNull, !AuditEvent.isNothing(value) else { continue }
            guard value.bytes.count <= AuditEvent.memberLimit else { return nil }
            event.append(event.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            event.append(UInt8(ascii: "\""))
            event += UnsafeBufferPointer(start: member.utf8Start, count: member.utf8CodeUnitCount)
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
