import CScan
import Foundation
import WhittleModel

/// Reads what is no usual event on one line: values over many lines, lists, wrapped events, and what is nothing at all.
///
/// Lines come in order, those of usual events left out. Lists are taken apart element by element, so that memory is bounded by
/// the longest element; other values are held until they end, at most `lineLimit` bytes.
final class AuditSession {
    private enum State {
        /// Between values.
        case idle
        /// Inside a value that does not end in its line, or a line of which only a part has come.
        case open
        /// Between or inside the elements of a list; a bare one has nothing around it.
        case list(envelope: String, isBare: Bool)
        /// Behind the elements of a list, inside what is around it.
        case closing
        /// In a line that is too long.
        case skipping
    }

    private static let rejectsShown = 20
    /// Members that hold records, and the envelope that they tell.
    private static let lists = [("items", "list"), ("events", "eks"), ("logEvents", "eks"), ("records", "aks")]
        .map { (key: $0.0, envelope: $0.1) }
    /// What is told of a list that a subscription sends to see whether it arrives: it holds no records.
    private static let control = "control"
    /// Bytes in which the elements of a list must begin.
    private static let headLimit = 1 << 16

    private let window: SharedWindow
    private let lineLimit: Int
    private let format: String?
    private var path = ""
    private var onReject: ((UnsafeBufferPointer<UInt8>) -> Void)?

    private(set) var folder: AuditFolder
    private var eventParts: AuditParts
    private var knownParts = KnownParts()
    private var tally = AuditTally()
    private var rejects: [String: Int] = [:]
    private var envelopes: [String: Int] = [:]
    private var diagnostics: [Diagnostic] = []

    private var state = State.idle
    /// The value, or the element of a list, that has not ended; room for scanning is added when it is read.
    private var held: [UInt8] = []
    private var heldLine = 0
    private var nesting = Nesting()
    /// Bytes of a list behind its last element that are dealt with: when it goes on, they are read again.
    private var gap = 0
    /// Whether an earlier load has read how the list begins, so that nobody knows what is around it.
    private var isResumed = false
    /// Whether a value must end in its line: it was given up once.
    private var isStrict = false
    private var isAtStart = true
    /// What is known of the line at hand.
    private var isUnusual = false
    private var isChecked = false
    private var csv: AuditCSV?
    private var hasReportedLegacy = false
    /// A record of a table that goes on in the next line.
    private var row: [UInt8] = []
    /// What a container runtime has split of a line so far, by stream.
    private var parts: [String: [UInt8]] = [:]

    init(window: SharedWindow, lineLimit: Int, format: String?, maxNames: Int) {
        self.window = window
        self.lineLimit = lineLimit
        self.format = format
        folder = AuditFolder(maxNames: maxNames)
        eventParts = AuditParts(seed: window.seed)
    }

    /// The lines that follow are of this log.
    ///
    /// - Parameter firstLine: of a log whose beginning an earlier load has read; it may name the columns of a table.
    func begin(_ path: String, firstLine: [UInt8]?, onReject: ((UnsafeBufferPointer<UInt8>) -> Void)?) {
        self.path = path
        self.onReject = onReject
        if isAtStart, let firstLine, let table = firstLine.withUnsafeBufferPointer({ AuditCSV(headerLine: $0) }) {
            (csv, isAtStart) = (table, false)
        }
    }

    /// Whether every byte so far is dealt with.
    var isIdle: Bool {
        if case .idle = state { return held.isEmpty && parts.isEmpty && csv == nil }
        return false
    }

    /// Gives away what was counted for the log.
    func takeTally() -> AuditTally {
        defer { tally = AuditTally() }
        return tally
    }

    /// Gives away what was found beside usual events.
    func takeFindings() -> (rejects: [String: Int], envelopes: [String: Int], diagnostics: [Diagnostic]) {
        defer { (rejects, envelopes, diagnostics, hasReportedLegacy) = ([:], [:], [], false) }
        return (rejects, envelopes, diagnostics)
    }

    /// Nothing more can be read of the log.
    func reject(_ failure: IngestError, line: Int) { reject("damaged", failure.description, line, 1, []) }

    // MARK: Lines

    /// A usual event came between: a value that has not ended was cut off.
    func interrupt() {
        switch state {
        case .open: giveUp()
        case .list where !held.isEmpty:
            reject("cut-off", "an element of a list is cut off", heldLine, 1, held)
            held = []
        default: break
        }
        isAtStart = false
    }

