import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

@Suite("AuditPolicyReader")
struct AuditPolicyReaderTests {
    private static let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

    private func read(_ text: String, as name: String = "policy.yaml") throws -> (policy: AuditPolicy?, diagnostics: [Diagnostic]) {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        return try AuditPolicyReader.read(try folder.write(text, to: name))
    }

    @Test("a policy in YAML and the same in JSON")
    func policy() throws {
        let yaml = try read(
            Self.head + """
                omitStages: [RequestReceived]
                omitManagedFields: true
                rules:
                - level: None
                  users: ["system:kube-proxy"]
                  userGroups: [g]
                  verbs: [watch]
                  resources:
                  - group: ""
                    resources: [endpoints, pods/*]
                    resourceNames: [a]
                  - group: apps
                  namespaces: [kube-system, ""]
                  omitStages: [Panic]
                  omitManagedFields: false
                - level: RequestResponse
                  nonResourceURLs: [/api*, "*"]
                """)
        #expect(yaml.diagnostics.isEmpty)
        let expected = AuditPolicy(
            rules: [
                AuditPolicy.Rule(
                    .none, users: ["system:kube-proxy"], userGroups: ["g"], verbs: ["watch"],
                    resources: [
                        AuditPolicy.GroupResources(resources: ["endpoints", "pods/*"], resourceNames: ["a"]),
                        AuditPolicy.GroupResources(group: "apps"),
                    ], namespaces: ["kube-system", ""], omitStages: [.panic]),
                AuditPolicy.Rule(.requestResponse, nonResourceURLs: ["/api*", "*"]),
            ], omitStages: [.requestReceived])
        #expect(yaml.policy == expected)
        let json = try read(
            #"{"kind":"Policy","apiVersion":"audit.k8s.io/v1beta1","metadata":{"name":"p"},"rules":[{"level":"Request","users":null}]}"#,
            as: "policy.json")
        #expect(json.policy == AuditPolicy(rules: [AuditPolicy.Rule(.request)]) && json.diagnostics.isEmpty)
    }

    struct Bad: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var place: String

