import Crypto
import Foundation
import WhittleModel

/// Audit logs → distinct facts. Streams: memory grows with the facts and the longest value, not with the log.
public struct AuditLogReader: Sendable {
    /// Logs that were folded before, by the bytes read of them.
    public var known: [Int: Set<String>]
    /// Called with the compressed or plain bytes read so far.
    public var progress: (@Sendable (Int) -> Void)?

    /// Creates a reader.
    ///
    /// - Parameter known: byte count → hex SHA-256 of logs that were folded before; what repeats them is not counted again.
    public init(known: [Int: Set<String>] = [:], progress: (@Sendable (Int) -> Void)? = nil) {
        self.known = known
        self.progress = progress
    }

    /// Folds a log of JSON lines, of EventLists one per line, or one EventList over many lines; plain or gzip.
    ///
    /// - Throws: `IngestError` when the log cannot be opened or decompressed.
    public func read(_ path: String, into fold: inout UsageFold) throws(IngestError) {
        let stream = try ByteStream(path: path)
        var session = Session(log: UsageFold.Log(path: path), known: known)
        var buffer = LineBuffer()
        while true {
            let count = try buffer.fill(from: stream)
            progress?(stream.consumed)
            while let line = buffer.nextLine(isLast: count == 0) {
                session.take(line, isTerminated: line.last == UInt8(ascii: "\n"))
            }
            if count == 0 { break }
        }
        session.finish(into: &fold)
    }

    /// What is known while one log is read.
    private struct Session: ~Copyable {
        private var log: UsageFold.Log
        private let known: [Int: Set<String>]
        private var folder: AuditFolder
        private var diagnostics: [Diagnostic] = []
        private var digest: LogDigest
        private var line = 0
        /// Lines of a value that is not complete, and the number of the first of them.
        private var open: [UInt8] = []
        private var openLine = 0
        private var nesting = Nesting()
        /// Bytes of lines that are kept in the hope that the value will end.
        private static let openLimit = 32 << 20

        init(log: UsageFold.Log, known: [Int: Set<String>]) {
            self.log = log
            self.known = known
            folder = AuditFolder()
            digest = LogDigest(needsWhole: known.values.contains { $0.contains { !LogDigest.isOfEnds($0) } })
        }

        /// Everything up to here was folded before.
        private mutating func forget() {
            let bytes = log.byteCount
            log = UsageFold.Log(path: log.path)
            log.byteCount = bytes
            folder = AuditFolder()
            diagnostics = []
        }

        mutating func take(_ bytes: UnsafeBufferPointer<UInt8>, isTerminated: Bool) {
            line += 1
            var isTaken = true
            defer {
                if isTaken {
                    log.byteCount += bytes.count
                    digest.update(bytes)
                    if let digests = known[log.byteCount], !digests.isDisjoint(with: digest.values) { forget() }
                }
            }
            var bytes = bytes
            if line == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
            if open.isEmpty {
                switch folder.add(bytes) {
                case .early(let time):
                    note(time)
                    log.receivedOnly += 1
                    return
                case .judged(let outcome, let time):
                    note(time)
                    note(outcome)
                    return
                case .unusual: break
                }
                guard let first = bytes.first(where: { $0 > 0x20 }) else { return }
                if first != UInt8(ascii: "{"), first != UInt8(ascii: "["), isTerminated, unwrap(bytes) { return }
                isTaken = parse(bytes, isTerminated: isTerminated, mayContinue: isTerminated)
            } else {
                open += bytes
                nesting.advance(over: bytes)
                guard nesting.depth <= 0 else {
                    if open.count > Self.openLimit { giveUpOpen() }
                    return
                }
                let whole = open
                open = []
                _ = whole.withUnsafeBufferPointer { parse($0, isTerminated: true, mayContinue: false) }
            }
        }

        /// Takes a line with something before the JSON, or packed JSON; `false` when it is neither.
        private mutating func unwrap(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
            if let (rest, name) = AuditEnvelope.behindPrefix(bytes) {
                let before = log.events
                defer { log.envelopes[name, default: 0] += log.events - before }
                switch folder.add(rest) {
                case .early(let time):
                    note(time)
                    log.receivedOnly += 1
                case .judged(let outcome, let time):
                    note(time)
                    note(outcome)
                case .unusual: _ = parse(rest, isTerminated: true, mayContinue: false)
                }
                return true
            }
            if let unpacked = AuditEnvelope.unpacked(bytes) {
                _ = unpacked.withUnsafeBufferPointer { parse($0, isTerminated: true, mayContinue: false) }
                return true
            }
            return false
        }

