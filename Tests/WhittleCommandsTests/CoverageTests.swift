import Foundation
import Testing
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore
import WhittleTestSupport

/// What logs could show of an account, and what silence about a grant proves.
@Suite("coverage and unused")
struct CoverageTests {
    private static let account = "system:serviceaccount:shop:cart"

    /// One answered request of the account.
    private static func event(
        _ time: String, _ verb: String, _ uri: String, user: String = account, pod: String = "cart-1", code: Int = 200,
        decision: String = "allow", binding: String = "cart", level: String = "Metadata", stage: String = "ResponseComplete"
    ) -> String {
        let reason =
            decision == "allow"
            ? #"RBAC: allowed by RoleBinding \"\#(binding)/shop\" of Role \"\#(binding)\" to ServiceAccount \"cart/shop\""# : ""
        return """
            {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"\(level)","auditID":"\(time)\(verb)\(uri)\(pod)","stage":"\(stage)",\
            "requestURI":"\(uri)","verb":"\(verb)","user":{"username":"\(user)","groups":["system:serviceaccounts",\
            "system:serviceaccounts:shop","system:authenticated"],"extra":{"authentication.kubernetes.io/pod-name":["\(pod)"],\
            "authentication.kubernetes.io/pod-uid":["uid-\(pod)"]}},"userAgent":"cart/1","responseStatus":{"metadata":{},"code":\(code)},\
            "requestReceivedTimestamp":"\(time)","annotations":{"authorization.k8s.io/decision":"\(decision)",\
            "authorization.k8s.io/reason":"\(reason)"}}

            """
    }

    private static func time(day: Int, minute: Int = 0) -> String {
        let (day, minute) = (day + minute / 1_440, minute % 1_440)
        return String(format: "2026-11-%02dT%02d:%02d:00.000000Z", day, minute / 60, minute % 60)
    }

    /// `get configmaps/a` every ten minutes over some days, which leaves no gap.
    private static func steady(_ days: ClosedRange<Int>, pod: String = "cart-1") -> String {
        days.flatMap { day in
            stride(from: 0, to: 1_440, by: 10).map {
                event(time(day: day, minute: $0), "get", "/api/v1/namespaces/shop/configmaps/a", pod: pod)
            }
        }.joined()
    }

    /// What another account does, so that it is known to be logged: every verb on these paths.
    private static func others(_ paths: String...) -> String {
        paths.flatMap { path in
            ["get", "list", "watch", "create", "update", "patch", "delete"].map { verb in
                event(time(day: 3, minute: 1), verb, path, user: "system:serviceaccount:ops:gardener", pod: "gardener")
            }
        }.joined()
    }

    /// The account, its Role `cart` with these rules, and a pod.
    private static func cluster(
        _ rules: String, bound: String = "2026-01-01T00:00:00Z", pod: String = "2026-11-03T00:05:00Z", more: String = ""
    ) -> String {
        """
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: cart, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: cart-1, namespace: shop, uid: uid-cart-1, creationTimestamp: "\(pod)"}
        spec:
          serviceAccountName: cart
          containers: [{name: cart, image: cart}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: cart, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
        rules:
        \(rules)
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: cart, namespace: shop, creationTimestamp: "\(bound)"}
        roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}
        subjects: [{kind: ServiceAccount, name: cart}]
        \(more)
        """
    }

    private static let reading = "- {apiGroups: [\"\"], resources: [configmaps], verbs: [get]}"

    /// Runs a command on a cluster and a log.
    private func run(_ cluster: String, _ log: String?, _ arguments: String..., load: [String] = []) throws -> CommandResult {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        #expect(whittle("load", try workspace.write(cluster, to: "cluster.yaml"), "-o", database).code == 0)
        if let log {
            #expect(whittle(["usage", "load", try workspace.write(log, to: "audit.log"), "--db", database] + load).code == 0)
        }
        return whittle(arguments + ["--db", database])
    }

