import CScan
import Foundation
import WhittleModel

/// How far a request had come.
enum AuditPhase: UInt8 {
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
struct PreparedEvent {
    fileprivate(set) var verb: ByteSlice?
    fileprivate(set) var requestURI: ByteSlice?
    /// Numbers that `AuditParts` gave; -1 = only the general reader can tell.
    fileprivate(set) var caller: Int32 = -1
    fileprivate(set) var agent: Int32 = -1
    fileprivate(set) var answer: Int32 = -1
    /// Events of one kind prove the same.
    fileprivate(set) var kind: Int32 = -1
    fileprivate(set) var code: Int32 = 0
    /// Microseconds since 1970-01-01 UTC.
    fileprivate(set) var time: Int64
    /// Tells the event from others; 0 = nothing does.
    fileprivate(set) var hash: UInt64 = 0
    fileprivate(set) var phase: AuditPhase
    /// Places in `AuditTally`.
    fileprivate(set) var level: Int
    fileprivate(set) var stage: Int
}

/// What has got numbers and is to be made known to who counts; in the order of the numbers.
struct NewParts {
    struct Answer {
        var decision: String?
        var reason: String
        var message: String
    }

    /// Whether numbers begin again: all given before are void.
    var isReset = true
    /// Whether only kinds begin again.
    var isKindReset = false
    var callers: [AuditEvent.Caller] = []
    /// No agent is an agent, too.
    var agents = [""]
    var answers: [Answer] = []

    var isEmpty: Bool { !isReset && !isKindReset && callers.isEmpty && agents.isEmpty && answers.isEmpty }
}

/// What the numbers of one `AuditParts` stand for in one `AuditFolder`: places of texts, and what kinds of events prove.
struct KnownParts {
    /// Texts: user, and namespace, name and uid of the pod.
    typealias Caller = (texts: SIMD4<Int32>, address: Int32, isImpersonating: Bool)
    /// The decision as a place in `AuditTally`.
    typealias Answer = (decision: Int, reason: Int32)

    var callers: ContiguousArray<Caller> = []
    var callerValues: [AuditEvent.Caller] = []
    var agents: ContiguousArray<Int32> = []
    var answers: ContiguousArray<Answer> = []
    var answerValues: [NewParts.Answer] = []
    /// By kind; `nil` = none was judged so far.
    var judgements: ContiguousArray<AuditFolder.Judgement?> = []
    var extras: ContiguousArray<AuditFolder.Extra> = []
}

/// Finds the events of lines and numbers what many of them have in common, so that these parts are looked at once.
struct AuditParts: ~Copyable {
    /// Bytes of remembered kinds, and a quarter of it of parts; beyond it the memory is emptied, which costs time and changes nothing.
    private let memoryLimit: Int
    private let seed: UInt64
    private var callers = ByteTable()
    /// Hashes of the names of those who really asked, by caller, and whether only an address can tell their pod.
    private var users: ContiguousArray<(hash: UInt64, isNamed: Bool, needsAddress: Bool)> = []
    private var agents = ByteTable()
    private var answers = ByteTable()
    private var kinds = ByteTable()
    private var new = NewParts()
    private var scratch = ByteBuffer()
    private var clock = AuditClock()

    /// - Parameters:
    ///   - seed: what the hashes of events start from.
    ///   - memoryLimit: bytes of remembered kinds.
    init(seed: UInt64, memoryLimit: Int = 1 << 22) {
        self.memoryLimit = memoryLimit
        self.seed = seed
    }

    /// What got numbers since the last call.
    mutating func takeNew() -> NewParts {
        defer { new = NewParts(isReset: false, agents: []) }
        return new
    }

    /// Empties the memory when it is full. Events that were prepared before need the numbers before.
    mutating func forgetIfFull() {
        if callers.byteCount + agents.byteCount + answers.byteCount > memoryLimit / 4 {
            callers = ByteTable()
            agents = ByteTable()
            answers = ByteTable()
            kinds = ByteTable()
            users = []
            new = NewParts()
        } else if kinds.byteCount > memoryLimit {
            kinds = ByteTable()
            new.isKindReset = true
        }
    }

