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
    func begin(_ path: String, onReject: ((UnsafeBufferPointer<UInt8>) -> Void)?) {
        self.path = path
        self.onReject = onReject
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
    ///   - line: its number in the log, 1-based.
    ///   - isChecked: whether an event in it is known to be new.
    func take(_ bytes: UnsafeBufferPointer<UInt8>, line: Int, endsLine: Bool, isChecked: Bool = false) {
        var bytes = bytes
        self.isChecked = isChecked
        if isAtStart {
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
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
        if case .open = state, held.last == UInt8(ascii: "\n"), let first = bytes.first, first > 0x20, !"\"]},".utf8.contains(first) {
            giveUp()
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
                rest.withUnsafeBufferPointer { takeElements($0, line) }
                return
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
        if !read(text, heldLine, isLast: false) {
            held = text
            giveUp()
        }
    }

    /// The value does not end: the line that began it was cut off, and those behind it stand for themselves.
    private func giveUp() {
        let text = held
        let lines = text.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        let line = heldLine
        held = []
        state = .idle
        guard lines.count > 1, lines[1].contains(where: { $0 > 0x20 }) else {
            return rejectUnreadable(Array(lines.first ?? []), line)
        }
        let texts = lines[1].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard texts.contains(where: isValue) else { return rejectUnreadable(text, line) }
        rejectUnreadable(Array(lines[0]), line)
        let wasStrict = isStrict
        isStrict = true
        var number = line
        for text in texts {
            number += 1
            (Array(text) + [UInt8(ascii: "\n")]).withUnsafeBufferPointer { take($0, line: number, endsLine: true) }
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

    private func lineFeeds(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) } }

    /// Where the elements of the list begin that the value at hand is, as far as it has come.
    private func listStart() -> (offset: Int, envelope: String, isBare: Bool)? {
        held.prefix(Self.headLimit).withUnsafeBufferPointer { bytes in
            guard var json = try? JSONText(bytes) else { return nil }
            if json.take(UInt8(ascii: "[")) { return json.peek() == UInt8(ascii: "{") ? (json.position, "list", true) : nil }
            guard json.take(UInt8(ascii: "{")) else { return nil }
            while let key = try? json.scanString(), json.take(UInt8(ascii: ":")) {
                let name = UnsafeBufferPointer(rebasing: bytes[key.start..<key.start + key.count])
                if json.peek() == UInt8(ascii: "["), let envelope = Self.lists.first(where: { name.elementsEqual($0.key.utf8) })?.envelope {
                    return (json.position + 1, envelope, false)
                }
                guard (try? json.skipValue()) != nil, json.take(UInt8(ascii: ",")) else { return nil }
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
        let isText = held.isEmpty ? bytes[start] == UInt8(ascii: "\"") : held.first == UInt8(ascii: "\"")
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
            takeElement(element, isText: isText)
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

    private func takeElement(_ element: [UInt8], isText: Bool) {
        var envelope = "list"
        if case .list(let name, _) = state { envelope = name }
        if !isText, takeUsual(element, envelope) { return }
        if !read(element, heldLine, isLast: false, envelope: envelope) { rejectUnreadable(element, heldLine) }
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
                judge(records, line, record)
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
            if AuditEnvelope.accepts(envelope, as: format) || format == nil, takeUsual(value, envelope) { return }
            if !read(value, line, isLast: false, envelope: envelope) { rejectUnreadable(value, line) }
            return
        }
        if let unpacked = text.withUnsafeBufferPointer({ AuditEnvelope.unpacked($0, limit: lineLimit) }) {
            if !read(unpacked, line, isLast: false) { reject("not-json", "what is packed in the line is no JSON", line, 1, text) }
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
        var whole = (parts[stream] ?? []) + part
        guard isPartial else {
            parts[stream] = nil
            return whole
        }
        while let last = whole.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { whole.removeLast() }
        if whole.count > lineLimit {
            reject("too-long", "the parts of a line are longer than \(lineLimit >> 20) MiB", line, 1, whole)
            whole = []
        }
        parts[stream] = whole
        return nil
    }

    /// Counts an event that is as usual as one on a line.
    private func takeUsual(_ bytes: [UInt8], _ envelope: String = "") -> Bool {
        let padded = bytes + [UInt8](repeating: 0, count: 64)
        return padded.withUnsafeBufferPointer { buffer in
            eventParts.forgetIfFull()
            let text = buffer[..<bytes.count].drop { $0 <= 0x20 }
            guard AuditEnvelope.accepts(envelope, as: format), let event = eventParts.prepare(UnsafeBufferPointer(rebasing: text)) else {
                return false
            }
            let new = eventParts.takeNew()
            if !new.isEmpty { folder.learn(new, into: &knownParts) }
            let isNew = isChecked || window.insert(event.hash)
            var judged: (outcome: AuditFolder.Outcome, decision: Int)?
            if isNew, event.phase != .early {
                judged = folder.add(event, &knownParts)
                guard judged != nil else {
                    isChecked = true
                    return false
                }
            }
            tally.add(stage: event.stage, level: event.level, at: event.time, isRepeated: !isNew)
            if isNew { tally.add(event.phase == .complete ? judged?.outcome : nil, decision: judged?.decision ?? 0) }
            if !envelope.isEmpty { envelopes[envelope, default: 0] += 1 }
            return true
        }
    }

    // MARK: Values

    /// Judges every event in the values of `text`; `false` when these cannot be read to the end. Then none is judged if
    /// `isLast`, because it will be read again.
    private func read(_ text: [UInt8], _ line: Int, isLast: Bool, envelope: String = "") -> Bool {
        defer { isChecked = false }
        if takeUsual(text, envelope) { return true }
        return text.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return true }
            guard firstInvalidUTF8(in: bytes) == nil, var json = try? JSONText(bytes) else { return false }
            if isLast || bytes.contains(UInt8(ascii: "\n")) {
                var copy = json
                while copy.peek() != 0 || copy.position < copy.end { guard (try? copy.skipValue()) != nil else { return false } }
            }
            let tree = DocumentTree(file: path, base: base)
            defer { withExtendedLifetime(tree) {} }
            var known = 0
            while json.peek() != 0 || json.position < json.end {
                tree.reset(anchor: DocumentTree.LineCursor())
                guard (try? json.parseValue(into: tree)) != nil else {
                    guard known > 0 else { return false }
                    rejectUnreadable(Array(bytes[json.position...]), line)
                    return true
                }
                known += 1
                guard let records = AuditEnvelope.records(in: tree.root, as: format) else {
                    // Docker splits long lines too, each part in a record of its own.
                    if let (part, stream, isPartial) = AuditEnvelope.logPart(of: tree.root), isPartial || parts["docker/" + stream] != nil {
                        if let value = joined(Array(part.utf8), stream: "docker/" + stream, isPartial: isPartial, line),
                            !read(value, line, isLast: false, envelope: "fluent-bit")
                        {
                            rejectUnreadable(value, line)
                        }
                        continue
                    }
                    reject("not-an-event", "the value is no audit event with a stage and a time", line, 1, text)
                    continue
                }
                judge(records, line, text, envelope)
            }
            return true
        }
    }

    private func judge(_ records: AuditEnvelope.Records, _ line: Int, _ text: [UInt8], _ outer: String = "") {
        for _ in 0..<records.unknown { reject("not-an-event", "a record is no audit event", line, 1, text) }
        for (event, inner) in records.events {
            // What cannot carry everything is named whatever stands around it.
            let envelope = outer.isEmpty || AuditEnvelope.cannotCarry[inner] != nil ? inner : outer
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
        let shown = rejects.values.reduce(0, +)
        rejects[reason, default: 0] += 1
        text.withUnsafeBufferPointer { onReject?($0) }
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
                if read(text, heldLine, isLast: true) { return 0 }
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
