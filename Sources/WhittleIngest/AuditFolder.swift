import CScan
import Foundation
import WhittleModel

/// Counts what events prove.
///
/// What an event proves depends on few of its bytes. They are remembered, so that all events that agree in them are judged
/// once; the others cost one look into a table.
struct AuditFolder: ~Copyable {
    /// What one event came to.
    enum Outcome {
        /// Counted as a request, or as an open one.
        case request
        /// Refused with 403 and no decision annotation.
        case undecided
        /// Never reached authorization.
        case ignored
    }

    /// What happened to a line.
    enum Step {
        /// An event of a stage before authorization.
        case early(at: Int64)
        /// A judged event; `nil` while the request is open.
        case judged(Outcome?, at: Int64)
        /// Not the usual event on one line.
        case unusual
    }

    /// Bytes of remembered events; beyond it the memory is emptied, which costs time and changes nothing.
    private static let memoryLimit = 48 << 20

    private var facts: [UsageKey: Int32] = [:]
    private var implied: [ImpliedNeed: Int32] = [:]
    private var flags: [UsageFlag: Int32] = [:]
    private var tallies: ContiguousArray<Tally> = []
    /// Counts of further days of a tally.
    private var otherDays: [Int32: [Int64: Int]] = [:]

    private var judgements: ContiguousArray<Judgement> = []
    private var events = ByteTable()
    private var callers = ByteTable()
    private var callerValues: [AuditEvent.Caller] = []
    private var agents = ByteTable()
    private var agentTexts: [String] = []
    private var answers = ByteTable()
    private var answerTexts: [(decision: String?, reason: String, message: String)] = []
    private var signature = ByteBuffer()
    private var scratch = ByteBuffer()
    private var clock = AuditClock()

    private struct Tally {
        var count = 0
        var started = 0
        var firstSeen = Int64.max
        var lastSeen = Int64.min
        /// The day counted last, and the count of it.
        var day = Int64.min
        var dayCount = 0
    }

    /// The tallies that an event adds to.
    private struct Judgement {
        var outcome: Outcome
        var fact: Int32 = -1
        var implied: [Int32] = []
        var flags: [Int32] = []
    }

    // MARK: Lines

    /// Adds the event of one line, if it is the usual kind.
    ///
    /// - Parameter line: with its line end; the buffer goes on for 64 bytes behind it.
    mutating func add(_ line: UnsafeBufferPointer<UInt8>) -> Step {
        guard let event = AuditLine(line), let stage = event.stage, let received = event.received,
            let time = clock.microseconds(received)
        else { return .unusual }
        let isComplete = stage.isText("ResponseComplete") || stage.isText("Panic")
        guard isComplete || stage.isText("ResponseStarted") else { return stage.isText("RequestReceived") ? .early(at: time) : .unusual }
        // Without a URI the object reference counts, and some bodies are needs of somebody: too rare to be worth a memory.
        guard let uri = event.requestURI, let verb = event.verb, !uri.isEmpty else { return .unusual }
        if let body = event.requestObject, uri.contains("authorization.k8s.io") || body.contains("blockOwnerDeletion") { return .unusual }
        if events.byteCount + callers.byteCount + agents.byteCount + answers.byteCount > Self.memoryLimit { forget() }
        guard let caller = caller(event), let agent = agent(event.userAgent), let answer = answer(event) else { return .unusual }
        signature.clear()
        signature.append(caller, agent, answer, Int32(truncatingIfNeeded: event.code))
        signature.append(stage.isText("ResponseStarted") ? 0 : 1)
        signature.append(verb)
        signature.append(0)
        appendEssentials(ofURI: uri)
        let key = signature.slice
        let (known, place) = events.find(key)
        if let known {
            count(Int(known), at: time, isComplete: isComplete)
            return .judged(isComplete ? judgements[Int(known)].outcome : nil, at: time)
        }
        guard verb.isStringContent, uri.isStringContent else { return .unusual }
        var whole = AuditEvent()
        whole.stage = stage.unescaped
        whole.verb = verb.unescaped
        whole.requestURI = uri.unescaped
        whole.caller = callerValues[Int(caller)]
        whole.userAgent = agentTexts[Int(agent)]
        whole.code = event.code
        (whole.decision, whole.reason, whole.message) = answerTexts[Int(answer)]
        whole.receivedAt = time
        let number = Int32(judgements.count)
        judgements.append(judge(whole))
        events.insert(key, number, at: place)
        count(Int(number), at: time, isComplete: isComplete)
        return .judged(isComplete ? judgements[Int(number)].outcome : nil, at: time)
    }

    /// Adds an event that was read as a whole.
    mutating func add(_ event: AuditEvent, at time: Int64, isComplete: Bool) -> Outcome {
        judgements.append(judge(event))
        let judged = judgements.count - 1
        defer { judgements.removeLast() }
        count(judged, at: time, isComplete: isComplete)
        return judgements[judged].outcome
    }

