import CZlib
import Foundation
import WhittleModel

/// Finds the audit events in what clouds and log shippers wrap around them.
///
/// Each record is looked at for itself: an event, a list of them, a known wrapper, or a text that holds one of these. What is
/// wrapped keeps its meaning; only GKE rewrites events, and what its records lack (groups, pods) stays unknown.
struct AuditEnvelope {
    /// An event and the name of the outermost wrapper around it, `""` for none.
    typealias Found = (event: AuditEvent, envelope: String)

    private static let depthLimit = 8
    /// Members that hold records, and the envelope that they tell.
    private static let containers: [(key: StaticString, envelope: String)] = [
        ("items", "list"), ("events", "eks"), ("logEvents", "eks"), ("results", "eks"), ("records", "aks"), ("properties", "aks"),
        ("hits", "elastic"), ("_source", "elastic"), ("kubernetes", "elastic"), ("audit", "elastic"), ("json", "filebeat"),
        ("attributes", "datadog"), ("data", "loki"), ("result", "splunk"), ("values", "loki"),
    ]
    /// Members whose text is a record.
    private static let texts: [(key: StaticString, envelope: String)] = [
        ("log", "fluent-bit"), ("message", "message"), ("MESSAGE", "journald"), ("log_s", "aks"), ("line", "loki"), ("_raw", "splunk"),
        ("value", "value"),
    ]

    /// Events in order, and the count of records beside them that are nothing known.
    struct Records {
        var events: [Found] = []
        var unknown = 0
    }

    /// Everything that was found; `nil` when the value is nothing that is known.
    static func records(in value: DocumentValue) -> Records? {
        var records = Records()
        return visit(value, "", 0, &records) ? records : nil
    }

    private static func visit(_ value: DocumentValue, _ envelope: String, _ depth: Int, _ records: inout Records) -> Bool {
        guard depth < depthLimit else { return false }
        switch value.kind {
        case .array:
            var (known, unknown) = (0, 0)
            for element in value.elements {
                // Of a row of Logs Insights only the field that holds the message is a record.
                let isOtherField = element.value("field").map { !$0.isText("@message") } ?? false
                if isOtherField { continue }
                if visit(element, envelope, depth + 1, &records) { known += 1 } else { unknown += 1 }
            }
            // Beside records there is also what tells about them, such as the time before a line of Loki.
            if known > 0, value.elements.first?.kind == .object { records.unknown += unknown }
            return known > 0 || unknown == 0
        case .string: return visit(text: value, envelope, depth, &records)
        case .object: break
        default: return false
        }
        if value.value("auditID") != nil || value.value("requestURI") != nil || value.value("verb") != nil, let event = AuditEvent(value) {
            records.events.append((event, envelope))
            return true
        }
        if let payload = value.value("protoPayload") {
            guard let event = AuditEvent(logEntry: value, payload) else { return false }
            records.events.append((event, "gke"))
            return true
        }
        if value.value("messageType")?.isText("CONTROL_MESSAGE") ?? false { return true }
        var isKnown = false
        for (key, name) in containers {
            guard let inner = value[key], inner.kind == .array || inner.kind == .object || inner.isNull && name == "list" else { continue }
            isKnown = inner.isNull || visit(inner, envelope.isEmpty ? name : envelope, depth + 1, &records) || isKnown
        }
        if isKnown { return true }
        for (key, name) in texts {
            guard let inner = value.value(key), visit(text: inner, envelope.isEmpty ? name : envelope, depth, &records) else { continue }
            return true
        }
        if let data = value.value("message")?.value("data") ?? value.value("data"), let text = data.string,
            let bytes = Data(base64Encoded: text), visit(bytes: Array(bytes), "pubsub", depth, &records)
        {
            return true
        }
        return false
    }

    private static func visit(text value: DocumentValue, _ envelope: String, _ depth: Int, _ records: inout Records) -> Bool {
        guard let text = value.string, let first = text.utf8.first(where: { $0 > 0x20 }),
            first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        else { return false }
        return visit(bytes: Array(text.utf8), envelope, depth, &records)
    }