    private func document(_ result: CommandResult) throws -> JSON { try #require(JSON(data: Data(result.output.utf8))) }

    // MARK: Coverage

    @Test("eight days and some hundred requests are enough, less is thin, nothing is no answer")
    func exitCodes() throws {
        let cluster = Self.cluster(Self.reading)
        let enough = try run(cluster, Self.steady(2...9), "coverage", "sa/cart", "-n", "shop", "-o", "json")
        #expect(enough.code == 0)
        let json = try document(enough)
        #expect(json["thin"].bool == false && json["thinBecause"].array.isEmpty)
        #expect(json["requests"]["allowed"].int == 8 * 144 && json["days"].int == 8 && json["windowDays"].int == 8)
        #expect(json["gaps"].array.isEmpty && json["window"]["from"].string == "2026-11-02T00:00:00.000000Z")

        let short = try run(cluster, Self.steady(2...7), "coverage", "sa/cart", "-n", "shop", "-o", "json")
        #expect(short.code == 1)
        #expect(try document(short)["thinBecause"].strings == ["the logs span 5 days 23 hours, less than 7 days"])
        #expect(try run(cluster, Self.steady(2...7), "coverage", "sa/cart", "-n", "shop", "--minimum-days", "5").code == 0)
        let many = try run(cluster, Self.steady(2...9), "coverage", "sa/cart", "-n", "shop", "--minimum-requests", "1153")
        #expect(many.code == 1 && many.output.contains("1152 allowed requests of the account were seen, less than 1153"))

        #expect(try run(cluster, nil, "coverage", "sa/cart", "-n", "shop").code == 2)
        let silent = Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/pods/a", user: "alice")
        let none = try run(cluster, silent, "coverage", "sa/cart", "-n", "shop")
        #expect(none.code == 2 && none.output.contains("thin: nothing of the account was seen"))
        #expect(try run(cluster, nil, "coverage", "sa/none", "-n", "shop").code == 2)
        #expect(try run(cluster, nil, "coverage", "pod/cart-1").code == 64)
        #expect(try run(cluster, nil, "coverage").code == 64)
        #expect(try run(cluster, nil, "coverage", "-A", "--minimum-days", "-1").code == 64)
    }

    @Test("refused requests are no evidence, and what was never answered proves nothing")
    func refused() throws {
        let refusals = (0..<200).map { number in
            Self.event(
                Self.time(day: 2, minute: number), "delete", "/api/v1/namespaces/shop/pods/a", code: 403, decision: "forbid")
        }.joined()
        let read = Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/pods/a", user: "alice")
        let json = try document(
            try run(Self.cluster(Self.reading), refusals + read, "coverage", "sa/cart", "-n", "shop", "-o", "json", "--minimum-days", "0"))
        #expect(json["requests"]["refused"].int == 200 && json["requests"]["allowed"].int == 0)
        #expect(json["thinBecause"].strings == ["0 allowed requests of the account were seen, less than 100"])
        let received = Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/pods/a", stage: "RequestReceived")
        let text = try run(Self.cluster(Self.reading), received, "coverage", "sa/cart", "-n", "shop").output
        #expect(text.contains("only stage RequestReceived was logged"))
    }

    @Test("a log of writes and watches holds no reads, and what others do by impersonating an account is no evidence of it")
    func oneSided() throws {
        let cluster = Self.cluster(Self.wide)
        let watching = Self.steady(2...9).replacing("\"verb\":\"get\"", with: "\"verb\":\"watch\"")
        let json = try document(try run(cluster, watching, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(json["thinBecause"].strings == ["the logs hold no reads (get, list) of anybody, so what is only read seems unused"])
        let policy = Fixtures.path("audit-policies/everything.yaml")
        let unused = try grades(run(cluster, watching, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json"))
        #expect(unused.contains("get configmaps weak: the logs hold no reads (get, list) of anybody"), "\(unused)")
        #expect(unused.contains { $0.hasPrefix("delete configmaps strong") }, "\(unused)")

        // Reads that were switched on at the end say nothing about the time before.
        let writing = Self.steady(2...9).replacing("\"verb\":\"get\"", with: "\"verb\":\"update\"")
        let late = writing + Self.event(Self.time(day: 9), "get", "/api/v1/namespaces/shop/pods/x")
        let short = "reads (get, list) of anybody were seen over"
        let coverage = try document(try run(cluster, late, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(coverage["thinBecause"].strings == ["\(short) 0 seconds, less than 7 days, so what is only read may seem unused"])
        let lately = try grades(run(cluster, late, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json"))
        #expect(lately.contains("get configmaps weak: \(short) less than 7 days"), "\(lately)")
        #expect(lately.contains { $0.hasPrefix("delete configmaps strong") }, "\(lately)")
        #expect(try run(cluster, late, "compare", "sa/cart", "-n", "shop").errors.contains("note: \(short)"))
        func get(_ day: Int) -> String { Self.event(Self.time(day: day), "get", "/api/v1/namespaces/shop/pods/x") }
        // Watches say that reads were logged between two of them, not before the first and behind the last.
        #expect(try run(cluster, watching + get(2) + get(9), "coverage", "sa/cart", "-n", "shop").code == 0)
        for log in [watching + get(2), watching + get(5), writing + get(2) + get(9), writing + Self.steady(6...9)] {
            #expect(try run(cluster, log, "coverage", "sa/cart", "-n", "shop").output.contains(short))
        }
        #expect(try run(cluster, writing + Self.steady(2...2) + (3...9).map(get).joined(), "coverage", "sa/cart", "-n", "shop").code == 0)
        let day =
            Self.steady(2...2).replacing("\"verb\":\"get\"", with: "\"verb\":\"update\"")
            + Self.event(Self.time(day: 3), "update", "/api/v1/namespaces/shop/pods/x")
        let brief = try run(cluster, day + get(3), "coverage", "sa/cart", "-n", "shop", "--minimum-days", "1")
        #expect(brief.output.contains(short))
        // Watches need watches.
        let watched = Self.cluster("- {apiGroups: [\"\"], resources: [pods], verbs: [watch]}")
        let watch = Self.event(Self.time(day: 9), "watch", "/api/v1/namespaces/shop/pods?watch=true", user: "alice")
        for log in [Self.steady(2...9), Self.steady(2...9) + watch] {
            let grades = try grades(
                run(watched, log, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json"))
            #expect(grades.contains { $0.hasPrefix("watch pods weak") && $0.contains("watch") }, "\(grades)")
        }
        #expect(!(try run(cluster, Self.steady(2...9), "compare", "sa/cart", "-n", "shop").errors.contains("reads")))

        let user = "\"user\":{\"username\":\"\(Self.account)\""
        // A name that is a credential is not kept, so nobody knows whether it is that of the grant.
        let scoped = Self.cluster(
            "- {apiGroups: [authentication.k8s.io], resources: [userextras/scopes], resourceNames: [a], verbs: [impersonate]}")
        let borrowed = Self.event(Self.time(day: 9), "get", "/api/v1/namespaces/shop/configmaps/b").replacing(
            user, with: "\"impersonatedUser\":{\"username\":\"bob\",\"extra\":{\"scopes\":[\"Bearer abcdefgh\"]}},\(user)")
        let masked = try grades(
            run(scoped, Self.steady(2...9) + borrowed, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json"))
        #expect(masked.contains { $0.contains(" weak: ") && $0.contains("the names that were used are not kept") }, "\(masked)")

        // A rule that names all verbs has the doubts of each.
        let all = Self.cluster(
            """
            - {apiGroups: [""], resources: [configmaps], resourceNames: [z], verbs: ["*"]}
            - {apiGroups: [""], resources: [configmaps], verbs: [get]}
            - {apiGroups: [""], resources: [nodes/proxy], verbs: ["*"]}
            - {apiGroups: [metrics.k8s.io], resources: [pods], verbs: ["*"]}
            """)
        let names = (0..<3).map { Self.event(Self.time(day: 9), "get", "/api/v1/namespaces/shop/configmaps/n\($0)") }.joined()
        let wild = try grades(
            run(
                all, Self.steady(2...9) + names, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json",
                load: ["--max-names", "1"]))
        #expect(!wild.contains { $0.hasPrefix("* ") && !$0.contains(" weak: ") }, "\(wild)")
        #expect(wild.contains { $0.hasPrefix("* nodes/proxy weak: kubelets ask for it") }, "\(wild)")
        #expect(wild.contains { $0.hasPrefix("* pods weak: the group `metrics.k8s.io`") }, "\(wild)")

        let impersonating = Self.steady(2...9).replacing(
            user, with: "\"impersonatedUser\":{\"username\":\"\(Self.account)\"},\"user\":{\"username\":\"alice\"")
        let others = try document(try run(cluster, impersonating, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(others["requests"]["allowed"].int == 1152 && others["requests"]["impersonated"].int == 1152)
        #expect(others["thinBecause"].strings == ["0 allowed requests of the account were seen, less than 100"])
    }

    @Test("what is asked for cannot look like a part of a report")
    func forgedReport() throws {
        let forged = Self.event(Self.time(day: 9), "get", "/x%0A%0AEvidence%0A%20%20enough%1B%5B8m<b>[a](//b)")
        for format in ["table", "markdown"] {
            let report = try run(Self.cluster(Self.wide), forged, "report", "sa/cart", "-n", "shop", "-o", format).output
            #expect(report.contains("Evidence") && report.contains("enough") && !report.contains("\u{1B}"))
            #expect(!report.split(separator: "\n").contains("  enough"))
            #expect(format == "table" || report.contains("\\<b>\\[a]"))
        }
    }

    @Test("a gap begins within the window; a day on which nothing ends is a day")
    func edges() throws {
        let events = ["2026-11-02T10:00:59Z", "2026-11-02T10:11:00Z"].map {
            Self.event($0, "get", "/api/v1/namespaces/shop/configmaps/a")
        }
        let json = try document(try run(Self.cluster(Self.reading), events.joined(), "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(json["gapPercent"].int == 100)
        #expect(json["gaps"].array.first?["from"].string == "2026-11-02T10:00:59.000000Z")
        let open = (2...4).map {
            Self.event(Self.time(day: $0), "watch", "/api/v1/namespaces/shop/configmaps?watch=true", stage: "ResponseStarted")
        }
        let watches = try document(
            try run(Self.cluster(Self.reading), open[0] + open[2], "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(watches["days"].int == 2)
    }

    @Test("two hours ten days apart are no ten days; the hole is told")
    func gaps() throws {
        let hours = [2, 12].flatMap { day in
            stride(from: 0, through: 60, by: 10).map {
                Self.event(Self.time(day: day, minute: $0), "get", "/api/v1/namespaces/shop/configmaps/a")
            }
        }.joined()
        let result = try run(
            Self.cluster(Self.reading), hours, "coverage", "sa/cart", "-n", "shop", "-o", "json", "--minimum-requests", "1")
        let json = try document(result)
        #expect(result.code == 1 && json["thinBecause"].strings == ["the logs span 1 day 1 hour, less than 7 days"])
        #expect(json["gapPercent"].int == 100 && json["gaps"].array.count == 1)
        #expect(json["gaps"].array.first?["from"].string == "2026-11-02T01:00:00.000000Z")
        #expect(json["gaps"].array.first?["to"].string == "2026-11-12T00:00:00.000000Z")
        // Hours of silence on every day, as in a log that was filtered, are no missing days.
        let sparse = (2...10).flatMap { day in
            stride(from: 0, to: 1440, by: 90).map {
                Self.event(Self.time(day: day, minute: $0), "get", "/api/v1/namespaces/shop/configmaps/a")
            }
        }.joined()
        #expect(try run(Self.cluster(Self.reading), sparse, "coverage", "sa/cart", "-n", "shop").code == 0)
        // A log that fills the hole closes it.
        let filled = try run(
            Self.cluster(Self.reading), hours + Self.steady(2...11), "coverage", "sa/cart", "-n", "shop", "-o", "json")
        #expect(try filled.code == 0 && document(filled)["gaps"].array.isEmpty)
    }

    @Test(
        "whether a pod began within the logs",
        arguments: [
            ("2026-11-03T00:05:00Z", "seen"), ("2026-10-01T00:00:00Z", "not seen"), ("2026-11-20T00:00:00Z", "not seen"),
        ])
    func starts(_ created: String, _ expected: String) throws {
        let json = try document(
            try run(Self.cluster(Self.reading, pod: created), Self.steady(2...9), "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(json["starts"].array.map { $0["start"].string } == [expected])
        #expect(json["starts"].array.map { $0["workload"].string } == ["Pod/cart-1"])
    }

    @Test("a pod that takes another's place was seen to begin; one made in a gap was not")
    func replacement() throws {
        let owner = """
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: cart-2, namespace: shop, uid: uid-cart-2, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: cart, uid: s, controller: true}]}
            spec: {serviceAccountName: cart, containers: [{name: cart, image: cart}]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: cart-3, namespace: shop, uid: uid-cart-3, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: cart, uid: s, controller: true}]}
            spec: {serviceAccountName: cart, containers: [{name: cart, image: cart}]}
            """
        let log = Self.steady(2...4, pod: "cart-2") + Self.steady(5...9, pod: "cart-3")
        let json = try document(
            try run(Self.cluster(Self.reading, more: owner), log, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(
            json["starts"].array.map { "\($0["workload"].string ?? "") \($0["start"].string ?? "")" }
                == ["Pod/cart-1 seen", "StatefulSet/cart seen"])
        // Pods of a Job that are gone stand together.
        let gone = (2...9).map { Self.steady($0...$0, pod: "job-\($0)") }.joined()
        let jobs = try document(try run(Self.cluster(Self.reading), gone, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(
            jobs["starts"].array.map { "\($0["workload"].string ?? "") \($0["pods"].int ?? 0) \($0["start"].string ?? "")" }
                == ["Pod/cart-1 1 seen", "pods that are gone 8 seen"])
        // Nothing tells that pods of other names are of the same workload, and a request of no pod is of none.
        let old = Self.cluster(Self.wide, pod: "2026-10-01T00:00:00Z")
        let unlike = Self.steady(2...4, pod: "report-x") + Self.steady(5...9, pod: "sync-y")
        let podless = Self.event(Self.time(day: 9), "get", "/api/v1/namespaces/shop/configmaps/a").replacing(
            #/"extra":{.*?]}/#, with: "\"x\":0")
        for (log, expected) in [
            (unlike, ["Pod/cart-1 not seen", "pods that are gone unknown"]), (Self.steady(2...9) + podless, ["Pod/cart-1 not seen"]),
        ] {
            let starts = try document(try run(old, log, "coverage", "sa/cart", "-n", "shop", "-o", "json"))["starts"]
            #expect(starts.array.map { "\($0["workload"].string ?? "") \($0["start"].string ?? "")" } == expected)
            let policy = Fixtures.path("audit-policies/everything.yaml")
            let unused = try grades(run(old, log, "unused", "sa/cart", "-n", "shop", "--audit-policy", policy, "-o", "json"))
            #expect(unused.contains("delete configmaps weak: no start of its pods was seen"), "\(unused)")
        }
        let together = Self.steady(2...9, pod: "cart-2") + Self.steady(2...9, pod: "cart-3")
        let both = try document(
            try run(Self.cluster(Self.reading, more: owner), together, "coverage", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(both["starts"].array.map { $0["start"].string } == ["seen", "unknown"])
        let hole = try document(
            try run(
                Self.cluster(Self.reading, pod: "2026-11-05T12:00:00Z"), Self.steady(2...4) + Self.steady(7...9), "coverage", "sa/cart",
                "-n", "shop", "-o", "json"))
        #expect(hole["starts"].array.map { $0["start"].string } == ["not seen"])
    }

    private static let wide = """
        - {apiGroups: [""], resources: [configmaps], verbs: [get, delete]}
        - {apiGroups: [""], resources: [events], verbs: [create]}
        - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [update]}
        - {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate, update]}
        - {apiGroups: [apps], resources: [deployments/finalizers], verbs: [update]}
        """

    @Test("what the audit policy cannot have logged; a policy that is none is no answer")
    func policy() throws {
        let cluster = Self.cluster(Self.wide)
        let log = Self.steady(2...9)
        let quiet = Fixtures.path("audit-policies/quiet.yaml")
        let result = try run(cluster, log, "coverage", "sa/cart", "-n", "shop", "--audit-policy", quiet, "-o", "json")
        let json = try document(result)
        #expect(result.code == 0 && json["auditPolicy"].bool == true)
        #expect(
            json["hiddenGrants"].array.map { "\($0["request"].string ?? "") \($0["hidden"].string ?? "")" }
                == ["create events in shop all", "update leases.coordination.k8s.io in shop partly"])
        #expect(json["withoutBodies"].strings == ["update roles.rbac.authorization.k8s.io in shop"])
        #expect(json["invisible"].array.count == 3)
        let full = try document(
            try run(
                cluster, log, "coverage", "sa/cart", "-n", "shop", "--audit-policy", Fixtures.path("audit-policies/everything.yaml"), "-o",
                "json"))
        #expect(full["hiddenGrants"].array.isEmpty)
        let text = try run(cluster, log, "coverage", "sa/cart", "-n", "shop").output
        #expect(text.contains("audit policy   not given") || text.contains("audit policy  not given"))
        // Of many grants some are shown, in the document are all.
        let resources = (0..<12).map { "r\($0)" }.joined(separator: ", ")
        let dozen = Self.cluster("- {apiGroups: [events.k8s.io], resources: [\(resources)], verbs: [get]}")
        let short = try run(dozen, log, "coverage", "sa/cart", "-n", "shop", "--audit-policy", quiet).output
        #expect(short.contains("… and the same of 2 more grants"))
        #expect(
            try document(try run(dozen, log, "coverage", "sa/cart", "-n", "shop", "--audit-policy", quiet, "-o", "json"))["hiddenGrants"]
                .array.count == 12)
        let invalid = Fixtures.path("audit-policies/invalid-audit-policy.yaml")
        for command in ["coverage", "unused"] {
            let bad = try run(cluster, log, command, "sa/cart", "-n", "shop", "--audit-policy", invalid)
            #expect(bad.code == 2 && bad.output.isEmpty && bad.errors.contains("invalid-audit-policy.yaml:8:3: error: "))
            #expect(try run(cluster, log, command, "sa/cart", "-n", "shop", "--audit-policy", "/nowhere").code == 2)
        }
    }

    @Test("every format, every account; comments hold no line ends")
    func formats() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", database).code == 0)
        #expect(whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database).code == 0)
        for format in ["table", "wide", "json", "yaml", "csv", "markdown"] {
            for arguments in [["coverage", "-A"], ["coverage", "sa/shop/cart"], ["unused", "-A"], ["unused", "shop:cart"]] {
                let result = whittle(arguments + ["-o", format, "--db", database])
                #expect(
                    result.code == 1 && result.output.contains("cart") && !result.output.contains("Optional("), "\(arguments) \(format)")
            }
        }
        let opened = try WhittleDatabase.open(database)
        let shared = try Coverage.Shared(.builtIn(), policy: nil, in: opened)
        let coverage = try Coverage(namespace: "shop", name: "cart", shared, in: opened)
        #expect(coverage.isThin() && !coverage.isThin(EvidenceRequirement(minimumDays: 0, minimumRequests: 20)))
        #expect(coverage.isThin(EvidenceRequirement(minimumDays: 0, minimumRequests: 21)))
        let comments = CoverageRenderer(coverage).comments
        #expect(comments.first?.hasPrefix("evidence: 2026-11-20T09:00:30.000137Z to ") == true)
        #expect(comments.contains("thin evidence: the logs span 13 minutes, less than 7 days"))
        #expect(comments.allSatisfy { !$0.isEmpty && !$0.contains { $0.isNewline } })
        let report = whittle("report", "sa/cart", "-n", "shop", "--db", database)
        #expect(report.output.contains("Evidence\n  window: 2026-11-20T09:00:30.000137Z") && report.output.contains("  thin: "))
    }

    // MARK: Unused grants

    /// `verb resource grade: reasons` of each unused grant.
    private func grades(_ result: CommandResult) throws -> [String] {
        try document(result).array.flatMap { $0["unused"].array }.map { item in
            let target = item["resource"].string ?? item["nonResourceURL"].string ?? ""
            return
                "\(item["verb"].string ?? "") \(target) \(item["grade"].string ?? ""): \(item["reasons"].strings.joined(separator: "; "))"
        }
    }

    @Test("strong, not visible by nature and by policy")
    func grading() throws {
        let log = Self.steady(2...9)
        let known = Self.others(
            "/api/v1/namespaces/ops/configmaps/a", "/api/v1/namespaces/ops/events", "/apis/coordination.k8s.io/v1/namespaces/ops/leases/a",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/ops/roles/a")
        let arguments = ["unused", "sa/cart", "-n", "shop", "-o", "json"]
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        #expect(whittle("load", try workspace.write(Self.cluster(Self.wide), to: "cluster.yaml"), "-o", database).code == 0)
        #expect(whittle("usage", "load", try workspace.write(log, to: "audit.log"), "--db", database).code == 0)
        let unsure = "weak: no audit policy was given, and no service account was logged with such a request"
        #expect(
            try grades(whittle(arguments + ["--db", database])).prefix(3) == [
                "delete configmaps \(unsure)", "create events \(unsure)", "update leases \(unsure)",
            ])
        #expect(whittle("usage", "load", try workspace.write(known, to: "others.log"), "--db", database).code == 0)
        let plain = whittle(arguments + ["--db", database])
        let strong = "strong: older than the logs, which reach over 8 days; of other accounts they hold such requests"
        #expect(plain.code == 1)
        #expect(
            try grades(plain) == [
                "delete configmaps \(strong)", "create events \(strong)", "update leases \(strong)",
                "escalate roles not visible: `escalate` is checked when a role or binding is written", "update roles \(strong)",
                "update deployments/finalizers not visible: `finalizers` is checked when an object with blocking owner references is written",
            ])
        let quiet = whittle(arguments + ["--db", database, "--audit-policy", Fixtures.path("audit-policies/quiet.yaml")])
        let logged = "strong: older than the logs, which reach over 8 days; the audit policy logs it"
        #expect(
            try grades(quiet) == [
                "delete configmaps \(logged)", "create events not visible: the audit policy logs no request of it",
                "update leases weak: the audit policy does not log update leases.coordination.k8s.io cart-leader in shop",
                "escalate roles not visible: `escalate` is checked when a role or binding is written", "update roles \(logged)",
                "update deployments/finalizers not visible: `finalizers` is checked when an object with blocking owner references is written",
            ])
        let only = whittle(arguments + ["--db", database, "--grade", "not-visible"])
        #expect(try grades(only).count == 2 && only.code == 1)
        let none = whittle(arguments + ["--db", database, "--grade", "too-young"])
        #expect(try grades(none).isEmpty && none.code == 0)
        #expect(whittle(arguments + ["--db", database, "--grade", "odd"]).code == 64)
        let place = try document(plain).array.first?["unused"].array.first
        #expect(place?["grant"]["source"].string?.hasSuffix("cluster.yaml:16:3") == true)
        #expect(place?["grant"]["binding"]["name"].string == "cart" && place?["createdAt"].string == "2026-01-01T00:00:00.000000Z")
    }

    @Test("made within the logs is too young, made before is not, of unknown age is in doubt")
    func age() throws {
        let rules = "- {apiGroups: [\"\"], resources: [configmaps], verbs: [get, delete]}"
        func first(bound: String, _ edit: (String) -> String = { $0 }) throws -> String {
            try grades(
                try run(
                    edit(Self.cluster(rules, bound: bound)), Self.steady(2...9) + Self.others("/api/v1/namespaces/ops/configmaps/a"),
                    "unused", "sa/cart", "-n", "shop", "-o", "json")
            ).joined(separator: "|")
        }
        #expect(try first(bound: "2026-11-05T00:00:00Z").hasPrefix("delete configmaps too young: "))
        #expect(try first(bound: "2026-11-30T00:00:00Z").hasPrefix("delete configmaps too young: "))
        #expect(try first(bound: "2026-11-01T23:59:59Z").hasPrefix("delete configmaps strong: "))
        let young = try first(bound: "2026-01-01T00:00:00Z") {
            $0.replacing(
                "metadata: {name: cart, namespace: shop, creationTimestamp: \"2026-01-01T00:00:00Z\"}\nrules",
                with:
                    "metadata: {name: cart, namespace: shop, creationTimestamp: \"2026-11-06T00:00:00Z\"}\nrules")
        }
        #expect(young.hasPrefix("delete configmaps too young: "))
        let unknown = try first(bound: "2026-01-01T00:00:00Z") { $0.replacing(", creationTimestamp: \"2026-01-01T00:00:00Z\"", with: "") }
        #expect(unknown == "delete configmaps weak: the input does not tell how old the grant is")
    }

    @Test("a short log, gaps, few requests and no start make it weak, and each is told")
    func doubts() throws {
        let rules = "- {apiGroups: [\"\"], resources: [configmaps], verbs: [get, delete]}"
        let short = try grades(
            try run(
                Self.cluster(rules, pod: "2026-10-01T00:00:00Z"),
                Self.steady(2...2) + Self.others("/api/v1/namespaces/ops/configmaps/a").replacing("2026-11-03", with: "2026-11-02")
                    + Self.steady(4...4), "unused", "sa/cart", "-n",
                "shop", "-o", "json", "--minimum-requests", "1000"))
        #expect(
            short == [
                "delete configmaps weak: the logs span less than 7 days; fewer than 1000 requests were allowed; 34 % of the window are gaps; no start of its pods was seen"
            ])
        let silent = try run(
            Self.cluster(rules), Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/pods/a", user: "alice"), "unused",
            "sa/cart", "-n", "shop", "-o", "json")
        #expect(silent.code == 1)
        let all = try grades(silent)
        #expect(all.count == 2 && all.allSatisfy { $0.contains(" weak: ") && $0.contains("nothing of the account was seen") })
        #expect(try run(Self.cluster(rules), nil, "unused", "sa/cart", "-n", "shop").code == 2)
        #expect(try run(Self.cluster(rules), Self.steady(2...3), "unused", "sa/none", "-n", "shop").code == 2)
    }

    @Test("what the account does beside it casts doubt")
    func neighbours() throws {
        let rules = """
            - {apiGroups: [""], resources: [configmaps, secrets], verbs: [get, list, watch, create, patch]}
            - {apiGroups: [""], resources: [pods], resourceNames: [a], verbs: [get]}
            - {apiGroups: [""], resources: [nodes/proxy], verbs: [get]}
            - {apiGroups: [metrics.k8s.io], resources: [pods], verbs: [list]}
            """
        let more = [
            Self.event(Self.time(day: 9, minute: 1), "watch", "/api/v1/namespaces/shop/configmaps?watch=true"),
            Self.event(Self.time(day: 9, minute: 2), "patch", "/api/v1/namespaces/shop/secrets/a"),
        ].joined()
        let names = ["x", "y", "z"].map { Self.event(Self.time(day: 9, minute: 3), "get", "/api/v1/namespaces/shop/pods/\($0)") }.joined()
        let known = Self.others(
            "/api/v1/namespaces/ops/configmaps/a", "/api/v1/namespaces/ops/secrets/a", "/api/v1/namespaces/ops/pods/a",
            "/api/v1/nodes/n/proxy/", "/apis/metrics.k8s.io/v1beta1/namespaces/ops/pods")
        let found = try grades(
            try run(
                Self.cluster(rules), Self.steady(2...9) + more + names + known, "unused", "sa/cart", "-n", "shop", "-o", "json",
                load: ["--max-names", "2"]))
        let strong = "strong: older than the logs, which reach over 8 days; of other accounts they hold such requests"
        #expect(
            found == [
                "create configmaps \(strong)", "list configmaps weak: the account watches it, and falls back to `list`",
                "patch configmaps \(strong)",
                "create secrets weak: the account writes such objects by patch or update, which create what is missing",
                "get secrets \(strong)", "list secrets \(strong)", "watch secrets weak: watches of anybody were seen over less than 7 days",
                "get pods weak: the names that were used are not kept", "get nodes/proxy weak: kubelets ask for it by access reviews",
                "list pods weak: the group `metrics.k8s.io` may be served by another API server, which can be asked directly",
            ])
    }

    @Test("a binding that no reason names is not unused for that: what its rules allow was needed")
    func neverNamed() throws {
        let other = """
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: "twin", namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
            roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}
            subjects: [{kind: ServiceAccount, name: cart}]
            """
        let cluster = Self.cluster(Self.reading, more: other)
        let result = try run(cluster, Self.steady(2...9), "unused", "sa/cart", "-n", "shop", "-o", "json")
        #expect(try grades(result).isEmpty && result.code == 0)
        let rows = try document(try run(cluster, Self.steady(2...9), "query", "binding-evidence", "-o", "json")).array
        #expect(rows.map { $0["binding"].string } == ["cart"])
        #expect(rows.first?["verb"].string == "get" && rows.first?["name"].string == "a" && rows.first?["count"].int == 1_152)
        #expect(rows.first?["last_seen"].int == 1_794_268_200_000_000 && rows.first?["bound"].int == 1)
        let usage = try document(try run(cluster, Self.steady(2...9), "query", "binding-usage", "-o", "json")).array
        #expect(usage.first { $0["binding"].string == "twin" }?["count"].int == 0)
    }

    @Test("names in reasons are unquoted, and name first: what a binding allowed is found by its name")
    func quotedNames() throws {
        let odd = """
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: 'say "hi" of \\ to', namespace: shop}
            roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}
            subjects: [{kind: ServiceAccount, name: cart}]
            """
        // In the log a quote of a name is escaped for Go, and that for JSON.
        let name = #"say \\\"hi\\\" of \\\\ to"#
        let log = Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/configmaps/a", binding: name)
        let rows = try document(try run(Self.cluster(Self.reading, more: odd), log, "query", "binding-evidence", "-o", "json")).array
        #expect(rows.map { $0["binding"].string } == [#"say "hi" of \ to"#])
        #expect(rows.first?["bound"].int == 1 && rows.first?["binding_namespace"].string == "shop")
    }

    @Test("refused impersonation and other hints are told")
    func hints() throws {
        let refused =
            #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"x","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{"username":"system:serviceaccount:shop:cart"},"responseStatus":{"code":403,"message":"users \"alice\" is forbidden: User \"system:serviceaccount:shop:cart\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"},"requestReceivedTimestamp":"2026-11-02T00:01:00.000000Z"}"#
        let review = Self.event(
            Self.time(day: 2), "create", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles", code: 201)
        let result = try run(Self.cluster(Self.wide), review + refused + "\n", "coverage", "sa/cart", "-n", "shop", "-o", "json")
        let json = try document(result)
        #expect(
            json["hints"].array.map { "\($0["flag"].string ?? "") \($0["count"].int ?? 0)" }
                == ["hidden:escalate-or-hold roles shop 1", "refused-impersonation:impersonate users alice 1"])
        let unused = try grades(
            try run(
                Self.cluster(Self.wide), Self.steady(2...9) + review + Self.others("/api/v1/namespaces/ops/configmaps/a"), "unused",
                "sa/cart", "-n", "shop", "-o", "json"))
        #expect(unused.contains("delete configmaps weak: the account writes roles or bindings, and must hold what it hands out"))
    }

    @Test("an account of which only an access review tells is known, and spoils no statement about others")
    func reviewed() throws {
        let review =
            Self.event(
                Self.time(day: 2), "create", "/apis/authorization.k8s.io/v1/subjectaccessreviews", user: "system:node:a", code: 201,
                level: "RequestResponse"
            ).replacing(
                #""requestReceivedTimestamp""#,
                with: #""requestObject":{"spec":{"user":"system:serviceaccount:gone:away","resourceAttributes":{"verb":"get","#
                    + #""resource":"nodes","subresource":"metrics","name":"n1"}}},"responseObject":{"status":{"allowed":true}},"#
                    + #""requestReceivedTimestamp""#)
        let log = Self.event(Self.time(day: 2), "get", "/api/v1/namespaces/shop/configmaps/a") + review
        let every = try document(try run(Self.cluster(Self.reading), log, "coverage", "-A", "-o", "json"))
        #expect(every.array.map { $0["name"].string } == ["away", "cart"])
        #expect(try run(Self.cluster(Self.wide), log, "unused", "-A").code == 1)
        for command in ["coverage", "report"] {
            let result = try run(Self.cluster(Self.reading), log, command, "sa/away", "-n", "gone")
            #expect(result.code == (command == "report" ? 0 : 2) && !result.errors.contains("has no ServiceAccount"))
            #expect(try run(Self.cluster(Self.reading), log, command, "sa/nobody", "-n", "gone").errors.contains("has no ServiceAccount"))
        }
    }

    @Test("logs without reads make reads invisible, logs that hold some make them doubtful")
    func adminLogs() throws {
        let rules = "- {apiGroups: [\"\"], resources: [configmaps], verbs: [get, list, watch, delete, create]}"
        let deletions = stride(from: 0, through: 8 * 1_440, by: 10).map {
            Self.event(Self.time(day: 2, minute: $0), "delete", "/api/v1/namespaces/shop/configmaps/a")
        }
        let known = (["create"] + Array(repeating: "watch", count: 9)).enumerated().map { day, verb in
            Self.event(
                Self.time(day: 1 + max(1, day)), verb, "/api/v1/namespaces/ops/configmaps", user: "system:serviceaccount:ops:gardener",
                pod: "gardener")
        }
        let records = (deletions + known).map { event in
            let quoted = event.trimmingCharacters(in: .newlines).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return #"{"category":"kube-audit-admin","properties":{"log":"\#(quoted)"}}"# + "\n"
        }.joined()
        let admin = try grades(try run(Self.cluster(rules), records, "unused", "sa/cart", "-n", "shop", "-o", "json"))
        let strong = "strong: older than the logs, which reach over 9 days; of other accounts they hold such requests"
        #expect(
            admin == [
                "create configmaps \(strong)", "get configmaps not visible: the logs are of aks-admin, which holds no reads",
                "list configmaps not visible: the logs are of aks-admin, which holds no reads", "watch configmaps \(strong)",
            ])
        let thin = "the logs hold no reads (get, list) of anybody"
        let coverage = try run(Self.cluster(rules), records, "coverage", "sa/cart", "-n", "shop")
        #expect(coverage.code == 1)
        #expect(coverage.output.contains(thin))
        let patch = try run(Self.cluster(rules), records, "propose", "sa/cart", "-n", "shop", "--patch")
        #expect(patch.code == 2)
        #expect(patch.errors.contains(thin))
        let mixed = try grades(
            try run(Self.cluster(rules), records + Self.steady(3...3), "unused", "sa/cart", "-n", "shop", "-o", "json"))
        #expect(mixed.contains { $0.hasPrefix("list configmaps weak: part of the logs is of aks-admin, which holds no reads") })
    }

    // MARK: Recorded data

    @Test(
        "the recorded log: requests as an independent program counts them, grants as the matcher judges them",
        .enabled(if: Fixtures.referenceData != nil))
    func recorded() throws {
        let reference = try #require(Fixtures.referenceData)
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        #expect(whittle("load", "\(reference)/apiserver/dump/all.json", "-o", database).code == 0)
        #expect(whittle("usage", "load", "\(reference)/apiserver/audit.log.gz", "--db", database).code == 0)
        var expected: [String: [String: Int]] = [:]
        for line in try Fixtures.lines("\(reference)/apiserver/audit-usage.jsonl.gz") {
            let row = try #require(JSON(data: Data(line.utf8)))
            expected[row["user"].string ?? "", default: [:]][row["decision"].string ?? "", default: 0] += row["count"].int ?? 0
        }
        let opened = try WhittleDatabase.open(database)
        let shared = try Coverage.Shared(.builtIn(extendedBy: try opened.apiResources()), policy: nil, in: opened)
        var compared = 0
        var unusedCount = 0
        for (namespace, name) in try opened.serviceAccounts() {
            let coverage = try Coverage(namespace: namespace, name: name, shared, in: opened)
            let user = ServiceAccountName.username(namespace: namespace, name: name)
            let counts = expected[user] ?? [:]
            #expect(coverage.requests.allowed == counts["allow"] ?? 0, "\(user)")
            #expect(coverage.requests.refused == counts["forbid"] ?? 0, "\(user)")
            if !counts.isEmpty { compared += 1 }
            let unused = try UnusedGrants(coverage, shared, in: opened)
            let needs = try opened.run("needs", ["user": .text(user)]).named.map { row -> Request in
                if let path = row["path"].string { return Request(verb: row["verb"].string ?? "", path: path) }
                let (resource, subresource) = (row["resource"].string ?? "").splitBytes(at: "/")
                return Request(
                    verb: row["verb"].string ?? "", apiGroup: row["api_group"].string ?? "", resource: resource,
                    subresource: subresource ?? "", namespace: row["namespace"].string ?? "", name: row["name"].string ?? "")
            }
            let granted = try opened.run("own-grants", ["user": .text(user)]).named.map {
                OwnGrant($0, account: SubjectName(kind: "ServiceAccount", namespace: namespace, name: name))
            }
            let idle = granted.filter { grant in
                let rule = PolicyRule(
                    verbs: [grant.verb], apiGroups: grant.apiGroup.map { [$0] }, resources: grant.resource.map { [$0] },
                    resourceNames: grant.grant.names, nonResourceURLs: grant.url.map { [$0] })
                return !needs.contains { need in
                    (grant.grant.scopeNamespace.map { $0 == need.namespace && need.path == nil } ?? true) && RuleMatcher.allows(rule, need)
                }
            }
            #expect(unused.items.map(\.grant) == idle, "\(user)")
            unusedCount += idle.count
        }
        #expect(compared > 80 && unusedCount > 1_000)
    }
}
