import CScan
import Foundation
import WhittleModel

/// Reads the values of one log after the other: takes events out of what is wrapped around them, counts them, and rejects what is none.
final class AuditRecordReader {

    private let window: SharedWindow
    private let lineLimit: Int
    private let format: String?
    private var path = ""
    private var onReject: RejectHandler?

    private(set) var folder: AuditFolder
    private var eventParts: AuditParts
    private var knownParts = KnownParts()
    private var tally = AuditTally()
    private var rejects: [String: Int] = [:]
    private var envelopes: [String: Int] = [:]
    private var diagnostics: [Diagnostic] = []
    /// Records of other logs.
    private var skipped = 0
    /// Whether the text at hand was written to the rejects: it may hold many bad records.
    private var isTextKept = false
    private var hasReportedLegacy = false
    /// What a container runtime has split of a line so far, by stream.
    private var parts = SplitLines()
    /// Streams whose last part is as long as those of Docker.
    private var isBehindDockerPart: Set<String> = []

    init(window: SharedWindow, lineLimit: Int, format: String?, maxNames: Int) {
        self.window = window
        self.lineLimit = lineLimit
        self.format = format
        folder = AuditFolder(maxNames: maxNames)
        eventParts = AuditParts(seed: window.seed)
    }

    /// The values that follow are of this log.
    func begin(_ path: String, onReject: RejectHandler?) {
        self.path = path
        self.onReject = onReject
    }

    /// Adds the users of facts that are new since this was asked last.
    func tellSubjects(_ subjects: inout Set<ByteString>) { folder.tellSubjects(&subjects) }

    /// Whether a split line waits for its other parts.
    var isInParts: Bool { !parts.isEmpty }

    /// Gives away what was counted for the log.
    func takeTally() -> AuditTally {
        defer { tally = AuditTally() }
        return tally
    }

    /// Gives away what was found beside usual events.
    func takeFindings() -> (rejects: [String: Int], envelopes: [String: Int], skipped: Int, diagnostics: [Diagnostic]) {
        defer { (rejects, envelopes, skipped, diagnostics, hasReportedLegacy) = ([:], [:], 0, [], false) }
        return (rejects, envelopes, skipped, diagnostics)
    }

    /// Forgets parts that are read again.
    func dropParts() { parts = SplitLines() }

    /// Events that were found since they were taken, and what is none.
    var eventCount: Int { tally.events }
    var rejectCount: Int { rejects.values.reduce(0, +) }

    /// Events and everything else that was found.
    var counted: Int { eventCount + rejectCount + skipped }

    /// Counts a record that is known to be of no audit log.
    func skip() { skipped += 1 }

    /// The log has ended: lines whose last parts are missing are cut off.
    func rejectParts(line: Int) {
        for part in parts.removeAll() { rejectBeginning(part, line) }
    }

    /// The next line is of another log: no part of it belongs to what was given up in this one.
    func forgetLostParts() { parts.forgetGivenUp() }

    /// Does what may reject something; `false` when it did and counted nothing: that is then forgotten.
    func tries(_ body: () -> Void) -> Bool {
        let (before, shown, found, keep) = (rejects, diagnostics.count, tally.events + skipped, onReject)
        var rejected: [[UInt8]] = []
        onReject = { text, isRest in
            if isRest, !rejected.isEmpty { rejected[rejected.count - 1] += text } else { rejected.append(Array(text)) }
        }
        body()
        onReject = keep
        guard rejects != before, tally.events + skipped == found else {
            for text in rejected { text.withUnsafeBufferPointer { onReject?($0, false) } }
            return true
        }
        rejects = before
        diagnostics.removeLast(diagnostics.count - shown)
        return false
    }

    /// Reads something; what is known to be of another log may hold records nevertheless, and if not is passed over.
    func readOrSkip(isOther: Bool, _ body: () -> Void) {
        if !isOther { body() } else if !tries(body) { skip() }
    }

    // MARK: Values

