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
        /// Names no user.
        case userless
        /// Names nothing that was asked for.
        case aimless
    }

    /// How far a request had come.
    enum Phase: UInt8 {
        /// Before authorization.
        case early
        /// Open: a watch or another long answer.
        case started
        /// Answered.
        case complete

        init(stage: String) {
            self = stage == "ResponseComplete" || stage == "Panic" ? .complete : stage == "ResponseStarted" ? .started : .early
        }
    }

    /// A usual event on one line, found but not counted: what is left to look at once it is known to be new.
    struct Prepared {
        fileprivate var verb: ByteSlice?
        fileprivate var requestURI: ByteSlice?
        /// Numbers of what many events have in common; -1 = only the general reader can tell.
        fileprivate var caller: Int32 = -1
        fileprivate var agent: Int32 = -1
        fileprivate var answer: Int32 = -1
        fileprivate var code: Int32 = 0
        /// Microseconds since 1970-01-01 UTC.
        fileprivate(set) var time: Int64
        /// Tells the event from others; 0 = nothing does.
        fileprivate(set) var hash: UInt64 = 0
        fileprivate(set) var phase: Phase
        /// Places in `AuditTally`.
        fileprivate(set) var level: Int
        fileprivate(set) var stage: Int
    }

    /// Bytes of remembered events; beyond it the memory is emptied, which costs time and changes nothing.
    private let memoryLimit: Int
    private let seed: UInt64
    private let maxNames: Int

    private var texts = ByteTable()
    private var facts = FactTable()
    private var counts: ContiguousArray<UsageCount> = []
    private var implied: [ImpliedNeed: Int32] = [:]
    private var flags: [UsageFlag: Int32] = [:]
    /// Counts of `implied` and `flags`.
    private var otherCounts: ContiguousArray<UsageCount> = []

    /// Facts without their names, and which names each was seen with.
    private var groups = FactTable()
    private var groupNames = HashSet64()
    private var nameCounts: ContiguousArray<Int32> = []

    private var judgements: ContiguousArray<Judgement> = []
    private var extras: ContiguousArray<Extra> = []
    private var events = ByteTable()
    private var callers = ByteTable()
    /// Side by side with `callerValues`, as `answerTexts` with `answerValues`: most events need nothing but numbers.
    private var callerTexts: ContiguousArray<CallerTexts> = []
    private var callerValues: [AuditEvent.Caller] = []
    private var agents = ByteTable()
    private var answers = ByteTable()
    private var answerTexts: ContiguousArray<AnswerTexts> = []
    private var answerValues: [Answer] = []
    private var signature = ByteBuffer()
    private var scratch = ByteBuffer()
    private var clock = AuditClock()

    private struct CallerTexts {
        /// Of the name of the one who really asked.
        var hash: UInt64
        var isNamed: Bool
        var isImpersonating: Bool
        var user: Int32
        var podNamespace: Int32
        var pod: Int32
        var podUID: Int32
    }

    private struct AnswerTexts {
        /// Place in `AuditTally`.
        var decision: Int
        var reason: Int32
    }

    private struct Answer {
        var decision: String?
        var reason: String
        var message: String
    }

    /// The counts that an event adds to.
    private struct Judgement {
        var outcome: Outcome
        var fact: Int32 = -1
        /// Place of further counts in `extras`; -1 = none.
        var extra: Int32 = -1
    }

    /// Counts of needs and flags that some events add to.
    private struct Extra {
        var implied: [Int32]
        var flags: [Int32]
    }

    /// - Parameters:
    ///   - seed: what the hashes of events start from.
    ///   - maxNames: names of a verb on a resource that are kept for one user.
    ///   - memoryLimit: bytes of remembered events.
    init(seed: UInt64, maxNames: Int, memoryLimit: Int = 1 << 20) {
        self.memoryLimit = memoryLimit
        self.seed = seed
        self.maxNames = maxNames
        _ = text("")
    }

    // MARK: Lines

    /// Finds the event of one line; `nil` when it is not the usual kind.
    ///
    /// - Parameter line: with its line end; the buffer goes on for 64 bytes behind it.
    mutating func prepare(_ line: UnsafeBufferPointer<UInt8>) -> Prepared? {
        guard let event = AuditLine(line), let stageText = event.stage, let received = event.received,
            let stage = AuditTally.place(ofStage: stageText), let level = AuditTally.place(ofLevel: event.level),
            let time = clock.microseconds(received)
        else { return nil }
        let phase: Phase = stage == 0 ? .early : stage == 1 ? .started : .complete
        // What comes before authorization is only counted.
        if phase == .early {
            guard event.auditID != nil || event.requestURI != nil || event.verb != nil else { return nil }
            return Prepared(time: time, phase: phase, level: level, stage: stage)
        }
        // Without a URI the object reference counts, and some bodies are needs of somebody: too rare to be worth a memory.
        guard let uri = event.requestURI, let verb = event.verb, !uri.isEmpty else { return nil }
        if let body = event.requestObject {
            let mayReview = uri.contains("authorization.k8s.io") || hasEscapes(uri) || uri.contains(UInt8(ascii: "%"))
            if mayReview || body.contains("blockOwnerDeletion") || body.contains("\\u") { return nil }
        }
        guard let caller = caller(event), callerTexts[Int(caller)].isNamed else { return nil }
        var prepared = Prepared(verb: verb, requestURI: uri, caller: caller, time: time, phase: phase, level: level, stage: stage)
        if let id = event.auditID, !id.isEmpty {
            guard !id.contains(UInt8(ascii: "\\")), !verb.contains(UInt8(ascii: "\\")) else { return nil }
            prepared.hash = eventHash(id, callerTexts[Int(caller)].hash, verb, canonical(uri), phase)
        }
        prepared.code = Int32(truncatingIfNeeded: event.code)
        prepared.agent = agent(event.userAgent) ?? -1
        prepared.answer = answer(event) ?? -1
        return prepared
    }

    /// The hash of an event that was read as a whole; 0 = it has no auditID, or comes before authorization.
    mutating func hash(of event: AuditEvent) -> UInt64 {
        let phase = Phase(stage: event.stage)
        guard !event.auditID.isEmpty, phase != .early else { return 0 }
        let user = Self.hash(of: event.caller.user.name, seed)
        var (id, verb, uri) = (event.auditID, event.verb, event.requestURI)
        return id.withUTF8 { id in
            verb.withUTF8 { verb in uri.withUTF8 { uri in eventHash(ByteSlice(id), user, ByteSlice(verb), ByteSlice(uri), phase) } }
        }
    }

    private static func hash(of text: String, _ seed: UInt64) -> UInt64 {
        var text = text
        return text.withUTF8 { scan_hash(seed, ByteSlice($0).start, $0.count) }
    }

    @inline(__always)
    private func eventHash(_ id: ByteSlice, _ user: UInt64, _ verb: ByteSlice, _ uri: ByteSlice, _ phase: Phase) -> UInt64 {
        var hash = scan_hash(seed, id.start, id.count)
        hash = scan_hash(scan_mix(hash, user), verb.start, verb.count)
        return max(scan_mix(scan_hash(hash, uri.start, uri.count), UInt64(phase.rawValue)), 1)
    }

    /// The text of a JSON string, its escapes resolved; valid until the next call.
    private mutating func canonical(_ slice: ByteSlice) -> ByteSlice {
        guard slice.contains(UInt8(ascii: "\\")) else { return slice }
        scratch.clear()
        if hasEscapes(slice) {
            var text = slice.unescaped
            text.withUTF8 { scratch.append(ByteSlice($0)) }
            return scratch.slice
        }
        var rest = slice
        while let found = memchr(rest.start, Int32(UInt8(ascii: "\\")), rest.count) {
            let offset = UnsafeRawPointer(rest.start).distance(to: found)
            scratch.append(ByteSlice(start: rest.start, count: offset))
            scratch.append(UInt8(ascii: "&"))
            rest = ByteSlice(start: rest.start + offset + 6, count: rest.count - offset - 6)
        }
        scratch.append(rest)
        return scratch.slice
    }

    /// Adds an event that `prepare` found, if it can be judged without reading it as a whole.
    mutating func add(_ prepared: borrowing Prepared) -> (outcome: Outcome, decision: Int)? {
        let (agent, answer) = (prepared.agent, prepared.answer)
        guard let uri = prepared.requestURI, let verb = prepared.verb, agent >= 0, answer >= 0 else { return nil }
        let isComplete = prepared.phase == .complete
        signature.clear()
        signature.append(SIMD4(prepared.caller, agent, answer, prepared.code))
        signature.append(isComplete ? 1 : 0)
        signature.append(verb)
        signature.append(0)
        let path = appendEssentials(ofURI: uri)
        let decision = answerTexts[Int(answer)].decision
        let key = signature.slice
        let (known, place) = events.find(key)
        if let known {
            count(judgements[Int(known)], at: prepared.time, isComplete: isComplete)
            return (judgements[Int(known)].outcome, decision)
        }
        let judged: Judgement
        if let path, let plain = judgePlain(prepared, verb, path: path) {
            judged = plain
        } else {
            guard verb.isStringContent, uri.isStringContent else { return nil }
            var whole = AuditEvent()
            whole.stage = AuditTally.stage(at: prepared.stage)
            whole.verb = verb.unescaped
            whole.requestURI = uri.unescaped
            whole.caller = callerValues[Int(prepared.caller)]
            whole.userAgent = string(agent)
            whole.code = Int(prepared.code)
            (whole.decision, whole.reason, whole.message) = (
                answerValues[Int(answer)].decision, answerValues[Int(answer)].reason, answerValues[Int(answer)].message
            )
            whole.receivedAt = prepared.time
            judged = judge(whole)
        }
        events.insert(key, Int32(judgements.count), at: place)
        judgements.append(judged)
        count(judged, at: prepared.time, isComplete: isComplete)
        return (judged.outcome, decision)
    }

    /// Adds an event that was read as a whole.
    mutating func add(_ event: AuditEvent, at time: Int64, isComplete: Bool) -> Outcome {
        // It is not remembered, and neither are its further counts.
        let known = extras.count
        let judged = judge(event)
        count(judged, at: time, isComplete: isComplete)
        extras.removeLast(extras.count - known)
        return judged.outcome
    }

    /// Empties the memory of events when it is full. Events that were prepared before are no longer known.
    mutating func forgetIfFull() {
        guard events.byteCount + callers.byteCount + agents.byteCount + answers.byteCount > memoryLimit else { return }
        forget()
    }

    /// Gives the memory of events back.
    mutating func forget() {
        judgements = []
        extras = []
        events = ByteTable()
        callers = ByteTable()
        agents = ByteTable()
        answers = ByteTable()
        (callerTexts, callerValues, answerTexts, answerValues) = ([], [], [], [])
    }

    /// Appends the path, and of the query what the attributes or a hint depend on.
    ///
    /// - Returns: the path, when nothing else counts and it needs no decoding.
    private mutating func appendEssentials(ofURI uri: ByteSlice) -> ByteSlice? {
        let mark = memchr(uri.start, Int32(UInt8(ascii: "?")), uri.count)
        let pathCount = mark.map { UnsafeRawPointer(uri.start).distance(to: $0) } ?? uri.count
        let path = ByteSlice(start: uri.start, count: pathCount)
        let query = ByteSlice(start: uri.start + pathCount, count: uri.count - pathCount)
        let isPlain =
            query.isEmpty
            || !query.contains("elector") && !query.contains("sendInitialEvents") && !query.contains(UInt8(ascii: "%"))
                && !hasEscapes(query)
        signature.append(isPlain ? path : uri)
        return isPlain && path.isPlainText && !path.contains(UInt8(ascii: "%")) ? path : nil
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
        let value = AuditEvent.Caller(user: trees[0]?.root, impersonated: trees[1]?.root, metadata: trees[2]?.root)
        withExtendedLifetime(trees) {}
        callers.insert(key, number, at: place)
        callerTexts.append(
            CallerTexts(
                hash: Self.hash(of: value.user.name, seed), isNamed: !value.user.name.isEmpty,
                isImpersonating: value.impersonatedUser != nil, user: text(value.subject),
                podNamespace: text(value.pod == nil ? "" : value.account?.namespace ?? ""), pod: text(value.pod?.name ?? ""),
                podUID: text(value.pod?.uid ?? "")))
        callerValues.append(value)
        return number
    }

    private static func tree(_ slice: ByteSlice) -> DocumentTree? {
        guard firstInvalidUTF8(in: slice.buffer) == nil, var json = try? JSONText(slice.buffer) else { return nil }
        let tree = DocumentTree(file: "", base: slice.start)
        guard (try? json.parseValue(into: tree)) != nil else { return nil }
        return tree
    }

    /// The text of a user agent.
    private mutating func agent(_ slice: ByteSlice?) -> Int32? {
        guard let slice, !slice.isEmpty else { return 0 }
        let (known, place) = agents.find(slice)
        if let known { return known }
        guard slice.isStringContent else { return nil }
        let number = text(slice.unescaped)
        agents.insert(slice, number, at: place)
        return number
    }

    /// What the server answered: decision, reason, and its words where they matter.
    private mutating func answer(_ event: AuditLine) -> Int32? {
        let message = event.code == 403 || event.decision == nil ? event.message : nil
        scratch.clear()
        scratch.append(event.decision == nil ? 0 : 1)
        if let decision = event.decision { scratch.append(decision) }
        scratch.append(0)
        if let reason = event.reason { scratch.append(reason) }
        scratch.append(0)
        if let message { scratch.append(message) }
        let key = scratch.slice
        let (known, place) = answers.find(key)
        if let known { return known }
        guard [event.decision, event.reason, message].allSatisfy({ $0?.isStringContent ?? true }) else { return nil }
        let number = Int32(answerValues.count)
        let (decision, reason) = (event.decision?.unescaped, event.reason?.unescaped ?? "")
        answerTexts.append(AnswerTexts(decision: AuditTally.place(ofDecision: decision), reason: text(reason)))
        answerValues.append(Answer(decision: decision, reason: reason, message: message?.unescaped ?? ""))
        answers.insert(key, number, at: place)
        return number
    }

    // MARK: Texts

    /// The place of a text; a NUL counts as the mark that the database puts in its place.
    private mutating func text(_ text: String) -> Int32 {
        var text = text
        let (known, isClean) = text.withUTF8 { bytes -> (Int32, Bool) in
            let slice = ByteSlice(bytes)
            guard memchr(slice.start, 0, slice.count) == nil else { return (0, false) }
            return (self.text(slice), true)
        }
        return isClean ? known : self.text(text.replacing("\0", with: "\u{FFFD}"))
    }

    @inline(__always)
    private mutating func text(_ slice: ByteSlice) -> Int32 {
        let (known, place) = texts.find(slice)
        if let known { return known }
        let number = Int32(texts.count)
        texts.insert(slice, number, at: place)
        return number
    }

    private func string(_ text: Int32) -> String { texts.bytes(at: Int(text)).text }

    // MARK: Judging

    /// Judges an event that proves its own attributes and nothing else; `nil` when it may prove more.
    private mutating func judgePlain(_ event: borrowing Prepared, _ verb: ByteSlice, path: ByteSlice) -> Judgement? {
        let (caller, answer) = (callerTexts[Int(event.caller)], answerTexts[Int(event.answer)])
        guard !caller.isImpersonating, verb.isPlainText, !verb.isEmpty, caller.user != 0 else { return nil }
        let isAllowed = answer.decision == AuditTally.allow
        guard isAllowed || answer.decision == AuditTally.forbid else { return nil }
        var fact = UsageFact()
        if let attributes = URLAttributes(path: path.buffer) {
            guard attributes.verb == nil else { return nil }
            if isAllowed, AuditNeeds.mayProveMore(verb: verb, attributes, code: Int(event.code)) { return nil }
            fact.apiGroup = text(attributes.apiGroup)
            fact.resource = text(attributes.resource)
            fact.subresource = text(attributes.subresource)
            fact.namespace = text(attributes.namespace)
            if !verb.isText("deletecollection") { fact.name = text(attributes.name) }
        } else {
            fact.apiGroup = -1
            fact.resource = text(path)
        }
        if isAllowed, event.code == 403 || answer.reason == 0 { return nil }
        fact.user = caller.user
        (fact.podNamespace, fact.pod, fact.podUID) = (caller.podNamespace, caller.pod, caller.podUID)
        fact.userAgent = event.agent
        fact.verb = text(verb)
        fact.reason = answer.reason
        fact.decision = isAllowed ? 0 : 1
        fact.codeClass = event.code / 100
        return Judgement(outcome: .request, fact: place(of: fact))
    }

    private mutating func judge(_ event: AuditEvent) -> Judgement {
        let needs = AuditNeeds(event)
        switch needs.use {
        case .ignore: return Judgement(outcome: needs.isAimless ? .aimless : .ignored)
        case _ where needs.subject.isEmpty: return Judgement(outcome: .userless)
        default: break
        }
        var judgement = Judgement(outcome: event.code == 403 && event.decision == nil ? .undecided : .request)
        if let request = needs.primary {
            let decision: UsageKey.Decision = needs.use == .evidence ? .allow : needs.use == .attempt ? .forbid : .unknown
            var fact = UsageFact()
            fact.user = text(needs.subject)
            fact.impersonator = text(event.caller.impersonatedUser == nil ? "" : event.caller.user.name)
            if let pod = event.caller.pod {
                fact.podNamespace = text(event.caller.account?.namespace ?? "")
                fact.pod = text(pod.name)
                fact.podUID = text(pod.uid)
            }
            fact.userAgent = text(event.userAgent)
            fact.verb = text(request.verb)
            if let path = request.path {
                fact.apiGroup = -1
                fact.resource = text(path)
            } else {
                fact.apiGroup = text(request.apiGroup)
                fact.resource = text(request.resource)
                fact.subresource = text(request.subresource)
                fact.namespace = text(request.namespace)
                fact.name = text(request.name)
            }
            fact.reason = text(event.reason)
            fact.decision = Int32(UsageKey.Decision.allCases.firstIndex(of: decision) ?? 0)
            fact.codeClass = Int32(clamping: max(event.code, 0) / 100)
            judgement.fact = place(of: fact)
        }
        let needed = needs.implied.map { Self.number(&implied[$0], in: &otherCounts) }
        let flagged = needs.flags.filter { !$0.hasPrefix("pod:") }
            .map { Self.number(&flags[UsageFlag(user: needs.subject, flag: $0)], in: &otherCounts) }
        if !needed.isEmpty || !flagged.isEmpty {
            judgement.extra = Int32(extras.count)
            extras.append(Extra(implied: needed, flags: flagged))
        }
        return judgement
    }

    private static func number(_ entry: inout Int32?, in counts: inout ContiguousArray<UsageCount>) -> Int32 {
        if let entry { return entry }
        let number = Int32(counts.count)
        counts.append(UsageCount())
        entry = number
        return number
    }

    /// The place of a fact among the counts; without its name when there are too many.
    private mutating func place(of fact: UsageFact) -> Int32 {
        var fact = fact
        if fact.name != 0, !keepsName(of: fact) { fact.name = 0 }
        let number = facts.place(of: fact)
        if number == counts.count { counts.append(UsageCount()) }
        return Int32(number)
    }

    /// What a limit on names is counted for: user, verb and resource.
    private static func group(_ fact: UsageFact) -> UsageFact {
        var group = UsageFact()
        (group.user, group.verb, group.apiGroup) = (fact.user, fact.verb, fact.apiGroup)
        (group.resource, group.subresource) = (fact.resource, fact.subresource)
        return group
    }

    private mutating func keepsName(of fact: UsageFact) -> Bool {
        let group = groups.place(of: Self.group(fact))
        if group == nameCounts.count { nameCounts.append(0) }
        guard Int(nameCounts[group]) <= maxNames else { return false }
        // Spread over all bits, no two pairs to the same number.
        let pair = (UInt64(group) << 32 | UInt64(UInt32(bitPattern: fact.name))) &* 0x9E37_79B9_7F4A_7C15
        if groupNames.insert(pair ^ pair >> 32) { nameCounts[group] += 1 }
        return Int(nameCounts[group]) <= maxNames
    }

    @inline(__always)
    private mutating func count(_ judgement: Judgement, at time: Int64, isComplete: Bool) {
        if judgement.fact >= 0 { counts[Int(judgement.fact)].add(at: time, isComplete: isComplete) }
        guard judgement.extra >= 0 else { return }
        for number in extras[Int(judgement.extra)].implied { otherCounts[Int(number)].add(at: time, isComplete: isComplete) }
        if isComplete {
            for number in extras[Int(judgement.extra)].flags { otherCounts[Int(number)].add(at: time, isComplete: true) }
        }
    }

    // MARK: The result

    /// Adds what another has counted.
    mutating func absorb(_ other: borrowing AuditFolder) {
        var places: ContiguousArray<Int32> = []
        for number in 0..<other.texts.count { places.append(text(other.texts.bytes(at: number))) }
        func moved(_ fact: UsageFact) -> UsageFact {
            func place(_ text: Int32) -> Int32 { places[Int(text)] }
            var fact = fact
            (fact.user, fact.impersonator) = (place(fact.user), place(fact.impersonator))
            (fact.podNamespace, fact.pod, fact.podUID) = (place(fact.podNamespace), place(fact.pod), place(fact.podUID))
            (fact.userAgent, fact.verb, fact.reason) = (place(fact.userAgent), place(fact.verb), place(fact.reason))
            if fact.apiGroup >= 0 { fact.apiGroup = place(fact.apiGroup) }
            (fact.resource, fact.subresource) = (place(fact.resource), place(fact.subresource))
            (fact.namespace, fact.name) = (place(fact.namespace), place(fact.name))
            return fact
        }
        for (fact, count) in zip(other.facts.all, other.counts) where !count.isEmpty { counts[Int(place(of: moved(fact)))].add(count) }
        for fact in other.withoutNames {
            let group = groups.place(of: moved(fact))
            if group == nameCounts.count { nameCounts.append(0) }
            nameCounts[group] = Int32.max - 1
        }
        for (need, number) in other.implied {
            otherCounts[Int(Self.number(&implied[need], in: &otherCounts))].add(other.otherCounts[Int(number)])
        }
        for (flag, number) in other.flags {
            otherCounts[Int(Self.number(&flags[flag], in: &otherCounts))].add(other.otherCounts[Int(number)])
        }
    }

    private var withoutNames: Set<UsageFact> {
        var result: Set<UsageFact> = []
        for (group, count) in zip(groups.all, nameCounts) where Int(count) > maxNames { result.insert(group) }
        return result
    }

    /// Whether nothing was counted.
    var isEmpty: Bool { counts.isEmpty && otherCounts.isEmpty && nameCounts.isEmpty }

    /// What was counted.
    func result() -> UsageFold {
        var fold = UsageFold()
        fold.texts = (0..<texts.count).map { texts.bytes(at: $0).text }
        fold.withoutNames = withoutNames
        if fold.withoutNames.isEmpty {
            (fold.facts, fold.counts) = (facts.all, counts)
        } else {
            var kept = FactTable()
            for (fact, count) in zip(facts.all, counts) {
                var fact = fact
                if fact.name != 0, fold.withoutNames.contains(Self.group(fact)) { fact.name = 0 }
                let place = kept.place(of: fact)
                if place < fold.counts.count { fold.counts[place].add(count) } else { fold.counts.append(count) }
            }
            fold.facts = kept.all
        }
        let otherCounts = otherCounts
        fold.implied = implied.mapValues { otherCounts[Int($0)] }.filter { !$0.value.isEmpty }
        fold.flags = flags.mapValues { otherCounts[Int($0)] }.filter { !$0.value.isEmpty }
        return fold
    }
}
