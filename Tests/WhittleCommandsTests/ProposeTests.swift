import Foundation
import Testing
import WhittleTestSupport

/// Proposals from small logs and manifests, as a user makes them.
@Suite("propose")
struct ProposeTests {
    /// One answered request.
    struct Event {
        var uri: String
        var verb: String
        var user = "system:serviceaccount:shop:cart"
        var code = 200
        var decision = "allow"
        var time = "2026-11-03T10:00:00.000000Z"
        var pod: String?
        var agent = "cart/1.0"
        var more = ""

        init(_ verb: String, _ uri: String) { (self.verb, self.uri) = (verb, uri) }

        func with(_ change: (inout Event) -> Void) -> Event {
            var event = self
            change(&event)
            return event
        }

        func line(_ number: Int) -> String {
            let extra =
                pod.map {
                    #","extra":{"authentication.kubernetes.io/pod-name":["\#($0)"],"authentication.kubernetes.io/pod-uid":["u-\#($0)"]}"#
                } ?? ""
            return
                #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id-\#(number)","stage":"ResponseComplete","requestURI":"\#(uri)","verb":"\#(verb)","user":{"username":"\#(user)","groups":["system:serviceaccounts","system:authenticated"]\#(extra)},"userAgent":"\#(agent)","responseStatus":{"code":\#(code)},"requestReceivedTimestamp":"\#(time)","stageTimestamp":"\#(time)","annotations":{"authorization.k8s.io/decision":"\#(decision)"}\#(more)}"#
        }
    }

    static let account = """
        {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: cart, namespace: shop}, roleRef: {kind: ClusterRole, name: admin, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]}

        """

    /// A database of manifests and a log.
    private func database(_ events: [Event], _ manifests: String = account, in workspace: borrowing Workspace) throws -> String {
        let database = workspace.file("c.db")
        let loaded = whittle("load", try workspace.write(manifests, to: "cluster.yaml"), "-o", database)
        try #require(loaded.code == 0, "\(loaded.errors)")
        guard !events.isEmpty else { return database }
        let log = events.enumerated().map { $1.line($0) + "\n" }.joined()
        try #require(whittle("usage", "load", try workspace.write(log, to: "audit.log"), "--db", database).code == 0)
        return database
    }

    private func propose(_ arguments: String..., db: String) -> CommandResult { whittle(["propose"] + arguments + ["--db", db]) }

    /// What `-o json` says of the first proposal.
    private func document(_ result: CommandResult) throws -> JSON {
        try #require(JSON(data: Data(result.output.utf8)), "\(result.errors)")["proposals"].array.first ?? .null
    }

    private static let pods = "/api/v1/namespaces/shop/pods"
    private static let maps = "/api/v1/namespaces/shop/configmaps"

    // MARK: Steps

    @Test(
        "a name that a machine made up drops resourceNames, a fixed one stays",
        arguments: [
            ("cart-7d9f8c6b5d-x2k4q", true), ("job-k8vzn", true), ("pvc-0a1b2c3d-1111-2222-3333-0123456789ab", true),
            ("cart.17f3a2b4c5d6e7f8", true), ("report-1730620800", true), ("sh.helm.release.v1.cart.v12", true),
            ("cart-state", false), ("ingress-https", false), ("cart-0", false), ("kube-root-ca.crt", false), ("x", false),
            ("v1-proxy", false),
        ])
    func generatedNames(_ name: String, _ isGenerated: Bool) throws {
        let workspace = try Workspace()
        let db = try database([Event("get", "\(Self.maps)/\(name)")], in: workspace)
        let result = propose("sa/cart", "-n", "shop", "-o", "json", db: db)
        let steps = try document(result)["generalisations"].array
        #expect(steps.map { $0["step"].string } == (isGenerated ? ["generated-names"] : []))
        #expect(result.output.contains("\"resourceNames\"") == !isGenerated)
        // Switched off, exactly this step is missing.
        let exact = propose("sa/cart", "-n", "shop", "--no-generated-names", db: db)
        #expect(exact.output.contains("resourceNames") && !exact.output.contains("beyond the needs"))
    }

    @Test("a pod of a ReplicaSet is known by its owner, whatever its name")
    func ownedNames() throws {
        let workspace = try Workspace()
        let pod = """
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: aaa, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: rs, uid: u, controller: true}]}, spec: {containers: [{name: c, image: i}]}}

            """
        let db = try database([Event("delete", "\(Self.pods)/aaa")], Self.account + pod, in: workspace)
        let steps = try document(propose("sa/cart", "-n", "shop", "-o", "json", db: db))["generalisations"].array
        #expect(steps.first?["reason"].string == "`aaa` belongs to ReplicaSet/rs")
        #expect(steps.first?["unbounded"].bool == true && steps.first?["requests"].int == 1)
    }

    @Test("own objects under three names, and more names than the limit, drop resourceNames of that verb only")
    func manyNames() throws {
        let workspace = try Workspace()
        let used = ["one", "two", "six"].map { Event("update", "\(Self.maps)/\($0)") }
        let read = ["one", "two", "six"].map { Event("get", "/api/v1/namespaces/shop/secrets/\($0)") }
        let db = try database([Event("create", Self.maps).with { $0.code = 201 }] + used + read, in: workspace)
        let steps = try document(propose("sa/cart", "-n", "shop", "-o", "json", db: db))["generalisations"].array
        #expect(steps.map { $0["step"].string } == ["create-then-use"])
        #expect(steps.first?["atoms"].array.map { $0["verb"].string } == ["update"])
        #expect(!propose("sa/cart", "-n", "shop", "--no-create-then-use", db: db).output.contains("create-then-use"))
        let limited = try document(propose("sa/cart", "-n", "shop", "--max-resource-names", "2", "-o", "json", db: db))
        #expect(Set(limited["generalisations"].array.map { $0["step"].string }) == ["create-then-use", "many-names"])
        #expect(!propose("sa/cart", "-n", "shop", "--exact", db: db).output.contains("beyond the needs"))
    }

