import WhittleModel
import WhittleStore

/// Grants of one service account that no evidence needed, and how much that proves.
///
/// What decides is whether a rule was needed by some allowed request, not whether a reason named its binding: a reason names one
/// grant of several, in an order that is not stable (semantics AUD-19).
public struct UnusedGrants: Sendable {
    /// How much the silence about a grant proves.
    public enum Grade: String, CaseIterable, Sendable {
        /// Long enough watched, old enough, and every use would have been logged.
        case strong
        /// Something about the evidence is in doubt.
        case weak
        /// It was granted while the logs ran.
        case tooYoung = "too young"
        /// No use would have been logged.
        case notVisible = "not visible"
    }

    /// A grant with its grade.
    public struct Item: Hashable, Sendable {
        /// The grant.
        public var grant: OwnGrant
        /// How much its silence proves.
        public var grade: Grade
        /// Why, as sentences; one says what makes it strong.
        public var reasons: [String]
    }

    /// Namespace of the account.
    public var namespace: String
    /// Name of the account.
    public var name: String
    /// The grants, by scope, binding, rule and atom.
    public var items: [Item]
    /// Grants by name, used ones too.
    public var granted: Int

    /// Reads and grades the unused grants of an account.
    ///
    /// - Parameter coverage: of the same account, from the same `shared`.
    /// - Throws: `StoreError`.
    public init(
        _ coverage: Coverage, _ shared: Coverage.Shared, _ requirement: EvidenceRequirement = EvidenceRequirement(),
        in database: WhittleDatabase
    ) throws {
        (namespace, name) = (coverage.namespace, coverage.name)
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        let grants = try OwnGrant.all(namespace: namespace, name: name, in: database)
        granted = grants.count
        let usage = try AccountUsage(user: user.name, in: database)
        var unused = grants
        // The query judges accounts with usage only; of the others nothing was needed.
        if usage.hasAllowed {
            let keys = Set(try database.run("unused-permissions", ["user": .text(user.name)]).named.map(OwnGrant.key))
            unused = grants.filter { keys.contains($0.key) }
        }
        let probe = shared.policy.map { VisibilityProbe($0, user: user, shared.catalogue) }
        let grader = Grader(coverage: coverage, shared: shared, probe: probe, usage: usage, requirement: requirement)
        items = unused.map(grader.grade)
    }

    /// Counts by grade.
    public func count(_ grade: Grade) -> Int { items.count { $0.grade == grade } }
}

/// What an account did, as far as it casts doubt on the silence about other rights.
struct AccountUsage {
    var hasAllowed = false
    /// `watch apps/deployments`: verb, group and resource of allowed requests.
    private var seen: Set<ByteString> = []
    private var flags: Set<ByteString> = []
    private var droppedNames: Set<ByteString> = []
    /// Whether it writes roles or bindings.
    var writesRBAC = false

    init(user: String, in database: WhittleDatabase) throws {
        let parameters: [String: SQLValue] = ["user": .text(user)]
        for row in try database.run("needs", parameters).named {
            hasAllowed = true
            guard let resource = row["resource"].string else { continue }
            let (verb, group) = (row["verb"].string ?? "", row["api_group"].string ?? "")
            seen.insert(ByteString(Self.key(verb, group, resource)))
            if row["name"].string?.contains(Request.maskedCredential) ?? false { noteDroppedNames(verb, group, resource) }
        }
        for row in try database.run("usage-flags", parameters).named {
            guard let flag = row["flag"].string else { continue }
            if flag.hasBytePrefix("hidden:escalate-or-hold") || flag.hasBytePrefix("hidden:bind-or-hold") { writesRBAC = true }
            // A flag ends with the namespace, if there is one: `self-check:get apps/deployments shop`.
            let words = flag.split(separator: " ", omittingEmptySubsequences: false)
            flags.insert(ByteString(words.prefix(2).joined(separator: " ")))
            // A rule may name all verbs.
            if words.count > 1 { flags.insert(ByteString("\(words[0].splitBytes(at: ":").before):* \(words[1])")) }
        }
        for row in try database.run("dropped-names", parameters).named {
            noteDroppedNames(row["verb"].string ?? "", row["api_group"].string ?? "", row["resource"].string ?? "")
        }
    }