        /// The value does not end: the line that began it was cut off, and those behind it stand for themselves.
        private mutating func giveUpOpen() {
            let held = open
            let last = line
            open = []
            line = openLine - 1
            for (index, text) in held.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
                line += 1
                guard index > 0 else {
                    reject("the line is no audit event: it is cut off", column: text.count)
                    continue
                }
                guard text.contains(where: { $0 > 0x20 }) else { continue }
                _ = text.withUnsafeBufferPointer { parse($0, isTerminated: true, mayContinue: false) }
            }
            line = last
        }

        /// Adds what was counted.
        consuming func finish(into fold: inout UsageFold) {
            if !open.isEmpty { giveUpOpen() }
            log.sha256 = digest.ofEnds
            fold.logs.append(log)
            fold.diagnostics += diagnostics
            fold.merge(folder.finish())
        }

        private mutating func note(_ time: Int64) {
            log.events += 1
            log.firstEvent = min(log.firstEvent ?? time, time)
            log.lastEvent = max(log.lastEvent ?? time, time)
        }

        /// Counts a judged event; `nil` is an open request.
        private mutating func note(_ outcome: AuditFolder.Outcome?) {
            switch outcome {
            case nil: log.receivedOnly += 1
            case .ignored: log.ignored += 1
            case .undecided: log.undecided += 1
            case .request: log.requests += 1
            }
        }

        private mutating func reject(_ message: String, column: Int) {
            log.rejected += 1
            guard log.rejected <= 20 else { return }
            diagnostics.append(
                Diagnostic(
                    .error, id: "invalid-audit-line", message, at: SourceLocation(file: log.path, line: line, column: column),
                    help: "other lines were read"))
        }

        /// Judges every event in `bytes`; `false` when the writer is in the middle of this line, which is read next time.
        private mutating func parse(_ bytes: UnsafeBufferPointer<UInt8>, isTerminated: Bool, mayContinue: Bool) -> Bool {
            guard let base = bytes.baseAddress else { return true }
            if let offset = firstInvalidUTF8(in: bytes) {
                reject("the line is no audit event: it is not UTF-8 text", column: offset + 1)
                return true
            }
            let tree = DocumentTree(file: log.path, base: base)
            defer { withExtendedLifetime(tree) {} }
            do throws(JSONText.Failure) {
                var json = try JSONText(bytes)
                while json.peek() != 0 || json.position < json.end {
                    tree.reset(anchor: DocumentTree.LineCursor())
                    try json.parseValue(into: tree)
                    judge(tree.root)
                }
            } catch {
                var opening = Nesting()
                opening.advance(over: bytes)
                let first = bytes.first { $0 > 0x20 }
                if mayContinue, first == UInt8(ascii: "{") || first == UInt8(ascii: "["), error.offset >= bytes.count, opening.depth > 0,
                    !opening.isInString
                {
                    open = Array(bytes)
                    openLine = line
                    nesting = opening
                    return true
                }
                guard isTerminated else { return false }
                reject("the line is no audit event: \(error.message)", column: error.offset + 1)
            }
            return true
        }

        private mutating func judge(_ value: DocumentValue) {
            guard let records = AuditEnvelope.records(in: value) else {
                return reject("the value is no audit event with a stage and a time", column: 1)
            }
            for _ in 0..<records.unknown { reject("a record beside others is no audit event", column: 1) }
            for (event, envelope) in records.events {
                if !envelope.isEmpty { log.envelopes[envelope, default: 0] += 1 }
                judge(event)
            }
        }

        private mutating func judge(_ event: AuditEvent) {
            guard let time = event.receivedAt else {
                return reject("the value is no audit event with a stage and a time", column: 1)
            }
            note(time)
            let isComplete = event.stage == "ResponseComplete" || event.stage == "Panic"
            // Before authorization nothing is decided (semantics AUD-2).
            guard isComplete || event.stage == "ResponseStarted" else {
                log.receivedOnly += 1
                return
            }
            let outcome = folder.add(event, at: time, isComplete: isComplete)
            note(isComplete ? outcome : nil)
        }
    }
}

/// How many brackets are open, carried from line to line.
private struct Nesting {
    private(set) var depth = 0
    private(set) var isInString = false
    private var isEscaped = false

