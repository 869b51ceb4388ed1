/// What was seen of one kind of request, in full detail: who, through what, which attributes, which answer.
public struct UsageKey: Hashable, Sendable {
    /// The answer of the authorizer.
    public enum Decision: String, Sendable {
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
    /// Completed requests by day since 1970-01-01 UTC.
    public var days: [Int64: Int] = [:]

    /// Creates an empty count.
    public init() {}

    /// The day since 1970-01-01 UTC of a time in microseconds.
    package static func day(of time: Int64) -> Int64 {
        time >= 0 ? time / 86_400_000_000 : (time - 86_399_999_999) / 86_400_000_000
    }

    /// Adds one event.
    public mutating func add(at time: Int64, isComplete: Bool) {
        firstSeen = min(firstSeen, time)
        lastSeen = max(lastSeen, time)
        if isComplete {
            count += 1
            days[Self.day(of: time), default: 0] += 1
        } else {
            started += 1
        }
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
}

/// One or more audit logs folded into distinct facts.
public struct UsageFold: Sendable {
    /// What identifies a log, and what was read of it.
    public struct Log: Hashable, Sendable {
        /// As given; `-` is standard input.
        public var path: String
        /// Decompressed bytes from the start that were read, earlier loads included.
        public var byteCount = 0
        /// Hex SHA-256 of these bytes.
        public var sha256 = ""
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
        /// Lines that are no event.
        public var rejected = 0
        /// Events by what was wrapped around them: `eks`, `gke`, `cri`, …; those that stood for themselves are not counted.
        public var envelopes: [String: Int] = [:]

        /// Creates a description of a log that nothing was read of.
        public init(path: String) { self.path = path }
    }

    /// Primary facts.
    public var facts: [UsageKey: UsageCount] = [:]
    /// Rights implied by them.
    public var implied: [ImpliedNeed: UsageCount] = [:]
    /// Hints per user.
    public var flags: [UsageFlag: UsageCount] = [:]
    /// The logs.
    public var logs: [Log] = []
    /// Lines that could not be read.
    public var diagnostics: [Diagnostic] = []

    /// Creates an empty fold.
    public init() {}
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
}
