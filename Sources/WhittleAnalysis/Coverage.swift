import WhittleModel
import WhittleStore

/// How much evidence is enough for taking rights away.
public struct EvidenceRequirement: Hashable, Sendable {
    /// Days that the logs must span.
    public var minimumDays: Int
    /// Allowed requests by the account itself that must have been seen.
    public var minimumRequests: Int
    /// Part of the window, in percent, that gaps may take before unused grants are graded weak.
    public static let maximumGapPercent = 10

    /// Creates a requirement.
    public init(minimumDays: Int = 7, minimumRequests: Int = 100) {
        self.minimumDays = minimumDays
        self.minimumRequests = minimumRequests
    }
}

/// What the audit logs that were read could show of one service account, and what they could not.
public struct Coverage: Sendable {
    /// A span of time, in microseconds since 1970-01-01 UTC.
    public struct Span: Hashable, Sendable {
        /// The first moment.
        public var from: Int64
        /// The last moment.
        public var to: Int64

        /// Microseconds.
        public var length: Int64 { to - from }

        /// Creates a span.
        public init(from: Int64, to: Int64) {
            self.from = from
            self.to = to
        }
    }

    /// Requests whose subject is the account, by answer.
    public struct Requests: Hashable, Sendable {
        /// Allowed; those of one kind that are still open (watch, exec) count as one.
        public var allowed = 0
        /// Of these: made by the account itself.
        public var own = 0
        /// Refused by the authorizer.
        public var refused = 0
        /// Ended with 403 and no decision.
        public var undecided = 0
        /// Of all: made by somebody else who impersonated the account.
        public var impersonated = 0
    }

    /// Whether pods of a workload began within the logs.
    public enum Start: String, Sendable {
        /// At least one pod did.
        case seen
        /// Every pod is older than the logs, or began in a gap.
        case notSeen = "not seen"
        /// The input does not tell when its pods were made.
        case unknown
    }

    /// The pods of one workload.
    public struct WorkloadStart: Hashable, Sendable {
        /// `Deployment/cart`, `Pod/cart` for a bare pod, or `pods that are gone`.
        public var workload: String
        /// Pods that run, or asked.
        public var pods: Int
        /// Whether one of them began within the logs.
        public var start: Start
    }

    /// Why the evidence is too thin for taking rights away.
    public enum Thinness: Hashable, Sendable {
        /// No log was read, or none with an event.
        case noLogs
        /// Nothing of the account was seen.
        case noRequests
        /// The logs without the days on which they have no event span less than the days asked for.
        case shortWindow(seconds: Int64, minimumDays: Int)
        /// Fewer allowed requests by the account itself than asked for.
        case fewRequests(Int, minimum: Int)
        /// No event tells an answer.
        case noAnswers
        /// No log can show a `get` or `list` of anybody.
        case noReads
        /// Reads of anybody were seen over less than the days asked for: only some of the logs can show them.
        case shortReads(seconds: Int64, minimumDays: Int)

        /// Whether it says something about reads only.
        public var isAboutReads: Bool {
            switch self {
            case .noReads, .shortReads: true
            default: false
            }
        }
    }

    /// A grant and what the audit policy hides of it.
    public struct HiddenGrant: Hashable, Sendable {
        /// The grant.
        public var grant: OwnGrant
        /// What of it.
        public var visibility: GrantVisibility
    }

    /// A hint of the logs about the account.
    public struct Hint: Hashable, Sendable {
        /// `later-denial:…`, `self-check:…`, `hidden:…`, `fallback:…`, `refused-impersonation:…`.
        public var flag: String
        /// Requests.
        public var count: Int
    }

    /// Namespace of the account.
    public var namespace: String
    /// Name of the account.
    public var name: String
    /// First to last event of all logs; `nil` = no event.
    public var window: Span?
    /// First to last request of the account; `nil` = none.
    public var seen: Span?
    /// Where no log has an event for more than ten minutes, in order.
    public var gaps: [Span]
    /// Days (UTC) on which the account asked.
    public var days: Int
    /// Days (UTC) that the window touches.
    public var windowDays: Int
    /// Its requests.
    public var requests: Requests
    /// What all logs are and hold.
    public var logs: LogTotals
    /// Whether an audit policy was given.
    public var hasPolicy: Bool
    /// Grants by name of which the policy hides something; empty without a policy.
    public var hiddenGrants: [HiddenGrant]
    /// Grants whose requests ask for more rights by their bodies, and the policy keeps no bodies; empty without a policy.
    public var bodilessGrants: [OwnGrant]
    /// Workloads of its pods.
    public var starts: [WorkloadStart]
    /// What no audit log shows of its grants, as sentences.
    public var invisible: [String]
    /// What the logs hint at.
    public var hints: [Hint]
    /// Verbs on resources whose names were not kept: `get pods`.
    public var droppedNames: [String]
    /// Kinds the input did not hold although the grants need them.
    public var missingKinds: [String]