        init(_ name: String, _ text: String, _ place: String) {
            testDescription = name
            self.text = text
            self.place = place
        }
    }

    static let bad: [Bad] = [
        Bad("an unknown level", head + "rules:\n- level: Metdata\n", "4:10"),
        Bad("a level that is not text", head + "rules:\n- level: [None]\n", "4:10"),
        Bad("no level", head + "rules:\n- verbs: [get]\n", "4:3"),
        Bad("an unknown field of the policy", head + "omitStage: []\nrules:\n- level: None\n", "3:1"),
        Bad("an unknown field of a rule", head + "rules:\n- level: None\n  namespace: [a]\n", "5:3"),
        Bad("an unknown field of resources", head + "rules:\n- level: None\n  resources:\n  - apiGroup: apps\n", "6:5"),
        Bad("a field twice", head + "rules:\n- level: None\n  level: Metadata\n", "5:3"),
        Bad("another kind", "apiVersion: v1\nkind: ConfigMap\n", "1:1"),
        Bad("another group", "apiVersion: v1\nkind: Policy\nrules:\n- level: None\n", "1:1"),
        Bad("a list of policies", "apiVersion: audit.k8s.io/v1\nkind: PolicyList\nitems: []\n", "1:1"),
        Bad("no rules", head, "1:1"),
        Bad("empty rules", head + "rules: []\n", "3:8"),
        Bad("an unknown stage", head + "rules:\n- level: None\n  omitStages: [RequestRecieved]\n", "5:16"),
        Bad("verbs that are no list", head + "rules:\n- level: None\n  verbs: get\n", "5:10"),
        Bad("a verb that is no text", head + "rules:\n- level: None\n  verbs: [get, 1]\n", "5:16"),
        Bad("names without resources", head + "rules:\n- level: None\n  resources:\n  - resourceNames: [a]\n", "6:20"),
        Bad("a group with its version", head + "rules:\n- level: None\n  resources:\n  - group: apps/v1\n", "6:12"),
        Bad("a wildcard as group", head + "rules:\n- level: None\n  resources:\n  - group: \"*\"\n", "6:12"),
        Bad("a URL without slash", head + "rules:\n- level: None\n  nonResourceURLs: [healthz]\n", "5:21"),
        Bad("a star inside a URL", head + "rules:\n- level: None\n  nonResourceURLs: [\"/a*b\"]\n", "5:21"),
        Bad("URLs beside namespaces", head + "rules:\n- level: None\n  namespaces: [a]\n  nonResourceURLs: [/a]\n", "6:20"),
        Bad("a flag that is none", head + "rules:\n- level: None\n  omitManagedFields: 1\n", "5:22"),
        Bad("two documents", head + "rules:\n- level: None\n---\n" + head + "rules:\n- level: None\n", "6:1"),
        Bad("nothing", "# nothing\n", "1:1"),
        Bad("a text", "policy\n", "1:1"),
    ]

    @Test("what an API server would not take is an error at its place, and there is no policy", arguments: bad)
    func errors(_ item: Bad) throws {
        let (policy, diagnostics) = try read(item.text)
        #expect(policy == nil)
        #expect(diagnostics.map(\.id) == ["invalid-audit-policy"])
        #expect(diagnostics.first.flatMap(\.location).map { "\($0.line):\($0.column)" } == item.place)
        #expect(diagnostics.allSatisfy { $0.severity == .error && $0.help != nil })
    }

    @Test("every error is told, and broken YAML, other encodings and missing files too")
    func several() throws {
        let both = try read(Self.head + "rules:\n- level: Nothing\n  verb: [get]\n- level: None\n  user: [a]\n")
        #expect(both.diagnostics.count == 3)
        let broken = try read(Self.head + "rules:\n- level: [None\n")
        #expect(broken.policy == nil && broken.diagnostics.map(\.id) == ["invalid-yaml"])
        #expect(throws: IngestError.self) { try AuditPolicyReader.read("/nowhere/policy.yaml") }
        let fixture = try AuditPolicyReader.read(Fixtures.path("audit-policies/invalid-audit-policy.yaml"))
        #expect(fixture.diagnostics.map(\.id) == ["invalid-audit-policy"])
        #expect(fixture.diagnostics.first?.location?.line == 8 && fixture.diagnostics.first?.location?.column == 3)
    }

    @Test("the policies of the fixtures and of the documentation are read")
    func documented() throws {
        for name in ["everything", "quiet"] {
            #expect(try AuditPolicyReader.read(Fixtures.path("audit-policies/\(name).yaml")).diagnostics.isEmpty)
        }
        let text = try Fixtures.lines(Fixtures.path("../docs/audit-logs.md"))
        let start = try #require(text.firstIndex(of: "apiVersion: audit.k8s.io/v1"))
        let end = try #require(text[start...].firstIndex(of: "```"))
        let (policy, diagnostics) = try read(text[start..<end].joined(separator: "\n"))
        #expect(diagnostics.isEmpty)
        let reads = Request(verb: "get", resource: "secrets", namespace: "shop", name: "a")
        let user = ServiceAccountName.user(namespace: "shop", name: "cart")
        #expect(policy?.decision(on: reads, by: user).level == .metadata)
    }

    @Test("the levels that a real API server gave to 40,554 events", .enabled(if: Fixtures.referenceData != nil))
    func recorded() throws {
        let reference = try #require(Fixtures.referenceData)
        let text = """
            rules:
            - level: RequestResponse
              resources: [{group: rbac.authorization.k8s.io}, {group: authorization.k8s.io}]
            - level: Metadata
            """
        let policy = try #require(try read(Self.head + text).policy)
        var seen: [String: Int] = [:]
        for line in try Fixtures.lines("\(reference)/apiserver/audit.log.gz") {
            let event = try #require(JSON(data: Data(line.utf8)))
            let uri = RequestURI(verb: event["verb"].string ?? "", uri: event["requestURI"].string ?? "")
            let user = UserInfo(name: event["user"]["username"].string ?? "", groups: event["user"]["groups"].strings)
            let decision = policy.decision(on: uri.request, by: user)
            let level = event["level"].string ?? ""
            #expect(decision.level.rawValue == level, "\(line.prefix(300))")
            // What fails to authenticate has this stage alone.
            if event["stage"].string == "ResponseStarted", event["responseStatus"]["code"].int != 401 {
                #expect(uri.request.isLongRunning, "\(uri.request)")
            }
            seen[level, default: 0] += 1
        }
        #expect(seen == ["Metadata": 38_711, "RequestResponse": 1_843])
    }
}