    /// Also for rules that name all verbs.
    private mutating func noteDroppedNames(_ verb: String, _ group: String, _ resource: String) {
        for verb in [verb, "*"] { droppedNames.insert(ByteString(Self.key(verb, group, resource))) }
    }

    private static func key(_ verb: String, _ group: String, _ resource: String) -> String {
        "\(verb) \(group.isEmpty ? "" : "\(group)/")\(resource)"
    }

    func did(_ verb: String, like grant: OwnGrant) -> Bool { holds(seen, "", verb, grant) }
    func dropsNames(of grant: OwnGrant) -> Bool { holds(droppedNames, "", grant.verb, grant) }
    func mayFallBack(to grant: OwnGrant) -> Bool { holds(flags, "fallback:", grant.verb, grant) }
    func asksWhetherItMay(_ grant: OwnGrant) -> Bool { holds(flags, "self-check:", grant.verb, grant) }
    func wasRefusedLater(_ grant: OwnGrant) -> Bool { holds(flags, "later-denial:", grant.verb, grant) }

    private func holds(_ set: Set<ByteString>, _ prefix: String, _ verb: String, _ grant: OwnGrant) -> Bool {
        guard let resource = grant.resource, let group = grant.apiGroup else { return false }
        return set.contains(ByteString(prefix + Self.key(verb, group, resource)))
    }
}

/// Judges the silence about one grant after the other.
private struct Grader {
    let coverage: Coverage
    let shared: Coverage.Shared
    let probe: VisibilityProbe?
    let usage: AccountUsage
    let requirement: EvidenceRequirement

    /// Verbs that are, or include, reads that audit policies leave out.
    private static let readVerbs: Set = ["get", "list", "*"]

    /// Resources that a PUT can create (semantics HID-3).
    private static let createdByUpdate: Set = [
        "roles", "rolebindings", "clusterroles", "clusterrolebindings", "leases", "leasecandidates", "events", "endpoints", "services",
        "limitranges", "runtimeclasses",
    ]

    func grade(_ grant: OwnGrant) -> UnusedGrants.Item {
        func item(_ grade: UnusedGrants.Grade, _ reasons: [String]) -> UnusedGrants.Item {
            UnusedGrants.Item(grant: grant, grade: grade, reasons: reasons)
        }
        var doubts: [String] = []
        switch GrantNature(grant, shared.catalogue) {
        case .asked: break
        case .inside(let reason): return item(.notVisible, [reason])
        case .reviewed(let reason):
            guard shared.logs.hasAccessReviews else { return item(.notVisible, [reason]) }
            doubts.append("\(reason); some are in the logs, but answers are cached")
        case .alsoElsewhere(let reason): doubts.append(reason)
        }
        if let (isTotal, reason) = envelopeDoubt(grant) {
            guard !isTotal else { return item(.notVisible, [reason]) }
            doubts.append(reason)
        }
        if let probe, !grant.isNeverAsked {
            switch probe.visibility(of: grant) {
            case .visible: break
            case .hidden: return item(.notVisible, ["the audit policy logs no request of it"])
            case .partly(let hidden, let count):
                let more = count > hidden.count ? " and \(count - hidden.count) more" : ""
                doubts.append("the audit policy does not log \(hidden.joined(separator: ", "))\(more)")
            }
        } else if probe == nil, !isLogged(grant) {
            doubts.append("no audit policy was given, and no service account was logged with such a request")
        }
        if let window = coverage.window, let created = grant.createdAt, created > window.from {
            return item(.tooYoung, ["binding, role or account were made after the logs begin"])
        }
        doubts += windowDoubts + usageDoubts(grant)
        if grant.resource != nil {
            if Self.readVerbs.contains(grant.verb), let readDoubt { doubts.append(readDoubt) }
            if ["watch", "*"].contains(grant.verb), let watchDoubt { doubts.append(watchDoubt) }
        }
        if grant.createdAt == nil { doubts.append("the input does not tell how old the grant is") }
        guard doubts.isEmpty else { return item(.weak, doubts.uniqued()) }
        let policy = probe == nil ? "; of other accounts they hold such requests" : "; the audit policy logs it"
        let days = coverage.windowDays == 1 ? "1 day" : "\(coverage.windowDays) days"
        return item(.strong, ["older than the logs, which reach over \(days)\(policy)"])
    }