    private mutating func forget() {
        judgements.removeAll(keepingCapacity: true)
        events.removeAll()
        callers.removeAll()
        callerValues.removeAll()
        agents.removeAll()
        agentTexts.removeAll()
        answers.removeAll()
        answerTexts.removeAll()
    }

    /// The path, and of the query what the attributes or a hint depend on.
    private mutating func appendEssentials(ofURI uri: ByteSlice) {
        guard let mark = memchr(uri.start, Int32(UInt8(ascii: "?")), uri.count) else { return signature.append(uri) }
        let pathCount = UnsafeRawPointer(uri.start).distance(to: mark)
        let query = ByteSlice(start: uri.start + pathCount, count: uri.count - pathCount)
        let isPlain =
            !query.contains("elector") && !query.contains("sendInitialEvents")
            && memchr(query.start, Int32(UInt8(ascii: "%")), query.count) == nil
            && !hasEscapes(query)
        signature.append(isPlain ? ByteSlice(start: uri.start, count: pathCount) : uri)
    }

    /// Whether there are JSON escapes other than `\u0026`, which is `&`.
    private func hasEscapes(_ slice: ByteSlice) -> Bool {
        var place = 0
        while let found = memchr(slice.start + place, Int32(UInt8(ascii: "\\")), slice.count - place) {
            let offset = UnsafeRawPointer(slice.start).distance(to: found)
            guard ByteSlice(start: slice.start + offset, count: min(6, slice.count - offset)).isText("\\u0026") else { return true }
            place = offset + 6
        }
        return false
    }

    // MARK: Parts of many events

    private mutating func caller(_ event: AuditLine) -> Int32? {
        guard let user = event.user else { return nil }
        var key = user
        if let impersonated = event.impersonatedUser {
            scratch.clear()
            for part in [user, impersonated] + (event.authenticationMetadata.map { [$0] } ?? []) {
                scratch.append(part)
                scratch.append(0)
            }
            key = scratch.slice
        }
        let (known, place) = callers.find(key)
        if let known { return known }
        let parts = [user, event.impersonatedUser, event.impersonatedUser == nil ? nil : event.authenticationMetadata]
        let trees = parts.map { $0.flatMap(Self.tree) }
        guard !zip(parts, trees).contains(where: { $0 != nil && $1 == nil }) else { return nil }
        let number = Int32(callerValues.count)
        callerValues.append(AuditEvent.Caller(user: trees[0]?.root, impersonated: trees[1]?.root, metadata: trees[2]?.root))
        withExtendedLifetime(trees) {}
        callers.insert(key, number, at: place)
        return number
    }

    private static func tree(_ slice: ByteSlice) -> DocumentTree? {
        guard firstInvalidUTF8(in: slice.buffer) == nil, var json = try? JSONText(slice.buffer) else { return nil }
        let tree = DocumentTree(file: "", base: slice.start)
        guard (try? json.parseValue(into: tree)) != nil else { return nil }
        return tree
    }

    private mutating func agent(_ slice: ByteSlice?) -> Int32? {
        let slice = slice ?? ByteSlice(start: signature.slice.start, count: 0)
        let (known, place) = agents.find(slice)
        if let known { return known }
        guard slice.isEmpty || slice.isStringContent else { return nil }
        let number = Int32(agentTexts.count)
        agentTexts.append(slice.unescaped)
        agents.insert(slice, number, at: place)
        return number
    }

    /// What the server answered: decision, reason, and the words of a refusal.
    private mutating func answer(_ event: AuditLine) -> Int32? {
        let message = event.code == 403 ? event.message : nil
        scratch.clear()
        scratch.append(event.decision == nil ? 0 : 1)
        for part in [event.decision, event.reason, message] {
            if let part { scratch.append(part) }
            scratch.append(0)
        }
        let key = scratch.slice
        let (known, place) = answers.find(key)
        if let known { return known }
        guard [event.decision, event.reason, message].allSatisfy({ $0?.isStringContent ?? true }) else { return nil }
        let number = Int32(answerTexts.count)
        answerTexts.append((event.decision?.unescaped, event.reason?.unescaped ?? "", message?.unescaped ?? ""))
        answers.insert(key, number, at: place)
        return number
    }

    // MARK: Counting

    private mutating func judge(_ event: AuditEvent) -> Judgement {
        let needs = AuditNeeds(event)
        var judgement = Judgement(
            outcome: needs.use == .ignore ? .ignored : event.code == 403 && event.decision == nil ? .undecided : .request)
        guard needs.use != .ignore else { return judgement }
        if let request = needs.primary {
            let key = UsageKey(
                user: needs.subject, impersonator: event.caller.impersonatedUser == nil ? "" : event.caller.user.name,
                podNamespace: event.caller.pod == nil ? "" : event.caller.account?.namespace ?? "",
                pod: event.caller.pod?.name ?? "", podUID: event.caller.pod?.uid ?? "", userAgent: event.userAgent, request: request,
                decision: needs.use == .evidence ? .allow : needs.use == .attempt ? .forbid : .unknown,
                codeClass: event.code / 100, reason: event.reason)
            judgement.fact = Self.number(&facts[key], in: &tallies)
        }
        judgement.implied = needs.implied.map { Self.number(&implied[$0], in: &tallies) }
        judgement.flags = needs.flags.filter { !$0.hasPrefix("pod:") }
            .map { Self.number(&flags[UsageFlag(user: needs.subject, flag: $0)], in: &tallies) }
        return judgement
    }

