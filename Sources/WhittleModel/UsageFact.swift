/// What was seen of one kind of request, in full detail: who, through what, which attributes, which answer.
public struct UsageKey: Hashable, Sendable {
    /// The answer of the authorizer.
    public enum Decision: String, CaseIterable, Sendable {
        /// Allowed, whatever became of the request later.
        case allow
        /// Refused by the authorizer.
        case forbid
        /// Refused with 403 and no decision annotation, in words that are not the authorizer's.
        case unknown
    }

    /// The user whose rights were used: the impersonated one if any.
    public var user: String
    /// Who really asked; `""` = no impersonation.
    public var impersonator: String
    /// Namespace of the pod that asked; `""` = not known.
    public var podNamespace: String
    /// The pod that asked; `""` = the credential names none.
    public var pod: String
    /// The pod's uid; `""` = not known.
    public var podUID: String
    /// The user agent; `""` = none.
    public var userAgent: String
    /// The attributes as the authorizer saw them.
    public var request: Request
    /// The answer.
    public var decision: Decision
    /// 2 for 2xx, 4 for 4xx, …; 0 = no status.
    public var codeClass: Int
    /// The authorizer's reason as written.
    public var reason: String

    /// Creates a key.
    public init(
        user: String, impersonator: String = "", podNamespace: String = "", pod: String = "", podUID: String = "",
        userAgent: String = "", request: Request, decision: Decision, codeClass: Int = 0, reason: String = ""
    ) {
        self.user = user
        self.impersonator = impersonator
        self.podNamespace = podNamespace
        self.pod = pod
        self.podUID = podUID
        self.userAgent = userAgent
        self.request = request
        self.decision = decision
        self.codeClass = codeClass
        self.reason = reason
    }

    /// Byte-wise equality.
    public static func == (left: UsageKey, right: UsageKey) -> Bool {
        left.decision == right.decision && left.codeClass == right.codeClass && left.request == right.request
            && left.texts.isSameBytes(as: right.texts)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(request)
        for text in texts { hasher.combine(ByteString(text)) }
    }

    private var texts: [String] { [user, impersonator, podNamespace, pod, podUID, userAgent, reason] }
}

/// One kind of request in full detail; its texts are places in `UsageFold.texts`.
public struct UsageFact: Hashable, Sendable {
    /// The user whose rights were used: the impersonated one if any.
    public var user: Int32 = 0
    /// Who really asked; `""` = no impersonation.
    public var impersonator: Int32 = 0
    /// Namespace, name and uid of the pod that asked; each `""` = not known.
    public var podNamespace: Int32 = 0
    /// See `podNamespace`.
    public var pod: Int32 = 0
    /// See `podNamespace`.
    public var podUID: Int32 = 0
    /// The user agent; `""` = none.
    public var userAgent: Int32 = 0
    /// The verb.
    public var verb: Int32 = 0
    /// The group; -1 makes it a request for a URL.
    public var apiGroup: Int32 = 0
    /// The resource without subresource; the path of a URL.
    public var resource: Int32 = 0
    /// The subresource; `""` = none.
    public var subresource: Int32 = 0
    /// The namespace; `""` = none.
    public var namespace: Int32 = 0
    /// The name; `""` = none.
    public var name: Int32 = 0
    /// The authorizer's reason as written.
    public var reason: Int32 = 0
    /// Place of the answer in `UsageKey.Decision.allCases`.
    public var decision: Int32 = 0
    /// 2 for 2xx, 4 for 4xx, …; 0 = no status.
    public var codeClass: Int32 = 0

    /// Creates a fact of empty texts.
    public init() {}
}

/// How often and when something was seen. Times are microseconds since 1970-01-01 UTC.
public struct UsageCount: Hashable, Sendable {
    /// Requests that completed.
    public var count = 0
    /// ResponseStarted events.
    public var started = 0
    /// Earliest requestReceivedTimestamp.
    public var firstSeen = Int64.max
    /// Latest requestReceivedTimestamp.
    public var lastSeen = Int64.min
    /// Completed requests of one day, and of all others; most facts are of one day.
    private var day = Int64.min
    private var dayCount = 0
    private var otherDays: [Int64: Int]?

    /// Creates an empty count.
    public init() {}

    /// Whether nothing was counted.
    public var isEmpty: Bool { count == 0 && started == 0 }

    /// Completed requests by day since 1970-01-01 UTC.
    public var days: [Int64: Int] {
        var days = otherDays ?? [:]
        if dayCount > 0 { days[day, default: 0] += dayCount }
        return days
    }

    /// Calls `body` with each day and its completed requests, in order.
    public func forEachDay(_ body: (Int64, Int) throws -> Void) rethrows {
        guard otherDays != nil else {
            if dayCount > 0 { try body(day, dayCount) }
            return
        }
        for (day, count) in days.sorted(by: { $0.key < $1.key }) { try body(day, count) }
    }

