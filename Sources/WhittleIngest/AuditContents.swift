import WhittleModel

extension AuditEnvelope {
    /// What was found in a text, as values that can be compared.
    package struct Contents {
        /// One event.
        package struct Event: Equatable {
            package var envelope: String
            package var auditID: String
            package var level: String
            package var stage: String
            package var user: String
            package var groups: [String]
            package var pod: String
            package var userAgent: String
            package var request: Request?
            package var decision: String?
            package var reason: String
            package var code: Int
            package var message: String
            package var receivedAt: Int64?
        }

        package var events: [Event] = []
        package var unknown = 0

        fileprivate mutating func add(_ records: Records?) {
            guard let records else {
                unknown += 1
                return
            }
            unknown += records.unknown + records.cutOff
            events += records.events.map { event, envelope in
                Event(
                    envelope: envelope, auditID: event.auditID, level: event.level, stage: event.stage, user: event.caller.user.name,
                    groups: event.caller.user.groups, pod: event.caller.pod.map { "\($0.name)/\($0.uid)" } ?? "",
                    userAgent: event.userAgent, request: AuditNeeds.request(of: event), decision: event.decision, reason: event.reason,
                    code: event.code, message: event.message, receivedAt: event.receivedAt)
            }
        }
    }

    /// Looks into a text that is one record.
    package static func contents(of text: String, as format: String? = nil) -> Contents {
        var contents = Contents()
        contents.add(records(inText: Array(text.utf8), as: format))
        return contents
    }

    /// Looks into an export as CSV; `nil` when the first line is no header of one.
    package static func contents(ofCSV text: String, as format: String? = nil) -> Contents? {
        var contents = Contents()
        var csv: AuditCSV?
        var record: [UInt8] = []
        for line in Array(text.utf8).split(separator: 0x0A, omittingEmptySubsequences: false) {
            record += line + [0x0A]
            guard record.withUnsafeBufferPointer({ AuditCSV.isComplete($0) }) else { continue }
            if let csv {
                contents.add(record.withUnsafeBufferPointer { csv.records(row: $0, as: format) })
            } else {
                csv = record.withUnsafeBufferPointer { AuditCSV(headerLine: $0, isFirst: true) }
                guard csv != nil else { return nil }
            }
            record = []
        }
        return csv == nil ? nil : contents
    }

    /// The part of a split line in a text that is one record.
    package static func logPart(ofText text: String) -> LogPart? {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress, var json = try? JSONText(bytes) else { return nil }
            let tree = DocumentTree(file: "", base: base)
            defer { withExtendedLifetime(tree) {} }
            guard (try? json.parseValue(into: tree)) != nil else { return nil }
            return logPart(of: tree.root)
        }
    }
}
