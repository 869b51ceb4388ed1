import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

@Suite("load, usage, propose, verify")
struct LeastPrivilegeTests {
    @Test("the folded log equals an independent fold")
    func usageEqualsIndependentFold() throws {
        try checkFold(Fixtures.path("clusters/recorded/audit.log.gz"), expected: Fixtures.path("clusters/recorded/usage.jsonl.gz"))
    }

    @Test("the whole recorded log equals its independent fold", .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"))
    func wholeUsageEqualsIndependentFold() throws {
        let folder = try #require(Fixtures.referenceData) + "/apiserver"
        try checkFold("\(folder)/audit.log.gz", expected: "\(folder)/audit-usage.jsonl.gz")
    }

    private func checkFold(_ log: String, expected file: String) throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        #expect(whittle("load", Fixtures.path("clusters/recorded/cluster.json"), "-o", database).code == 0)
        #expect(whittle("usage", "load", log, "--db", database).code == 0)
        let found = whittle("usage", "list", "-o", "jsonl", "--db", database).output.split(separator: "\n")
            .compactMap { JSON(data: Data($0.utf8)) }.map(Self.row)
        let expected = try Fixtures.lines(file)
            .compactMap { JSON(data: Data($0.utf8)) }.map(Self.row)
        #expect(expected.count > 300)
        #expect(Set(found) == Set(expected))
        #expect(found.count == expected.count)
    }

    private static func row(_ json: JSON) -> String {
        let keys = ["user", "by", "verb", "apiGroup", "resource", "subresource", "name", "namespace", "path", "decision"]
        return (keys.map { json[$0].string ?? "" } + ["\(json["count"].int ?? -1)", json["pods"].strings.sorted().joined(separator: ",")])
            .joined(separator: "|")
    }

