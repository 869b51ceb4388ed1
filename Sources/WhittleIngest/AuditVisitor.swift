import Foundation
import WhittleModel

/// Walks over one value and collects the records in it.
///
/// What is visited is a record, or holds records: `false` says that it is neither, and whoever expected a record counts it.
/// Every member is visited once, texts are unpacked within a budget, and the depth is bounded.
struct AuditVisitor {
    private(set) var records = AuditEnvelope.Records()
    private let format: String?
    private let taker: AuditEnvelope.Taker?
    /// Whether the value that comes next was offered to the taker.
    private var wasOffered: Bool
    /// Bytes that may still be unpacked.
    private var budget = 64 << 20
    /// The bytes at hand if they were made here: their texts are unescaped where they stand, because each is visited once.
    private var own: UnsafeMutableBufferPointer<UInt8>?

    /// Whether a text of any name may be an event: in a row of a table only columns are that are known to hold some.
    private var takesAnyText = true

    private static let depthLimit = 24

    /// Members that hold records, in the order in which they are looked at.
    ///
    /// Lists hold nothing but records, so that each element that is none counts. The others may hold something else.
    private static let members: [(key: String, envelope: String, isList: Bool)] = [
        ("items", "list", true), ("Items", "list", true), ("events", "eks", true), ("logEvents", "eks", true), ("results", "eks", true),
        ("records", "aks", true),
        ("Records", "eks", true), ("receivedMessages", "pubsub", true), ("hits", "elastic", true), ("streams", "loki", true),
        ("tables", "aks", true), ("responses", "elastic", true), ("entries", "loki", true), ("resourceLogs", "otlp", true),
        ("scopeLogs", "otlp", true), ("logRecords", "otlp", true), ("logs", "text", true), ("Tables", "aks", true),
        ("messages", "text", true), ("Messages", "text", true), ("matches", "text", true), ("Results", "text", true),
        ("properties", "aks", false), ("_source", "elastic", false), ("line", "loki", false),
        ("fields", "elastic", false), ("kubernetes", "elastic", false),
        ("audit", "elastic", false), ("azure", "elastic", false), ("platformlogs", "elastic", false), ("aws", "elastic", false),
        ("eks", "elastic", false), ("cloudwatch", "elastic", false), ("structured", "text", false), ("k8s_audit", "text", false),
        ("kube_audit", "text", false), ("parsed", "text", false), ("record", "text", false),
        ("json", "filebeat", false), ("kubernetes_audit", "filebeat", false), ("attributes", "datadog", false), ("data", "loki", false),
        ("result", "splunk", false), ("values", "loki", false), ("awslogs", "eks", false), ("kinesis", "eks", false),
        ("Data", "eks", false),
        ("log_processed", "fluent-bit", false), ("log", "fluent-bit", false), ("message", "message", false), ("MESSAGE", "journald", false),
        ("log_s", "aks", false), ("LogMessage", "aks", false),
        ("_raw", "splunk", false), ("event", "splunk", false), ("@message", "eks", false),
        ("value", "kafka", false), ("payload", "kafka", false), ("body", "text", false), ("stringValue", "otlp", false),
        ("bytesValue", "otlp", false),
        ("jsonPayload", "fluent-bit", false), ("textPayload", "text", false), ("content", "text", false), ("detail", "text", false),
        ("details", "text", false), ("native_api_server_event", "text", false), ("nativeApiServerEvent", "text", false),
        ("json_payload", "text", false), ("Response", "text", false), ("map", "text", false), ("gcp", "text", false), ("Sns", "eks", false),
        ("Message", "text", false), ("_msg", "text", false), ("rawResponse", "elastic", false), ("RECORD_CONTENT", "kafka", false),
    ]

    /// Of these, what may hold the whole of an event as text beside its members.
    private static let wholeTexts: Set<String> = [
        "_raw", "_msg", "message", "MESSAGE", "log", "line", "body", "content", "event", "@message", "log_s", "textPayload",
    ]