    @Test("each verb closure is a switch, told with its reason")
    func closures() throws {
        let workspace = try Workspace()
        let db = try database(
            [
                Event("watch", "\(Self.pods)?watch=1"), Event("update", "\(Self.maps)/a"),
                Event("create", Self.maps).with { $0.code = 201 },
            ], in: workspace)
        func steps(_ switches: String...) throws -> [String] {
            let result = whittle(["propose", "sa/cart", "-n", "shop", "-o", "json", "--db", db] + switches)
            return try document(result)["generalisations"].array.flatMap { step in
                step["atoms"].array.map { "\(step["step"].string ?? ""): \($0["verb"].string ?? "") \($0["resource"].string ?? "")" }
            }
        }
        #expect(try steps() == ["watch-list: list pods"])
        #expect(try steps("--no-watch-list") == [])
        #expect(try steps("--exact") == [])
        #expect(try steps("--no-watch-list", "--write-closure") == ["write-closure: patch configmaps"])
        #expect(try steps("--no-watch-list", "--lifecycle") == ["lifecycle: delete configmaps"])
        #expect(try steps("--read-closure") == ["watch-list: list pods", "read-closure: get pods"])
    }

    @Test("an object of others that has the name of a proposed one is told of with its place, one of ours is not")
    func takenNames() throws {
        let workspace = try Workspace()
        func role(_ more: String) -> String {
            Self.account
                + "---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: 'whittle:shop:cart', namespace: shop\(more)}, rules: []}\n"
        }
        let event = Event("list", Self.pods)
        let db = try database([event], role(""), in: workspace)
        let foreign = propose("sa/cart", "-n", "shop", db: db)
        let sentence = "is not managed by whittle, and applying the proposal replaces it; rename or delete it first"
        #expect(foreign.errors.contains("cluster.yaml:7:1: warning: Role shop/whittle:shop:cart \(sentence)\n"))
        let judged = whittle("verify", try workspace.write(foreign.output, to: "p.yaml"), "--db", db)
        #expect(judged.code == 1 && judged.output.hasPrefix("proven: "))
        #expect(judged.errors.contains("finding: Role shop/whittle:shop:cart of \(workspace.file("cluster.yaml")):7:1 \(sentence)\n"))
        let own = role(", labels: {app.kubernetes.io/managed-by: whittle}")
        let other = try Workspace()
        let ownDB = try database([event], own, in: other)
        let again = propose("sa/cart", "-n", "shop", db: ownDB)
        #expect(!again.errors.contains("not managed by whittle"))
        #expect(whittle("verify", try other.write(again.output, to: "p.yaml"), "--db", ownDB).code == 0)
    }

    @Test("a binding of others that has the name of a proposed one is told of too, also by --out and --patch")
    func takenBindings() throws {
        let workspace = try Workspace()
        let foreign =
            "---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: 'whittle:shop:cart'}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: []}\n"
        let db = try database([Event("list", "/api/v1/pods")], Self.account + foreign, in: workspace)
        let sentence = "cluster.yaml:7:1: warning: ClusterRoleBinding whittle:shop:cart is not managed by whittle"
        for more in [[], ["--out", workspace.file("out")], ["--patch", "--accept-thin-evidence"]] {
            let errors = whittle(["propose", "sa/cart", "-n", "shop", "--db", db] + more).errors
            #expect(errors.contains(sentence), "\(more): \(errors)")
        }
        // A RoleBinding of that name is another object.
        let other = try Workspace()
        let local = try database([Event("list", Self.pods)], Self.account + foreign, in: other)
        #expect(!propose("sa/cart", "-n", "shop", db: local).errors.contains("not managed by whittle"))
    }

