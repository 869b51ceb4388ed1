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

    /// Reads a row of these tables; `nil` when it is none.
    ///
    /// Columns that hold objects may be written as their text. `PodName` is the pod of the API server, never that of the caller.
    init?(tableRow cell: (StaticString) -> DocumentValue?) {
        guard cell("Stage")?.kind == .string, cell("RequestUri") != nil || cell("Verb") != nil else { return nil }
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        self.init(field: { key in
            guard let column = Self.columns[key.description], let value = cell(column) else { return nil }
            // The words that tools write for nothing.
            if value.isText("None") || value.isText("null") || value.isText("") { return nil }
            return ParsedText.unpacked(value, &parsed)
        })
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
