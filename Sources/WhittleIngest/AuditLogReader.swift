import Crypto
import WhittleModel

/// Audit logs → distinct facts. Streams: memory grows with the facts and the longest line, not with the log.
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
        var session = Session(log: UsageFold.Log(path: path), file: path)
        var buffer = LineBuffer()
        while true {
            let count = try buffer.fill(from: stream)
            progress?(stream.consumed)
            while let line = buffer.nextLine(isLast: count == 0) {
                session.take(line, isTerminated: line.last == UInt8(ascii: "\n"))
                if let digests = known[session.log.byteCount], digests.contains(session.digest) { session.forget() }
            }
            if count == 0 { break }
        }
        session.finish()
        session.log.sha256 = session.digest
        fold.merge(session.fold)
        fold.logs.append(session.log)
    }

    /// What is known while one log is read.
    private struct Session {
        var log: UsageFold.Log
        var file: String
        var fold = UsageFold()
        private var hasher = SHA256()
        private var line = 0
        /// A value that started on an earlier line and is not complete.
        private var open: [UInt8] = []
        private var nesting = Nesting()

        init(log: UsageFold.Log, file: String) {
            self.log = log
            self.file = file
        }

        var digest: String {
            let copy = hasher
            return copy.finalize().map(hexByte).joined()
        }

        /// Everything up to here was folded before.
        mutating func forget() {
            let bytes = log.byteCount
            log = UsageFold.Log(path: log.path)
            log.byteCount = bytes
            fold = UsageFold()
        }

        mutating func take(_ bytes: UnsafeBufferPointer<UInt8>, isTerminated: Bool) {
            line += 1
            var isTaken = true
            defer {
                if isTaken {
                    log.byteCount += bytes.count
                    hasher.update(bufferPointer: UnsafeRawBufferPointer(bytes))
                }
            }
            var bytes = bytes
            if line == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
            if open.isEmpty {
                guard bytes.contains(where: { $0 > 0x20 }) else { return }
                isTaken = parse(bytes, isTerminated: isTerminated, mayContinue: isTerminated)
            } else {
                open += bytes
                nesting.advance(over: bytes)
                guard nesting.depth <= 0 else { return }
                let whole = open
                open = []
                _ = whole.withUnsafeBufferPointer { parse($0, isTerminated: true, mayContinue: false) }
            }
        }

        mutating func finish() {
            guard !open.isEmpty else { return }
            let whole = open
            open = []
            _ = whole.withUnsafeBufferPointer { parse($0, isTerminated: true, mayContinue: false) }
        }

        /// Judges every event in `bytes`; `false` when the writer is in the middle of this line, which is read next time.
        private mutating func parse(_ bytes: UnsafeBufferPointer<UInt8>, isTerminated: Bool, mayContinue: Bool) -> Bool {
            guard let base = bytes.baseAddress else { return true }
            let tree = DocumentTree(file: file, base: base)
            defer { withExtendedLifetime(tree) {} }
            do throws(JSONText.Failure) {
                var json = try JSONText(bytes)
                while json.peek() != 0 {
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
                    nesting = opening
                    return true
                }
                guard isTerminated else { return false }
                log.rejected += 1
                if log.rejected <= 20 {
                    fold.diagnostics.append(
                        Diagnostic(
                            .error, id: "invalid-audit-line", "the line is no audit event: \(error.message)",
                            at: SourceLocation(file: file, line: line, column: error.offset + 1),
                            help: "other lines were read"))
                }
            }
            return true
        }

        private mutating func judge(_ value: DocumentValue) {
            if value.kind == .array {
                for element in value.elements { judge(element) }
                return
            }
            if let items = value.value("items"), items.kind == .array {
                for item in items.elements { judge(item) }
                return
            }
            guard let event = AuditEvent(value), let time = event.receivedAt else {
                log.rejected += 1
                if log.rejected <= 20 {
                    fold.diagnostics.append(
                        Diagnostic(
                            .error, id: "invalid-audit-line", "the value is no audit event with a stage and a time",
                            at: SourceLocation(file: file, line: line, column: 1), help: "other lines were read"))
                }
                return
            }
            log.events += 1
            log.firstEvent = min(log.firstEvent ?? time, time)
            log.lastEvent = max(log.lastEvent ?? time, time)
            let isComplete = event.stage == "ResponseComplete" || event.stage == "Panic"
            if !isComplete { log.receivedOnly += 1 }
            // Before authorization nothing is decided (semantics AUD-2).
            guard isComplete || event.stage == "ResponseStarted" else { return }
            let needs = AuditNeeds(event)
            if isComplete {
                switch needs.use {
                case .ignore: log.ignored += 1
                case _ where event.code == 403 && event.decision == nil: log.undecided += 1
                default: log.requests += 1
                }
            }
            fold.add(event, needs, at: time, isComplete: isComplete)
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
    fileprivate mutating func add(_ event: AuditEvent, _ needs: AuditNeeds, at time: Int64, isComplete: Bool) {
        guard needs.use != .ignore else { return }
        if let request = needs.primary {
            let key = UsageKey(
                user: needs.subject, impersonator: event.impersonatedUser == nil ? "" : event.user.name,
                podNamespace: event.pod == nil ? "" : ServiceAccountName.split(event.user.name)?.namespace ?? "",
                pod: event.pod?.name ?? "", podUID: event.pod?.uid ?? "", userAgent: event.userAgent, request: request,
                decision: needs.use == .evidence ? .allow : needs.use == .attempt ? .forbid : .unknown,
                codeClass: event.code / 100, reason: event.reason)
            facts[key, default: UsageCount()].add(at: time, isComplete: isComplete)
        }
        for need in needs.implied { implied[need, default: UsageCount()].add(at: time, isComplete: isComplete) }
        for flag in needs.flags where isComplete && !flag.hasPrefix("pod:") {
            flags[UsageFlag(user: needs.subject, flag: flag), default: UsageCount()].add(at: time, isComplete: true)
        }
    }

    fileprivate mutating func merge(_ other: UsageFold) {
        facts.merge(other.facts) { $0.merged(with: $1) }
        implied.merge(other.implied) { $0.merged(with: $1) }
        flags.merge(other.flags) { $0.merged(with: $1) }
        diagnostics += other.diagnostics
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

/// Splits a stream into lines without copying them one by one.
private struct LineBuffer {
    private var bytes = [UInt8](repeating: 0, count: 1 << 20)
    private var range = 0..<0

    /// Reads more; the number of bytes that came, 0 at the end.
    mutating func fill(from stream: ByteStream) throws(IngestError) -> Int {
        if range.lowerBound > 0 {
            bytes.withUnsafeMutableBufferPointer { buffer in
                if let base = buffer.baseAddress { base.update(from: base + range.lowerBound, count: range.count) }
            }
            range = 0..<range.count
        }
        if range.upperBound == bytes.count { bytes += [UInt8](repeating: 0, count: bytes.count) }
        let used = range.upperBound
        var result: Result<Int, IngestError> = .success(0)
        bytes.withUnsafeMutableBufferPointer { buffer in
            do throws(IngestError) {
                result = .success(try stream.read(into: UnsafeMutableBufferPointer(rebasing: buffer[used...])))
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
            let slice = buffer[range]
            guard let end = slice.firstIndex(of: UInt8(ascii: "\n")) else {
                guard isLast else { return nil }
                defer { range = range.upperBound..<range.upperBound }
                return UnsafeBufferPointer(rebasing: slice)
            }
            defer { range = end + 1..<range.upperBound }
            return UnsafeBufferPointer(rebasing: buffer[range.lowerBound...end])
        }
    }
}