    /// What is wrong with the evidence about reads.
    private var readDoubt: String? {
        coverage.thinness(requirement).lazy.compactMap { reason in
            switch reason {
            case .noReads: "the logs hold no reads (get, list) of anybody"
            case .shortReads(_, let days): "reads (get, list) of anybody were seen over less than \(days) days"
            default: nil
            }
        }.first
    }

    /// What is wrong with the evidence about watches.
    private var watchDoubt: String? {
        guard shared.logs.watches != nil else { return "the logs hold no watch of anybody" }
        return coverage.shortLength(of: shared.logs.watches, requirement).map { _ in
            "watches of anybody were seen over less than \(requirement.minimumDays) days"
        }
    }

    /// Whether some account was logged with a request that the grant would allow, of whatever name and wherever.
    private func isLogged(_ grant: OwnGrant) -> Bool {
        let rule = PolicyRule(
            verbs: [grant.verb], apiGroups: grant.apiGroup.map { [$0] }, resources: grant.resource.map { [$0] },
            nonResourceURLs: grant.url.map { [$0] })
        return shared.logged.contains { RuleMatcher.allows(rule, $0) }
    }

    /// What is wrong with the evidence about every grant.
    private var windowDoubts: [String] {
        var doubts: [String] = coverage.thinness(requirement).compactMap { reason in
            switch reason {
            case .noLogs: "no audit log was read"
            case .noRequests: "nothing of the account was seen"
            case .shortWindow(_, let days): "the logs span less than \(days) days"
            case .fewRequests(_, let minimum): "fewer than \(minimum) requests were allowed"
            case .noAnswers: "no event tells an answer"
            // Says something about reads only.
            case .noReads, .shortReads: nil
            }
        }
        if coverage.gapPercent > EvidenceRequirement.maximumGapPercent { doubts.append("\(coverage.gapPercent) % of the window are gaps") }
        if !coverage.logs.knowsGaps { doubts.append("gaps in the logs are not known") }
        if coverage.starts.contains(where: { $0.start == .notSeen }), !coverage.starts.contains(where: { $0.start == .seen }) {
            doubts.append("no start of its pods was seen")
        }
        if usage.writesRBAC { doubts.append("the account writes roles or bindings, and must hold what it hands out") }
        return doubts
    }

    /// What the account did beside it that casts doubt.
    private func usageDoubts(_ grant: OwnGrant) -> [String] {
        var doubts: [String] = []
        if grant.grant.names != nil, usage.dropsNames(of: grant) {
            doubts.append("the names that were used are not kept")
        }
        if ["list", "*"].contains(grant.verb), usage.mayFallBack(to: grant) || usage.did("watch", like: grant) {
            doubts.append("the account watches it, and falls back to `list`")
        }
        let patches = usage.did("patch", like: grant)
        let puts = usage.did("update", like: grant) && Self.createdByUpdate.contains(grant.resource ?? "")
        if grant.verb == "create", patches || puts {
            doubts.append("the account writes such objects by patch or update, which create what is missing")
        }
        if usage.asksWhetherItMay(grant) { doubts.append("the account asks the server whether it may") }
        if usage.wasRefusedLater(grant) { doubts.append("a request failed for want of it inside the server") }
        return doubts
    }

    /// What wrappers leave out of the reads of a grant: of all events, so that it is invisible, or of some.
    private func envelopeDoubt(_ grant: OwnGrant) -> (isTotal: Bool, reason: String)? {
        guard grant.resource != nil else { return nil }
        for (envelope, verbs) in [("aks-admin", ["get", "list", "*"]), ("gke", ["get", "list", "watch", "*"])]
        where verbs.contains(grant.verb) {
            let wrapped = shared.logs.envelopes[envelope] ?? 0
            guard wrapped > 0, envelope == "aks-admin" || shared.logs.reads == nil else { continue }
            let isTotal = wrapped >= shared.logs.events
            return (isTotal, "\(isTotal ? "the logs are" : "part of the logs is") of \(envelope), which holds no reads")
        }
        return nil
    }
}