    /// Finds the event of one line; `nil` when it is not the usual kind.
    ///
    /// - Parameters:
    ///   - line: with its line end; the buffer goes on for 64 bytes behind it.
    ///   - isWrapped: whether a shipper may have written the event anew, under other names; one that lacks what an answer has is left then.
    mutating func prepare(_ line: UnsafeBufferPointer<UInt8>, isWrapped: Bool = false) -> PreparedEvent? {
        guard let event = AuditLine(line), let stageText = event.stage, let received = event.received,
            let stage = AuditTally.place(ofStage: stageText), let level = AuditTally.place(ofLevel: event.level),
            let time = clock.microseconds(received), time > 0, line.count <= AuditEvent.memberLimit || !event.isOverlong
        else { return nil }
        let phase: AuditPhase = stage == 0 ? .early : stage == 1 ? .started : .complete
        // What comes before authorization is only counted.
        if phase == .early {
            guard event.auditID != nil || event.requestURI != nil || event.verb != nil else { return nil }
            return PreparedEvent(time: time, phase: phase, level: level, stage: stage)
        }
        if isWrapped, event.decision == nil || event.code == 0 || event.userAgent == nil || event.sourceIPs == nil { return nil }
        // Without a URI the object reference counts, and some bodies are needs of somebody: too rare to be worth a memory.
        guard let uri = event.requestURI, let verb = event.verb, !uri.isEmpty else { return nil }
        if let body = event.requestObject {
            let mayReview = uri.contains("authorization.k8s.io") || uri.hasEscapes || uri.contains(UInt8(ascii: "%"))
            if mayReview || body.contains("blockOwnerDeletion") || body.contains("\\u") { return nil }
        }
        if verb.isText("delete") {
            let isOption =
                uri.contains(UInt8(ascii: "?")) && (uri.contains(UInt8(ascii: "%")) || uri.contains(AuditNeeds.unsafeDeleteOption))
            if isOption || event.requestObject?.contains(AuditNeeds.unsafeDeleteOption) ?? false { return nil }
        }
        guard let caller = caller(event), users[Int(caller)].isNamed, let agent = agent(event.userAgent), let answer = answer(event)
        else { return nil }
        var prepared = PreparedEvent(verb: verb, requestURI: uri, caller: caller, time: time, phase: phase, level: level, stage: stage)
        if let id = event.auditID, !id.isEmpty {
            guard !id.contains(UInt8(ascii: "\\")), !verb.contains(UInt8(ascii: "\\")) else { return nil }
            prepared.hash = eventHash(id, users[Int(caller)].hash, verb, canonical(uri), phase)
        }
        prepared.code = Int32(truncatingIfNeeded: event.code)
        (prepared.agent, prepared.answer) = (agent, answer)
        prepared.kind = kind(prepared, verb, uri)
        return prepared
    }

    /// The kind of an event; -1 = it must be read as a whole.
    private mutating func kind(_ event: borrowing PreparedEvent, _ verb: ByteSlice, _ uri: ByteSlice) -> Int32 {
        // What a new role or binding is called stands in no URI.
        if verb.isText("create"), uri.hasEscapes || uri.contains("/rbac.authorization.k8s.io/") { return -1 }
        scratch.clear()
        scratch.append(SIMD4(event.caller, event.agent, event.answer, event.code))
        scratch.append(event.phase.rawValue)
        scratch.append(verb)
        scratch.append(0)
        scratch.append(uri.essentialsOfURI.bytes)
        let (known, place) = kinds.find(scratch.slice)
        if let known { return known }
        let number = Int32(kinds.count)
        kinds.insert(scratch.slice, number, at: place)
        return number
    }

    /// The hash of an event that was read as a whole; 0 = it has no auditID, or comes before authorization.
    mutating func hash(of event: AuditEvent) -> UInt64 {
        let phase = AuditPhase(stage: event.stage)
        guard !event.auditID.isEmpty, phase != .early else { return 0 }
        let user = Self.hash(ofUser: event.caller.user.name, seed)
        // Where no URI tells what was asked for, the object does.
        var (id, verb, uri) = (event.auditID, event.verb, event.requestURI.isEmpty ? Self.words(of: event.objectRef) : event.requestURI)
        return id.withUTF8 { id in
            verb.withUTF8 { verb in uri.withUTF8 { uri in eventHash(ByteSlice(id), user, ByteSlice(verb), ByteSlice(uri), phase) } }
        }
    }

    private static func words(of request: Request?) -> String {
        guard let request else { return "" }
        return request.path
            ?? [request.apiGroup, request.resource, request.subresource, request.namespace, request.name].joined(separator: " ")
    }

    /// From another seed than that of the auditID, which a client may choose: else equal texts would take each other's place, or cancel out.
    private static func hash(ofUser name: String, _ seed: UInt64) -> UInt64 {
        var name = name
        return name.withUTF8 { scan_hash(~seed, ByteSlice($0).start, $0.count) }
    }

