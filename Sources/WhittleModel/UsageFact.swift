/// What was seen of one kind of request, in full detail: who, through what, which attributes, which answer.
public struct UsageKey: Hashable, Sendable {
    /// The answer of the authorizer.
    public enum Decision: String, CaseIterable, Sendable {
        /// Allowed, whatever became of the request later.
        case allow
        /// Refused by the authorizer.
        case forbid
        /// Without decision annotation, and neither status nor message tells: a 403 in words that are not the authorizer's, and so on.
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
    /// The address that a service account asked from whose credential names no pod; `""` = not known, or not needed.
    public var address: String
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
        address: String = "", userAgent: String = "", request: Request, decision: Decision, codeClass: Int = 0, reason: String = ""
    ) {
        self.user = user
        self.impersonator = impersonator
        self.podNamespace = podNamespace
        self.pod = pod
        self.podUID = podUID
        self.address = address
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

    private var texts: [String] { [user, impersonator, podNamespace, pod, podUID, address, userAgent, reason] }
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
    /// The address that a service account asked from whose credential names no pod.
    public var address: Int32 = 0
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

    /// The day since 1970-01-01 UTC on which all of it was seen; `nil` = there are several.
    package var onlyDay: Int64? {
        let day = Self.day(of: firstSeen)
        return day >= 0 && day == Self.day(of: lastSeen) ? day : nil
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
        time / 86_400_000_000 - (time % 86_400_000_000 < 0 ? 1 : 0)
    }

    /// Whether all days lie between first and last seen.
    package var hasDaysInside: Bool {
        let (first, last) = (Self.day(of: firstSeen), Self.day(of: lastSeen))
        return firstSeen <= lastSeen && days.keys.allSatisfy { (first...last).contains($0) }
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
            // In place: a fact may be of many days, in any order.
            if otherDays == nil { otherDays = [:] }
            otherDays?[day, default: 0] += dayCount
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
        /// Deleting an object that cannot be read (semantics HID-8).
        case unsafeDelete = "unsafe-delete"
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

/// Something that a log hints at and does not prove.
public struct UsageFlag: Hashable, Sendable {
    /// Whose request.
    public var user: String
    /// `later-denial:…`, `self-check:…`, `hidden:…`, `fallback:…`, `written:…`, `not-rbac`.
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

extension UsageFlag {
    /// Stands for the names of objects where there are too many to keep; no object has a name with a slash.
    public static let anyName = "*/*"

    /// The flag with `anyName` for the name of the object in it; `nil` when it tells none.
    package var withoutName: UsageFlag? {
        if let list = flag.removingBytePrefix("written:"), let words = strings(fromJSONArray: list), words.count >= 3 {
            // Each binding may name a role of its own.
            return UsageFlag(user: user, flag: "written:" + jsonArray([words[0], words[1], Self.anyName]))
        }
        guard flag.hasBytePrefix("hidden:update ") else { return nil }
        var words = flag.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard let place = words.firstIndex(where: { $0.hasSuffix("/finalizers") }), place + 1 < words.count else { return nil }
        words[place + 1] = Self.anyName
        return UsageFlag(user: user, flag: words.joined(separator: " "))
    }
}

extension [UsageFlag: UsageCount] {
    /// Makes one of all flags that differ only in the name of an object, where there are more than `limit` of these, or somebody
    /// else had too many.
    package mutating func dropNames(beyond limit: Int) {
        var named: [UsageFlag: [UsageFlag]] = [:]
        for flag in keys {
            if let nameless = flag.withoutName { named[nameless, default: []].append(flag) }
        }
        for (nameless, flags) in named where flags.count > limit || self[nameless] != nil && flags.count > 1 {
            var sum = UsageCount()
            for flag in flags { if let count = removeValue(forKey: flag) { sum.add(count) } }
            self[nameless] = sum
        }
    }
}