    /// Microseconds of the window that gaps take.
    public var gapLength: Int64 { gaps.reduce(0) { $0 + $1.length } }

    /// Part of the window that gaps take, in percent, rounded up.
    public var gapPercent: Int {
        guard let window, window.length > 0 else { return 0 }
        return Int((Double(gapLength) / Double(window.length) * 100).rounded(.up))
    }

    /// Whole days (UTC) without any event. A log that was filtered to a few accounts is silent for hours, one that lacks for days.
    private var silentDays: Int64 { silentDays(from: -1 << 40, count: .max) }

    /// The same of days of which the first is given, since 1970-01-01 UTC.
    private func silentDays(from first: Int64, count: Int64) -> Int64 {
        gaps.reduce(0) { sum, gap in
            let from = max(UsageCount.day(of: gap.from + Self.day - 1), first)
            let to = UsageCount.day(of: gap.to)
            return sum + min(max(0, to - from), count - min(max(0, from - first), count))
        }
    }

    /// Microseconds over which requests of a kind were seen, if the logs are long enough and these were too few: from the first to the
    /// last of them, without the days on which there were other events only.
    ///
    /// `nil` = long enough, or none was seen at all.
    func shortLength(of sighting: LogTotals.Sighting?, _ requirement: EvidenceRequirement) -> Int64? {
        guard let window, let sighting else { return nil }
        let needed = Int64(requirement.minimumDays) * Self.day
        let observed = window.length - silentDays * Self.day
        let span = sighting.span
        let first = UsageCount.day(of: span.from) + 1
        let between = max(0, UsageCount.day(of: span.to) - first)
        let days = Int64(sighting.days.count { $0 >= first && $0 < first + between })
        let silent = silentDays(from: first, count: between)
        let missing = max(0, between - silent - days) * Self.day
        let length = max(0, span.length - (silent * Self.day + missing))
        // At the ends of a log of a quiet cluster there may be none.
        return observed >= needed && length + needed / 14 < needed ? length : nil
    }

    /// Why the evidence is thin; empty = it is not.
    public func thinness(_ requirement: EvidenceRequirement = EvidenceRequirement()) -> [Thinness] {
        guard let window else { return [.noLogs] }
        var reasons: [Thinness] = []
        let needed = Int64(requirement.minimumDays) * Self.day
        let observed = window.length - silentDays * Self.day
        if logs.stages.keys.allSatisfy({ $0 == "RequestReceived" }), !logs.stages.isEmpty {
            reasons.append(.noAnswers)
        } else if logs.events > 0, logs.envelopes["aks-admin", default: 0] >= logs.events {
            reasons.append(.noReads)
        } else if logs.events > 0 {
            if logs.reads == nil { reasons.append(.noReads) }
            if let length = shortLength(of: logs.reads, requirement) {
                reasons.append(.shortReads(seconds: length / 1_000_000, minimumDays: requirement.minimumDays))
            }
        }
        if observed < needed { reasons.append(.shortWindow(seconds: observed / 1_000_000, minimumDays: requirement.minimumDays)) }
        if requests.allowed == 0, requests.refused == 0, requests.undecided == 0 {
            reasons.append(.noRequests)
        } else if requests.own < requirement.minimumRequests {
            reasons.append(.fewRequests(requests.own, minimum: requirement.minimumRequests))
        }
        return reasons
    }

    /// Whether the evidence is too thin for taking rights away.
    public func isThin(_ requirement: EvidenceRequirement = EvidenceRequirement()) -> Bool { !thinness(requirement).isEmpty }
}

