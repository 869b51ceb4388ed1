import WhittleModel

/// Finds the audit events in what clouds and log shippers wrap around them.
///
/// Each record is looked at for itself: an event, a list of them, a known wrapper, or a text that holds one of these. What is
/// wrapped keeps its meaning; only GKE rewrites events, and what its records lack (groups, pods) stays unknown.
package struct AuditEnvelope {
    /// An event and the name of the outermost wrapper around it, `""` for none. A wrapper that cannot carry everything
    /// (`cannotCarry`) is named whatever stands around it.
    typealias Found = (event: AuditEvent, envelope: String)

    /// Events in order, and the counts of records beside them.
    struct Records {
        var events: [Found] = []
        /// Events that were taken as soon as they were found.
        var taken = 0
        /// Records that are nothing known.
        var unknown = 0
        /// Records that are known to be of another log, or of none.
        var skipped = 0
        /// Events that end too early.
        var cutOff = 0

        var hasEvents: Bool { taken > 0 || !events.isEmpty }

        /// Whether there are events that count.
        var hasWholeEvents: Bool { taken > 0 || events.contains { $0.event.isWhole } }
    }

    /// Is offered the text of everything that may be an event, with the name of its envelope. The bytes go on for `padding` behind it.
    ///
    /// `true` = it was one, and is dealt with; any other must be read as a whole.
    typealias Taker = (UnsafeBufferPointer<UInt8>, String) -> Bool

    /// Bytes behind a text that scanning may look at.
    static let padding = 64

    /// Calls `body` with bytes behind which scanning may look. Nobody else should hold them: long texts are not copied then.
    static func padded<Result>(_ bytes: inout [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let count = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: padding))
        defer { bytes.removeLast(padding) }
        return bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0.prefix(count))) }
    }

    /// Nodes of the tree of one value: far more than records have, little enough for memory. Events in it are trees of their own.
    static let valueLimit = 1_000_000

    /// Reads the next value; events that are inside it stay folded.
    static func parse(_ json: inout JSONText, into tree: DocumentTree) throws(JSONText.Failure) {
        let start = json.position
        tree.reset(anchor: DocumentTree.LineCursor())
        try json.parseValue(into: tree, DocumentTree.Bounds(nodes: valueLimit, foldsEvents: true))
        // The body of an event may look like one, and is wanted as it is.
        guard tree.hasFolded, tree.root.value("stage") != nil else { return }
        json.position = start
        tree.reset(anchor: DocumentTree.LineCursor())
        try json.parseValue(into: tree, DocumentTree.Bounds(nodes: valueLimit))
    }

    /// What can be asked for with `records(in:as:)` besides `auto`, which is everything.
    package static var formats: [String] { AuditFormats.formats }

    /// What events of an envelope never tell, whatever the cluster did.
    package static var cannotCarry: [String: [String]] { AuditFormats.cannotCarry }

    /// Whether events of an envelope are asked for.
    ///
    /// A bare event is one of those too that have a word before each event of a line, which is off when the event is read.
    static func accepts(_ envelope: String, as format: String?) -> Bool {
        switch format {
        case nil, "auto": true
        case "json", "upstream": envelope.isEmpty || envelope == "list"
        case "openshift": envelope.isEmpty || envelope == "list" || envelope == "prefixed"
        // Exports to S3 have the time before each event, and what is left of an answer by `--query events` only its messages.
        case "eks": ["", "eks", "prefixed", "message"].contains(envelope)
        case "cri", "prefixed", "loki", "fluent-bit": envelope.isEmpty || envelope == format
        // A value is an event or a list of them; keys stand before it.
        case "kafka": envelope.isEmpty || envelope == "list" || envelope == "prefixed" || envelope == format
        case "aks": envelope == "aks" || envelope == "aks-admin" || envelope == "aks-table"
        // What GKE sends to Pub/Sub is named after GKE.
        case "pubsub": envelope == "pubsub" || envelope == "gke"
        default: envelope == format
        }
    }

    /// Everything that was found.
    ///
    /// - Parameters:
    ///   - format: one of `formats`; events of another envelope are then counted as unknown.
    ///   - envelope: what the value stands in; `""` = nothing.
    ///   - taker: takes usual events before they are read as a whole; `nil` = all are read. The text around `value` is padded then.
    ///   - wasOffered: whether the value as it stands was offered to the taker before.
    /// - Returns: `nil` when the value as a whole is nothing that is known, which is one unknown record. A container whose
    ///   records are all bad has no events and the count of them in `unknown`; one that is empty, or holds only what is known
    ///   to be no event, has neither.
    static func records(
        in value: DocumentValue, as format: String? = nil, inside envelope: String = "", taker: Taker? = nil, wasOffered: Bool = false
    ) -> Records? {
        var visitor = AuditVisitor(format: format, taker: taker, wasOffered: wasOffered)
        return visitor.visit(value, envelope, 0) ? visitor.records : nil
    }

    /// The same for the text of a value.
    ///
    /// - Parameter isFlat: whether it is an object with the members of an event, of which none holds another.
    static func records(
        inText bytes: consuming [UInt8], as format: String? = nil, taker: Taker? = nil, isFlat: Bool = false
    ) -> Records? {
        var visitor = AuditVisitor(format: format, taker: taker)
        let isKnown = isFlat ? visitor.visit(ofNames: bytes, "", -1) : visitor.visit(bytes: consume bytes, "", 0)
        return isKnown ? visitor.records : nil
    }
}

/// The envelopes in which audit logs come.
public enum AuditFormats {
    /// Their names; `json` and `upstream` are events and lists of events with nothing around them.
    public static let formats = [
        "json", "upstream", "list", "eks", "gke", "aks", "aks-admin", "aks-table", "openshift", "cri", "prefixed", "fluent-bit", "message",
        "journald",
        "loki", "elastic", "filebeat", "splunk", "datadog", "kafka", "pubsub", "otlp", "text",
    ]

    /// What events of an envelope never tell, whatever the cluster did. Silence about it proves nothing.
    public static let cannotCarry = AuditLimits.cannotCarry
}