    mutating func advance(over bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes {
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
}

extension UsageFold {
    fileprivate mutating func merge(_ other: UsageFold) {
        if facts.isEmpty, implied.isEmpty, flags.isEmpty {
            (facts, implied, flags) = (other.facts, other.implied, other.flags)
            return
        }
        facts.merge(other.facts) { $0.merged(with: $1) }
        implied.merge(other.implied) { $0.merged(with: $1) }
        flags.merge(other.flags) { $0.merged(with: $1) }
    }
}

extension UsageCount {
    fileprivate func merged(with other: UsageCount) -> UsageCount {
        var result = self
        result.count += other.count
        result.started += other.started
        result.firstSeen = min(firstSeen, other.firstSeen)
        result.lastSeen = max(lastSeen, other.lastSeen)
        result.days.merge(other.days, uniquingKeysWith: +)
        return result
    }
}

/// What tells one log from another: its first and its last bytes and their count. Every event has an id and a time of its
/// own, so logs that agree in these agree in all that lies between; hashing all would cost more than reading does.
private struct LogDigest: ~Copyable {
    private static let span = 1 << 16
    private static let prefix = "ends:"
    private var count = 0
    private var head: [UInt8] = []
    /// The last bytes, at their place modulo the span.
    private var tail = [UInt8](repeating: 0, count: span)
    /// Of every byte, as files of schema 1 know it.
    private var whole: SHA256?

    init(needsWhole: Bool) { whole = needsWhole ? SHA256() : nil }

    static func isOfEnds(_ digest: String) -> Bool { digest.hasPrefix(prefix) }

    mutating func update(_ bytes: UnsafeBufferPointer<UInt8>) {
        whole?.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        if head.count < Self.span { head += bytes.prefix(Self.span - head.count) }
        let last = UnsafeBufferPointer(rebasing: bytes.suffix(Self.span))
        var place = (count + bytes.count - last.count) % Self.span
        count += bytes.count
        guard let source = last.baseAddress else { return }
        tail.withUnsafeMutableBufferPointer { tail in
            guard let target = tail.baseAddress else { return }
            let first = min(last.count, Self.span - place)
            (target + place).update(from: source, count: first)
            place = 0
            target.update(from: source + first, count: last.count - first)
        }
    }

    var ofEnds: String {
        var hasher = SHA256()
        hasher.update(data: Array("\(count)\n".utf8))
        hasher.update(data: head)
        if count > Self.span {
            let split = count % Self.span
            hasher.update(data: tail[split...])
            hasher.update(data: tail[..<split])
        }
        return Self.prefix + hasher.finalize().map(hexByte).joined()
    }

    /// Every digest of what was read so far that a database may hold.
    var values: [String] {
        let copy = whole
        return [ofEnds] + (copy.map { [$0.finalize().map(hexByte).joined()] } ?? [])
    }
}

/// Splits a stream into lines without copying them one by one.
private struct LineBuffer {
    /// What scanning may read beyond a line.
    private static let padding = 64
    private var bytes = [UInt8](repeating: 0, count: 1 << 18)
    private var range = 0..<0

    /// Reads more; the number of bytes that came, 0 at the end.
    mutating func fill(from stream: ByteStream) throws(IngestError) -> Int {
        if range.lowerBound > 0 {
            bytes.withUnsafeMutableBufferPointer { buffer in
                if let base = buffer.baseAddress { base.update(from: base + range.lowerBound, count: range.count) }
            }
            range = 0..<range.count
        }
        if range.upperBound == bytes.count - Self.padding { bytes += [UInt8](repeating: 0, count: bytes.count) }
        let used = range.upperBound
        var result: Result<Int, IngestError> = .success(0)
        bytes.withUnsafeMutableBufferPointer { buffer in
            do throws(IngestError) {
                result = .success(
                    try stream.read(into: UnsafeMutableBufferPointer(rebasing: buffer[used..<buffer.count - Self.padding])))
            } catch {
                result = .failure(error)
            }
        }
        let count = try result.get()
        range = range.lowerBound..<used + count
        return count
    }

    /// The next line with its line end; the rest when `isLast`.
    mutating func nextLine(isLast: Bool) -> UnsafeBufferPointer<UInt8>? {
        guard !range.isEmpty else { return nil }
        return bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            guard let found = memchr(base + range.lowerBound, Int32(UInt8(ascii: "\n")), range.count) else {
                guard isLast else { return nil }
                defer { range = range.upperBound..<range.upperBound }
                return UnsafeBufferPointer(rebasing: buffer[range])
            }
            let end = UnsafeRawPointer(base).distance(to: found)
            defer { range = end + 1..<range.upperBound }
            return UnsafeBufferPointer(rebasing: buffer[range.lowerBound...end])
        }
    }
}
