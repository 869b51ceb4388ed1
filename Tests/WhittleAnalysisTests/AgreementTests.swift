import Foundation
import Testing
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

/// The matcher in Swift, the SQL, and a real API server give the same answer to every request.
@Suite("Agreement")
struct AgreementTests {
    let database: WhittleDatabase
    let authorizer: Authorizer

    init() throws {
        database = try WhittleDatabase.inMemory(try Fixtures.recordedCluster())
        authorizer = try database.authorizer()
    }

    /// What binding allows, as text that Swift and SQL can be compared by.
    private func swiftGrants(_ request: Request, _ user: UserInfo) -> Set<String> {
        Set(
            authorizer.grants(for: request, by: user).map { grant in
                let binding = authorizer.bindings[grant.binding]
                return "\(binding.kind) \(binding.meta.namespace)/\(binding.meta.name) rule \(grant.rule) subject \(grant.subject)"
            })
    }

    private func sqlGrants(_ request: Request, _ user: UserInfo) throws -> Set<String> {
        Set(
            try CanI(request, by: user, in: database).grants.map { grant in
                let binding = authorizer.bindings.firstIndex {
                    $0.kind == grant.bindingKind && $0.meta.namespace == grant.scopeNamespace ?? "" && $0.meta.name == grant.binding
                }
                let written = binding.map { authorizer.bindings[$0].subjects.map(\.subject) } ?? []
                let place = Subject.firstMatch(written, user: user, bindingNamespace: grant.scopeNamespace ?? "")
                return
                    "\(grant.bindingKind) \(grant.scopeNamespace ?? "")/\(grant.binding) rule \(grant.rule) subject \(place ?? -1)"
            })
    }

    private func check(_ decisions: [Decision], inSQL: Bool) throws -> (disagreements: Int, byNode: Int, unnamedBindings: Int) {
        var result = (disagreements: 0, byNode: 0, unnamedBindings: 0)
        for decision in decisions {
            let isBypass = decision.user.groups.contains(ImplicitGroup.masters)
            let bindings: [(kind: String, namespace: String, name: String)]
            if inSQL {
                bindings = try CanI(decision.request, by: decision.user, in: database).grants.map {
                    ($0.bindingKind, $0.scopeNamespace ?? "", $0.binding)
                }
            } else {
                bindings = authorizer.grants(for: decision.request, by: decision.user).map {
                    let binding = authorizer.bindings[$0.binding]
                    return (binding.kind, binding.meta.namespace, binding.meta.name)
                }
            }
            let isAllowed = isBypass || !bindings.isEmpty
            if isAllowed != decision.isAllowed {
                if decision.isDecidedByNodeAuthorizer(rbacAllows: isAllowed) {
                    result.byNode += 1
                } else {
                    result.disagreements += 1
                }
            } else if let named = GrantReason(decision.reason),
                !bindings.contains(where: { $0 == (named.bindingKind, named.bindingNamespace, named.bindingName) })
            {
                result.unnamedBindings += 1
            }
        }
        return result
    }

    @Test("recorded decisions agree in Swift")
    func recordedDecisionsInSwift() throws {
        let decisions = try Decision.read(Fixtures.path("clusters/recorded/decisions.jsonl.gz"))
        #expect(decisions.count > 8_000)
        #expect(decisions.filter(\.isAllowed).count > 2_000)
        let result = try check(decisions, inSQL: false)
        #expect(result.disagreements == 0)
        #expect(result.unnamedBindings == 0)
    }

    @Test("recorded decisions agree in SQL")
    func recordedDecisionsInSQL() throws {
        let result = try check(try Decision.read(Fixtures.path("clusters/recorded/decisions.jsonl.gz")), inSQL: true)
        #expect(result.disagreements == 0)
        #expect(result.unnamedBindings == 0)
    }