    /// Judges every event in the values of `text`, which is padded; `false` when these cannot be read to the end. Then none is judged if
    /// `isLast`, because it will be read again.
    ///
    /// - Parameter isUnusual: whether the text is known to be no usual event as it stands.
    func read(
        _ text: UnsafeBufferPointer<UInt8>, _ line: Int, isLast: Bool = false, envelope outer: String = "", isUnusual: Bool = false
    ) -> Bool {
        isTextKept = false
        // A record separator (RFC 7464) is no part of the value behind it.
        let text = text.first == 0x1E ? UnsafeBufferPointer(rebasing: text.dropFirst()) : text
        let isOffered = !isUnusual && AuditEnvelope.accepts(outer, as: format)
        if isOffered, take(text, outer, isWrapped: false) { return true }
        guard let base = text.baseAddress else { return true }
        guard firstInvalidUTF8(in: text) == nil, var json = try? JSONText(text) else { return false }
        let tree = DocumentTree(file: path, base: base)
        defer { withExtendedLifetime(tree) {} }
        let taker = { [self] in take($0, $1, isWrapped: true) }
        var known = 0
        // As between the elements of a list. Of half an object the rest would not be values.
        var hasCommas = false
        while json.moveToNextValue(hasCommas: hasCommas) {
            let start = json.position
            guard (try? AuditEnvelope.parse(&json, into: tree)) != nil else {
                if tree.isFull(AuditEnvelope.valueLimit) {
                    reject("too-long", "there are more than \(AuditEnvelope.valueLimit) values in one", line, 1, text)
                    return true
                }
                guard known > 0 else { return false }
                // What is wrong in it spoils only this value, if its brackets tell where it ends.
                let isOpen = text[start] == UInt8(ascii: "{") || text[start] == UInt8(ascii: "[")
                guard isOpen, let end = scan_container_end(base + start + 1, base + text.count).map({ base.distance(to: $0) }),
                    let rest = try? JSONText(text, from: end)
                else {
                    rejectUnreadable(Array(text[start...]), line)
                    return true
                }
                rejectUnreadable(Array(text[start..<end]), line)
                json = rest
                continue
            }
            known += 1
            if known == 1 { hasCommas = json.hasCommas() }
            if known == 1, isLast || UnsafeBufferPointer(rebasing: text.dropLast()).lineFeedCount > 0 {
                // All of them can be read, or none is judged.
                var rest = json
                while rest.moveToNextValue(hasCommas: hasCommas) { guard (try? rest.skipValue()) != nil else { return false } }
            }
            // What Docker has split goes on, even if this part by itself looks like an event.
            if !parts.awaitsNothing, let part = AuditEnvelope.logPart(of: tree.root), parts.isAwaited("docker/" + part.stream),
                isBehindDockerPart.contains(part.stream) || goesOn(part)
            {
                takePart(part, line)
                continue
            }
            let records = AuditEnvelope.records(
                in: tree.root, as: format, inside: outer, taker: taker, wasOffered: known == 1 && (isUnusual || isOffered))
            // Docker splits long lines too, each part in a record of its own; a part may look like values that are no events.
            if records.map({ !$0.hasEvents && $0.unknown + $0.cutOff > 0 }) ?? true,
                let part = AuditEnvelope.logPart(of: tree.root),
                parts.isAwaited("docker/" + part.stream) || part.isPartial && AuditEnvelope.mayBegin(part.text)
            {
                takePart(part, line)
                continue
            }
            guard let records else {
                rejectRecord("not-an-event", "the value is no audit event with a stage and a time", line, text)
                hasCommas = false
                continue
            }
            judge(records, line, text)
            if !records.hasEvents { hasCommas = false }
            if records.hasEvents, AuditEnvelope.isTail(text[json.position...]) { return true }
        }
        return true
    }

    /// Counts an event if it is as usual as one on a line; the text is padded.
    private func take(_ text: UnsafeBufferPointer<UInt8>, _ envelope: String, isWrapped: Bool) -> Bool {
        eventParts.forgetIfFull()
        guard let event = eventParts.prepare(UnsafeBufferPointer(rebasing: text.drop { $0 <= 0x20 }), isWrapped: isWrapped) else {
            return false
        }
        let new = eventParts.takeNew()
        if !new.isEmpty { folder.learn(new, into: &knownParts) }
        let isNew = window.insert(event.hash)
        var judged: (outcome: AuditFolder.Outcome, decision: Int)?
        if isNew, event.phase != .early {
            judged = folder.add(event, &knownParts)
            guard judged != nil else {
                window.postpone(event.hash)
                return false
            }
        }
        tally.add(stage: event.stage, level: event.level, at: event.time, isRepeated: !isNew)
        if isNew { tally.add(event.phase == .complete ? judged?.outcome : nil, decision: judged?.decision ?? 0) }
        if !envelope.isEmpty { envelopes[envelope, default: 0] += 1 }
        return true
    }