    @Test("names that were not kept are told with the most that they can be")
    func droppedNameSize() throws {
        let workspace = try Workspace()
        let pods = ["a", "b", "c"].map {
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: \($0), namespace: shop}, spec: {containers: [{name: c, image: i}]}}\n"
        }.joined()
        let db = workspace.file("c.db")
        try #require(whittle("load", try workspace.write(Self.account + pods, to: "cluster.yaml"), "-o", db).code == 0)
        let log = ["a", "b", "x"].enumerated().map { Event("get", "\(Self.pods)/\($1)").line($0) + "\n" }.joined()
        try #require(whittle("usage", "load", try workspace.write(log, to: "a.log"), "--max-names", "2", "--db", db).code == 0)
        let step = try document(propose("sa/cart", "-n", "shop", "-o", "json", db: db))["generalisations"].array.first ?? .null
        #expect(step["step"].string == "dropped-names" && step["unbounded"].bool == true)
        #expect(step["requests"].int == 3)
    }

    @Test("a label selector of namespaces spreads what two of them need over all of them, and nothing else")
    func namespaceSelector() throws {
        let workspace = try Workspace()
        let namespaces = [("a", "shop"), ("b", "shop"), ("c", "shop"), ("d", "shop"), ("e", "bank")].map {
            "---\n{apiVersion: v1, kind: Namespace, metadata: {name: \($0.0), labels: {team: \($0.1)}}}\n"
        }
        let events = ["a", "b", "e"].map { Event("list", "/api/v1/namespaces/\($0)/pods") }
        let single = Event("get", "/api/v1/namespaces/a/configmaps/c")
        let refused = Event("list", "/api/v1/namespaces/d/pods").with { ($0.decision, $0.code) = ("forbid", 403) }
        let db = try database(events + [single, refused], Self.account + namespaces.joined(), in: workspace)
        let result = propose("sa/cart", "-n", "shop", "--namespace-selector", "team=shop", "-o", "json", db: db)
        let steps = try document(result)["generalisations"].array
        #expect(steps.map { $0["step"].string } == ["namespaces"])
        #expect(steps.first?["namespace"].string == "c" && steps.first?["requests"].int == 1)
        #expect(
            steps.first?["reason"].string == "`list pods` is needed in 2 of the 4 namespaces that the selector matches")
        let text = propose("sa/cart", "-n", "shop", "--namespace-selector", "team=shop", db: db)
        #expect((text.output + text.errors).contains("namespaces is not taken, as `list pods` was refused"))
        let proposal = try workspace.write(text.output, to: "p.yaml")
        #expect(whittle("verify", proposal, "--namespace-selector", "team=shop", "--db", db).code == 0)
        #expect(whittle("verify", proposal, "--exact", "--db", db).code == 1)
        #expect(propose("sa/cart", "-n", "shop", "--namespace-selector", "team=(", db: db).code == 64)
    }

    @Test("the same rules in several namespaces are one ClusterRole with RoleBindings, never bound to the cluster")
    func sharedNamespaces() throws {
        let workspace = try Workspace()
        let events = ["a", "b", "c"].map { Event("list", "/api/v1/namespaces/\($0)/pods") }
        let db = try database(events + [Event("get", "/api/v1/namespaces/c/secrets/tls")], in: workspace)
        let shared = propose("sa/cart", "-n", "shop", db: db).output
        #expect(shared.contains("kind: ClusterRole\n") && !shared.contains("ClusterRoleBinding"))
        #expect(shared.matches(of: /kind: RoleBinding/).count == 3)
        let apart = propose("sa/cart", "-n", "shop", "--share-namespaces", "0", db: db).output
        #expect(!apart.contains("ClusterRole") && apart.matches(of: /\nrules:\n/).count == 3)
        for text in [shared, apart] {
            let proof = whittle("verify", try workspace.write(text, to: "p.yaml"), "--exact", "--db", db)
            #expect(
                proof.code == 0 && proof.output.contains("4 of 4 needs allowed, 0 granted beyond them, 0 rules not needed"),
                "\(proof.output)")
        }
    }

    @Test("refused requests are told and left out, chosen ones are added")
    func denied() throws {
        let workspace = try Workspace()
        let refused = Event("get", "/api/v1/namespaces/shop/secrets/tls").with {
            ($0.code, $0.decision, $0.pod) = (403, "forbid", "cart-1")
        }
        let undecided = Event("get", "/api/v1/namespaces/shop/services/cart").with { ($0.code, $0.decision) = (500, "") }
        let db = try database([Event("list", Self.pods), refused, refused, undecided], in: workspace)
        let plain = propose("sa/cart", "-n", "shop", db: db).output
        #expect(plain.contains("# refused and left out: get secrets named tls in shop: 2 requests"))
        #expect(plain.contains("by shop/cart-1"))
        #expect(plain.contains("# undecided and left out: get services named cart in shop: 1 request"))
        #expect(!plain.contains("resources: [secrets]"))
        let chosen = propose("sa/cart", "-n", "shop", "--include-denied", "get secrets*", db: db).output
        #expect(chosen.contains("resourceNames: [tls]") && chosen.contains("beyond the needs: included-denied"))
        #expect(!propose("sa/cart", "-n", "shop", "--include-denied", "get secrets", db: db).output.contains("resources: [secrets]"))
    }

    @Test("no step allows what was refused")
    func refusedStops() throws {
        let workspace = try Workspace()
        let refused = Event("list", Self.pods).with { ($0.code, $0.decision) = (403, "forbid") }
        let secrets = "/api/v1/namespaces/shop/secrets"
        let db = try database(
            [
                Event("watch", "\(Self.pods)?watch=1"), refused, Event("get", "\(secrets)/sh.helm.release.v1.cart.v3"),
                Event("get", "\(secrets)/root").with { ($0.code, $0.decision) = (403, "forbid") },
            ], in: workspace)
        let text = propose("sa/cart", "-n", "shop", db: db).output
        #expect(text.contains("watch-list is not taken, as `list pods` was refused"))
        #expect(text.contains("generated-names is not taken, as `get secrets named root` was refused"))
        #expect(text.contains("verbs: [watch]") && text.contains("resourceNames: [sh.helm.release.v1.cart.v3]"))
    }

    @Test("rights that others used or asked about in the account's name are no needs unless it holds them")
    func doubts() throws {
        let workspace = try Workspace()
        let manifests = """
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: cart, namespace: shop}, rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: cart, namespace: shop}, roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: ServiceAccount, name: cart}]}

            """
        let impersonated =
            #","impersonatedUser":{"username":"system:serviceaccount:shop:cart","groups":["system:masters","system:authenticated"]}"#
        let events = [Event("delete", "/api/v1/namespaces/shop/secrets/root"), Event("list", Self.pods)].map { event in
            event.with { ($0.user, $0.more) = ("admin", impersonated) }
        }
        let db = try database(events + [Event("get", "\(Self.pods)/x")], manifests, in: workspace)
        let text = propose("sa/cart", "-n", "shop", db: db).output
        #expect(text.contains("`delete secrets named root in shop` is no need: it was only asked by somebody who impersonated the account"))
        #expect(!text.contains("resources: [secrets]") && text.contains("verbs: [list]"))
    }

    // MARK: Hidden permissions

    @Test("who writes a role keeps what is in it; who holds escalate or bind keeps that")
    func roleWrites() throws {
        let workspace = try Workspace()
        let manifests = """
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: made, namespace: shop}, rules: [{apiGroups: [""], resources: [services], verbs: [list]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: made, namespace: shop}, roleRef: {kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}, subjects: []}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: cart, namespace: shop}, rules: [
              {apiGroups: [""], resources: [services, pods], verbs: [list]},
              {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings], verbs: [update]},
              {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [bind], resourceNames: [view]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: cart, namespace: shop}, roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: ServiceAccount, name: cart}]}

            """
        let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"
        let db = try database(
            [Event("update", "\(rbac)/roles/made"), Event("update", "\(rbac)/rolebindings/made")], manifests, in: workspace)
        let steps = try document(propose("sa/cart", "-n", "shop", "-o", "json", db: db))["generalisations"].array
        let atoms = steps.filter { $0["step"].string == "hidden" }.flatMap { $0["atoms"].array }
        #expect(
            Set(atoms.map { "\($0["verb"].string ?? "") \($0["resource"].string ?? "") \($0["resourceName"].string ?? "")" }) == [
                "list services ", "bind clusterroles view",
            ])
        // What is created has no name in its URI; the event tells it, and bodies tell the role of a binding.
        let reference = { (resource: String, name: String) in
            #","objectRef":{"resource":"\#(resource)","namespace":"shop","name":"\#(name)","apiGroup":"rbac.authorization.k8s.io"}"#
        }
        let body = #","requestObject":{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}"#
        let creates = [
            Event("create", "\(rbac)/roles").with { ($0.code, $0.more) = (201, reference("roles", "made")) },
            Event("create", "\(rbac)/rolebindings").with { ($0.code, $0.more) = (201, reference("rolebindings", "new") + body) },
        ]
        let creating = manifests.replacing("verbs: [update]}", with: "verbs: [create]}")
        _ = whittle("load", try workspace.write(creating, to: "cluster.yaml"), "-o", workspace.file("new.db"))
        let log = creates.enumerated().map { $1.line(100 + $0) + "\n" }.joined()
        _ = whittle("usage", "load", try workspace.write(log, to: "creates.log"), "--db", workspace.file("new.db"))
        let text = propose("sa/cart", "-n", "shop", db: workspace.file("new.db")).output
        #expect(text.contains("hidden: list services in shop: it writes roles `shop/made` and must hold all that is in there"))
        #expect(text.contains("hidden: bind clusterroles.rbac.authorization.k8s.io named view in shop"), "\(text)")
        // A role that is not in the input: the permission is named, not guessed.
        let unknown = try database([Event("update", "\(rbac)/roles/other")], manifests, in: workspace)
        let warned = propose("sa/cart", "-n", "shop", db: unknown).output
        #expect(warned.contains("# not in here: it writes roles `shop/other`"))
        #expect(!propose("sa/cart", "-n", "shop", "--no-hidden", db: unknown).output.contains("not in here"))
    }

    @Test("approving certificates keeps the signers that are held, and blocking owners their finalizers")
    func signersAndOwners() throws {
        let workspace = try Workspace()
        let manifests = """
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: cart}, rules: [
              {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/approval], verbs: [update]},
              {apiGroups: [certificates.k8s.io], resources: [signers], verbs: [approve], resourceNames: [example.test/a]},
              {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests, certificatesigningrequests/nodeclient], verbs: [create]},
              {apiGroups: [apps], resources: [deployments/finalizers], verbs: [update]}, {apiGroups: [""], resources: [configmaps], verbs: [create]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: cart}, roleRef: {kind: ClusterRole, name: cart, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]}

            """
        let owner =
            #","requestObject":{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"u","blockOwnerDeletion":true}]}}"#
        let db = try database(
            [
                Event("update", "/apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval"),
                Event("create", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
                Event("create", Self.maps).with { ($0.code, $0.more) = (201, owner) },
            ], manifests, in: workspace)
        let result = propose("sa/cart", "-n", "shop", db: db)
        #expect(result.output.contains("resources: [signers]\n  resourceNames: [example.test/a]\n  verbs: [approve]"))
        // What the approver asks for is kept where it is held.
        #expect(result.output.contains("resources: [certificatesigningrequests, certificatesigningrequests/nodeclient]\n  verbs: [create]"))
        #expect(!result.output.contains("selfnodeclient") && !result.errors.contains("selfnodeclient"))
        #expect(result.output.contains("resources: [deployments/finalizers]\n  resourceNames: [web]\n  verbs: [update]"))
        let proof = whittle("verify", try workspace.write(result.output, to: "p.yaml"), "--exact", "--db", db)
        #expect(proof.code == 0, "\(proof.output)")
    }

    // MARK: Workloads

    static let shared = """
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
        ---
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {spec: {serviceAccountName: cart, containers: [{name: c, image: i}]}}}}
        ---
        {apiVersion: batch/v1, kind: CronJob, metadata: {name: report, namespace: shop}, spec: {jobTemplate: {spec: {template: {spec: {serviceAccountName: cart, containers: [{name: c, image: i}]}}}}}}

        """

    @Test("a shared account is divided: by pod name, by user agent, and what is nobody's goes to all")
    func workloads() throws {
        let workspace = try Workspace()
        let db = try database(
            [
                Event("list", Self.pods).with { ($0.pod, $0.agent) = ("web-7d9f8c6b5d-x2k4q", "web/1") },
                Event("get", "\(Self.maps)/report").with { ($0.pod, $0.agent) = ("report-29384756-x2k4q", "report/1") },
                Event("list", "/api/v1/namespaces/shop/services").with { $0.agent = "web/1" },
                Event("get", "/api/v1/namespaces/shop/secrets/tls").with { $0.agent = "curl/8" },
            ], Self.shared, in: workspace)
        let result = propose("sa/cart", "-n", "shop", "--by", "workload", "-o", "json", db: db)
        let all = try #require(JSON(data: Data(result.output.utf8)))
        let needs = Dictionary(
            uniqueKeysWithValues: all["proposals"].array.map { proposal in
                (proposal["serviceAccount"]["name"].string ?? "", Set(proposal["needs"].array.compactMap { $0["resource"].string }))
            })
        #expect(needs == ["cart-web": ["pods", "services", "secrets"], "cart-report": ["configmaps", "secrets"]])
        let text = propose("sa/cart", "-n", "shop", "--by", "workload", db: db).output
        #expect(text.contains("# 1 requests could not be attributed to a workload"))
        #expect(text.contains("# it loses: list pods in shop, needed by others only"))
        #expect(
            text.contains(
                #"kubectl patch cronjob report -n shop --type strategic -p '{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"serviceAccountName":"cart-report"}}}}}}'"#
            ))
        // The parts are proven against what their workloads did.
        let proof = whittle("verify", try workspace.write(text, to: "p.yaml"), "--exact", "--db", db)
        #expect(proof.code == 1 || proof.code == 0)
        #expect(proof.output.contains("ServiceAccount shop/cart-web: 3 of 3 needs allowed"), "\(proof.output)\(proof.errors)")
    }

    @Test("a credential without pod is attributed by the address that the request came from, if one pod of the account has it")
    func sourceIP() throws {
        let workspace = try Workspace()
        func pod(_ name: String, _ owner: String, _ status: String, _ more: String = "", spec: String = "") -> String {
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: \(name), namespace: shop, \(owner)\(more)}, spec: {serviceAccountName: cart, \(spec)containers: [{name: c, image: i}]}, status: {\(status)}}\n"
        }
        let (replicas, job) = (
            "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-a, uid: u, controller: true}]",
            "ownerReferences: [{apiVersion: batch/v1, kind: Job, name: report-1, uid: u, controller: true}]"
        )
        let manifests =
            Self.shared
            + "---\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-a, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}, spec: {template: {spec: {serviceAccountName: cart, containers: [{name: c, image: i}]}}}}\n"
            + "---\n{apiVersion: batch/v1, kind: Job, metadata: {name: report-1, namespace: shop, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: report, uid: u, controller: true}]}, spec: {template: {spec: {serviceAccountName: cart, containers: [{name: c, image: i}]}}}}\n"
            + pod("one", replicas, "phase: Running, podIP: 10.0.0.7, podIPs: [{ip: 10.0.0.7}]")
            + pod("two", job, "phase: Running, podIP: 10.0.0.8, podIPs: [{ip: 10.0.0.8}, {ip: \"fd00::8\"}]")
            + pod("host", replicas, "phase: Running, podIP: 10.0.0.1", spec: "hostNetwork: true, ")
            + pod("done", job, "phase: Succeeded, podIP: 10.0.0.9")
            + pod("young", replicas, "phase: Running, podIP: 10.0.0.10", ", creationTimestamp: \"2027-01-01T00:00:00Z\"")
        func event(_ resource: String, _ addresses: String...) -> Event {
            Event("list", "/api/v1/namespaces/shop/\(resource)").with {
                $0.more = #","sourceIPs":["\#(addresses.joined(separator: #"",""#))"]"#
            }
        }
        let db = try database(
            [
                event("pods", "203.0.113.9", "10.0.0.7"), event("configmaps", "fd00::8"), event("services", "10.0.0.1"),
                event("secrets", "10.0.0.9"), event("endpoints", "10.0.0.10"), event("events", "10.0.0.7", "10.0.0.99"),
                event("limitranges"),
            ], manifests, in: workspace)
        func needs(_ db: String) throws -> [String: Set<String>] {
            let all = try #require(JSON(data: Data(propose("sa/cart", "-n", "shop", "--by", "workload", "-o", "json", db: db).output.utf8)))
            return Dictionary(
                uniqueKeysWithValues: all["proposals"].array.map { proposal in
                    (proposal["serviceAccount"]["name"].string ?? "", Set(proposal["needs"].array.compactMap { $0["resource"].string }))
                })
        }
        let nobodys: Set = ["services", "secrets", "endpoints", "events", "limitranges"]
        let expected = ["cart-web": nobodys.union(["pods"]), "cart-report": nobodys.union(["configmaps"])]
        #expect(try needs(db) == expected)
        #expect(propose("sa/cart", "-n", "shop", "--by", "workload", db: db).output.contains("# 5 requests could not be attributed"))
        // A load keeps addresses, and so does what is carried elsewhere.
        let cluster = try workspace.write(manifests, to: "again.yaml")
        #expect(whittle("load", cluster, "-o", db).code == 0)
        #expect(try needs(db) == expected)
        let (part, other) = (workspace.file("part.zst"), workspace.file("other.db"))
        #expect(whittle("usage", "export", "-o", part, "--db", db).code == 0)
        #expect(whittle("load", cluster, "-o", other).code == 0)
        #expect(whittle("usage", "merge", part, "--db", other).code == 0)
        #expect(try needs(other) == expected)
    }

    @Test("accounts of divided accounts never share a name")
    func workloadNames() throws {
        let workspace = try Workspace()
        func deployment(_ name: String, _ account: String) -> String {
            "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: \(name), namespace: shop}, spec: {template: {spec: {serviceAccountName: \(account), containers: [{name: c, image: i}]}}}}\n"
        }
        let long = "kube-prometheus-stack-prometheus-operator"
        let manifests = [
            ("b-c", "a"), ("x", "a"), ("c", "a-b"), ("y", "a-b"), ("kube-prometheus-stack-operator-frontend", long),
            ("kube-prometheus-stack-operator-backend", long),
        ]
        .map { deployment($0.0, $0.1) }.joined()
        let events = ["a", "a-b", long].map { name in Event("list", Self.pods).with { $0.user = "system:serviceaccount:shop:\(name)" } }
        let db = try database(events, manifests, in: workspace)
        let result = propose("-A", "--by", "workload", "-o", "json", db: db)
        let all = try #require(JSON(data: Data(result.output.utf8)), "\(result.errors)")
        let names = all["proposals"].array.compactMap { $0["serviceAccount"]["name"].string }
        #expect(names.count == 6 && Set(names).count == 6 && names.allSatisfy { $0.utf8.count <= 63 }, "\(names)")
    }

    // MARK: Proof

    @Test("a proof fails for a lost need, an idle rule, a grant beyond; what cannot be read is no proof")
    func proofs() throws {
        let workspace = try Workspace()
        let db = try database([Event("list", Self.pods), Event("get", "\(Self.maps)/a")], in: workspace)
        let good = propose("sa/cart", "-n", "shop", db: db).output
        func verify(_ text: String, _ more: String...) throws -> CommandResult {
            whittle(["verify", "--proposal", try workspace.write(text, to: "p/p.yaml"), "--db", db] + more)
        }
        let proof = try verify(good)
        #expect(proof.code == 0 && proof.output.contains("2 of 2 needs allowed"))
        #expect(proof.output.contains("Role shop/whittle:shop:cart rule 1: list pods in shop shows"))
        let lost = try verify(good.replacing("resources: [pods]", with: "resources: [services]"))
        #expect(lost.code == 1 && lost.output.contains("refused: list pods in shop"))
        let rules = "\nrules:\n"
        let idle = try verify(
            good.replacing(rules, with: rules + "- {apiGroups: [\"\"], resources: [pods], verbs: [list], resourceNames: [x]}\n"))
        #expect(idle.code == 1 && idle.output.contains("not needed: Role shop/whittle:shop:cart rule 0"))
        let beyond = try verify(good.replacing("verbs: [list]", with: "verbs: [list, escalate]"))
        #expect(beyond.code == 1 && beyond.output.contains("which it does not hold today"))
        let broken = try verify(good + "---\nkind: Role\n  bad: [\n")
        #expect(broken.code == 2 && broken.errors.contains("error:"))
        // Held today: a finding only when asked for.
        let held = good.replacing("verbs: [list]", with: "verbs: [list, delete]")
        #expect(try verify(held).code == 0)
        #expect(try verify(held, "--exact").code == 1)
    }

    @Test("what a folder gives to others, or by roles elsewhere, is a finding; what is missing is too")
    func surprises() throws {
        let workspace = try Workspace()
        let db = try database([Event("list", Self.pods)], in: workspace)
        let out = workspace.file("out")
        func verify(with more: String) throws -> CommandResult {
            #expect(propose("-A", "--out", out, db: db).code == 0)
            if !more.isEmpty { _ = try workspace.write(more, to: "out/shop/cart/more.yaml") }
            defer { try? FileManager.default.removeItem(atPath: "\(out)/shop/cart/more.yaml") }
            return whittle("verify", "--proposal", out, "--db", db)
        }
        func binding(_ role: String, _ subject: String) -> String {
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: more}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: \(role)}, subjects: [\(subject)]}\n"
        }
        let cart = "{kind: ServiceAccount, name: cart, namespace: shop}"
        #expect(try verify(with: "").code == 0)
        #expect(try verify(with: binding("admin", cart)).code == 1, "a role of the input, in all namespaces")
        #expect(try verify(with: binding("nobody-has-it", cart)).code == 2)
        let others = try verify(with: binding("admin", "{kind: Group, name: system:authenticated, apiGroup: rbac.authorization.k8s.io}"))
        #expect(others.code == 1 && others.errors.contains("binds Group system:authenticated, of whom nothing is judged"))
        let aggregated =
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: more, labels: {rbac.authorization.k8s.io/aggregate-to-view: \"true\"}}, rules: []}\n"
        #expect(try verify(with: aggregated).code == 1)
        #expect(propose("-A", "--out", out, db: db).code == 0)
        _ = try workspace.write("resources: []\n", to: "out/kustomization.yaml")
        #expect(whittle("verify", "--proposal", out, "--db", db).code == 2)
        #expect(propose("-A", "--out", out, db: db).code == 0)
        try FileManager.default.removeItem(atPath: "\(out)/shop/cart/rbac.yaml")
        #expect(whittle("verify", "--proposal", out, "--db", db).code == 1, "the account's needs are covered no longer")
    }

    @Test(
        "a role that an aggregationRule of the input selects is a finding, one that none selects is not",
        arguments: [
            ("{matchLabels: {team: acme}}", true), ("{matchLabels: {team: bank}}", false), ("{}", true), ("null", false),
            ("{matchLabels: {team: acme, tier: web}}", false),
            ("{matchExpressions: [{key: team, operator: In, values: [bank, acme]}]}", true),
            ("{matchExpressions: [{key: team, operator: In, values: [bank]}]}", false),
            ("{matchExpressions: [{key: team, operator: NotIn, values: [bank]}]}", true),
            ("{matchExpressions: [{key: team, operator: Exists}]}", true),
            ("{matchExpressions: [{key: team, operator: DoesNotExist}]}", false),
            ("{matchLabels: {team: acme}, matchExpressions: [{key: app.kubernetes.io/managed-by, operator: DoesNotExist}]}", false),
            ("{matchLabels: {team: bank}}, {matchLabels: {team: acme}}", true),
            // One invalid selector stops the whole rule.
            ("{matchLabels: {team: acme}}, {matchExpressions: [{key: team, operator: In, values: []}]}", false),
        ])
    func customAggregation(_ selectors: String, _ isTaken: Bool) throws {
        let workspace = try Workspace()
        // Held everywhere, so that nothing else is a finding.
        let wide = Self.account.replacing(
            "kind: RoleBinding, metadata: {name: cart, namespace: shop}", with: "kind: ClusterRoleBinding, metadata: {name: cart}")
        let manifests =
            wide
            + "---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: acme}, aggregationRule: {clusterRoleSelectors: [\(selectors)]}, rules: []}\n"
        let db = try database([Event("list", "/api/v1/pods")], manifests, in: workspace)
        let plain = propose("sa/cart", "-n", "shop", db: db).output
        let labelled = plain.replacing(
            "    app.kubernetes.io/managed-by: whittle\n", with: "    app.kubernetes.io/managed-by: whittle\n    team: acme\n")
        #expect(labelled.contains("kind: ClusterRole\n") && labelled != plain)
        let judged = whittle("verify", try workspace.write(labelled, to: "p.yaml"), "--db", db)
        let place = "\(workspace.file("cluster.yaml")):7:1"
        let finding = "finding: ClusterRole whittle:shop:cart is aggregated into ClusterRole acme of \(place) by its labels"
        #expect(judged.output.hasPrefix("proven: "), "\(judged.output)")
        #expect(judged.code == (isTaken ? 1 : 0) && judged.errors.contains(finding) == isTaken, "\(judged.errors)")
    }

    @Test("-n judges the proposals of one namespace, and is the namespace of what is written without one")
    func verifiedNamespace() throws {
        let workspace = try Workspace()
        let other = Self.account.replacing("name: shop}", with: "name: bank}").replacing("namespace: shop", with: "namespace: bank")
        let bank = Event("get", "/api/v1/namespaces/bank/configmaps/a").with { $0.user = "system:serviceaccount:bank:cart" }
        let db = try database([Event("list", Self.pods), bank], Self.account + "---\n" + other, in: workspace)
        let good = propose("-A", db: db).output
        func verify(_ text: String, _ more: String...) throws -> CommandResult {
            whittle(["verify", try workspace.write(text, to: "p.yaml"), "--db", db] + more)
        }
        func lines(_ result: CommandResult) -> [String] {
            result.output.split(separator: "\n").filter { !$0.hasPrefix(" ") }.map { String($0.prefix { $0 != "," }) }
        }
        #expect(try lines(verify(good)).count == 2)
        let shop = try verify(good, "-n", "shop")
        #expect(shop.code == 0 && lines(shop) == ["proven: ServiceAccount shop/cart: 1 of 1 needs allowed"], "\(shop.errors)")
        // What is wrong with one namespace is nothing to the other.
        let broken = good.replacing("resources: [configmaps]", with: "resources: [secrets]")
        #expect(try verify(broken).code == 1)
        #expect(try verify(broken, "-n", "shop").code == 0)
        #expect(try verify(broken, "--namespace", "bank").code == 1)
        let none = try verify(good, "-n", "nowhere")
        #expect(none.code == 2 && none.errors.contains("no usage of any service account in namespace `nowhere`"))
        // Nor does it hide what anybody else is given.
        let group =
            "---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: more, namespace: bank}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{kind: Group, name: all, apiGroup: rbac.authorization.k8s.io}]}\n"
        let given = try verify(good + group, "-n", "shop")
        #expect(given.code == 1 && given.errors.contains("binds Group all, of whom nothing is judged"))
        // Names and objects without a namespace.
        let alone = propose("sa/cart", "-n", "bank", db: db).output
        #expect(try verify(alone, "--as", "sa/cart", "-n", "bank").code == 0)
        #expect(try verify(alone, "--as", "sa/bank/cart", "-n", "shop").code == 0, "the written namespace counts")
        #expect(try verify(alone, "--as", "sa/cart").code == 2)
        let bare = alone.replacing("  namespace: bank\n", with: "")
        #expect(bare != alone)
        #expect(try verify(bare, "--as", "sa/cart", "-n", "bank").code == 0)
        #expect(try verify(good, "-A", "-n", "shop").code == 64)
        #expect(try verify(good, "-n", "").code == 64)
    }

    @Test("logs are replayed without a database of their usage")
    func replayOfLogs() throws {
        let workspace = try Workspace()
        let db = try database([Event("list", Self.pods)], in: workspace)
        let proposal = try workspace.write(propose("sa/cart", "-n", "shop", db: db).output, to: "p.yaml")
        let log = try workspace.write(Event("list", Self.pods).line(1) + "\n", to: "same.log")
        #expect(whittle("verify", "--proposal", proposal, "--usage", log, "--db", db).code == 0)
        #expect(whittle("verify", "--proposal", proposal, "--usage", log, environment: ["WHITTLE_DB": workspace.file("none.db")]).code == 0)
        let other = try workspace.write(Event("delete", "\(Self.pods)/x").line(1) + "\n", to: "other.log")
        let refused = whittle("verify", "--proposal", proposal, "--usage", other, "--db", db)
        #expect(refused.code == 1 && refused.output.contains("refused: delete pods named x in shop"))
    }

    @Test("the rest of the window tells how stable a proposal is")
    func stability() throws {
        let workspace = try Workspace()
        func at(_ day: Int, _ event: Event) -> Event { event.with { $0.time = "2026-11-0\(day)T10:00:00.000000Z" } }
        let list = Event("list", Self.pods)
        let db = try database(
            [at(1, list), at(9, list), at(2, Event("get", "\(Self.maps)/a")), at(9, Event("get", "\(Self.maps)/b"))], in: workspace)
        let result = propose("-A", "--evaluate", "0.7", "-o", "json", db: db)
        let line = try #require(JSON(data: Data(result.output.utf8)))["accounts"].array.first ?? .null
        #expect(line["minedNeeds"].int == 2 && line["heldOutNeeds"].int == 2 && line["foretold"].int == 1)
        #expect(line["missing"].strings == ["get configmaps named b in shop"])
        #expect(result.output.contains("\"recall\": 0.500") && result.output.contains("\"precision\": 0.500"))
    }

    // MARK: Folders and hostile names

    @Test("a folder for GitOps: proven, private, never over something else, never outside of itself")
    func folder() throws {
        let workspace = try Workspace()
        let db = try database([Event("list", Self.pods)], in: workspace)
        let out = workspace.file("out")
        #expect(propose("-A", "--out", out, "--accept-thin-evidence", db: db).code == 0)
        for name in [
            "kustomization.yaml", "PROPOSAL.md", "shop/cart/rbac.yaml", "shop/cart/PROPOSAL.md", "shop/cart/kustomization.yaml",
            "replaced/kustomization.yaml",
        ] {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(out)/\(name)")
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
        #expect(whittle("verify", "--proposal", out, "--db", db).code == 0)
        #expect(try String(contentsOfFile: "\(out)/replaced/rolebinding-shop-cart.yaml", encoding: .utf8).contains("$patch"))
        #expect(propose("-A", "--out", out, db: db).code == 0, "a folder of an earlier run is written again")
        #expect(!FileManager.default.fileExists(atPath: "\(out)/replaced"), "nothing of the earlier run stays")
        let thin = workspace.file("thin")
        _ = propose("-A", "--out", thin, db: db)
        #expect(!FileManager.default.fileExists(atPath: "\(thin)/replaced"))
        _ = try workspace.write("x", to: "full/file")
        #expect(propose("-A", "--out", workspace.file("full"), db: db).code == 2)
        let declared = try workspace.write("{\"verb\":\"list\",\"resource\":\"pods\"}\n", to: "d.jsonl")
        let outside = propose("sa/x", "-n", "..", "--declared", declared, "--out", workspace.file("deep/in"), db: db)
        #expect(outside.code == 2 && outside.errors.contains("no name of a namespace"), "\(outside.errors)")
    }

    @Test("names with line ends, quotes and YAML in them stay names")
    func hostileNames() throws {
        let workspace = try Workspace()
        let name = "a%0Arules:%0A-%20verbs:%20[%22*%22]%0A%23"
        let refused = Event("get", "/api/v1/namespaces/shop/secrets/\(name)").with { ($0.code, $0.decision) = (403, "forbid") }
        let db = try database([Event("get", "\(Self.maps)/\(name)"), refused], in: workspace)
        let result = propose("sa/cart", "-n", "shop", db: db)
        let file = try workspace.write(result.output, to: "p.yaml")
        #expect(whittle("verify", file, "--exact", "--db", db).code == 0)
        let who = whittle("who-can", "create", "pods", "-n", "shop", "--match", "cart", "-f", file)
        #expect(who.code == 1, "\(who.output)")
        #expect(propose("-A", "--out", workspace.file("out"), db: db).code == 0)
        #expect(whittle("verify", "--proposal", workspace.file("out"), "--exact", "--db", db).code == 0)
    }

    @Test("a patch narrows the role that is the account's own and leaves comments alone; Helm's objects are not touched")
    func patch() throws {
        let workspace = try Workspace()
        let manifest = """
            apiVersion: v1
            kind: ServiceAccount
            metadata: {name: cart, namespace: shop}
            ---
            # who: the cart team
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata:
              name: cart
              namespace: shop
            rules:
            # reads its pods
            - apiGroups: [""]
              resources: ["pods"]
              verbs: ["list"]
            - apiGroups: ["*"]
              resources: ["*"]
              verbs: ["*"]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: cart, namespace: shop}
            roleRef: {kind: Role, name: cart, apiGroup: rbac.authorization.k8s.io}
            subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: chart, namespace: shop, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: cart, meta.helm.sh/release-namespace: shop}}
            roleRef: {kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}
            subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]

            """
        _ = try workspace.write(manifest, to: "rbac.yaml")
        _ = try workspace.write(Event("list", Self.pods).line(1) + "\n" + Event("get", "\(Self.maps)/a").line(2) + "\n", to: "audit.log")
        let result = try Shell.result(
            of: """
                whittle load rbac.yaml -o c.db && whittle usage load audit.log --db c.db
                whittle propose sa/cart -n shop --patch --accept-thin-evidence --db c.db > p.diff || exit 3
                command -v patch > /dev/null || { echo skipped; exit 0; }
                patch -p1 -s < p.diff && whittle load rbac.yaml -o new.db > /dev/null 2>&1
                whittle can-i list pods -n shop --as shop:cart --db new.db > /dev/null && echo pods
                whittle can-i delete pods -n shop --as shop:cart --db new.db > /dev/null || echo "no more"
                cat rbac.yaml
                """, in: workspace.file(""))
        #expect(result.code == 0, "\(result.errors)")
        guard !result.output.contains("skipped") else { return }
        #expect(result.output.contains("pods\nno more\n"))
        #expect(result.output.contains("# who: the cart team") && result.output.contains("# reads its pods\n- apiGroups: [\"\"]"))
        #expect(result.output.contains("name: chart") && result.errors.contains("Helm release shop/cart"))
        // With thin evidence nothing is narrowed unasked.
        let thin = whittle("propose", "sa/cart", "-n", "shop", "--patch", "--db", workspace.file("c.db"))
        #expect(thin.code == 2 && thin.output.isEmpty && thin.errors.contains("too thin"))
    }

    @Test("a role that an aggregated one takes is not narrowed, and a second run keeps its own objects")
    func aggregatedAndAgain() throws {
        let workspace = try Workspace()
        let manifests = """
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: parts, labels: {team: acme}}, rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: acme}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {team: acme}}]}, rules: []}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: cart}, roleRef: {kind: ClusterRole, name: parts, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]}

            """
        let db = try database([Event("list", "/api/v1/pods")], manifests, in: workspace)
        let diff = propose("sa/cart", "-n", "shop", "--patch", "--accept-thin-evidence", db: db).output
        #expect(!diff.contains("-{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: parts"))
        #expect(diff.contains("name: \"whittle:shop:cart\""))
        let out = workspace.file("out")
        #expect(propose("-A", "--out", out, "--accept-thin-evidence", db: db).code == 0)
        #expect(!FileManager.default.fileExists(atPath: "\(out)/replaced/clusterrole-parts.yaml"))
        let again = workspace.file("again.db")
        #expect(whittle("load", workspace.file("cluster.yaml"), "\(out)/shop/cart/rbac.yaml", "-o", again).code == 0)
        #expect(whittle("usage", "load", workspace.file("audit.log"), "--db", again).code == 0)
        #expect(propose("-A", "--out", out, "--accept-thin-evidence", db: again).code == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(out)/replaced").sorted()
        #expect(names == ["clusterrolebinding-cart.yaml", "kustomization.yaml"])
    }

    // MARK: The recorded cluster

    @Test("the order of the log does not matter, to the byte")
    func shuffledLog() throws {
        try checkShuffled(Fixtures.path("clusters/recorded/cluster.json"), Fixtures.path("clusters/recorded/audit.log.gz"))
    }

    @Test(
        "the whole recorded log: every account is proven, in any order",
        .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"))
    func wholeLog() throws {
        let folder = try #require(Fixtures.referenceData) + "/apiserver"
        try checkShuffled("\(folder)/dump/all.json", "\(folder)/audit.log.gz")
    }

    private func checkShuffled(_ dump: String, _ log: String) throws {
        let workspace = try Workspace()
        let first = workspace.file("a.db")
        let second = workspace.file("b.db")
        for database in [first, second] { try #require(whittle("load", dump, "-o", database).code == 0) }
        var random = SeededGenerator(seed: 7)
        let lines = try Fixtures.lines(log).shuffled(using: &random)
        let shuffled = try workspace.write(lines.joined(separator: "\n") + "\n", to: "shuffled.log")
        try #require(whittle("usage", "load", log, "--db", first).code == 0)
        try #require(whittle("usage", "load", shuffled, "--db", second).code == 0)
        let one = whittle("propose", "-A", "--db", first)
        let two = whittle("propose", "-A", "--db", second)
        #expect(one.code == 0 && one.output == two.output)
        let proof = whittle("verify", try workspace.write(one.output, to: "p.yaml"), "--db", first)
        #expect(proof.code == 0, "\(proof.output.split(separator: "\n").filter { !$0.contains(" shows ") }.joined(separator: "\n"))")
        let lines2 = proof.output.split(separator: "\n").filter { $0.hasPrefix("proven") }
        #expect(lines2.count > 3 && lines2.allSatisfy { $0.contains(", 0 granted beyond them") })
    }
}