    private static func number(_ entry: inout Int32?, in tallies: inout ContiguousArray<Tally>) -> Int32 {
        if let entry { return entry }
        let number = Int32(tallies.count)
        tallies.append(Tally())
        entry = number
        return number
    }

    @inline(__always)
    private mutating func count(_ judgement: Int, at time: Int64, isComplete: Bool) {
        let fact = judgements[judgement].fact
        if fact >= 0 { tally(fact, at: time, isComplete: isComplete) }
        for number in judgements[judgement].implied { tally(number, at: time, isComplete: isComplete) }
        if isComplete {
            for number in judgements[judgement].flags { tally(number, at: time, isComplete: true) }
        }
    }

    @inline(__always)
    private mutating func tally(_ number: Int32, at time: Int64, isComplete: Bool) {
        let place = Int(number)
        tallies[place].firstSeen = min(tallies[place].firstSeen, time)
        tallies[place].lastSeen = max(tallies[place].lastSeen, time)
        guard isComplete else {
            tallies[place].started += 1
            return
        }
        tallies[place].count += 1
        let day = UsageCount.day(of: time)
        if tallies[place].day != day {
            let (earlier, count) = (tallies[place].day, tallies[place].dayCount)
            if count > 0 { otherDays[number, default: [:]][earlier, default: 0] += count }
            tallies[place].day = day
            tallies[place].dayCount = 0
        }
        tallies[place].dayCount += 1
    }

    // MARK: The result

    /// What was counted so far.
    consuming func finish() -> UsageFold {
        var fold = UsageFold()
        let (tallies, otherDays) = (tallies, otherDays)
        let count = { (number: Int32) in Self.count(tallies[Int(number)], otherDays[number]) }
        fold.facts = facts.mapValues(count)
        fold.implied = implied.mapValues(count)
        fold.flags = flags.mapValues(count)
        return fold
    }

    private static func count(_ tally: Tally, _ otherDays: [Int64: Int]?) -> UsageCount {
        var result = UsageCount()
        result.count = tally.count
        result.started = tally.started
        result.firstSeen = tally.firstSeen
        result.lastSeen = tally.lastSeen
        result.days = otherDays ?? [:]
        if tally.dayCount > 0 { result.days[tally.day, default: 0] += tally.dayCount }
        return result
    }
}

/// Bytes put together one after the other.
private struct ByteBuffer: ~Copyable {
    private var base = UnsafeMutablePointer<UInt8>.allocate(capacity: 4_096)
    private var capacity = 4_096
    private var count = 0

    deinit { base.deallocate() }

    var slice: ByteSlice { ByteSlice(start: UnsafePointer(base), count: count) }

    mutating func clear() { count = 0 }

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
    }

    mutating func append(_ slice: ByteSlice) {
        reserve(slice.count)
        (base + count).update(from: slice.start, count: slice.count)
        count += slice.count
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    mutating func append(_ numbers: Int32...) {
        for number in numbers {
            reserve(4)
            UnsafeMutableRawPointer(base + count).storeBytes(of: number, as: Int32.self)
            count += 4
        }
    }
}

/// Times of one log: most events are of the day of the event before.
private struct AuditClock {
    private var date: (UInt64, UInt16) = (0, 0)
    private var midnight: Int64 = 0

    /// Microseconds since 1970-01-01 UTC of `2026-01-05T08:00:00.006100Z` or another RFC 3339 time.
    mutating func microseconds(_ text: ByteSlice) -> Int64? {
        guard text.count == 27, text.start[10] == UInt8(ascii: "T"), text.start[19] == UInt8(ascii: "."),
            text.start[26] == UInt8(ascii: "Z")
        else { return Timestamp.microseconds(text.buffer) }
        let raw = UnsafeRawPointer(text.start)
        let written = (raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        if written != date {
            guard let time = Timestamp.microseconds(text.buffer) else { return nil }
            date = written
            midnight = UsageCount.day(of: time) * 86_400_000_000
        }
        guard let hour = number(text, 11, 2), let minute = number(text, 14, 2), let second = number(text, 17, 2),
            let fraction = number(text, 20, 6), hour < 24, minute < 60, second < 61, text.start[13] == UInt8(ascii: ":"),
            text.start[16] == UInt8(ascii: ":")
        else { return nil }
        return midnight + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    }

    @inline(__always)
    private func number(_ text: ByteSlice, _ start: Int, _ count: Int) -> Int64? {
        var result: Int64 = 0
        for place in start..<start + count {
            let digit = text.start[place] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            result = result * 10 + Int64(digit)
        }
        return result
    }
}
