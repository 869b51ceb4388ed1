import WhittleModel

/// What shows that something is needed, or was tried. Times are microseconds since 1970-01-01 UTC.
public struct Evidence: Hashable, Sendable {
    /// Requests that completed; 0 = an open watch or exec, or only a declaration.
    public var count = 0
    /// Whether the authorizer refused some of them. Of what was tried and not refused, nothing tells whether it was allowed.
    public var isRefused = false
    /// Earliest request; `nil` = none was seen.
    public var firstSeen: Int64?
    /// Latest request; `nil` = none was seen.
    public var lastSeen: Int64?
    /// Pods that asked, as `shop/cart-7d9c`, in byte order.
    public var pods: [String] = []
    /// Workloads that these pods belong to, as `Deployment/cart`, in byte order.
    public var workloads: [String] = []
    /// User agents, in byte order.
    public var userAgents: [String] = []
    /// Why it is needed: `request`, the cause of an implied need, or `declared`; in byte order.
    public var causes: [String] = []
    /// Where it is declared, as `file:line:col`, in byte order.
    public var places: [String] = []

    /// Creates evidence of nothing.
    public init() {}

    /// Whether a log shows it.
    public var isObserved: Bool { firstSeen != nil }

    /// Takes the evidence of the same need from elsewhere.
    public mutating func add(_ other: Evidence) {
        count += other.count
        isRefused = isRefused || other.isRefused
        firstSeen = [firstSeen, other.firstSeen].compactMap { $0 }.min()
        lastSeen = [lastSeen, other.lastSeen].compactMap { $0 }.max()
        pods = Self.union(pods, other.pods)
        workloads = Self.union(workloads, other.workloads)
        userAgents = Self.union(userAgents, other.userAgents)
        causes = Self.union(causes, other.causes)
        places = Self.union(places, other.places)
    }

    private static func union(_ left: [String], _ right: [String]) -> [String] {
        right.isEmpty ? left : (left + right).uniqued().sorted(by: bytesPrecede)
    }
}

/// A need with what shows it.
public struct EvidencedNeed: Hashable, Sendable {
    /// The need.
    public var need: Need
    /// What shows it.
    public var evidence: Evidence

    /// Creates a need with its evidence.
    public init(_ need: Need, _ evidence: Evidence) {
        self.need = need
        self.evidence = evidence
    }

    /// Each need once, with the evidence of all its occurrences, in canonical order.
    public static func merged(_ needs: some Sequence<EvidencedNeed>) -> [EvidencedNeed] {
        var evidence: [Need: Evidence] = [:]
        for item in needs { evidence[item.need, default: Evidence()].add(item.evidence) }
        return evidence.map { EvidencedNeed($0.key, $0.value) }.sorted { Need.precedes($0.need, $1.need) }
    }
}