    /// Takes a line, or a piece of one.
    ///
    /// - Parameters:
    ///   - bytes: the buffer goes on for `AuditEnvelope.padding` bytes behind them.
    ///   - line: its number in the log, 1-based.
    ///   - isUnusual: whether it is known to be no usual event as it stands.
    ///   - isChecked: whether an event in it is known to be new.
    func take(_ bytes: UnsafeBufferPointer<UInt8>, line: Int, endsLine: Bool, isUnusual: Bool = false, isChecked: Bool = false) {
        var bytes = bytes
        (self.isUnusual, self.isChecked) = (isUnusual, isChecked)
        if isAtStart {
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
                bytes = UnsafeBufferPointer(rebasing: bytes[3...])
                self.isUnusual = false
            }
            if let first = bytes.first(where: { $0 > 0x20 }) {
                isAtStart = false
                // The rest of a list whose first part an earlier load has read.
                if first == UInt8(ascii: ",") || first == UInt8(ascii: "]") {
                    state = .list(envelope: "list", isBare: false)
                    (gap, isResumed) = (0, true)
                } else if first == UInt8(ascii: "}") {
                    (state, nesting, gap) = (.closing, Nesting(depth: 1), 0)
                }
            }
        }
        switch state {
        case .skipping: if endsLine { state = .idle }
        case .list, .closing: takeElements(bytes, line)
        case .idle, .open: takeValue(bytes, line, endsLine: endsLine)
        }
    }

    private func takeValue(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int, endsLine: Bool) {
        // Lines inside a value are indented, or begin with a key or a bracket that closes; others begin something else.
        // So does an element of an inner list, when a list waits for one.
        if case .open = state, held.last == UInt8(ascii: "\n"), let first = bytes.first, first > 0x20, !"\"]},".utf8.contains(first) {
            let before = held.last { $0 > 0x20 } ?? 0
            if !"{[".utf8.contains(first) || !",[:".utf8.contains(before) { giveUp() }
        }
        if case .idle = state, endsLine, csv == nil, let end = containerEnd(in: bytes, from: 0), bytes[end...].allSatisfy({ $0 <= 0x20 }) {
            heldLine = line
            if !read(bytes, line, isLast: false, isUnusual: isUnusual) {
                held = Array(bytes)
                giveUp()
            }
            return
        }
        if case .idle = state {
            guard bytes.contains(where: { ![0, 0x09, 0x0A, 0x0D, 0x20].contains($0) }) else { return }
            held = []
            heldLine = line
            nesting = Nesting()
            state = .open
        }
        held += bytes
        let first = held.first { $0 > 0x20 }
        let isJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        if isJSON, csv == nil {
            nesting.advance(over: bytes)
            if endsLine, nesting.depth <= 0 || nesting.isInString { return endValue() }
            if held.count - bytes.count < Self.headLimit, let (start, envelope, isBare) = listStart() {
                let rest = Array(held[start...])
                let line = heldLine + lineFeeds(held[..<start])
                held = []
                (gap, isResumed) = (start, false)
                state = .list(envelope: envelope, isBare: isBare)
                return Self.padded(rest) { takeElements($0, line) }
            }
            if endsLine, isStrict { return endValue() }
        } else if endsLine {
            state = .idle
            let text = held
            held = []
            return takeText(text, heldLine)
        }
        guard held.count > lineLimit else { return }
        if endsLine || lineFeeds(held[...]) > 0 { return giveUp() }
        reject("too-long", "the line is longer than \(lineLimit >> 20) MiB", heldLine, 1, held)
        held = []
        state = .skipping
    }

    /// The value at hand ends here, or never.
    private func endValue() {
        let text = held
        held = []
        state = .idle
        if !Self.padded(text, { read($0, heldLine, isLast: false) }) {
            held = text
            giveUp()
        }
    }

    /// Calls `body` with bytes behind which scanning may look.
    private static func padded<Result>(_ bytes: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        (bytes + [UInt8](repeating: 0, count: AuditEnvelope.padding)).withUnsafeBufferPointer {
            body(UnsafeBufferPointer(rebasing: $0.prefix(bytes.count)))
        }
    }

    /// The place behind the object or array that begins there; `nil` when none does, or it goes on behind the bytes.
    private func containerEnd(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        guard let base = bytes.baseAddress, start < bytes.count,
            bytes[start] == UInt8(ascii: "{") || bytes[start] == UInt8(ascii: "[")
        else { return nil }
        return scan_container_end(base + start + 1, base + bytes.count).map { base.distance(to: $0) }
    }

    /// The value does not end: the line that began it was cut off, and those behind it stand for themselves.
    private func giveUp() {
        let text = held
        let lines = text.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        let line = heldLine
        held = []
        state = .idle
        guard lines.count > 1, lines[1].contains(where: { $0 > 0x20 }) else {
            let first = Array(lines.first ?? [])
            // A word in brackets before an event looks like a list.
            let prefixed = first.withUnsafeBufferPointer { bytes in
                bytes.first == UInt8(ascii: "[") ? AuditEnvelope.behindPrefix(bytes).map { (Array($0.rest), $0.envelope) } : nil
            }
            if let (rest, envelope) = prefixed { return readOrReject(rest, line, envelope) }
            return rejectUnreadable(first, line)
        }
        let texts = lines[1].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard texts.contains(where: isValue) else { return rejectUnreadable(text, line) }
        rejectUnreadable(Array(lines[0]), line)
        let wasStrict = isStrict
        isStrict = true
        var number = line
        for text in texts {
            number += 1
            Self.padded(Array(text) + [UInt8(ascii: "\n")]) { take($0, line: number, endsLine: true) }
        }
        isStrict = wasStrict
    }

    /// Whether the text is a whole JSON object or what a shipper puts before one.
    private func isValue(_ text: ArraySlice<UInt8>) -> Bool {
        text.withUnsafeBufferPointer { bytes in
            guard let brace = bytes.firstIndex(of: UInt8(ascii: "{")), var json = try? JSONText(bytes, from: brace) else { return false }
            return (try? json.skipValue()) != nil && json.peek() == 0
        }
    }

    private func lineFeeds(_ bytes: ArraySlice<UInt8>) -> Int { bytes.withUnsafeBufferPointer { lineFeeds($0) } }

    private func lineFeeds(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var (count, rest) = (0, bytes[...])
        while let base = rest.base.baseAddress, let found = memchr(base + rest.startIndex, Int32(UInt8(ascii: "\n")), rest.count) {
            count += 1
            rest = rest[(UnsafeRawPointer(base).distance(to: found) + 1)...]
        }
        return count
    }

    /// Where the elements of the list begin that the value at hand is, as far as it has come.
    private func listStart() -> (offset: Int, envelope: String, isBare: Bool)? {
        held.prefix(Self.headLimit).withUnsafeBufferPointer { bytes in
            guard var json = try? JSONText(bytes) else { return nil }
            if json.take(UInt8(ascii: "[")) {
                let isList = json.peek() == UInt8(ascii: "{") || json.position == json.end
                return isList ? (json.position, "list", true) : nil
            }
            guard json.take(UInt8(ascii: "{")) else { return nil }
            var isControl = false
            while let key = try? json.scanString(), json.take(UInt8(ascii: ":")) {
                let name = UnsafeBufferPointer(rebasing: bytes[key.start..<key.start + key.count])
                if json.peek() == UInt8(ascii: "["), let envelope = Self.lists.first(where: { name.elementsEqual($0.key.utf8) })?.envelope {
                    return (json.position + 1, isControl ? Self.control : envelope, false)
                }
                let start = json.position
                guard (try? json.skipValue()) != nil else { return nil }
                if name.elementsEqual("messageType".utf8) {
                    isControl = bytes[start..<json.position].elementsEqual("\"CONTROL_MESSAGE\"".utf8)
                }
                guard json.take(UInt8(ascii: ",")) else { return nil }
            }
            return nil
        }
    }

    // MARK: Elements

    private func takeElements(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int) {
        var line = line
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            switch state {
            case .list(_, let isBare) where held.isEmpty:
                switch byte {
                case UInt8(ascii: "]"):
                    state = isBare ? .idle : .closing
                    nesting = Nesting(depth: 1)
                case UInt8(ascii: ","): break
                case ...0x20: if byte == UInt8(ascii: "\n") { line += 1 }
                case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""):
                    heldLine = line
                    nesting = Nesting()
                    position += hold(bytes, from: position, &line)
                    continue
                default:
                    reject("not-an-event", "an element of a list is no audit event", line, 1, Array(bytes[position...].prefix(100)))
                    let end = bytes[position...].firstIndex {
                        $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "]") || $0 == UInt8(ascii: "\n")
                    }
                    gap += (end ?? bytes.count) - position
                    position = end ?? bytes.count
                    continue
                }
                position += 1
                gap += 1
            case .list:
                position += hold(bytes, from: position, &line)
            case .closing:
                if byte == UInt8(ascii: "\n") { line += 1 }
                nesting.advance(byte)
                position += 1
                gap += 1
                if nesting.depth <= 0 { state = .idle }
            default:
                let rest = UnsafeBufferPointer(rebasing: bytes[position...])
                return takeValue(rest, line, endsLine: rest.last == UInt8(ascii: "\n"))
            }
        }
    }

    /// Takes the bytes of the element at hand; their count.
    private func hold(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ line: inout Int) -> Int {
        if held.isEmpty, let end = containerEnd(in: bytes, from: start) {
            let element = UnsafeBufferPointer(rebasing: bytes[start..<end])
            line += lineFeeds(element)
            gap = 0
            takeElement(element)
            return end - start
        }
        var position = start
        while position < bytes.count {
            nesting.advance(bytes[position])
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
            guard nesting.depth <= 0, !nesting.isInString else { continue }
            held += bytes[start..<position]
            let element = held
            held = []
            gap = 0
            Self.padded(element) { takeElement($0) }
            return position - start
        }
        held += bytes[start..<position]
        if held.count > lineLimit {
            reject("too-long", "an element of a list is longer than \(lineLimit >> 20) MiB", heldLine, 1, held)
            held = []
            state = .skipping
        }
        return position - start
    }

    private func takeElement(_ element: UnsafeBufferPointer<UInt8>) {
        var envelope = "list"
        if case .list(let name, _) = state { envelope = name }
        if envelope == Self.control { return }
        if !read(element, heldLine, isLast: false, envelope: envelope) { rejectUnreadable(Array(element), heldLine) }
    }

    // MARK: Texts

    /// Takes a line that does not begin like JSON.
    private func takeText(_ text: [UInt8], _ line: Int) {
        if let table = csv {
            row += text
            let record = row
            guard record.withUnsafeBufferPointer({ AuditCSV.isComplete($0) }) else {
                if row.count > lineLimit {
                    reject("too-long", "a record is longer than \(lineLimit >> 20) MiB", line, 1, record)
                    row = []
                }
                return
            }
            row = []
            if let records = record.withUnsafeBufferPointer({ table.records(row: $0, as: format) }) {
                record.withUnsafeBufferPointer { judge(records, line, $0) }
            } else {
                csv = nil
                takeText(text, line)
            }
            return
        }
        let prefix = text.withUnsafeBufferPointer { bytes in
            AuditEnvelope.prefix(of: bytes).map { (Array($0.rest), $0.envelope, $0.isPartial, $0.stream) }
        }
        if let (rest, envelope, isPartial, stream) = prefix {
            guard let value = joined(rest, stream: stream, isPartial: isPartial, line) else { return }
            return readOrReject(value, line, envelope)
        }
        if let unpacked = text.withUnsafeBufferPointer({ AuditEnvelope.unpacked($0, limit: lineLimit) }) {
            if !Self.padded(unpacked, { read($0, line, isLast: false) }) {
                reject("not-json", "what is packed in the line is no JSON", line, 1, text)
            }
            return
        }
        if let table = text.withUnsafeBufferPointer({ AuditCSV(headerLine: $0) }) {
            csv = table
            return
        }
        if text.withUnsafeBufferPointer({ AuditEnvelope.isLegacy($0) }) {
            rejects["legacy-format", default: 0] += 1
            guard !hasReportedLegacy else { return }
            hasReportedLegacy = true
            diagnostics.append(
                Diagnostic(
                    .error, id: "legacy-audit-format",
                    "the log is in the text format of API servers before Kubernetes 1.8, which tells no decision",
                    at: SourceLocation(file: path, line: line, column: 1),
                    help: "let the API server write JSON: --audit-log-format=json"))
            return
        }
        rejectUnreadable(text, line)
    }

    /// The whole line whose last part this is; `nil` while it goes on.
    private func joined(_ part: [UInt8], stream: String, isPartial: Bool, _ line: Int) -> [UInt8]? {
        guard isPartial || parts[stream] != nil else { return part }
        // In place: a long line has thousands of parts.
        parts[stream, default: []] += part
        guard isPartial else { return parts.removeValue(forKey: stream) }
        while let last = parts[stream]?.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { parts[stream]?.removeLast() }
        if let whole = parts[stream], whole.count > lineLimit {
            reject("too-long", "the parts of a line are longer than \(lineLimit >> 20) MiB", line, 1, whole)
            parts[stream] = []
        }
        return nil
    }

    private func readOrReject(_ text: [UInt8], _ line: Int, _ envelope: String) {
        if !Self.padded(text, { read($0, line, isLast: false, envelope: envelope) }) { rejectUnreadable(text, line) }
    }

    // MARK: Values

    /// Judges every event in the values of `text`, which is padded; `false` when these cannot be read to the end. Then none is judged if
    /// `isLast`, because it will be read again.
    private func read(
        _ text: UnsafeBufferPointer<UInt8>, _ line: Int, isLast: Bool, envelope outer: String = "", isUnusual: Bool = false
    ) -> Bool {
        defer { isChecked = false }
        var isKnownNew: Bool?
        if isUnusual {
            isKnownNew = isChecked
        } else if AuditEnvelope.accepts(outer, as: format) {
            switch take(text, outer, isWrapped: false, isChecked: isChecked) {
            case .taken: return true
            case .left(let isChecked): isKnownNew = isChecked
            }
        }
        guard let base = text.baseAddress else { return true }
        guard firstInvalidUTF8(in: text) == nil, var json = try? JSONText(text) else { return false }
        let tree = DocumentTree(file: path, base: base)
        defer { withExtendedLifetime(tree) {} }
        let taker = { [self] in take($0, $1, isWrapped: true, isChecked: false) }
        var known = 0
        while json.peek() != 0 || json.position < json.end {
            tree.reset(anchor: DocumentTree.LineCursor())
            guard (try? json.parseValue(into: tree)) != nil else {
                guard known > 0 else { return false }
                rejectUnreadable(Array(text[json.position...]), line)
                return true
            }
            known += 1
            if known == 1, isLast || lineFeeds(text) > 0 {
                // All of them can be read, or none is judged.
                var rest = json
                while rest.peek() != 0 || rest.position < rest.end { guard (try? rest.skipValue()) != nil else { return false } }
            }
            let records = AuditEnvelope.records(
                in: tree.root, as: format, inside: outer, taker: taker, isChecked: known == 1 ? isKnownNew : nil)
            // Docker splits long lines too, each part in a record of its own; a part may look like values that are no events.
            if records.map({ !$0.hasEvents && $0.unknown > 0 }) ?? true,
                let (part, stream, isPartial) = AuditEnvelope.logPart(of: tree.root), isPartial || parts["docker/" + stream] != nil
            {
                if let value = joined(Array(part.utf8), stream: "docker/" + stream, isPartial: isPartial, line) {
                    readOrReject(value, line, "fluent-bit")
                }
                continue
            }
            guard let records else {
                reject("not-an-event", "the value is no audit event with a stage and a time", line, 1, text)
                continue
            }
            judge(records, line, text)
        }
        return true
    }

    /// Counts an event that is as usual as one on a line; the text is padded.
    private func take(
        _ text: UnsafeBufferPointer<UInt8>, _ envelope: String, isWrapped: Bool, isChecked: Bool
    ) -> AuditEnvelope.Offer {
        eventParts.forgetIfFull()
        guard let event = eventParts.prepare(UnsafeBufferPointer(rebasing: text.drop { $0 <= 0x20 }), isWrapped: isWrapped) else {
            return .left(isChecked: isChecked)
        }
        let new = eventParts.takeNew()
        if !new.isEmpty { folder.learn(new, into: &knownParts) }
        let isNew = isChecked || window.insert(event.hash)
        var judged: (outcome: AuditFolder.Outcome, decision: Int)?
        if isNew, event.phase != .early {
            judged = folder.add(event, &knownParts)
            guard judged != nil else { return .left(isChecked: true) }
        }
        tally.add(stage: event.stage, level: event.level, at: event.time, isRepeated: !isNew)
        if isNew { tally.add(event.phase == .complete ? judged?.outcome : nil, decision: judged?.decision ?? 0) }
        if !envelope.isEmpty { envelopes[envelope, default: 0] += 1 }
        return .taken
    }

    private func judge(_ records: AuditEnvelope.Records, _ line: Int, _ text: UnsafeBufferPointer<UInt8>) {
        for _ in 0..<records.unknown { reject("not-an-event", "a record is no audit event", line, 1, text) }
        for (event, envelope, isChecked) in records.events {
            guard let time = event.receivedAt else {
                reject("no-time", "the event has no time", line, 1, text)
                continue
            }
            if !envelope.isEmpty { envelopes[envelope, default: 0] += 1 }
            let isNew = isChecked || window.insert(eventParts.hash(of: event))
            tally.add(
                stage: AuditTally.place(ofStage: event.stage), level: AuditTally.place(ofLevel: event.level), at: time, isRepeated: !isNew)
            guard isNew else { continue }
            let phase = AuditPhase(stage: event.stage)
            // Before authorization nothing is decided (semantics AUD-2).
            guard phase != .early else {
                tally.add(nil, decision: 0)
                continue
            }
            let outcome = folder.add(event, at: time, isComplete: phase == .complete)
            switch outcome {
            case .userless: reject("no-user", "the event names no user", line, 1, text)
            case .aimless: reject("no-attributes", "the event tells nothing that was asked for", line, 1, text)
            default: break
            }
            tally.add(phase == .complete ? outcome : nil, decision: AuditTally.place(ofDecision: event.decision))
        }
    }

    // MARK: Rejects

    private func reject(_ reason: String, _ message: String, _ line: Int, _ column: Int, _ text: [UInt8]) {
        text.withUnsafeBufferPointer { reject(reason, message, line, column, $0) }
    }

    private func reject(_ reason: String, _ message: String, _ line: Int, _ column: Int, _ text: UnsafeBufferPointer<UInt8>) {
        let shown = rejects.values.reduce(0, +)
        rejects[reason, default: 0] += 1
        onReject?(text)
        guard shown < Self.rejectsShown else { return }
        diagnostics.append(
            Diagnostic(
                .error, id: "invalid-audit-line", "\(message) (\(reason))", at: SourceLocation(file: path, line: line, column: column),
                help: "other lines were read"))
    }

    /// Rejects a text that is no JSON, at the place where it goes wrong.
    private func rejectUnreadable(_ text: [UInt8], _ line: Int) {
        let (reason, message, offset) = text.withUnsafeBufferPointer { bytes -> (String, String, Int) in
            if let offset = firstInvalidUTF8(in: bytes) { return ("not-utf8", "the line is no audit event: it is not UTF-8 text", offset) }
            do throws(JSONText.Failure) {
                var json = try JSONText(bytes)
                while json.peek() != 0 || json.position < json.end { try json.skipValue() }
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
        reject(reason, message, line + lineFeeds(before), before[lineStart...].count + 1, text)
    }

    // MARK: The end

    /// Ends the log; the bytes at its end that are not dealt with, because their writer may be in the middle of them.
    ///
    /// - Parameter mayGrow: whether the log may go on; if not, everything is dealt with.
    func finish(mayGrow: Bool) -> Int {
        defer { (held, row, parts, csv, state, isAtStart) = ([], [], [:], nil, .idle, true) }
        defer { isResumed = false }
        for (_, part) in parts.sorted(by: { $0.key < $1.key }) {
            reject("cut-off", "the last part of a split line is missing", heldLine, 1, part)
        }
        switch state {
        case .list, .closing, .skipping, .idle:
            if !row.isEmpty { reject("cut-off", "the last record is cut off", heldLine, 1, row) }
            switch state {
            case .closing where isResumed && nesting.depth == 1 && !nesting.isInString: break
            case .list, .closing: if mayGrow { return gap + held.count }
            default: break
            }
            if !held.isEmpty { reject("cut-off", "an element of a list is cut off", heldLine, 1, held) }
            return 0
        case .open:
            let text = held
            let first = text.first { $0 > 0x20 }
            let isJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
            state = .idle
            held = []
            if isJSON, csv == nil {
                if Self.padded(text, { read($0, heldLine, isLast: true) }) { return 0 }
                if mayGrow { return text.count }
                held = text
                giveUp()
                return 0
            }
            let before = rejects
            let shown = diagnostics.count
            takeText(text, heldLine)
            guard mayGrow, rejects != before else { return 0 }
            // Half of a line: it is read again when it is whole.
            rejects = before
            diagnostics.removeLast(diagnostics.count - shown)
            return text.count
        }
    }
}

/// How many brackets are open, carried from line to line.
struct Nesting {
    private(set) var depth = 0
    private(set) var isInString = false
    private var isEscaped = false

    init(depth: Int = 0) { self.depth = depth }

    mutating func advance(over bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes { advance(byte) }
    }

    @inline(__always)
    mutating func advance(_ byte: UInt8) {
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
        } else if byte == UInt8(ascii: "\"") {
            isInString = true
        } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
            depth += 1
        } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
            depth -= 1
        }
    }
}