extension Coverage {
    /// What the statements about all accounts of a database share, read once.
    public struct Shared: Sendable {
        /// The logs.
        public let logs: LogTotals
        let policy: AuditPolicy?
        let catalogue: ResourceCatalogue
        let missingKinds: [String]
        /// Requests that some service account was logged with, without names; read only when there is no policy.
        let logged: [Request]

        /// Whether no audit policy was given.
        public var isPolicyMissing: Bool { policy == nil }

        /// Reads what the logs hold.
        public init(_ catalogue: ResourceCatalogue, policy: AuditPolicy?, in database: WhittleDatabase) throws {
            self.catalogue = catalogue
            self.policy = policy
            logs = try LogTotals(of: database)
            missingKinds = try database.completeness().missingKinds(forNamespace: nil)
            logged = policy == nil ? try database.run("logged-requests").named.map(\.request) : []
        }
    }

    /// Reads the statement about one service account.
    ///
    /// - Throws: `AnalysisError.unknown` when neither the input nor the usage knows it; `StoreError`.
    public init(namespace: String, name: String, _ shared: Shared, in database: WhittleDatabase) throws {
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let parameters: [String: SQLValue] = ["user": .text(user.name)]
        let row = try database.run("account-coverage", parameters).named.first
        guard try row != nil || database.knowsServiceAccount(namespace: namespace, name: name) else {
            throw AnalysisError.unknown(kind: "ServiceAccount", namespace: namespace, name: name)
        }
        self.namespace = namespace
        self.name = name
        logs = shared.logs
        window = shared.logs.window
        gaps = shared.logs.gaps
        missingKinds = shared.missingKinds
        windowDays = window.map { Int(UsageCount.day(of: $0.to) - UsageCount.day(of: $0.from)) + 1 } ?? 0
        requests = Requests()
        days = 0
        if let row {
            requests.allowed = row["allowed"].integer ?? 0
            requests.own = row["own"].integer ?? 0
            requests.refused = row["refused"].integer ?? 0
            requests.undecided = row["undecided"].integer ?? 0
            requests.impersonated = row["impersonated"].integer ?? 0
            days = row["days"].integer ?? 0
            if let first = row["first_seen"].integer, let last = row["last_seen"].integer {
                seen = Span(from: Int64(first), to: Int64(last))
            }
        }
        hints = try database.run("usage-flags", parameters).named.compactMap { row in
            // The pod of every request, and what roles were made, are no hints about what is missing.
            row["flag"].string.flatMap {
                $0.hasBytePrefix("pod:") || $0.hasBytePrefix("written:") ? nil : Hint(flag: $0, count: row["count"].integer ?? 0)
            }
        }
        hints += try database.run("refused-checks", parameters).named.map { row in
            let target = targetText(resource: row["resource"].string, apiGroup: row["api_group"].string, url: row["path"].string)
            let words = [row["verb"].string ?? "", target, row["name"].string ?? "", row["namespace"].string ?? ""]
            return Hint(
                flag: "refused-\(row["cause"].string ?? ""):\(words.filter { !$0.isEmpty }.joined(separator: " "))",
                count: row["count"].integer ?? 0)
        }
        droppedNames = try database.run("dropped-names", parameters).named.map {
            "\($0["verb"].string ?? "") \(targetText(resource: $0["resource"].string, apiGroup: $0["api_group"].string, url: nil))"
        }
        let pods = try database.run("pod-starts", parameters).named.map(PodLife.init)
        starts = WorkloadStart.all(of: pods, window: window, gaps: gaps)
        let grants = try OwnGrant.all(namespace: namespace, name: name, in: database)
        hasPolicy = shared.policy != nil
        hiddenGrants = []
        bodilessGrants = []
        if let policy = shared.policy {
            let probe = VisibilityProbe(policy, user: user, shared.catalogue)
            for grant in grants where !grant.isNeverAsked {
                let visibility = probe.visibility(of: grant)
                if visibility != .visible { hiddenGrants.append(HiddenGrant(grant: grant, visibility: visibility)) }
                if visibility != .hidden, grant.asksByBody, !probe.tellsBodies(of: grant) { bodilessGrants.append(grant) }
            }
        }
        invisible = GrantNature.sentences(about: grants, shared.catalogue, hasAccessReviews: shared.logs.hasAccessReviews)
    }

    static let day: Int64 = 86_400_000_000
}
