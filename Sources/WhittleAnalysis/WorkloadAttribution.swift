import WhittleModel

/// Which workload of a service account made a request.
public struct WorkloadAttribution: Sendable {
    /// A workload at the top of an owner chain.
    public struct Workload: Hashable, Sendable {
        /// `Deployment`, `CronJob`, …; `Pod` for a pod without a workload.
        public var kind: String
        /// metadata.name.
        public var name: String

        /// Creates a reference to a workload.
        public init(kind: String, name: String) {
            self.kind = kind
            self.name = name
        }

        /// As `Deployment/cart`.
        public var text: String { "\(kind)/\(name)" }
    }

    /// How it is known.
    public enum Means: String, CaseIterable, Sendable {
        /// The credential names a pod of the inventory.
        case pod
        /// The credential names a pod whose name is one that the workload gives its pods.
        case podName = "pod name"
        /// The credential names no pod, and one pod of the account has the address that the request came from.
        case sourceIP = "source IP"
        /// The program is one that only pods of this workload were seen to use.
        case userAgent = "user agent"
    }

    private let workloads: [Workload]
    /// The only workload that a program was seen in.
    private let agents: [ByteString: String]

    /// - Parameter workloads: those that run as the account.
    public init(_ usage: AccountEvidence, workloads: [Workload]) {
        self.workloads = workloads
        var agents: [ByteString: Set<String>] = [:]
        for fact in usage.facts where !fact.userAgent.isEmpty {
            guard let found = Self.byPod(fact, workloads) else { continue }
            agents[ByteString(fact.userAgent), default: []].insert(found.workload)
        }
        self.agents = agents.compactMapValues { $0.count == 1 ? $0.first : nil }
    }

    /// The workload and how it is known; `nil` = unattributed.
    public func workload(of fact: AccountEvidence.Fact) -> (workload: String, means: Means)? {
        if let found = Self.byPod(fact, workloads) { return found }
        // A pod that belongs to none of them is no other's.
        guard fact.pod == nil, let workload = agents[ByteString(fact.userAgent)] else { return nil }
        return (workload, .userAgent)
    }

    private static func byPod(_ fact: AccountEvidence.Fact, _ workloads: [Workload]) -> (workload: String, means: Means)? {
        if let workload = fact.workload { return (workload, fact.isPodByAddress ? .sourceIP : .pod) }
        guard let pod = fact.pod?.splitBytes(at: "/").after else { return nil }
        let candidates = workloads.filter { $0.couldName(pod: pod) }
        // `cart-web` rather than `cart`.
        return candidates.max { $0.name.utf8.count < $1.name.utf8.count }.map { ($0.text, fact.isPodByAddress ? .sourceIP : .podName) }
    }
}

extension WorkloadAttribution.Workload {
    /// Whether a pod of this workload may be named so.
    func couldName(pod: String) -> Bool {
        if kind == "Pod" { return pod.isSameBytes(as: name) }
        guard pod.hasBytePrefix(name + "-") else { return false }
        let parts = pod.utf8.dropFirst(name.utf8.count + 1).split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        func isSuffix(_ part: Substring.UTF8View) -> Bool { GeneratedSuffix.isOfGenerateName(part) }
        func isHash(_ part: Substring.UTF8View) -> Bool { (1...10).contains(part.count) && GeneratedSuffix.mayBe(part) }
        func isNumber(_ part: Substring.UTF8View) -> Bool {
            !part.isEmpty && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        }
        switch kind {
        case "StatefulSet": return parts.count == 1 && isNumber(parts[0])
        case "Deployment": return parts.count == 2 && isHash(parts[0]) && isSuffix(parts[1])
        case "CronJob": return parts.count >= 2 && isNumber(parts[0]) && parts.dropFirst().allSatisfy { isSuffix($0) || isNumber($0) }
        case "Job": return parts.count <= 2 && parts.last.map(isSuffix) ?? false && parts.dropLast().allSatisfy(isNumber)
        default: return parts.count == 1 && isSuffix(parts[0])
        }
    }
}