    private static let ranks = Dictionary(uniqueKeysWithValues: members.enumerated().map { ($1.key, $0) })

    /// - Parameters: see `AuditEnvelope.records`.
    init(format: String?, taker: AuditEnvelope.Taker? = nil, wasOffered: Bool = false) {
        self.format = format
        self.taker = taker
        self.wasOffered = wasOffered
    }

    private mutating func add(_ event: AuditEvent, _ envelope: String) {
        if AuditEnvelope.accepts(envelope, as: format) {
            records.events.append((event, envelope))
        } else {
            records.unknown += 1
        }
    }

    /// Whether a text is an event that could be taken at once.
    private mutating func takes(_ text: UnsafeBufferPointer<UInt8>, _ envelope: String) -> Bool {
        guard let taker, AuditEnvelope.accepts(envelope, as: format) else { return false }
        guard taker(text, envelope) else {
            wasOffered = true
            return false
        }
        records.taken += 1
        return true
    }

    // MARK: Values

    /// Looks for records in a value.
    mutating func visit(_ value: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        guard depth < Self.depthLimit else { return false }
        switch value.kind {
        case .array: return visit(array: value, envelope, depth)
        case .string: return visit(text: value, envelope, depth)
        case .object: return visit(object: value, envelope, depth)
        default: return false
        }
    }

