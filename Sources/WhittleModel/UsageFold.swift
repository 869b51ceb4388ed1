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
        /// The digest of its first 4 KiB, the same however long it grows; `""` = it is shorter, or not known.
        public var head = ""
        /// The digest of the part that an earlier load read; `nil` = none did.
        public var extendedDigest: String?
        /// Whether it ended behind these bytes, so that others may hold it as it was then.
        public var isEnded = true
        /// What it was when earlier loads had read it; told by databases and exports only.
        public var earlier: [State] = []
        /// Microseconds; `nil` no event.
        public var firstEvent: Int64?
        /// Microseconds; `nil` no event.
        public var lastEvent: Int64?
        /// Events read.
        public var events = 0
        /// Completed and decided requests: usage, or need of an impersonation that was refused.
        public var requests = 0
        /// RequestReceived and ResponseStarted events.
        public var receivedOnly = 0
        /// Refused before authorization: 401, 429, 503.
        public var ignored = 0
        /// Completed requests of decision `unknown`.
        public var undecided = 0
        /// Events that were read before, in this log or another.
        public var repeated = 0
        /// Records of other logs than the audit log, and messages that hold none.
        public var skipped = 0
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
        /// Whether the user has said what its records are wrapped in. A log without events is not taken for read then.
        public var isFormatForced = false

        /// Lines and records that are no event.
        public var rejected: Int { rejects.values.reduce(0, +) }

        /// Adds what a later part came to.
        package mutating func add(_ part: Log) {
            byteCount = part.byteCount
            lineCount = part.lineCount
            digest = part.digest
            head = part.head
            firstEvent = [firstEvent, part.firstEvent].compactMap { $0 }.min()
            lastEvent = [lastEvent, part.lastEvent].compactMap { $0 }.max()
            events += part.events
            requests += part.requests
            receivedOnly += part.receivedOnly
            ignored += part.ignored
            undecided += part.undecided
            repeated += part.repeated
            skipped += part.skipped
            rejects.merge(part.rejects, uniquingKeysWith: +)
            envelopes.merge(part.envelopes, uniquingKeysWith: +)
            levels.merge(part.levels, uniquingKeysWith: +)
            stages.merge(part.stages, uniquingKeysWith: +)
            decisions.merge(part.decisions, uniquingKeysWith: +)
            minutes.formUnion(part.minutes)
        }

        /// Creates a description of a log that nothing was read of.
        public init(path: String) { self.path = path }

        /// What a log was before it grew.
        public struct State: Hashable, Sendable {
            /// What tells its bytes from others.
            public var digest: String
            /// Decompressed bytes.
            public var byteCount: Int
            /// Line feeds.
            public var lineCount: Int

            /// Creates a state.
            public init(digest: String, byteCount: Int, lineCount: Int) {
                self.digest = digest
                self.byteCount = byteCount
                self.lineCount = lineCount
            }
        }
    }

    /// Distinct texts without NUL.
    public var texts = TextPool()
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
            pod: text(fact.pod), podUID: text(fact.podUID), address: text(fact.address), userAgent: text(fact.userAgent),
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
    /// See `UsageFold.Log.head`.
    public var head: String

    /// Creates a description.
    public init(digest: String, lineCount: Int, head: String = "") {
        self.digest = digest
        self.lineCount = lineCount
        self.head = head
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
