import WhittleModel
import WhittleStore

/// Everything that the logs tell of one service account.
public struct AccountEvidence: Sendable {
    /// One kind of request or implied check, by one pod and program. Times are microseconds since 1970-01-01 UTC.
    public struct Fact: Sendable {
        /// The attributes as the authorizer saw them.
        public var request: Request
        /// `request`, or why it is implied.
        public var cause: String
        /// The answer.
        public var decision: UsageKey.Decision
        /// Whether somebody who impersonated the account asked, with groups that may not be the account's.
        public var isImpersonated: Bool
        /// The pod that asked, as `shop/cart-7d9c`; `nil` = nothing tells it, or the fact is implied.
        public var pod: String?
        /// Whether the credential names no pod, and the pod is the only one of the account that has the address of the request.
        public var isPodByAddress: Bool
        /// The workload that the inventory gives for the pod, as `Deployment/cart`; `nil` = unknown.
        public var workload: String?
        /// The program; `""` = none told.
        public var userAgent: String
        /// Requests that completed.
        public var count: Int
        /// Earliest request.
        public var firstSeen: Int64
        /// Latest request.
        public var lastSeen: Int64
    }

    /// The account.
    public let namespace: String
    /// The account.
    public let name: String
    /// In the order of query `need-evidence`.
    public var facts: [Fact]
    /// What the logs hint at, see query `usage-flags`, in byte order.
    public var hints: [String]
    /// Verbs and resources whose names are not kept.
    public var droppedNames: [RuleAtom]

    /// Reads the usage of an account.
    public init(namespace: String, name: String, in database: WhittleDatabase) throws(StoreError) {
        self.namespace = namespace
        self.name = name
        let user = ["user": SQLValue.text(ServiceAccountName.username(namespace: namespace, name: name))]
        facts = try database.run("need-evidence", user).named.map(Self.fact)
        hints = try database.run("usage-flags", user).named.compactMap { $0["flag"].string }
        droppedNames = try database.run("dropped-names", user).named.map {
            RuleAtom(verb: $0["verb"].string ?? "", apiGroup: $0["api_group"].string ?? "", resource: $0["resource"].string ?? "")
        }
    }

    private static func fact(_ row: QueryResult.Row) -> Fact {
        let isByAddress = row["pod"].string?.isEmpty ?? true
        let prefix = isByAddress ? "address_" : ""
        let namespace = row[isByAddress ? "address_namespace" : "pod_namespace"].string ?? ""
        let pod = row[prefix + "pod"].string.map { "\(namespace)/\($0)" }
        return Fact(
            request: row.request, cause: row["cause"].string ?? "request",
            decision: UsageKey.Decision(rawValue: row["decision"].string ?? "") ?? .unknown,
            isImpersonated: row["impersonated"].isTrue, pod: pod, isPodByAddress: isByAddress && pod != nil,
            workload: row[prefix + "workload"].string,
            userAgent: row["user_agent"].string ?? "", count: row["count"].integer ?? 0, firstSeen: Int64(row["first_seen"].integer ?? 0),
            lastSeen: Int64(row["last_seen"].integer ?? 0))
    }
}