    private mutating func visit(array: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        var elements = array.elements
        // Of a row of Logs Insights only the field that holds the message is a record.
        if let first = elements.first, first.kind == .object, first.value("field") != nil {
            let field = { (name: StaticString) in
                elements.first { $0.value("field")?.isText(name) ?? false }?.value("value")
            }
            guard let message = field("@message") else {
                let fields = elements.compactMap { element in element.value("field").map { (key: $0, value: element.value("value")) } }
                return visit(row: fields, envelope.isEmpty ? "eks" : envelope, depth + 1)
            }
            let visitMessage = { (visitor: inout AuditVisitor) in visitor.visit(message, envelope.isEmpty ? "eks" : envelope, depth + 1) }
            return field("@logStream").map(Self.isOtherStream) ?? false ? visit(other: visitMessage) : visitMessage(&self)
        }
        // A row of Loki begins with the time.
        if let time = elements.next(), time.kind == .string, !time.bytes.isEmpty, time.bytes.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }),
            let line = elements.next()
        {
            return visit(line, envelope, depth + 1)
        }
        // The journal writes a text that cannot be printed as its bytes.
        if array.elements.first?.kind == .number {
            let bytes = array.elements.map { $0.integer.flatMap { UInt8(exactly: $0) } }
            if !bytes.contains(nil) { return visit(bytes: bytes.compactMap { $0 }, envelope, depth + 1) }
        }
        for element in array.elements where !visit(element, envelope, depth + 1) { records.unknown += 1 }
        return true
    }

    /// Reads what the tree around it has left as it is.
    private mutating func visit(folded value: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        if !wasOffered, takes(value.bytes, envelope) { return true }
        guard let base = value.bytes.baseAddress, var json = try? JSONText(value.bytes) else { return false }
        let tree = DocumentTree(file: "", base: base)
        defer { withExtendedLifetime(tree) {} }
        guard (try? json.parseValue(into: tree, DocumentTree.Bounds(nodes: AuditEnvelope.valueLimit))) != nil else { return false }
        return visit(object: tree.root, envelope, depth)
    }

    private mutating func visit(object value: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        if value.isFolded { return visit(folded: value, envelope, depth) }
        // Splunk writes the fields that it extracted beside the whole event, Sentinel always.
        if let raw = value.value("_raw"), raw.kind == .string, value.value("stage") != nil {
            return visit(text: raw, envelope.isEmpty ? "splunk" : envelope, depth)
        }
        if let raw = value.value("RawEvent"), raw.kind == .string, raw.bytes.first == UInt8(ascii: "{") {
            return visit(text: raw, envelope.isEmpty ? "eks" : envelope, depth)
        }
        let hasStage = value.value("stage") != nil
        if hasStage, !wasOffered, takes(value.bytes, envelope) { return true }
        wasOffered = false
        if let nested = AuditShape.nested(value) { return visit(bytes: consume nested, envelope, depth + 1) }
        if hasStage, let event = AuditEvent(value), event.isTold {
            if !event.isWhole {
                if let found = wholeEvent(inTextsOf: value, envelope, depth) {
                    add(found)
                    return true
                }
                if event.mistyped == nil, let respelled = AuditSpelling.respelled(value) {
                    return visit(bytes: consume respelled, envelope, depth + 1)
                }
            }
            add(event, envelope)
            return true
        }
        if value.value("apiVersion")?.string?.hasPrefix("audit.k8s.io/") ?? false, value.value("kind")?.isText("Event") ?? false {
            return false
        }
        if let payload = value.value("protoPayload") ?? value.value("protopayload_auditlog") {
            // Google Cloud writes what is done to clusters, and to all else, into the same logs.
            if let service = payload.value("serviceName"), service.kind == .string, !Self.isKubernetes(service) {
                records.skipped += 1
                return true
            }
            guard let event = AuditEvent(logEntry: value, payload) else { return false }
            add(event, "gke")
            return true
        }
        let envelope = Self.isAdmin(value) ? "aks-admin" : envelope
        // These tables have other names than what Go writes by itself.
        let isOfGo = value.value("RequestURI") != nil || value.value("RequestReceivedTimestamp") != nil
        if !isOfGo, visit(row: { value.value($0) }, envelope, hasImpersonatedUser: value["ImpersonatedUser"] != nil) { return true }
        if let respelled = AuditSpelling.respelled(value) {
            if let found = wholeEvent(inTextsOf: value, envelope, depth) {
                add(found)
                return true
            }
            return visit(bytes: consume respelled, envelope, depth + 1)
        }
        if value.value("messageType")?.isText("CONTROL_MESSAGE") ?? false {
            records.skipped += 1
            return true
        }
        if let columns = value.value("columns") ?? value.value("Columns") ?? value.value("schema"),
            let rows = value.value("rows") ?? value.value("Rows") ?? value.value("values") ?? value.value("datarows"),
            columns.kind == .array, rows.kind == .array
        {
            visit(rows: rows, columns: columns, envelope.isEmpty ? "aks" : envelope, depth)
            return true
        }
        if let list = value.value("kvlistValue"), let object = AuditShape.object(keysAndValues: list) {
            return visit(bytes: consume object, envelope, depth + 1)
        }
        // What stands before each document that is sent to Elasticsearch, and behind the last that comes from Splunk.
        if Self.isBulkAction(value) || value.value("lastrow") != nil && value.value("result") == nil && value.value("_raw") == nil {
            return true
        }
        let visitMembers = { (visitor: inout AuditVisitor) in visitor.visit(membersOf: value, envelope, depth) }
        return Self.isOtherLog(value) ? visit(other: visitMembers) : visitMembers(&self)
    }

    /// Visits what says that it is of another log; it may hold events nevertheless.
    private mutating func visit(other visit: (inout AuditVisitor) -> Bool) -> Bool {
        if var found = attempt(visit), found.hasEvents {
            (found.skipped, found.unknown) = (found.skipped + found.unknown, 0)
            add(found)
        } else {
            records.skipped += 1
        }
        return true
    }

    private mutating func visit(membersOf value: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        // What Firehose hands over is in `records` too, each of them base64.
        let envelope = envelope == "aks" && value.value("data")?.kind == .string ? "eks" : envelope
        var known: [(rank: Int, value: DocumentValue)] = []
        var texts: [(key: DocumentValue, value: DocumentValue)] = []
        for (key, member) in value.members {
            if let rank = key.string.flatMap({ Self.ranks[$0] }) {
                known.append((rank, member))
            } else if member.kind == .string {
                texts.append((key, member))
            }
        }
        known.sort { $0.rank < $1.rank }
        let count = records.events.count + records.taken
        var isKnown = false
        for (rank, member) in known where Self.members[rank].isList {
            if member.isNull, Self.members[rank].key == "items" { isKnown = true }
            guard member.kind == .array else { continue }
            isKnown = visit(member, Self.name(rank, member, envelope), depth + 1) || isKnown
        }
        if records.events.count + records.taken > count { return true }
        // Of the others one holds the record; what stands in the rest is not known to be one.
        var best: AuditEnvelope.Records?
        var attributes: [UInt8]?
        for (rank, member) in known where !Self.members[rank].isList || member.kind != .array {
            if Self.members[rank].key == "attributes", let object = AuditShape.object(attributes: member) {
                attributes = object
                continue
            }
            guard let found = attempt({ $0.visit(member, Self.name(rank, member, envelope), depth + 1) }) else { continue }
            if best == nil || found.hasWholeEvents || found.hasEvents && !(best?.hasEvents ?? false) { best = found }
            if found.hasWholeEvents { break }
        }
        // Those of a record of OTLP may be the members of an event; others may hold what a client has sent.
        if let attributes, !(best?.hasWholeEvents ?? false),
            let found = attempt({ $0.visit(ofNames: attributes, envelope.isEmpty ? "otlp" : envelope, depth) }), found.hasEvents
        {
            best = found
        }
        if !(best?.hasEvents ?? false) {
            for (key, text) in texts where takesAnyText && text.bytes.first == UInt8(ascii: "{") {
                guard !AuditSpelling.isOfClient(ByteSlice(key.bytes)),
                    let found = attempt({ $0.visit(text, envelope.isEmpty ? "text" : envelope, depth + 1) }), found.hasEvents
                else {
                    continue
                }
                best = found
                break
            }
        }
        guard let best else { return isKnown }
        add(best)
        return true
    }

    /// The whole of an event that stands as text beside members of it, of which others are missing; `nil` = there is none.
    ///
    /// Only members are looked at that an event does not have: whoever sends requests can put anything into those.
    private mutating func wholeEvent(inTextsOf value: DocumentValue, _ envelope: String, _ depth: Int) -> AuditEnvelope.Records? {
        for (key, member) in value.members where member.kind == .string && member.bytes.first == UInt8(ascii: "{") {
            guard let key = key.string, Self.wholeTexts.contains(key), let rank = Self.ranks[key] else { continue }
            let found = attempt { $0.visit(text: member, Self.name(rank, member, envelope), depth + 1) }
            if let found, found.hasWholeEvents { return found }
        }
        return nil
    }

    /// What a visit finds, not yet added.
    private mutating func attempt(_ visit: (inout AuditVisitor) -> Bool) -> AuditEnvelope.Records? {
        let saved = records
        records = AuditEnvelope.Records()
        defer { records = saved }
        return visit(&self) ? records : nil
    }

    private mutating func add(_ found: AuditEnvelope.Records) {
        records.events += found.events
        records.taken += found.taken
        records.unknown += found.unknown
        records.skipped += found.skipped
        records.cutOff += found.cutOff
    }

    /// The outermost envelope; some members tell more than one.
    private static func name(_ rank: Int, _ member: DocumentValue, _ envelope: String) -> String {
        guard envelope.isEmpty else { return envelope }
        let (key, name, _) = members[rank]
        switch key {
        // Base64 alone is what Pub/Sub delivers.
        case "data" where member.kind == .string, "message" where member.value("data") != nil: return "pubsub"
        case "data" where member.elements.first?.value("attributes") != nil: return "datadog"
        // Firehose, which a subscription of EKS feeds, has records too.
        case "records" where member.elements.first?.value("data") != nil: return "eks"
        case "result" where member.kind == .array: return "loki"
        case "results" where member.elements.first?.value("_raw") != nil: return "splunk"
        default: return name
        }
    }

    // MARK: Tables

    /// A row of the tables `AKSAudit` and `AKSAuditAdmin`; `false` when it is none.
    private mutating func visit(row cell: (StaticString) -> DocumentValue?, _ envelope: String, hasImpersonatedUser: Bool) -> Bool {
        guard AuditEvent.isTableRow(cell) else { return false }
        let envelope = Self.nameOfRow(in: envelope, hasImpersonatedUser: hasImpersonatedUser)
        if taker != nil, var text = AuditShape.event(tableRow: cell), AuditEnvelope.padded(&text, { takes($0, envelope) }) { return true }
        wasOffered = false
        guard let event = AuditEvent(tableRow: cell) else { return false }
        add(event, envelope)
        return true
    }

    /// A row of any table.
    private mutating func visit(row fields: [(key: DocumentValue, value: DocumentValue?)], _ envelope: String, _ depth: Int) -> Bool {
        visit(ofNames: AuditShape.object(fields), envelope, depth - 1)
    }

    /// An object of which only members of known names may hold an event.
    mutating func visit(ofNames object: [UInt8], _ envelope: String, _ depth: Int) -> Bool {
        let tookAnyText = takesAnyText
        takesAnyText = false
        defer { takesAnyText = tookAnyText }
        return visit(bytes: object, envelope, depth + 1)
    }

    /// The rows of a table, as the APIs of Log Analytics and Elasticsearch return it.
    private mutating func visit(rows: DocumentValue, columns: DocumentValue, _ envelope: String, _ depth: Int) {
        var places: [String: Int] = [:]
        let names = columns.elements.map { $0.value("name") ?? $0.value("ColumnName") ?? $0 }
        for (place, name) in names.enumerated() {
            if let name = name.string { places[name] = place }
        }
        for row in rows.elements {
            let cells = Array(row.elements)
            let cell = { (name: StaticString) -> DocumentValue? in
                guard let place = places[name.description], place < cells.count, !cells[place].isNull else { return nil }
                return cells[place]
            }
            let isAdmin = cell("Category")?.isText("kube-audit-admin") ?? cell("Type").map(Self.isAdminTable) ?? false
            let envelope = isAdmin ? "aks-admin" : envelope
            if visit(row: cell, envelope, hasImpersonatedUser: places["ImpersonatedUser"] != nil) { continue }
            let fields = zip(names, cells).map { (key: $0, value: Optional($1)) }
            if !visit(row: fields, envelope, depth + 2) { records.unknown += 1 }
        }
    }

    // MARK: Texts

    private mutating func visit(text value: DocumentValue, _ envelope: String, _ depth: Int) -> Bool {
        guard value.kind == .string else { return false }
        // Without an escape it is its own text.
        if !value.isEscaped { return visit(padded: value.bytes, envelope, depth) }
        guard let start = own?.start(of: value.bytes) else {
            return visit(own: JSONText.unescapedBytes(value.bytes, padding: AuditEnvelope.padding), envelope, depth)
        }
        let count = JSONText.unescape(value.bytes, into: start)
        return visit(padded: UnsafeBufferPointer(start: start, count: count), envelope, depth)
    }

    /// Looks for records in a text: JSON values one after the other, one behind a prefix, or packed.
    mutating func visit(bytes: consuming [UInt8], _ envelope: String, _ depth: Int) -> Bool {
        bytes.append(contentsOf: repeatElement(0, count: AuditEnvelope.padding))
        return visit(own: consume bytes, envelope, depth)
    }

    /// - Parameter bytes: padded.
    private mutating func visit(own bytes: consuming [UInt8], _ envelope: String, _ depth: Int) -> Bool {
        bytes.withUnsafeMutableBufferPointer { bytes in
            let outer = own
            own = bytes
            defer { own = outer }
            return visit(padded: UnsafeBufferPointer(rebasing: bytes.dropLast(AuditEnvelope.padding)), envelope, depth)
        }
    }

    private mutating func visit(padded bytes: UnsafeBufferPointer<UInt8>, _ envelope: String, _ depth: Int) -> Bool {
        guard depth < Self.depthLimit, let first = bytes.first(where: { $0 > 0x20 }) else { return false }
        // A word in brackets, or a colour, is no list.
        let isPrefixed = bytes.first == 0x1B || first == UInt8(ascii: "[") && AuditEnvelope.beginsWithWord(bytes)
        if !isPrefixed, first == UInt8(ascii: "{") || first == UInt8(ascii: "[") || first == UInt8(ascii: "\"") {
            return visit(values: bytes, envelope, depth)
        }
        if bytes.starts(with: ByteStream.gzipMagic) {
            guard let unpacked = unpacked(bytes) else { return false }
            return visit(bytes: consume unpacked, envelope, depth + 1)
        }
        if AuditEnvelope.mayBePacked(bytes), bytes.count <= budget,
            var packed = AuditEnvelope.base64Decoded(bytes)
        {
            budget -= packed.count
            if packed.starts(with: ByteStream.gzipMagic) {
                guard let unpacked = packed.withUnsafeBufferPointer({ unpacked($0) }) else { return false }
                packed = unpacked
            }
            return visit(bytes: consume packed, envelope, depth + 2)
        }
        guard let (rest, name) = AuditEnvelope.behindPrefix(bytes) else { return false }
        return visit(values: rest, envelope.isEmpty ? name : envelope, depth)
    }

    private mutating func unpacked(_ packed: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard let unpacked = AuditEnvelope.inflated(packed, limit: min(32 << 20, budget)) else { return nil }
        budget -= unpacked.count
        return unpacked
    }

    private mutating func visit(values bytes: UnsafeBufferPointer<UInt8>, _ envelope: String, _ depth: Int) -> Bool {
        if bytes.first == UInt8(ascii: "{"), takes(bytes, envelope) { return true }
        guard let base = bytes.baseAddress, firstInvalidUTF8(in: bytes) == nil else { return false }
        let tree = DocumentTree(file: "", base: base)
        defer { withExtendedLifetime(tree) {} }
        var position = 0
        var (unknown, cutOff) = (0, 0)
        var isKnown = false
        var hasCommas: Bool?
        while let start = bytes[position...].firstIndex(where: { $0 > 0x20 }) {
            if var json = try? JSONText(bytes, from: start), (try? AuditEnvelope.parse(&json, into: tree)) != nil {
                hasCommas = hasCommas ?? json.hasCommas()
                if hasCommas ?? false { _ = json.take(UInt8(ascii: ",")) }
                position = json.position
                let count = records.events.count + records.taken
                if visit(tree.root, envelope, depth + 1) { isKnown = true } else { unknown += 1 }
                // Of half an object the rest proves nothing.
                if records.events.count + records.taken == count, hasCommas ?? false { break }
                wasOffered = false
            } else {
                wasOffered = false
                // A value that is cut; the next that can be read begins a line.
                let next = bytes.indices[(start + 1)...].first {
                    bytes[$0 - 1] == 0x0A && (bytes[$0] == UInt8(ascii: "{") || bytes[$0] == UInt8(ascii: "["))
                }
                if AuditEnvelope.isCutEvent(bytes[start..<(next ?? bytes.count)]) { cutOff += 1 } else { unknown += 1 }
                guard let next else { break }
                position = next
            }
        }
        guard isKnown || unknown > 1 || cutOff > 0 else { return false }
        records.unknown += unknown
        records.cutOff += cutOff
        return true
    }
}

extension UnsafeMutableBufferPointer<UInt8> {
    /// Where some of its bytes stand; `nil` when they are none of its.
    fileprivate func start(of bytes: UnsafeBufferPointer<UInt8>) -> UnsafeMutablePointer<UInt8>? {
        guard let base = baseAddress, let start = bytes.baseAddress, UnsafePointer(base) <= start, start < UnsafePointer(base) + count
        else {
            return nil
        }
        return base + UnsafePointer(base).distance(to: start)
    }
}
