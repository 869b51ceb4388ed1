import WhittleModel
import WhittleStore

/// What is known of when a pod began.
struct PodLife {
    var namespace: String
    var pod: String
    var workload: String?
    /// Whether it still runs, as far as the input tells.
    var isPresent: Bool
    var createdAt: Int64?
    var firstSeen: Int64?
    var lastSeen: Int64?

    init(_ row: QueryResult.Row) {
        namespace = row["namespace"].string ?? ""
        pod = row["pod"].string ?? ""
        workload = row["workload"].string
        isPresent = row["present"].isTrue
        createdAt = row["created_at"].integer.map(Int64.init)
        firstSeen = row["first_seen"].integer.map(Int64.init)
        lastSeen = row["last_seen"].integer.map(Int64.init)
    }

    /// The workload, or the pod itself; of pods that are gone nothing tells their workload for sure.
    fileprivate var group: String { workload ?? (isPresent ? "Pod/\(pod)" : "pods that are gone") }

    /// The name without what controllers append: hashes, numbers and what the API server makes up.
    private var stem: ArraySlice<Substring> {
        var parts = pod.split(separator: "-", omittingEmptySubsequences: false)[...]
        while parts.count > 1, let last = parts.last?.utf8,
            last.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) || (5...10).contains(last.count) && GeneratedSuffix.mayBe(last)
        {
            parts.removeLast()
        }
        return parts
    }

    /// Whether another pod is of the same workload, as far as is known.
    private func isLike(_ other: PodLife) -> Bool { workload != nil || isPresent || stem == other.stem }

    /// Whether its first requests would be in the logs.
    fileprivate func start(window: Coverage.Span, gaps: [Coverage.Span], others: [PodLife]) -> Coverage.Start {
        if let createdAt {
            let isInside = window.from <= createdAt && createdAt <= window.to
            return isInside && !gaps.contains { $0.from < createdAt && createdAt < $0.to } ? .seen : .notSeen
        }
        // It took the place of a pod that was seen before.
        if let firstSeen, others.contains(where: { isLike($0) && $0.lastSeen.map { $0 < firstSeen } ?? false }) { return .seen }
        return .unknown
    }
}

extension Coverage.WorkloadStart {
    /// The workloads of an account's pods, by name.
    static func all(of pods: [PodLife], window: Coverage.Span?, gaps: [Coverage.Span]) -> [Coverage.WorkloadStart] {
        let groups = Dictionary(grouping: pods) { ByteString("\($0.namespace)/\($0.group)") }
        return groups.values.compactMap { members -> Coverage.WorkloadStart? in
            guard let first = members.first else { return nil }
            let starts = members.map { pod in window.map { pod.start(window: $0, gaps: gaps, others: members) } ?? .unknown }
            let start: Coverage.Start = starts.contains(.seen) ? .seen : starts.contains(.unknown) ? .unknown : .notSeen
            return Coverage.WorkloadStart(workload: first.group, pods: members.count, start: start)
        }.sorted { bytesPrecede($0.workload, $1.workload) }
    }
}