    @Test("all recorded decisions agree in Swift and SQL", .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"))
    func allRecordedDecisions() throws {
        let folder = try #require(Fixtures.referenceData) + "/apiserver"
        let full = try WhittleDatabase.inMemory(try ManifestLoader().load(["\(folder)/dump/all.json"]))
        let tests = try AgreementTests(full)
        let decisions = try Decision.read("\(folder)/decisions.jsonl.gz") + Decision.read("\(folder)/decisions-edge.jsonl.gz")
        #expect(decisions.count == 99_278)
        for inSQL in [false, true] {
            let result = try tests.check(decisions, inSQL: inSQL)
            #expect(result.disagreements == 0)
            #expect(result.byNode == 11)
            #expect(result.unnamedBindings == 0)
        }
    }

    private init(_ database: WhittleDatabase) throws {
        self.database = database
        authorizer = try database.authorizer()
    }

    @Test("recorded rules reviews agree as multisets")
    func rulesReviews() throws {
        try checkRulesReviews(Fixtures.path("clusters/recorded/rules.json.gz"))
    }

    @Test("all recorded rules reviews agree", .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"))
    func allRulesReviews() throws {
        try checkRulesReviews(try #require(Fixtures.referenceData) + "/apiserver/rules.json")
    }

    private func checkRulesReviews(_ path: String) throws {
        let reviews = try #require(JSON(data: try Fixtures.contents(path))).array
        #expect(!reviews.isEmpty)
        // One reviewer was not allowed to ask; that row holds an error instead of rules.
        for review in reviews where review["error"] == .null {
            let user = UserInfo(name: review["user"].string ?? "", groups: review["groups"].strings)
            // A review lists resource rules and URL rules apart; a rule with both stands in both lists.
            let rules = authorizer.rules(for: user, namespace: review["namespace"].string ?? "").rules
            let resources = rules.filter { !($0.resources ?? []).isEmpty }.map {
                PolicyRule(verbs: $0.verbs, apiGroups: $0.apiGroups, resources: $0.resources, resourceNames: $0.resourceNames).normalized
            }
            let urls = rules.filter { !($0.nonResourceURLs ?? []).isEmpty }.map {
                PolicyRule(verbs: $0.verbs, nonResourceURLs: $0.nonResourceURLs).normalized
            }
            #expect(resources.multiset == review["resourceRules"].rules.map(\.normalized).multiset, "\(user.name)")
            #expect(urls.multiset == review["nonResourceRules"].rules.map(\.normalized).multiset, "\(user.name)")
        }
    }

    @Test("Swift and SQL agree on 100,000 random questions near the borders of rules")
    func randomQuestions() throws {
        var random = SeededGenerator(seed: 36)
        var allowed = 0
        for _ in 0..<100_000 {
            let (request, user) = question(&random)
            let swift = swiftGrants(request, withoutMasters(user))
            if !swift.isEmpty { allowed += 1 }
            let sql = try sqlGrants(request, withoutMasters(user))
            if swift != sql {
                Issue.record("\(user.name) \(request): Swift \(swift.sorted()) SQL \(sql.sorted())")
                return
            }
        }
        // Both answers must be frequent, or the test says nothing.
        #expect(allowed > 20_000)
        #expect(allowed < 80_000)
    }

    /// A request that some rule of a subject's binding just allows, with at most two parts moved across the border.
    private func question(_ random: inout SeededGenerator) -> (Request, UserInfo) {
        func pick<Element>(_ list: [Element]) -> Element? { list.randomElement(using: &random) }
        func concrete(_ text: String, _ others: [String]) -> String { text == "*" ? pick(others) ?? text : text }
        let verbs = ["get", "list", "create", "delete", "patch", "impersonate", "use", "*", ""]
        let groups = ["", "apps", "batch", "rbac.authorization.k8s.io", "*", "certificates.k8s.io"]
        let resources = ["pods", "secrets", "deployments", "nodes", "Pods", "pod", "*", "pods/log"]
        let subresources = ["", "status", "log", "exec", "scale", "*", "finalizers"]
        let names = ["", "thing", "*", "leader-lock", "a"]
        let namespaces = ["", "default", "kube-system", "*"] + authorizer.bindings.map(\.meta.namespace)
        let index = Int.random(in: 0..<authorizer.bindings.count, using: &random)
        let binding = authorizer.bindings[index]
        let subject = pick(binding.subjects)?.subject.identity(inBindingOf: binding.meta.namespace) ?? Identity(.user, "nobody")
        let user =
            subject.kind == .user
            ? UserInfo(name: subject.name, groups: ImplicitGroup.groups(ofUser: subject.name))
            : UserInfo(name: "someone", groups: [subject.name])
        guard let role = authorizer.roleOfBinding[index], let rule = pick(authorizer.roles[role].effectiveRules)?.rule else {
            return (Request(verb: pick(verbs) ?? "", resource: pick(resources) ?? "", namespace: binding.meta.namespace), user)
        }
        if let url = pick(rule.nonResourceURLs ?? []) {
            let stem = String(url.reversed().drop { $0 == "*" }.reversed())
            let paths = [url, stem, stem + "x", stem + "/", String(stem.dropLast()), "/other", url + "*"]
            let verb =
                Bool.random(using: &random)
                ? concrete(pick(rule.verbs ?? []) ?? "get", ["get", "post"]) : pick(["get", "post", "*"]) ?? ""
            return (Request(verb: verb, path: pick(paths) ?? url), user)
        }
        let combined = concrete(pick(rule.resources ?? []) ?? "pods", resources)
        let slash = combined.firstIndex(of: "/")
        var request = Request(
            verb: concrete(pick(rule.verbs ?? []) ?? "get", verbs), apiGroup: concrete(pick(rule.apiGroups ?? []) ?? "", groups),
            resource: concrete(slash.map { String(combined[..<$0]) } ?? combined, resources),
            subresource: slash.map { String(combined[combined.index(after: $0)...]) } ?? "",
            namespace: binding.meta.namespace.isEmpty ? pick(namespaces) ?? "" : binding.meta.namespace,
            name: pick(rule.resourceNames ?? []) ?? pick(names) ?? "")
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0: request.verb = pick(verbs) ?? ""
            case 1: request.apiGroup = pick(groups) ?? ""
            case 2: request.resource = pick(resources) ?? ""
            case 3: request.subresource = pick(subresources) ?? ""
            case 4: request.name = pick(names) ?? ""
            default: request.namespace = pick(namespaces) ?? ""
            }
        }
        return (request, user)
    }

    /// The bypass of `system:masters` is no matter of matching.
    private func withoutMasters(_ user: UserInfo) -> UserInfo {
        UserInfo(name: user.name, groups: user.groups.filter { $0 != ImplicitGroup.masters })
    }

    @Test("who-can names exactly the bindings' subjects that the matcher allows")
    func whoCanAgrees() throws {
        var random = SeededGenerator(seed: 37)
        for _ in 0..<2_000 {
            let (request, _) = question(&random)
            let expected = Set(
                authorizer.subjects(allowed: request).compactMap { entry -> String? in
                    let binding = authorizer.bindings[entry.grant.binding]
                    return entry.subject.identity(inBindingOf: binding.meta.namespace).map { identity in
                        let account = identity.kind == .user ? ServiceAccountName.split(identity.name) : nil
                        let name =
                            account.map { "ServiceAccount \($0.namespace)/\($0.name)" } ?? "\(identity.kind.rawValue) \(identity.name)"
                        return "\(name) by \(binding.kind) \(binding.meta.namespace)/\(binding.meta.name)"
                    }
                })
            let question: WhoCan.Question =
                request.path.map { .url(verb: request.verb, path: $0) }
                ?? .resource(
                    verb: request.verb, apiGroup: request.apiGroup, resource: request.resource, subresource: request.subresource,
                    name: request.name, namespace: request.namespace)
            let answers = try WhoCan(question, in: database).answers
            let found = Set(
                answers.map { "\($0.grant.subject) by \($0.grant.bindingKind) \($0.grant.scopeNamespace ?? "")/\($0.grant.binding)" })
            #expect(found == expected)
        }
    }
}