    /// Judges every event in a record of a table; `false` when there is none, and the record is something else.
    func read(row: UnsafeBufferPointer<UInt8>, of table: AuditCSV, _ line: Int, unless isOther: () -> Bool = { false }) -> Bool {
        isTextKept = false
        let records = table.records(row: row, as: format) { [self] in take($0, $1, isWrapped: true) }
        if !records.hasEvents, records.skipped == 0, records.cutOff == 0, records.unknown > 0, isOther() { return false }
        if records.unknown > 0, firstInvalidUTF8(in: row) != nil { rejectUnreadable(Array(row), line) } else { judge(records, line, row) }
        return true
    }

    private func judge(_ records: AuditEnvelope.Records, _ line: Int, _ text: UnsafeBufferPointer<UInt8>) {
        skipped += records.skipped
        for _ in 0..<records.unknown { rejectRecord("not-an-event", "a record is no audit event", line, text) }
        for _ in 0..<records.cutOff { rejectRecord("cut-off", "the event in a record is cut off", line, text) }
        for (event, envelope) in records.events {
            if let member = event.overlong {
                rejectRecord("too-long", "`\(member)` of the event is longer than \(AuditEvent.memberLimit >> 20) MiB", line, text)
                continue
            }
            if let member = event.mistyped {
                rejectRecord("wrong-type", "`\(member)` of the event is of the wrong type", line, text)
                continue
            }
            guard let time = event.receivedAt else {
                rejectRecord("no-time", "the event has no time", line, text)
                continue
            }
            guard let stage = AuditTally.place(ofStage: event.stage) else {
                rejectRecord("unknown-stage", "the event is of a stage that Kubernetes does not know", line, text)
                continue
            }
            if !envelope.isEmpty { envelopes[envelope, default: 0] += 1 }
            let isNew = window.insert(eventParts.hash(of: event))
            tally.add(stage: stage, level: AuditTally.place(ofLevel: event.level), at: time, isRepeated: !isNew)
            guard isNew else { continue }
            let phase = AuditPhase(stage: event.stage)
            // Before authorization nothing is decided (semantics AUD-2).
            guard phase != .early else {
                tally.add(nil, decision: 0)
                continue
            }
            let outcome = folder.add(event, at: time, isComplete: phase == .complete)
            switch outcome {
            case .userless: rejectRecord("no-user", "the event names no user", line, text)
            case .aimless: rejectRecord("no-attributes", "the event tells nothing that was asked for", line, text)
            default: break
            }
            tally.add(phase == .complete ? outcome : nil, decision: AuditTally.place(ofDecision: event.decision))
        }
    }

    // MARK: Split lines

    /// Whether a part certainly belongs to those of an event before it.
    private func goesOn(_ part: AuditEnvelope.LogPart) -> Bool {
        guard parts["docker/" + part.stream]?.isOfEvent ?? false else { return false }
        return part.isPartial ? part.isMarked : part.isFragment
    }

    private func takePart(_ part: AuditEnvelope.LogPart, _ line: Int) {
        if part.isOfDockerLength { isBehindDockerPart.insert(part.stream) } else { isBehindDockerPart.remove(part.stream) }
        if let value = joined(Array(part.text.utf8), stream: "docker/" + part.stream, isPartial: part.isPartial, line) {
            readOrReject(value, line, part.envelope)
        }
    }