    private static func visit(bytes: [UInt8], _ envelope: String, _ depth: Int, _ records: inout Records) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress, firstInvalidUTF8(in: bytes) == nil, var json = try? JSONText(bytes) else { return false }
            let tree = DocumentTree(file: "", base: base)
            defer { withExtendedLifetime(tree) {} }
            guard (try? json.parseValue(into: tree)) != nil else { return false }
            return visit(tree.root, envelope, depth + 1, &records)
        }
    }

    /// The bytes of a line behind what a shipper writes before the JSON, and the name of that envelope; `nil` when there is no
    /// such prefix.
    static func behindPrefix(_ line: UnsafeBufferPointer<UInt8>) -> (rest: UnsafeBufferPointer<UInt8>, envelope: String)? {
        guard let brace = line.firstIndex(of: UInt8(ascii: "{")), brace > 0, brace < 512, line[brace - 1] == UInt8(ascii: " ") else {
            return nil
        }
        let words = line[..<brace].split(separator: UInt8(ascii: " "))
        guard words.count <= 4 else { return nil }
        let isCRI = words.count == 3 && (words[1].elementsEqual("stdout".utf8) || words[1].elementsEqual("stderr".utf8))
        return (UnsafeBufferPointer(rebasing: line[brace...]), isCRI ? "cri" : "prefixed")
    }

    /// A line of base64 that is gzip inside, as subscriptions deliver it; `nil` when it is none, or larger than the limit.
    static func unpacked(_ line: UnsafeBufferPointer<UInt8>, limit: Int = 32 << 20) -> [UInt8]? {
        guard line.starts(with: "H4sI".utf8), let packed = Data(base64Encoded: Data(line.filter { $0 > 0x20 })) else { return nil }
        var stream = z_stream()
        guard inflateInit2_(&stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var input = Array(packed)
        var result: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        return input.withUnsafeMutableBufferPointer { input -> [UInt8]? in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            while true {
                let status = piece.withUnsafeMutableBufferPointer { piece -> Int32 in
                    stream.next_out = piece.baseAddress
                    stream.avail_out = UInt32(piece.count)
                    return inflate(&stream, Z_NO_FLUSH)
                }
                let produced = piece.count - Int(stream.avail_out)
                result += piece[..<produced]
                if status == Z_STREAM_END { return result }
                guard status == Z_OK, produced > 0, result.count <= limit else { return nil }
            }
        }
    }
}

extension AuditEvent {
    /// Reads a LogEntry of GKE; `nil` when it names no resource of Kubernetes.
    init?(logEntry entry: DocumentValue, _ payload: DocumentValue) {
        guard let method = payload.value("methodName")?.string, let name = payload.value("resourceName")?.string else { return nil }
        self.init()
        stage = "ResponseComplete"
        verb = method.split(separator: ".").last.map(String.init) ?? ""
        caller.user = UserInfo(name: payload.value("authenticationInfo")?.value("principalEmail")?.string ?? "", groups: [])
        caller.account = ServiceAccountName.split(caller.user.name)
        userAgent = payload.value("requestMetadata")?.value("callerSuppliedUserAgent")?.string ?? ""
        guard let request = Self.request(verb: verb, resourceName: name) else { return nil }
        objectRef = request
        receivedAt = (entry.value("timestamp") ?? entry.value("receiveTimestamp"))?.string.flatMap { Timestamp.microseconds($0) }
        let status = payload.value("status")?.value("code")?.integer ?? 0
        // gRPC codes: 5 not found, 6 already exists, 7 permission denied.
        code = [0: 200, 5: 404, 6: 409, 7: 403][status] ?? 500
        let granted = payload.value("authorizationInfo")?.elements.first?.value("granted")?.bool
        decision =
            entry.value("labels")?.value("authorization.k8s.io/decision")?.string
            ?? (status == 7 || granted == false ? "forbid" : granted == true ? "allow" : nil)
        reason = entry.value("labels")?.value("authorization.k8s.io/reason")?.string ?? ""
    }

    /// `GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE]]`, with `core` for the core group.
    private static func request(verb: String, resourceName: String) -> Request? {
        var parts = resourceName.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3 else { return nil }
        let apiGroup = parts[0] == "core" ? "" : parts[0]
        parts.removeFirst(2)
        var namespace = ""
        if parts.count > 2, parts[0] == "namespaces" {
            namespace = parts[1]
            // A subresource of the namespace itself.
            if parts.count > 3 || !["status", "finalize"].contains(parts[2]) { parts.removeFirst(2) }
        } else if parts[0] == "namespaces", parts.count == 2 {
            namespace = parts[1]
        }
        return Request(
            verb: verb, apiGroup: apiGroup, resource: parts[0], subresource: parts.count > 2 ? parts[2] : "", namespace: namespace,
            name: parts.count > 1 ? parts[1] : "")
    }
}
