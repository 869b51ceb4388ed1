import CZlib
import Foundation
import WhittleModel

/// Finds the audit events in what clouds and log shippers wrap around them.
///
/// Each record is looked at for itself: an event, a list of them, a known wrapper, or a text that holds one of these. What is
/// wrapped keeps its meaning; only GKE rewrites events, and what its records lack (groups, pods) stays unknown.
package struct AuditEnvelope {
    /// An event and the name of the outermost wrapper around it, `""` for none. A wrapper that cannot carry everything
    /// (`cannotCarry`) is named whatever stands around it. `isChecked` says that it is known to be no repetition.
    typealias Found = (event: AuditEvent, envelope: String, isChecked: Bool)

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
    }

    /// What became of a text that may be an event.
    enum Offer {
        /// It was one, and is dealt with.
        case taken
        /// It must be read as a whole. `isChecked`: it is an event that is known to be no repetition.
        case left(isChecked: Bool)
    }

    /// Is offered the text of everything that may be an event, with the name of its envelope. The bytes go on for `padding` behind it.
    typealias Taker = (UnsafeBufferPointer<UInt8>, String) -> Offer

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
        // Exports to S3 have the time before each event.
        case "eks": envelope.isEmpty || envelope == "eks" || envelope == "prefixed"
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
    ///   - isChecked: whether the value is an event that the taker has left, known to be no repetition; `nil` = it was not offered.
    /// - Returns: `nil` when the value as a whole is nothing that is known, which is one unknown record. A container whose
    ///   records are all bad has no events and the count of them in `unknown`; one that is empty, or holds only what is known
    ///   to be no event, has neither.
    static func records(
        in value: DocumentValue, as format: String? = nil, inside envelope: String = "", taker: Taker? = nil, isChecked: Bool? = nil
    ) -> Records? {
        var visitor = AuditVisitor(format: format, taker: taker, isChecked: isChecked)
        return visitor.visit(value, envelope, 0) ? visitor.records : nil
    }

    /// The same for the text of a value.
    static func records(inText bytes: consuming [UInt8], as format: String? = nil, taker: Taker? = nil) -> Records? {
        var visitor = AuditVisitor(format: format, taker: taker)
        return visitor.visit(bytes: consume bytes, "", 0) ? visitor.records : nil
    }

    /// Whether a stream of CloudWatch Logs is that of another component of the control plane.
    static func isOther(stream: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let others = ["kube-apiserver-", "authenticator-", "kube-controller-manager-", "cloud-controller-manager-", "kube-scheduler-"]
        return !stream.starts(with: Self.stream.utf8) && others.contains { stream.starts(with: $0.utf8) }
    }

    // MARK: Lines

    /// A line behind what a shipper wrote before it.
    package struct Prefixed {
        package var rest: UnsafeBufferPointer<UInt8>
        package var envelope: String
        /// Whether the container runtime split the line here: what follows stands in the next line of the same stream, whose
        /// rest begins anywhere.
        package var isPartial = false
        /// `stdout` or `stderr` of a container; lines that were split belong together only within one.
        package var stream = ""
    }

    private static let prefixLimit = 1_024

    /// Takes a line apart: the container runtime's `TIME STREAM TAG`, or a few words before an object.
    ///
    /// `nil` when there is no such prefix. Unlike `behindPrefix` also for lines that the container runtime split.
    package static func prefix(of line: UnsafeBufferPointer<UInt8>) -> Prefixed? {
        let head = line.prefix(prefixLimit)
        let words = head.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        if words.count == 4, words[0].count >= 20, words[0].first.map({ $0 &- UInt8(ascii: "0") < 10 }) ?? false {
            let stream = ["stdout", "stderr"].first { words[1].elementsEqual($0.utf8) }
            // Tags are separated by colons; the first tells whether the line goes on.
            let tag = words[2].prefix { $0 != UInt8(ascii: ":") }
            if let stream, tag.count == 1, let letter = tag.first, letter == UInt8(ascii: "P") || letter == UInt8(ascii: "F") {
                return Prefixed(
                    rest: UnsafeBufferPointer(rebasing: line[words[3].startIndex...]), envelope: "cri",
                    isPartial: letter == UInt8(ascii: "P"), stream: stream)
            }
        }
        // A prefix may hold braces of its own: those of the event are before a key.
        let braces = head.indices.filter { head[$0] == UInt8(ascii: "{") }
        let begins = { (brace: Int) in
            line[(brace + 1)...].prefix(prefixLimit).first { $0 > 0x20 } == UInt8(ascii: "\"")
                && " \t:=]>|\u{1E}".utf8.contains(line[brace - 1])
                || endsInColour(head[..<brace]) || head[..<brace].suffix(3).elementsEqual([0xEF, 0xBB, 0xBF])
        }
        guard braces.first != 0, let brace = braces.first(where: begins) else { return nil }
        let before = line[..<brace].drop { $0 <= 0x20 }
        let isGap = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard before.split(whereSeparator: isGap).count <= 32 else { return nil }
        // What begins with a quote and ends with a colon is a member of an object over many lines.
        if before.first == UInt8(ascii: "\""), before.last(where: { $0 > 0x20 }) == UInt8(ascii: ":") { return nil }
        let rest = withoutTail(UnsafeBufferPointer(rebasing: line[brace...]))
        return isInside(rest) ? nil : Prefixed(rest: rest, envelope: "prefixed")
    }

    /// Without what tools write behind an event that they wrote something before.
    private static func withoutTail(_ text: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        guard text.last(where: { $0 > 0x20 }) != UInt8(ascii: "}"), var json = try? JSONText(text), (try? json.skipValue()) != nil,
            isTail(text[json.position...])
        else { return text }
        return UnsafeBufferPointer(rebasing: text[..<json.position])
    }

    /// Whether it is what tools write behind an event: the bracket around it and what stands before it, numbers, the stream of
    /// CloudWatch Logs, or the end of a colour.
    static func isTail(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard text.count <= prefixLimit else { return false }
        return words(of: text).allSatisfy { word in
            word.elementsEqual("]".utf8) || word.allSatisfy { $0 &- UInt8(ascii: "0") < 10 } || word.starts(with: stream.utf8)
        }
    }

    /// The words of a text, without what sets the colour of a terminal.
    private static func words(of text: Slice<UnsafeBufferPointer<UInt8>>) -> [Slice<UnsafeBufferPointer<UInt8>>] {
        let words: [Slice<UnsafeBufferPointer<UInt8>>] = text.split { $0 <= 0x20 }
        return words.compactMap { word in
            guard word.startIndex > text.startIndex, text[word.startIndex - 1] == 0x1B, word.first == UInt8(ascii: "["),
                let end = word.firstIndex(where: { $0 == UInt8(ascii: "m") || $0 == UInt8(ascii: "K") })
            else { return word }
            let rest = word[(end + 1)...]
            return rest.isEmpty ? nil : rest
        }
    }

    /// How the streams of audit logs begin.
    private static let stream = "kube-apiserver-audit-"

    /// Whether a line is what AWS's tools write around messages: the stream of those that follow, or that one was searched.
    static func isHeading(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        if line.starts(with: "SEARCHEDLOGSTREAMS\t".utf8) { return true }
        let words = words(of: line.prefix(prefixLimit))
        return words.count == 2 && words[1].starts(with: stream.utf8)
            && Timestamp.microseconds(UnsafeBufferPointer(rebasing: words[0])) != nil
    }

    /// Whether a line is nothing but a JSON string that holds an object.
    static func isQuoted(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard line.starts(with: "\"{".utf8), var json = try? JSONText(line), (try? json.skipValue()) != nil else { return false }
        return json.position == json.end || json.peek() == 0
    }

    /// Whether a text ends in what sets the colour of a terminal.
    private static func endsInColour(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard text.last == UInt8(ascii: "m") || text.last == UInt8(ascii: "K"), let escape = text.lastIndex(of: 0x1B),
            text[escape...].dropFirst().first == UInt8(ascii: "[")
        else { return false }
        return text[escape...].dropFirst(2).dropLast().allSatisfy { $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: ";") }
    }

    /// The bytes of a line behind what a shipper writes before the JSON, and the name of that envelope; `nil` when there is no
    /// such prefix.
    static func behindPrefix(_ line: UnsafeBufferPointer<UInt8>) -> (rest: UnsafeBufferPointer<UInt8>, envelope: String)? {
        guard let found = prefix(of: line), found.rest.first == UInt8(ascii: "{") else { return nil }
        return (found.rest, found.envelope)
    }

    /// Whether the rest of another object stands behind this one on its line: its beginning is missing, and what it holds proves nothing.
    private static func isInside(_ object: UnsafeBufferPointer<UInt8>) -> Bool {
        guard var json = try? JSONText(object), (try? json.skipValue()) != nil else { return false }
        let rest = object[json.position...].prefix { $0 != UInt8(ascii: "\n") }.filter { $0 > 0x20 }
        return rest.first == UInt8(ascii: "}") || rest.first == UInt8(ascii: "]") || rest.first == UInt8(ascii: ",") && rest.count > 1
    }

    /// A line, or a part of one, in a record of its own.
    package struct LogPart {
        package var text: String
        package var stream: String
        package var isPartial: Bool
        package var envelope = "fluent-bit"
    }

    /// The text of a line that docker, journald, or a shipper behind a container runtime, may have split; `nil` for anything else.
    ///
    /// To be asked only for a value in which there is no record: a whole event may stand without its line end.
    static func logPart(of value: DocumentValue) -> LogPart? {
        if let text = value.value("MESSAGE")?.string, let stream = value.value("_STREAM_ID")?.string {
            let isPartial = value.value("_LINE_BREAK")?.isText("line-max") ?? false
            return LogPart(text: text, stream: "journal/\(stream)", isPartial: isPartial, envelope: "journald")
        }
        // Docker's driver for fluentd.
        if let text = value.value("log")?.string, let id = value.value("partial_id")?.string {
            return LogPart(text: text, stream: id, isPartial: !(value.value("partial_last")?.isText("true") ?? false))
        }
        guard let text = value.value("log")?.string, let stream = value.value("stream")?.string else { return nil }
        let tag = (value.value("logtag") ?? value.value("_p"))?.string
        let pod = value.value("kubernetes")
        let owner = [pod?.value("pod_name"), pod?.value("container_name"), value.value("container_id")].map { $0?.string ?? "" }
        return LogPart(
            text: text, stream: ([stream] + owner).joined(separator: "/"),
            isPartial: tag.map { $0.hasPrefix("P") } ?? (text.utf8.last != 0x0A))
    }

    /// Whether a text is a word in brackets and something behind it.
    static func beginsWithWord(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        text.first == UInt8(ascii: "[") && (text.dropFirst().first.map { $0 | 0x20 &- UInt8(ascii: "a") < 26 } ?? false)
            && behindPrefix(text) != nil
    }

    /// Whether a text that cannot be read is the beginning of an event.
    static func isCutEvent(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let bytes = UnsafeBufferPointer(rebasing: text)
        guard bytes.first == UInt8(ascii: "{"), ByteSlice(bytes).contains("\"audit.k8s.io/") || ByteSlice(bytes).contains("\"auditID\"")
        else { return false }
        do throws(JSONText.Failure) {
            var json = try JSONText(bytes)
            try json.skipValue()
            return false
        } catch {
            return error.offset >= bytes.count - 1
        }
    }

    /// Whether the first part of a split line may be the beginning of an event, with or without a prefix.
    static func mayBegin(_ part: String) -> Bool {
        part.utf8.prefix(prefixLimit).contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") }
    }

    /// Whether a line is of the text format that Kubernetes 1.7 and earlier wrote, and later ones do if asked to: `TIME AUDIT: id="…" …`.
    package static func isLegacy(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = line.first, first != UInt8(ascii: "{") else { return false }
        return " \(String(decoding: line.prefix(128), as: UTF8.self))".contains(" AUDIT: id=\"")
    }

    // MARK: Packed lines

    /// How base64 of gzip, an object or an array begins.
    private static let base64Starts = ["H4sI", "eyJ", "eyA", "ewo", "ew0", "ewk", "W3s", "Wwo", "WyA", "WyJ"]

    /// Whether a text begins like base64 of gzip, or of JSON.
    static func mayBePacked(_ text: UnsafeBufferPointer<UInt8>) -> Bool { base64Starts.contains { text.starts(with: $0.utf8) } }

    /// What is in a line of base64: JSON, or gzip, as subscriptions deliver them; `nil` when it is none, or larger than the limit.
    package static func unpacked(_ line: UnsafeBufferPointer<UInt8>, limit: Int = 32 << 20) -> [UInt8]? {
        guard mayBePacked(line), let packed = base64Decoded(line) else { return nil }
        guard packed.starts(with: [0x1F, 0x8B]) else { return packed }
        return packed.withUnsafeBufferPointer { inflated($0, limit: limit) }
    }

    /// What base64 stands for, white space aside; `nil` when it is none. Piece by piece, so that a long text is not held several times.
    static func base64Decoded(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 4 * 3 + padding)
        var piece = Data()
        var isAtEnd = false
        func takePiece() -> Bool {
            guard !isAtEnd, let decoded = Data(base64Encoded: piece) else { return piece.isEmpty }
            isAtEnd = piece.last == UInt8(ascii: "=")
            result += decoded
            piece.removeAll(keepingCapacity: true)
            return true
        }
        var position = 0
        while position < text.count {
            let end = min(text.count, position + 1 << 16 - piece.count)
            piece.append(contentsOf: text[position..<end].lazy.filter { $0 > 0x20 })
            position = end
            if piece.count == 1 << 16, !takePiece() { return nil }
        }
        return takePiece() ? result : nil
    }

    /// The content of all members of a gzip file. Of a file that is cut behind its first member, what there is.
    static func inflated(_ packed: UnsafeBufferPointer<UInt8>, limit: Int) -> [UInt8]? {
        var stream = z_stream()
        // 16 + window bits: gzip format.
        guard inflateInit2_(&stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var result: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        var hasMember = false
        stream.next_in = UnsafeMutablePointer(mutating: packed.baseAddress)
        stream.avail_in = UInt32(clamping: packed.count)
        while true {
            let status = piece.withUnsafeMutableBufferPointer { piece -> Int32 in
                stream.next_out = piece.baseAddress
                stream.avail_out = UInt32(piece.count)
                return inflate(&stream, Z_NO_FLUSH)
            }
            let produced = piece.count - Int(stream.avail_out)
            result += piece[..<produced]
            guard result.count <= limit else { return nil }
            if status == Z_STREAM_END {
                hasMember = true
                // What is no further member is padding.
                guard stream.avail_in > 1, stream.next_in?[0] == 0x1F, stream.next_in?[1] == 0x8B, inflateReset(&stream) == Z_OK else {
                    return result
                }
            } else if status != Z_OK || produced == 0 && stream.avail_in == 0 {
                return hasMember ? result : nil
            }
        }
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