    /// The whole line whose last part this is; `nil` while it goes on.
    func joined(_ part: [UInt8], stream: String, isPartial: Bool, _ line: Int) -> [UInt8]? {
        if parts.dropIfGivenUp(partOf: stream, isLast: !isPartial) { return nil }
        guard isPartial || parts[stream] != nil else { return part }
        guard !isPartial else {
            parts.add(part, to: stream)
            if parts[stream]?.bytes.count ?? 0 > lineLimit, let whole = parts.giveUp(stream) {
                reject("too-long", "the parts of a line are longer than \(lineLimit >> 20) MiB", line, 1, whole)
            } else if parts.size > 2 * lineLimit {
                // Those whose last parts do not come.
                for beginning in parts.giveUpOldest(downTo: lineLimit * 3 / 2) { rejectBeginning(beginning, line) }
            }
            return nil
        }
        guard let beginning = parts.remove(stream) else { return part }
        let isCutEvent = beginning.bytes.withUnsafeBufferPointer { AuditEnvelope.isCutEvent($0[...]) }
        // A whole event is no end of another.
        if isCutEvent, part.withUnsafeBufferPointer(AuditEnvelope.isEvent) {
            rejectBeginning(beginning.bytes, line)
            return part
        }
        let whole = beginning.bytes + part
        // Nor is one that is split itself: only of what is no part of another value do the brackets end where the line does.
        if let place = beginning.lastBeginning, whole[..<place].withUnsafeBufferPointer({ AuditEnvelope.isCutEvent($0[...]) }),
            whole[place...].withUnsafeBufferPointer(AuditEnvelope.isEvent)
        {
            rejectBeginning(Array(whole[..<place]), line)
            return Array(whole[place...])
        }
        // Nor is another whole value, as a list, or an event behind a prefix.
        if isCutEvent, !whole.withUnsafeBufferPointer(AuditEnvelope.isValue),
            part.withUnsafeBufferPointer({ AuditEnvelope.isValue(AuditEnvelope.behindPrefix($0)?.rest ?? $0) })
        {
            rejectBeginning(beginning.bytes, line)
            return part
        }
        return whole
    }

    private func rejectBeginning(_ text: [UInt8], _ line: Int) {
        reject("cut-off", "the last part of a split line is missing", line, 1, text)
    }

    /// Judges every event in the values of a line.
    ///
    /// - Parameter isUnusual: see `read`.
    func readOrReject(_ text: consuming [UInt8], _ line: Int, _ envelope: String, isUnusual: Bool = false) {
        if !AuditEnvelope.padded(&text, { read($0, line, envelope: envelope, isUnusual: isUnusual) }) { rejectUnreadable(text, line) }
    }

    // MARK: Rejects

    func reject(_ reason: String, _ message: String, _ line: Int, _ column: Int, _ text: [UInt8]) {
        text.withUnsafeBufferPointer { reject(reason, message, line, column, $0) }
    }

    /// The log cannot be read to its end.
    func rejectDamage(_ failure: IngestError, line: Int) {
        var help: String?
        if case .cannotRead = failure { help = "what was read counts; of a log that was rotated meanwhile load the copy, too" }
        reject("damaged", failure.description, line, 1, UnsafeBufferPointer(start: nil, count: 0), help: help)
    }

    private func reject(
        _ reason: String, _ message: String, _ line: Int, _ column: Int, _ text: UnsafeBufferPointer<UInt8>, help: String? = nil
    ) {
        let shown = rejects.values.reduce(0, +)
        rejects[reason, default: 0] += 1
        onReject?(text, false)
        guard shown < AuditLogReader.rejectsShown else { return }
        diagnostics.append(
            Diagnostic(
                .error, id: "invalid-audit-line", "\(message) (\(reason))", at: SourceLocation(file: path, line: line, column: column),
                help: help ?? Self.help(for: text, reason, isFirst: line == 1)))
    }