    @Test("proposals of every account replay exactly: nothing refused, nothing beyond, no rule redundant")
    func proposalsAreProven() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("clusters/recorded/cluster.json"), "-o", database)
        _ = whittle("usage", "load", Fixtures.path("clusters/recorded/audit.log.gz"), "--db", database)
        let proposal = whittle("propose", "-A", "--db", database)
        #expect(proposal.code == 0)
        let file = try workspace.write(proposal.output, to: "p.yaml")
        let proof = whittle("verify", file, "-A", "--exact", "--db", database)
        #expect(proof.code == 0, "\(proof.output)")
        #expect(proof.output.split(separator: "\n").count >= 5)
        // A proposal with a rule less is not proven.
        let cut = proposal.output.replacing("verbs: [list, watch]", with: "verbs: [list]")
        #expect(cut != proposal.output)
        let refused = whittle("verify", try workspace.write(cut, to: "cut.yaml"), "--db", database)
        #expect(refused.code == 1 && refused.output.contains("refused: watch"))
        // One that grants more than the account holds today is not.
        let wide = proposal.output.replacing("verbs: [list, watch]", with: "verbs: [list, watch, delete]")
        let excess = try workspace.write(wide, to: "wide.yaml")
        let widened = whittle("verify", excess, "--db", database)
        #expect(widened.code == 1 && widened.output.contains(#/beyond: delete .*, which it does not hold today/#))
    }

    @Test("nothing denied, nothing that defaults give, names kept, implied create kept")
    func demoProposal() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        _ = whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database)
        let result = whittle("propose", "sa/cart", "-n", "shop", "--db", database)
        #expect(!result.output.contains("ClusterRole"))
        #expect(!result.output.contains("/version"))
        #expect(result.output.contains("resourceNames: [cart-state]\n  verbs: [create, patch]"))
        // Without any usage or declaration there is no output at all.
        let none = whittle("propose", "sa/metrics", "-n", "platform", "--db", database)
        #expect(none.code == 2 && none.output.isEmpty)
        // A declaration alone is enough.
        let declared = try workspace.write(
            #"{"verb":"get","resource":"pods","namespace":"platform"}"# + "\n" + #"{"verb":"get","path":"/metrics"}"#, to: "d.jsonl")
        let fromList = whittle("propose", "sa/metrics", "-n", "platform", "--declared", declared, "--db", database)
        #expect(fromList.code == 0 && fromList.output.contains("resources: [pods]") && fromList.output.contains("/metrics"))
        let role = try workspace.write(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: d}, rules: [{apiGroups: [apps], resources: [\"*\"], verbs: [get]}]}",
            to: "d.yaml")
        #expect(
            whittle("propose", "sa/metrics", "-n", "platform", "--declared", role, "--db", database).output.contains("resources: [\"*\"]"))
    }

    @Test("a grown log counts only what is new, a repeated one nothing, EventLists and gzip read the same")
    func logsAreCountedOnce() throws {
        let workspace = try Workspace()
        let lines = try Fixtures.lines(Fixtures.path("demo/audit.log"))
        func counts(_ files: [String]) throws -> [String] {
            let database = workspace.file(UUID().uuidString)
            _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
            for file in files { #expect(whittle("usage", "load", file, "--db", database).code == 0) }
            return whittle("usage", "list", "-o", "csv", "--db", database).output.split(separator: "\n").map(String.init)
        }
        let whole = try counts([Fixtures.path("demo/audit.log")])
        let growing = try workspace.write(lines.prefix(20).joined(separator: "\n") + "\n" + lines[20].prefix(40), to: "grow.log")
        let database = workspace.file("grow.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        #expect(whittle("usage", "load", growing, "--db", database).errors.contains("0 unreadable"))
        _ = try workspace.write(lines.joined(separator: "\n") + "\n", to: "grow.log")
        _ = whittle("usage", "load", growing, "--db", database)
        #expect(whittle("usage", "load", growing, "--db", database).errors.contains("nothing new"))
        #expect(whittle("usage", "list", "-o", "csv", "--db", database).output.split(separator: "\n").map(String.init) == whole)
        let list = #"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[\#(lines.joined(separator: ","))]}"#
        #expect(try counts([try workspace.write(list, to: "list.json")]) == whole)
        let pretty = "{\n\"kind\": \"EventList\",\n\"items\": [\n" + lines.joined(separator: ",\n") + "\n]\n}\n"
        #expect(try counts([try workspace.write(pretty, to: "pretty.json")]) == whole)
        // A bad line is counted and said, the rest is read.
        let bad = try workspace.write(([lines[0], "{broken"] + lines.dropFirst()).joined(separator: "\n"), to: "bad.log")
        let other = workspace.file("bad.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", other)
        let result = whittle("usage", "load", bad, "--db", other)
        #expect(result.errors.contains("bad.log:2:") && result.errors.contains("1 unreadable"))
        #expect(whittle("usage", "list", "-o", "csv", "--db", other).output.split(separator: "\n").map(String.init) == whole)
    }

    private static func event(_ uri: String, verb: String = "get", code: Int = 200, id: Int) -> String {
        """
        {"kind":"Event","stage":"ResponseComplete","auditID":"\(id)","requestURI":\(jsonQuoted(uri)),"verb":"\(verb)","user":{"username":"system:serviceaccount:shop:cart"},"responseStatus":{"code":\(code)},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"x"}}
        """
    }

    /// Proposes for the requests of one log and verifies the proposal.
    private func proposal(for uris: [(uri: String, verb: String)]) throws -> (yaml: CommandResult, proof: CommandResult) {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        let log = try workspace.write(
            uris.enumerated().map { Self.event($0.element.uri, verb: $0.element.verb, code: 404, id: $0.offset) }.joined(separator: "\n"),
            to: "a.log")
        _ = whittle("usage", "load", log, "--db", database)
        let proposal = whittle("propose", "sa/cart", "-n", "shop", "--db", database)
        let file = try workspace.write(proposal.output, to: "p.yaml")
        return (proposal, whittle("verify", file, "--exact", "--as", "sa/shop/cart", "--db", database))
    }

    @Test(
        "a request that spells a star never becomes a wildcard",
        arguments: [
            "/api/v1/*", "/*", "/apis/*/v1/secrets/y", "/api/v1/namespaces/shop/*/x",
        ])
    func literalStars(_ uri: String) throws {
        let result = try proposal(for: [(uri, "get"), ("/api/v1/namespaces/shop/pods/a", "get")])
        let documents = result.yaml.output.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(!documents.contains { $0.contains("*") })
        #expect(result.yaml.output.contains("left out, a rule would read the `*` as a wildcard"))
        #expect(result.yaml.output.contains("resources: [pods]"))
        #expect(result.yaml.errors.contains("1 requests"))
        #expect(result.proof.code == 0 && result.proof.output.contains("not replayed: 1"))
    }

    @Test("names in different normal forms, with combining marks and with what YAML folds are kept apart and read back")
    func unusualNames() throws {
        let names = ["caf%C3%A9", "cafe%CC%81", "%CC%81x", "a%C2%85b", "%EF%BF%BE", "%E2%80%A8", "%EF%BB%BF"]
        let result = try proposal(for: names.map { ("/api/v1/namespaces/shop/configmaps/\($0)", "get") } + [("/x%EF%BF%BE%C2%85", "get")])
        #expect(result.proof.code == 0, "\(result.proof.output)")
        #expect(result.proof.output.contains("8 of 8 needs allowed, 0 granted beyond"))
    }

    @Test("verify understands an empty name as the nameless requests")
    func emptyResourceName() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        let log = try workspace.write(Self.event("/api/v1/namespaces/shop/pods", verb: "list", id: 1), to: "a.log")
        _ = whittle("usage", "load", log, "--db", database)
        let role = try workspace.write(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: r, namespace: shop}
            rules: [{apiGroups: [""], resources: [pods], resourceNames: [""], verbs: [list]}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: r, namespace: shop}
            roleRef: {kind: Role, name: r}
            subjects: [{kind: ServiceAccount, name: cart}]
            """, to: "r.yaml")
        #expect(whittle("verify", role, "--exact", "--db", database).code == 0)
    }

    @Test("users that only a log names are members of the groups that everybody is in; NUL in a name breaks nothing")
    func usersOfTheLog() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        let rbac = "apiVersion: rbac.authorization.k8s.io/v1\nkind: "
        let input = try workspace.write(
            rbac + "ClusterRole\nmetadata: {name: r}\nrules: [{verbs: [get], apiGroups: [''], resources: [pods]}]\n---\n" + rbac
                + "ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: Group, name: 'system:authenticated'}]\n"
                + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: 'b:c', namespace: a}\n"
                + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: c, namespace: 'a:b'}\n", to: "in.yaml")
        #expect(whittle("load", input, "-o", database).code == 0)
        for (number, name) in ["x", "x%00y", "x"].enumerated() {
            let log = try workspace.write(Self.event("/api/v1/namespaces/shop/pods/\(name)", id: number) + "\n", to: "\(number).log")
            #expect(whittle("usage", "load", log, "--db", database).code == 0)
        }
        #expect(whittle("query", "ungranted-requests", "--db", database, "-o", "json").output == "[]\n")
        let before = whittle("usage", "list", "--db", database, "-o", "csv").output
        #expect(whittle("load", input, "-o", database).code == 0)
        #expect(whittle("usage", "list", "--db", database, "-o", "csv").output == before)
        #expect(whittle("query", "ungranted-requests", "--db", database, "-o", "json").output == "[]\n")
    }

    @Test("two loads of one log that ran at the same time count it once")
    func concurrentLoads() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        let fold = try AuditLogReader.fold(Fixtures.path("demo/audit.log"))
        for _ in 0..<2 { try WhittleDatabase.open(database, isReadOnly: false).add(fold) }
        let total = whittle("usage", "list", "-o", "jsonl", "--db", database).output.split(separator: "\n")
            .compactMap { JSON(data: Data($0.utf8))?["count"].int }.reduce(0, +)
        #expect(total == 27)
    }

    @Test("what a killed load left behind is removed by the next one, what another process writes is not")
    func leftovers() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = try workspace.write("", to: "c.db.999999999.tmp")
        _ = try workspace.write("", to: "c.db.1.tmp")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        #expect(!FileManager.default.fileExists(atPath: workspace.file("c.db.999999999.tmp")))
        #expect(FileManager.default.fileExists(atPath: workspace.file("c.db.1.tmp")))
    }

    @Test("splits add up to the whole", arguments: ["pod", "agent", "binding", "day"])
    func splits(_ split: String) throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        _ = whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database)
        func total(_ arguments: [String]) -> Int {
            whittle(["usage", "list", "-o", "jsonl", "--db", database] + arguments).output.split(separator: "\n")
                .compactMap { JSON(data: Data($0.utf8))?["count"].int }.reduce(0, +)
        }
        #expect(total(["--by", split]) == total([]))
        #expect(total([]) == 27)
        if split == "day" {
            // A request of two days, and one that is open.
            let event = { (day: Int, stage: String, verb: String) in
                #"{"kind":"Event","level":"Metadata","auditID":"\#(verb)\#(day)","stage":"\#(stage)","requestURI":"/api/v1/nodes","verb":"\#(verb)","user":{"username":"u"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-1\#(day)T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}"#
                    + "\n"
            }
            let log = event(1, "ResponseComplete", "list") + event(3, "ResponseComplete", "list") + event(2, "ResponseStarted", "watch")
            _ = whittle("usage", "load", try workspace.write(log, to: "days.log"), "--db", database)
            let days = whittle("usage", "list", "--by", "day", "-o", "jsonl", "--db", database).output.split(separator: "\n")
                .compactMap { JSON(data: Data($0.utf8)) }.filter { $0["user"].string == "u" }
            let found = days.map {
                "\($0["verb"].string ?? "") \($0["day"].string ?? "") \($0["count"].int ?? -1) \($0["firstSeen"].string ?? "") \($0["lastSeen"].string ?? "")"
            }
            #expect(
                found == [
                    "list 2026-11-11 1 2026-11-11T09:00:00.000000Z 2026-11-11T23:59:59.999999Z",
                    "list 2026-11-13 1 2026-11-13T00:00:00.000000Z 2026-11-13T09:00:00.000000Z",
                    "watch 2026-11-12 0 2026-11-12T09:00:00.000000Z 2026-11-12T09:00:00.000000Z",
                ])
        }
        if split == "pod" {
            let output = whittle("usage", "list", "sa/cart", "-n", "shop", "--by", "pod", "-o", "csv", "--db", database).output
            #expect(output.contains("cart-6d5f7c9b8d-9mzwl,Deployment/cart"))
        }
    }

    @Test("usage of the service accounts of a namespace, and of everybody")
    func usageOfNamespace() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        _ = whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database)
        func list(_ arguments: String...) -> (code: Int32, output: String) {
            let result = whittle(["usage", "list", "-o", "csv", "--no-headers", "--db", database] + arguments)
            return (result.code, result.output)
        }
        let all = list().output
        #expect(list("-A").output == all)
        let lines = all.split(separator: "\n").filter { $0.hasPrefix("system:serviceaccount:shop:") }
        #expect(!lines.isEmpty)
        #expect(list("-n", "shop").output.split(separator: "\n") == lines)
        #expect(lines.count < all.split(separator: "\n").count)
        #expect(list("-n", "nowhere").code == 1)
        #expect(list("-n", "shop", "-A").code == 64)
        #expect(list("sa/cart", "-A").code == 64)
    }

    @Test("bad documents are located and counted, their neighbours load, --strict tells by 2")
    func badDocuments() throws {
        let workspace = try Workspace()
        let file = try workspace.write(
            """
            apiVersion: v1
            kind: ServiceAccount
            metadata: {name: a}
            ---
            kind: {{ .Values.kind }}
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: r}
            rules:
            - {verbs: get, apiGroups: [""], resources: [pods]}
            - {verbs: [list], apiGroups: [""], resources: [pods]}
            """, to: "m.yaml")
        let database = workspace.file("c.db")
        let result = whittle("load", file, "-o", database)
        #expect(result.code == 0)
        #expect(result.errors.contains("m.yaml:5:"))
        #expect(result.errors.contains("[invalid-yaml]"))
        #expect(result.errors.contains("m.yaml:11:"))
        #expect(result.errors.contains("[wrong-type]"))
        #expect(result.errors.contains("loaded 1 role"))
        #expect(whittle("load", file, "-o", database, "--strict").code == 2)
        #expect(whittle("load", try workspace.write("a: 1\n", to: "none.yaml"), "-o", database).code == 2)
    }

    @Test("what only looks like a credential stays as it is; a masked path is no rule")
    func harmlessTexts() throws {
        let workspace = try Workspace()
        let agents = [
            "kubectl/v1.30.0 (linux/amd64) kubernetes/abc", "Basic Operator/2", "basic auth/1.0", "token-refresher/1", "retry=standard",
            "Bearer/1.0", "session=abc", "token: expired", "external-secret:v1.2", "a --tokens --secret on", "my-token 1.2.3-alpha.12345",
            "Authorization: none set", "a = b", "tokens = 5", #"{\"a\":\"b\",\"token\":\"\"}"#,
            "logsghp_abcdefghijklmnopqrstuvwxyz", "npm_config/1", "pypi-client/2.0", "hf_hub_transfer_library/1",
            "sk-proj-controller-manager/v1", "npm_registry_reader_role_v2_Prod", "hf_TrainingPipelineReader", "pod123.17a1b2c3d4e5f678",
            "kubernetes-sig: external-dns/v0", "sha256~short", "EurAKIA",
            "git https://git@github.com/x", "git https://first.last-2026.name@github.com/x",
            "git https://continuous-integration-12345@github.com/x",
            String(repeating: "eyJ", count: 100_000),
            String(repeating: "//a:", count: 100_000),
        ]
        let masked = [
            ("Authorization: Basic dXNlcjpwbGFudGVk x", "Authorization: Basic REDACTED x"),
            ("a?Access_Token=p1;b", "a?Access_Token=REDACTED;b"),
            ("x eyJhbGciOi.J9abcdefg.s-_1 y", "x REDACTED y"), ("git //u:p2@h/x", "git //u:REDACTED@h/x"),
            ("git https://x7FqPlantedOpaque99@github.com/x", "git https://REDACTED@github.com/x"),
            ("pwd='p3 q' a", "pwd='REDACTED' a"), ("x X-Auth-Token: p4planted y", "x X-Auth-Token: REDACTED y"),
            ("tool --token p5-planted x", "tool --token REDACTED x"), ("/a/x--token p5-planted", "/a/x--token REDACTED"),
            ("a ghp_0123456789abcdefghij", "a REDACTED"),
            ("oc/(sha256~0123456789abcdefghij)", "oc/(REDACTED)"), ("aws AKIAIOSFODNN7EXAMPLE/1", "aws REDACTED/1"),
            (#"{\"token\":\"p6\"}"#, #"{\"token\":\"REDACTED\"}"#),
            (#"{\"a_token\": \"p7\", \"b\":1}"#, #"{\"a_token\": \"REDACTED\", \"b\":1}"#),
            (#"x --token \"p8\" y"#, #"x --token \"REDACTED\" y"#), (#"a Bearer \"p9planted\""#, #"a Bearer \"REDACTED\""#),
            ("token = p10 x", "token = REDACTED x"), ("Authorization: token p11-planted x", "Authorization: token REDACTED x"),
            ("Authorization: p12-planted", "Authorization: REDACTED"), ("Authorization: Negotiate p14planted", "Authorization: REDACTED"),
            ("token => p15 x", "token => REDACTED x"), (#"{\"token\":[\"p16\"]}"#, #"{\"token\":[\"REDACTED\"]}"#),
            ("a Bearer=p13planted", "a Bearer=REDACTED"),
            ("ci npm_0123456789ABCDefghij;", "ci REDACTED;"), ("join abcdef.0123456789uvwxyz", "join REDACTED"),
            ("dckr_pat_0123456789-ab_cdef x", "REDACTED x"), ("a/k3x9ab.z0q1w2e3r4t5y6u7", "a/REDACTED"),
            ("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 x", "REDACTED x"), ("sk-svcacct-A0bcdefghijklmnopqrstuvwxyz x", "REDACTED x"),
            ("https://h/x?sv=1&sig=p17", "https://h/x?sv=1&sig=REDACTED"), ("a eyJhbGciOi.J9abcdefg.s-_1..x4 y", "a REDACTED y"),
        ]
        let paths = ["/openid/v1/jwks", "/.well-known/openid-configuration", "/oauth/token", "/a=b", "/x/token=abcdef"]
        var lines: [String] = []
        for (agent, path) in (agents + masked.map(\.0)).map({ ($0, "/healthz") }) + paths.map({ ("a/1", $0) }) {
            lines.append(
                #"{"kind":"Event","level":"Metadata","auditID":"\#(lines.count)","stage":"ResponseComplete","requestURI":"\#(path)","verb":"get","user":{"username":"system:serviceaccount:shop:cart"},"userAgent":"\#(agent)","responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"token=abcdef\" of ClusterRole \"r\" to User \"u\""}}"#
            )
        }
        let log = try workspace.write(lines.joined(separator: "\n") + "\n", to: "audit.log")
        let database = workspace.file("c.db")
        #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", database).code == 0)
        #expect(whittle("usage", "load", log, "--db", database).code == 0)
        let list = whittle("usage", "list", "--by", "agent", "-o", "json", "--db", database).output
        for text in agents + paths.dropLast() {
            #expect(list.contains(text.utf8.count > 2_048 ? "\"\(text.prefix(2_048))...TRUNCATED\"" : "\"\(text)\""), "\(text)")
        }
        for (_, text) in masked { #expect(list.contains("\"\(text)\""), "\(text)") }
        #expect(list.contains("/x/token=REDACTED"))
        #expect(whittle("usage", "list", "--by", "binding", "-o", "json", "--db", database).output.contains(#""token=abcdef""#))
        let proposal = whittle("propose", "sa/cart", "-n", "shop", "--db", database).output
        #expect(proposal.contains("/oauth/token") && proposal.contains("left out, the credential in it is not kept"))
        #expect(!proposal.split(separator: "\n").contains { !$0.hasPrefix("#") && $0.contains("REDACTED") })
    }

    @Test("tokens planted in every input are found nowhere")
    func noSecretsAreKept() throws {
        let workspace = try Workspace()
        let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IlBMQU5URUQifQ.planted-token"
        let encoded = Data(token.utf8).base64EncodedString()
        let manifest = """
            apiVersion: v1
            kind: Secret
            metadata:
              name: t
              namespace: shop
              annotations:
                kubernetes.io/service-account.name: cart
                kubectl.kubernetes.io/last-applied-configuration: '{"data":{"token":"\(encoded)"},"x":"\(token)"}'
            type: kubernetes.io/service-account-token
            data: {token: \(encoded)}
            stringData: {token: \(token)}
            ---
            {apiVersion: v1, kind: Secret, metadata: {name: u, namespace: shop}, data: {a: \(encoded)}, type: Opaque}
            ---
            apiVersion: v1
            kind: Secret
            metadata: {name: bad, namespace: shop}
            data: {a: \(token)
            ---
            apiVersion: v1
            kind: Secret
            metadata: {name: alias, namespace: shop}
            stringData: {password: *planted-token}
            ---
            apiVersion: v1
            kind: ServiceAccount
            metadata: {name: cart, namespace: shop, annotations: {a: \(token)}}
            ---
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: c, namespace: shop}
            data: {a: \(token)}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: p, namespace: shop, annotations: {a: \(token)}}
            spec:
              serviceAccountName: cart
              containers: [{name: c, env: [{name: A, value: \(token)}], args: ["--token=\(token)"]}]
            """
        let json =
            #"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"j","annotations":{"a":"\#(token)"}},"data":{"t":"\#(encoded)"}}]}"#
        let event = """
            {"kind":"Event","level":"RequestResponse","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/serviceaccounts/cart/token?access_token=\(token)","verb":"create","user":{"username":"system:serviceaccount:shop:cart","extra":{"a":["\(token)"]}},"objectRef":{"resource":"serviceaccounts","namespace":"shop","name":"cart","subresource":"token"},"responseStatus":{"code":201},"requestObject":{"spec":{"token":"\(token)"}},"responseObject":{"status":{"token":"\(token)"}},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"","other":"\(token)"}}
            {"kind":"Event","level":"Metadata","auditID":"2","stage":"ResponseComplete","requestURI":"/live%3Ftoken=planted-token1","verb":"get","user":{"username":"system:serviceaccount:shop:cart"},"userAgent":"curl/8 Authorization: Bearer planted-token2","responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"webhook: password=planted-token3"}}
            {"kind":"Event","level":"Metadata","auditID":"3","stage":"ResponseComplete","requestURI":"https://u:planted-token4@host/\(token)","verb":"get","user":{"username":"system:serviceaccount:shop:cart"},"userAgent":"kubectl/v1 \(token)","impersonatedUser":{"username":"bob","uid":"\(token)","extra":{"scopes":["Bearer planted-token6"]}},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"r"}}
            {"kind":"Event","level":"Request","auditID":"4","stage":"ResponseComplete","requestURI":"/apis/authorization.k8s.io/v1/subjectaccessreviews","verb":"create","user":{"username":"system:serviceaccount:shop:cart"},"requestObject":{"spec":{"user":"bob","nonResourceAttributes":{"verb":"get","path":"/metrics?token=planted-token5"}}},"responseStatus":{"code":201},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"r"}}
            {"kind":"Event","level":"Metadata","auditID":"5","stage":"ResponseComplete","requestURI":"/x","verb":"get","user":{"username":"system:serviceaccount:shop:cart"},"responseStatus":{"code":403,"message":"forbidden: User \\"u\\" cannot get path \\"/x/token=planted-token7\\": no"},"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"r"}}
            {"kind":"Event","stage":"ResponseComplete","token":"\(token)"}
            {"broken":"\(token)
            """
        // Where names stand.
        func asked(_ id: Int, _ verb: String, _ uri: String, _ code: Int, _ more: String = "") -> String {
            #"{"kind":"Event","level":"Request","auditID":"n\#(id)","stage":"ResponseComplete","requestURI":"\#(uri)","verb":"\#(verb)","user":{"username":"system:serviceaccount:shop:cart"},"userAgent":"agent","responseStatus":{"code":\#(code)}\#(more),"requestReceivedTimestamp":"2026-11-20T09:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"\#(code == 403 ? "forbid" : "allow")","authorization.k8s.io/reason":"r"}}"#
        }
        let review = #","requestObject":{"spec":{"user":"bob","resourceAttributes":{"verb":"get","resource":"pods","name":"\#(token)"}}}"#
        let named = [
            asked(1, "get", "/api/v1/namespaces/shop/secrets/\(token)", 404), asked(2, "get", "/api/v1/\(token)", 403),
            asked(3, "get", "/api/v1/namespaces/\(token)/pods/x", 404), asked(4, "get", "/api/v1/pods/a/\(token)", 404),
            asked(5, "create", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 201, review),
            asked(6, "create", "/apis/authorization.k8s.io/v1/subjectaccessreviews", 201, review),
            asked(
                7, "create", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles", 201,
                #","objectRef":{"resource":"roles","namespace":"shop","name":"\#(token)"}"#),
            asked(8, token, "/x", 200), asked(9, "Bearer planted-token8", "/x", 200),
            asked(10, "Bearer planted-token8", "/api/v1/pods", 200),
            asked(11, "get", "/x", 200)
                .replacing(
                    #""username":"system:serviceaccount:shop:cart""#,
                    with:
                        #""username":"system:serviceaccount:shop:cart","extra":{"authentication.kubernetes.io/pod-name":["\#(token)"],"authentication.kubernetes.io/pod-uid":["\#(token)"]}"#
                ),
        ]
        let folder = workspace.file("in")
        _ = try workspace.write(manifest, to: "in/a.yaml")
        _ = try workspace.write(json, to: "in/b.json")
        let log = try workspace.write(event + "\n" + named.joined(separator: "\n") + "\n", to: "audit.log")
        let database = workspace.file("c.db")
        // What an older version has kept.
        let older = try workspace.write(
            named.map { $0.replacing(token, with: "replaced").replacing("\"n", with: "\"o") }.joined(separator: "\n"), to: "o.log")
        let part = whittle("usage", "export", older).output
        #expect(part.contains("replaced") && part.contains("\"agent\""))
        let export = try workspace.write(
            part.replacing("replaced", with: token).replacing("\"agent\"", with: "\"a \(token)\""), to: "o.ndjson")
        var texts: [String] = []
        for command in [
            ["load", folder, "-o", database, "-v"], ["usage", "load", log, "--db", database],
            ["usage", "merge", export, "--db", database],
            ["usage", "list", "-o", "json", "--db", database], ["usage", "list", "--by", "agent", "--db", database],
            ["report", "sa/cart", "-n", "shop", "--db", database], ["compare", "sa/cart", "-n", "shop", "--db", database],
            ["usage", "export", "--db", database],
            ["propose", "-A", "--db", database], ["who-can", "get", "secrets", "-A", "-o", "json", "--db", database],
            ["permissions", "pod/p", "-n", "shop", "-o", "json", "--db", database],
            ["can-i", "get", "pods", "--as", "sa/shop/cart", "--db", database],
        ] {
            let result = whittle(command)
            texts += [result.output, result.errors]
        }
        #expect(
            texts.contains { $0.contains("userextras") } && texts.contains { $0.contains("serviceaccounts") }
                && texts.contains { $0.contains("curl/8 Authorization: Bearer REDACTED") }
                && texts.contains { $0.contains("get secrets named REDACTED") } && texts.contains { $0.contains("a REDACTED") })
        let pages = try Data(contentsOf: URL(fileURLWithPath: database))
        for planted in [token, encoded, "planted-token", "access_token"] {
            #expect(pages.range(of: Data(planted.utf8)) == nil, "in the database")
            #expect(!texts.contains { $0.contains(planted) }, "in an output")
        }
    }
}