    /// The day since 1970-01-01 UTC of a time in microseconds.
    package static func day(of time: Int64) -> Int64 {
        time >= 0 ? time / 86_400_000_000 : (time - 86_399_999_999) / 86_400_000_000
    }

    /// Adds one event.
    @inline(__always)
    public mutating func add(at time: Int64, isComplete: Bool) {
        firstSeen = min(firstSeen, time)
        lastSeen = max(lastSeen, time)
        if isComplete { add(requests: 1, ofDay: Self.day(of: time)) } else { started += 1 }
    }

    /// Adds completed requests of one day; first and last seen are the caller's.
    @inline(__always)
    public mutating func add(requests: Int, ofDay added: Int64) {
        count += requests
        if day != added { change(to: added) }
        dayCount += requests
    }

    private mutating func change(to added: Int64) {
        if dayCount > 0 {
            var days = otherDays ?? [:]
            days[day, default: 0] += dayCount
            otherDays = days
        }
        day = added
        dayCount = 0
    }

    /// Adds another count.
    public mutating func add(_ other: UsageCount) {
        started += other.started
        firstSeen = min(firstSeen, other.firstSeen)
        lastSeen = max(lastSeen, other.lastSeen)
        other.forEachDay { add(requests: $1, ofDay: $0) }
    }

    /// Equal counts, whatever the order of the days.
    public static func == (left: UsageCount, right: UsageCount) -> Bool {
        left.count == right.count && left.started == right.started && left.firstSeen == right.firstSeen
            && left.lastSeen == right.lastSeen && left.days == right.days
    }

    /// Hashes the totals.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        hasher.combine(started)
        hasher.combine(firstSeen)
    }
}

/// A right that a request proves beyond its own attributes.
public struct ImpliedNeed: Hashable, Sendable {
    /// Why it is needed.
    public enum Cause: String, Sendable {
        /// A PUT or patch that created: `create` with the name was checked too (semantics HID-3).
        case applyCreated = "apply-created"
        /// A WebSocket to a pod: `create` is checked beside `get` (semantics HID-4).
        case webSocket = "websocket"
        /// Acting as somebody else (semantics IMP).
        case impersonation
        /// Another server asked on behalf of this user (semantics AUD-22).
        case accessReview = "access-review"
    }

    /// The user who needs it.
    public var user: String
    /// The attributes that were checked.
    public var request: Request
    /// Why.
    public var cause: Cause
    /// Whether the check passed.
    public var isAllowed: Bool

    /// Creates a need.
    public init(user: String, request: Request, cause: Cause, isAllowed: Bool) {
        self.user = user
        self.request = request
        self.cause = cause
        self.isAllowed = isAllowed
    }

    /// Byte-wise equality.
    public static func == (left: ImpliedNeed, right: ImpliedNeed) -> Bool {
        left.user.isSameBytes(as: right.user) && left.request == right.request && left.cause == right.cause
            && left.isAllowed == right.isAllowed
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ByteString(user))
        hasher.combine(request)
    }
}

/// One or more audit logs folded into distinct facts.
public struct UsageFold: Sendable {
    /// What identifies a log, and what was read of it.
    public struct Log: Hashable, Sendable {
        /// As given; `-` is standard input.
        public var path: String
        /// Decompressed bytes from the start that were read, earlier loads included.
        public var byteCount = 0
        /// Line feeds in these bytes.
        public var lineCount = 0
        /// What tells these bytes from others, see `LogDigest`.
        public var digest = ""
        /// The digest of the part that an earlier load read; `nil` = none did.
        public var extendedDigest: String?
        /// Microseconds; `nil` no event.
        public var firstEvent: Int64?
        /// Microseconds; `nil` no event.
        public var lastEvent: Int64?
        /// Events read.
        public var events = 0
        /// Completed and decided requests, counted as usage.
        public var requests = 0
        /// RequestReceived and ResponseStarted events.
        public var receivedOnly = 0
        /// Refused before authorization: 401, 429, 503.
        public var ignored = 0
        /// 403 without a decision annotation.
        public var undecided = 0
        /// Events that were read before, in this log or another.
        public var repeated = 0
        /// What is no event, by reason.
        public var rejects: [String: Int] = [:]
        /// Events by what was wrapped around them: `eks`, `gke`, `cri`, …; those that stood for themselves are not counted.
        public var envelopes: [String: Int] = [:]
        /// Events by audit level; `""` = the event does not tell.
        public var levels: [String: Int] = [:]
        /// Events by stage.
        public var stages: [String: Int] = [:]
        /// Judged events by decision annotation; `""` = none.
        public var decisions: [String: Int] = [:]
        /// Minutes since 1970-01-01 UTC in which requests were received.
        public var minutes: Set<Int64> = []