    private static func help(for text: UnsafeBufferPointer<UInt8>, _ reason: String, isFirst: Bool) -> String {
        // What `gcloud` writes unasked.
        if text.starts(with: "---\n".utf8) || text.elementsEqual("---".utf8) {
            return "YAML is not read; let the tool write JSON, for example with --format=json"
        }
        if text.starts(with: "{\"whittle\":\"usage\"".utf8) { return "it is an export of usage, which `whittle usage merge` adds" }
        if isFirst, AuditCSV.mayBeHeader(text) {
            return
                "of CSV one column must hold the events, with a name such as `message` or `log`, or each a member: `stage`, `user`, `verb`, …"
        }
        return switch reason {
        case "cut-off": "a shipper with a limit for lines or a full disk cuts events; raise the limit, or read the log of the API server"
        case "damaged": "copy or compress the log again; what comes before the damage counts"
        case "too-long": "what the API server writes is shorter; several events may have been joined to one"
        case "not-an-event": "it is of another log, or in a wrapper that is not read; let the export give the events as they are"
        case "not-utf8": "text must be UTF-8, or UTF-16 with a byte order mark; compressed logs gzip or zstd"
        case "nul-bytes": "a system that went down leaves them, and whoever truncates a log that is written to; a copy may have the lines"
        case "not-json": "it is of another log, or was damaged; `--rejects FILE` keeps such lines"
        default: "a shipper has left it out or rewritten it; let it pass the events on as they are"
        }
    }

    /// Keeps more of the text that was rejected last.
    func rejectRest(_ text: UnsafeBufferPointer<UInt8>) { onReject?(text, true) }

    /// Rejects one record of a text, which is kept once.
    private func rejectRecord(_ reason: String, _ message: String, _ line: Int, _ text: UnsafeBufferPointer<UInt8>) {
        reject(reason, message, line, 1, isTextKept ? UnsafeBufferPointer(start: nil, count: 0) : text)
        isTextKept = true
    }

    /// Rejects a line of the text format that says nothing about decisions; reported once.
    func rejectLegacy(_ text: [UInt8], _ line: Int) {
        rejects["legacy-format", default: 0] += 1
        text.withUnsafeBufferPointer { onReject?($0, false) }
        guard !hasReportedLegacy else { return }
        hasReportedLegacy = true
        diagnostics.append(
            Diagnostic(
                .error, id: "legacy-audit-format",
                "the log is in the legacy text format of API servers, which tells no decision",
                at: SourceLocation(file: path, line: line, column: 1),
                help: "let the API server write JSON: --audit-log-format=json"))
    }

    /// Reads all values of a text.
    private static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONText.Failure) {
        var json = try JSONText(bytes)
        let tree = DocumentTree(file: "", base: json.base)
        while json.peek() != 0 || json.position < json.end {
            tree.reset(anchor: DocumentTree.LineCursor())
            try json.parseValue(into: tree)
        }
    }

    /// Rejects a text that is no JSON, at the place where it goes wrong.
    func rejectUnreadable(_ text: [UInt8], _ line: Int) {
        let (reason, message, offset) = text.withUnsafeBufferPointer { bytes -> (String, String, Int) in
            if let offset = firstInvalidUTF8(in: bytes) { return ("not-utf8", "the line is no audit event: it is not UTF-8 text", offset) }
            do throws(JSONText.Failure) {
                var json = try JSONText(bytes)
                while json.peek() != 0 || json.position < json.end { try json.skipValue() }
                // That has looked at brackets and strings only.
                if bytes.count <= AuditEvent.memberLimit { try Self.parse(bytes) }
            } catch {
                let first = bytes.first { $0 > 0x20 }
                let isCut = error.offset >= bytes.count - 1 && (first == UInt8(ascii: "{") || first == UInt8(ascii: "["))
                return isCut
                    ? ("cut-off", "the line is no audit event: it is cut off", max(error.offset - 1, 0))
                    : ("not-json", "the line is no audit event: \(error.message)", error.offset)
            }
            return ("not-an-event", "the line is no audit event", 0)
        }
        let before = text[..<min(offset, text.count)]
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        reject(reason, message, line + before.lineFeedCount, before[lineStart...].count + 1, text)
    }
}

extension ArraySlice<UInt8> {
    var lineFeedCount: Int { withUnsafeBufferPointer(\.lineFeedCount) }
}

extension UnsafeBufferPointer<UInt8> {
    var lineFeedCount: Int {
        var (count, rest) = (0, self[...])
        while let base = rest.base.baseAddress, let found = memchr(base + rest.startIndex, Int32(UInt8(ascii: "\n")), rest.count) {
            count += 1
            rest = rest[(UnsafeRawPointer(base).distance(to: found) + 1)...]
        }
        return count
    }
}
