import Testing
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

/// What an audit policy hides of a grant, against requests drawn at random.
@Suite("GrantVisibility")
struct GrantVisibilityTests {
    private static let catalogue = ResourceCatalogue.builtIn()
    private static let user = ServiceAccountName.user(namespace: "shop", name: "cart")

    private static func grant(
        _ verb: String, group: String? = nil, resource: String? = nil, url: String? = nil, scope: String? = nil, names: [String]? = nil
    ) throws -> OwnGrant {
        let result = QueryResult(
            columns: ["verb", "api_group", "resource", "url", "scope_namespace", "only_named", "names"],
            rows: [
                [
                    .text(verb), .optional(group), .optional(resource), .optional(url), .optional(scope), .integer(names == nil ? 0 : 1),
                    names.map(SQLValue.list) ?? .null,
                ]
            ])
        return OwnGrant(try #require(result.named.first), account: SubjectName(kind: "ServiceAccount", namespace: "shop", name: "cart"))
    }

    private func visibility(_ grant: OwnGrant, of name: String = "quiet") throws -> GrantVisibility {
        let policy = try #require(try AuditPolicyReader.read(Fixtures.path("audit-policies/\(name).yaml")).policy)
        return VisibilityProbe(policy, user: Self.user, Self.catalogue).visibility(of: grant)
    }

    @Test("a policy that leaves out much hides grants wholly, partly or not at all")
    func quiet() throws {
        #expect(try visibility(Self.grant("create", group: "", resource: "events", scope: "shop")) == .hidden)
        #expect(try visibility(Self.grant("patch", group: "events.k8s.io", resource: "*")) == .hidden)
        #expect(try visibility(Self.grant("get", group: "", resource: "configmaps", scope: "shop")) == .visible)
        #expect(try visibility(Self.grant("get", group: "", resource: "configmaps", scope: "kube-system")) == .hidden)
        #expect(try visibility(Self.grant("update", group: "", resource: "configmaps", scope: "kube-system")) == .visible)
        #expect(
            try visibility(Self.grant("get", group: "", resource: "configmaps"))
                == .partly(hidden: ["get configmaps in kube-system"], count: 1))
        #expect(
            try visibility(Self.grant("update", group: "coordination.k8s.io", resource: "leases", scope: "shop"))
                == .partly(hidden: ["update leases.coordination.k8s.io cart-leader in shop"], count: 1))
        #expect(
            try visibility(
                Self.grant("update", group: "coordination.k8s.io", resource: "leases", scope: "shop", names: ["cart-leader"])) == .hidden)
        #expect(
            try visibility(Self.grant("update", group: "coordination.k8s.io", resource: "leases", scope: "shop", names: ["other"]))
                == .visible)
        // The server sees no name in a create.
        #expect(try visibility(Self.grant("create", group: "coordination.k8s.io", resource: "leases", scope: "shop")) == .visible)
        #expect(try visibility(Self.grant("get", url: "/metrics")) == .hidden)
        #expect(try visibility(Self.grant("get", url: "/healthz/*")) == .hidden)
        #expect(try visibility(Self.grant("get", url: "/version")) == .visible)
        #expect(try visibility(Self.grant("get", group: "", resource: "nodes")) == .visible)
    }

    @Test("without stage ResponseComplete only what runs long is seen")
    func stages() throws {
        #expect(try visibility(Self.grant("get", group: "", resource: "pods", scope: "shop")) == .hidden)
        #expect(try visibility(Self.grant("watch", group: "", resource: "pods", scope: "shop")) == .visible)
        #expect(try visibility(Self.grant("create", group: "", resource: "pods/exec", scope: "shop")) == .visible)
        #expect(try visibility(Self.grant("create", group: "", resource: "pods/eviction", scope: "shop")) == .hidden)
    }

    @Test("wildcards are what the catalogue knows, and what the policy names where it knows nothing")
    func wildcards() throws {
        guard case .partly(_, let count) = try visibility(Self.grant("*", group: "*", resource: "*")) else {
            Issue.record("not partly hidden")
            return
        }
        #expect(count > 100)
        #expect(try visibility(Self.grant("*", group: "*", resource: "*"), of: "everything") == .visible)
        #expect(try visibility(Self.grant("*", group: "shop.example", resource: "*", scope: "shop")) == .visible)
        let policy = AuditPolicy(rules: [
            AuditPolicy.Rule(.none, resources: [AuditPolicy.GroupResources(group: "shop.example", resources: ["carts"])]),
            AuditPolicy.Rule(.metadata),
        ])
        let probe = VisibilityProbe(policy, user: Self.user, Self.catalogue)
        guard case .partly(let hidden, _) = probe.visibility(of: try Self.grant("get", group: "shop.example", resource: "*", scope: "shop"))
        else {
            Issue.record("not partly hidden")
            return
        }
        #expect(hidden == ["get carts.shop.example in shop"])
        #expect(probe.visibility(of: try Self.grant("get", group: "shop.example", resource: "carts", scope: "shop")) == .hidden)
    }

    @Test("rules for others do not matter, and no rule at all hides everything")
    func users() throws {
        let grant = try Self.grant("get", group: "", resource: "secrets", scope: "shop")
        func of(_ rules: [AuditPolicy.Rule]) -> GrantVisibility {
            VisibilityProbe(AuditPolicy(rules: rules), user: Self.user, Self.catalogue).visibility(of: grant)
        }
        #expect(of([AuditPolicy.Rule(.none, users: ["alice"]), AuditPolicy.Rule(.metadata)]) == .visible)
        #expect(of([AuditPolicy.Rule(.none, userGroups: ["system:serviceaccounts:shop"]), AuditPolicy.Rule(.metadata)]) == .hidden)
        #expect(of([AuditPolicy.Rule(.none, userGroups: ["system:serviceaccounts:other"]), AuditPolicy.Rule(.metadata)]) == .visible)
        #expect(of([AuditPolicy.Rule(.metadata, users: ["alice"])]) == .hidden)
    }

    @Test("random requests of random grants under random policies agree", arguments: 1...40)
    func random(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let verbs = ["get", "list", "watch", "create", "update", "delete"]
        let resources = ["pods", "pods/log", "configmaps", "secrets", "nodes", "pods/exec"]
        let (namespaces, names) = (["shop", "kube-system", "ops"], ["a", "b", "c"])
        func some(_ list: [String], _ chance: Int) -> [String] {
            list.filter { _ in Int.random(in: 0..<100, using: &random) < chance }
        }
        let policy = AuditPolicy(
            rules: (0..<Int.random(in: 1...5, using: &random)).map { _ in
                let picked = some(resources + ["*", "*/log", "pods/*"], 20)
                return AuditPolicy.Rule(
                    Bool.random(using: &random) ? .none : .metadata, verbs: some(verbs, 25),
                    resources: picked.isEmpty
                        ? [] : [AuditPolicy.GroupResources(resources: picked, resourceNames: some(names, 20))],
                    namespaces: some(namespaces + [""], 15),
                    omitStages: Int.random(in: 0..<4, using: &random) == 0 ? [.responseComplete] : [])
            } + (Bool.random(using: &random) ? [AuditPolicy.Rule(.metadata)] : []))
        let probe = VisibilityProbe(policy, user: Self.user, Self.catalogue)
        for _ in 0..<40 {
            let (verb, resource) = (verbs.randomElement(using: &random) ?? "get", (resources + ["*"]).randomElement(using: &random) ?? "*")
            let scope = Bool.random(using: &random) ? namespaces.randomElement(using: &random) : nil
            let only = Int.random(in: 0..<4, using: &random) == 0 ? ["a"] : nil
            let found = probe.visibility(of: try Self.grant(verb, group: "", resource: resource, scope: scope, names: only))
            for _ in 0..<60 {
                let combined = resource == "*" ? resources.randomElement(using: &random) ?? "" : resource
                let (base, subresource) = combined.splitBytes(at: "/")
                let isNameless = verb == "list" || verb == "watch" || (verb == "create" && subresource == nil)
                let name = only?.first ?? (isNameless ? "" : names.randomElement(using: &random) ?? "")
                let isCluster = base == "nodes"
                var namespace = scope ?? (isCluster ? "" : namespaces.randomElement(using: &random) ?? "")
                if scope == nil, !isCluster, verb == "list" || verb == "watch", Bool.random(using: &random) { namespace = "" }
                let request = Request(verb: verb, resource: base, subresource: subresource ?? "", namespace: namespace, name: name)
                let isSeen = policy.decision(on: request, by: Self.user).leavesEvidence(of: request)
                switch found {
                case .visible: #expect(isSeen, "\(request)")
                case .hidden: #expect(!isSeen, "\(request)")
                case .partly: break
                }
            }
        }
    }
}