        /// Lines and records that are no event.
        public var rejected: Int { rejects.values.reduce(0, +) }

        /// Adds what a later part came to.
        package mutating func add(_ part: Log) {
            byteCount = part.byteCount
            lineCount = part.lineCount
            digest = part.digest
            firstEvent = [firstEvent, part.firstEvent].compactMap { $0 }.min()
            lastEvent = [lastEvent, part.lastEvent].compactMap { $0 }.max()
            events += part.events
            requests += part.requests
            receivedOnly += part.receivedOnly
            ignored += part.ignored
            undecided += part.undecided
            repeated += part.repeated
            rejects.merge(part.rejects, uniquingKeysWith: +)
            envelopes.merge(part.envelopes, uniquingKeysWith: +)
            levels.merge(part.levels, uniquingKeysWith: +)
            stages.merge(part.stages, uniquingKeysWith: +)
            decisions.merge(part.decisions, uniquingKeysWith: +)
            minutes.formUnion(part.minutes)
        }

        /// Creates a description of a log that nothing was read of.
        public init(path: String) { self.path = path }
    }

    /// Distinct texts; the first is `""`.
    public var texts: [String] = [""]
    /// Primary facts, each once.
    public var facts: ContiguousArray<UsageFact> = []
    /// How often and when, side by side with `facts`.
    public var counts: ContiguousArray<UsageCount> = []
    /// Rights implied by them.
    public var implied: [ImpliedNeed: UsageCount] = [:]
    /// Hints per user.
    public var flags: [UsageFlag: UsageCount] = [:]
    /// The logs, or their next parts.
    public var logs: [Log] = []
    /// Lines that could not be read.
    public var diagnostics: [Diagnostic] = []
    /// Verbs on resources of one user with so many names that none is kept: facts with empty name, pod, agent and so on.
    public var withoutNames: Set<UsageFact> = []
    /// Hashes of the latest events, as `EventWindow` keeps them; `nil` = not kept.
    public var window: EventWindowState?

    /// Creates an empty fold.
    public init() {}

    /// Whether there is nothing to add to a database.
    public var isEmpty: Bool { logs.isEmpty && facts.isEmpty && implied.isEmpty && flags.isEmpty }

    /// A fact with its texts.
    public func key(_ fact: UsageFact) -> UsageKey {
        func text(_ place: Int32) -> String { texts[Int(place)] }
        return UsageKey(
            user: text(fact.user), impersonator: text(fact.impersonator), podNamespace: text(fact.podNamespace),
            pod: text(fact.pod), podUID: text(fact.podUID), userAgent: text(fact.userAgent),
            request: fact.apiGroup < 0
                ? Request(verb: text(fact.verb), path: text(fact.resource))
                : Request(
                    verb: text(fact.verb), apiGroup: text(fact.apiGroup), resource: text(fact.resource),
                    subresource: text(fact.subresource), namespace: text(fact.namespace), name: text(fact.name)),
            decision: UsageKey.Decision.allCases[Int(fact.decision)], codeClass: Int(fact.codeClass), reason: text(fact.reason))
    }

    /// Every fact with its texts.
    public var usage: [UsageKey: UsageCount] {
        Dictionary(zip(facts.map(key), counts)) { left, right in
            var sum = left
            sum.add(right)
            return sum
        }
    }
}

/// A log, or the first part of one, that an earlier load folded.
public struct KnownLog: Hashable, Sendable {
    /// What tells it from others.
    public var digest: String
    /// Line feeds in it.
    public var lineCount: Int

    /// Creates a description.
    public init(digest: String, lineCount: Int) {
        self.digest = digest
        self.lineCount = lineCount
    }
}

/// Hashes of the latest events: an event that is read again within this window counts once.
public struct EventWindowState: Hashable, Sendable {
    /// What the hashes start from.
    public var seed: UInt64
    /// The older hashes, in the order of the events.
    public var previous: [UInt64]
    /// The younger hashes, in the order of the events.
    public var current: [UInt64]

    /// Creates a window.
    public init(seed: UInt64, previous: [UInt64] = [], current: [UInt64] = []) {
        self.seed = seed
        self.previous = previous
        self.current = current
    }
}

/// Something that a log hints at and does not prove.
public struct UsageFlag: Hashable, Sendable {
    /// Whose request.
    public var user: String
    /// `later-denial:…`, `self-check:…`, `hidden:…`, `fallback:…`.
    public var flag: String

    /// Creates a flag.
    public init(user: String, flag: String) {
        self.user = user
        self.flag = flag
    }

    /// Byte-wise equality.
    public static func == (left: UsageFlag, right: UsageFlag) -> Bool {
        left.user.isSameBytes(as: right.user) && left.flag.isSameBytes(as: right.flag)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ByteString(user))
        hasher.combine(ByteString(flag))
    }
}