    @inline(__always)
    private func eventHash(_ id: ByteSlice, _ user: UInt64, _ verb: ByteSlice, _ uri: ByteSlice, _ phase: AuditPhase) -> UInt64 {
        var hash = scan_hash(seed, id.start, id.count)
        hash = scan_hash(scan_mix(hash, user), verb.start, verb.count)
        return max(scan_mix(scan_hash(hash, uri.start, uri.count), UInt64(phase.rawValue)), 1)
    }

    /// The text of a JSON string, its escapes resolved; valid until the next call.
    private mutating func canonical(_ slice: ByteSlice) -> ByteSlice {
        guard slice.contains(UInt8(ascii: "\\")) else { return slice }
        scratch.clear()
        if slice.hasEscapes {
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

    private mutating func caller(_ event: AuditLine) -> Int32? {
        guard let user = event.user, let caller = caller(event, user, sourceIPs: nil) else { return nil }
        guard users[Int(caller)].needsAddress, let addresses = event.sourceIPs else { return caller }
        return self.caller(event, user, sourceIPs: addresses)
    }

    private mutating func caller(_ event: AuditLine, _ user: ByteSlice, sourceIPs: ByteSlice?) -> Int32? {
        var key = user
        if event.impersonatedUser != nil || sourceIPs != nil {
            scratch.clear()
            for part in [user, event.impersonatedUser, event.impersonatedUser == nil ? nil : event.authenticationMetadata, sourceIPs] {
                guard let part else { continue }
                scratch.append(part)
                scratch.append(0)
            }
            key = scratch.slice
        }
        let (known, place) = callers.find(key)
        if let known { return known }
        let parts = [user, event.impersonatedUser, event.impersonatedUser == nil ? nil : event.authenticationMetadata, sourceIPs]
        let trees = parts.map { $0.flatMap(Self.tree) }
        guard !zip(parts, trees).contains(where: { $0 != nil && $1 == nil }) else { return nil }
        // A name that is none is for the general reader.
        guard trees[1]?.root.value("username").map({ $0.kind == .string }) ?? true else { return nil }
        let number = Int32(users.count)
        let value = AuditEvent.Caller(
            user: trees[0]?.root, impersonated: trees[1]?.root, metadata: trees[2]?.root, sourceIPs: trees[3]?.root)
        withExtendedLifetime(trees) {}
        callers.insert(key, number, at: place)
        users.append((Self.hash(ofUser: value.user.name, seed), !value.user.name.isEmpty, value.account != nil && value.pod == nil))
        new.callers.append(value)
        return number
    }

    private static func tree(_ slice: ByteSlice) -> DocumentTree? {
        guard firstInvalidUTF8(in: slice.buffer) == nil, var json = try? JSONText(slice.buffer) else { return nil }
        let tree = DocumentTree(file: "", base: slice.start)
        guard (try? json.parseValue(into: tree)) != nil else { return nil }
        return tree
    }

    private mutating func agent(_ slice: ByteSlice?) -> Int32? {
        guard let slice, !slice.isEmpty else { return 0 }
        let (known, place) = agents.find(slice)
        if let known { return known }
        guard slice.isStringContent else { return nil }
        let number = Int32(agents.count + 1)
        agents.insert(slice, number, at: place)
        new.agents.append(slice.unescaped)
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
        let number = Int32(answers.count)
        answers.insert(key, number, at: place)
        new.answers.append(
            NewParts.Answer(
                decision: event.decision?.unescaped, reason: event.reason?.unescaped ?? "", message: message?.unescaped ?? ""))
        return number
    }
}

extension ByteSlice {
    /// Of a URI the part that counts: the path, or all of it when attributes or a hint depend on the query. `path` is there when nothing
    /// else counts and it needs no decoding.
    var essentialsOfURI: (bytes: ByteSlice, path: ByteSlice?) {
        let mark = memchr(start, Int32(UInt8(ascii: "?")), count)
        let pathCount = mark.map { UnsafeRawPointer(start).distance(to: $0) } ?? count
        let path = ByteSlice(start: start, count: pathCount)
        let query = ByteSlice(start: start + pathCount, count: count - pathCount)
        let isPlain =
            query.isEmpty
            || !query.contains("elector") && !query.contains("sendInitialEvents") && !query.contains(UInt8(ascii: "%"))
                && !query.hasEscapes
        guard isPlain else { return (self, nil) }
        return (path, path.isPlainText && !path.contains(UInt8(ascii: "%")) ? path : nil)
    }
}
