import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleTestSupport

@Suite("ManifestLoader")
struct ManifestLoaderTests {
    private func load(_ text: String) -> ClusterState { ManifestLoader(usesDefaults: false).load(text: text) }

    private static let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cart}\n"

    struct Input: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var names: [String]
        init(_ name: String, _ text: String, _ names: [String] = ["cart"]) {
            testDescription = name
            self.text = text
            self.names = names
        }
    }

    static let readable = [
        Input("a byte order mark", "\u{FEFF}" + account),
        Input("CRLF line ends", account.replacing("\n", with: "\r\n")),
        Input("a comment after ---", "--- # first\n" + account),
        Input("a trailing space after ---", "--- \n" + account),
        Input("text after --- on the same line", "--- {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart}}\n"),
        Input("an end marker", account + "...\n"),
        Input("a directive", "%YAML 1.1\n---\n" + account),
        Input("no final line end", String(account.dropLast())),
        Input("empty and comment-only documents", "# hello\n---\n---\n# nothing\n---\n" + account),
        Input("merge keys", "x: &m {name: cart}\napiVersion: v1\nkind: ServiceAccount\nmetadata: {<<: *m}\n"),
        Input("anchors and aliases", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: &n cart, namespace: *n}\n"),
        Input(
            "a separator inside a block scalar",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: cart\n  annotations:\n    a: |\n      ---\n      kind: Role\n"),
        Input("double braces in text", account.replacing("{name: cart}", with: "{name: cart, annotations: {a: '{{ x }}'}}")),
        Input("tags", account.replacing("name: cart", with: "name: !!str cart")),
        Input("JSON", #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"cart"}}"#),
        Input("JSON with escapes in keys' values", #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"c\u0061rt"}}"#),
        Input(
            "JSON values one after the other",
            #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"b"}}"#,
            ["a", "b"]),
        Input(
            "a List",
            #"{"kind":"List","apiVersion":"v1","items":[{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"b"}}]}"#,
            ["a", "b"]),
        Input(
            "a typed list whose items name no kind",
            #"{"kind":"ServiceAccountList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}"#, ["a"]),
        Input(
            "a typed list whose kind comes last", #"{"apiVersion":"v1","items":[{"metadata":{"name":"a"}}],"kind":"ServiceAccountList"}"#,
            ["a"]),
        Input(
            "a typed list in YAML", "apiVersion: v1\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\nkind: ServiceAccountList\n",
            ["a", "b"]),
        Input(
            "a List in YAML",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata: {name: b}\n",
            ["a", "b"]),
        Input(
            "empty and null lists",
            "apiVersion: v1\nkind: ConfigMapList\nitems: []\n--- \napiVersion: v1\nkind: ConfigMapList\nitems:\n---\n" + account),
        Input("a JSON patch beside it", "- op: remove\n  path: /rules/0\n---\n" + account),
        Input(
            "a kustomize patch beside it", "$patch: delete\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: gone}\n---\n" + account),
        Input(
            "a patch of a rule beside it",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: gone}\nrules:\n- {$patch: delete, verbs: [get]}\n---\n"
                + account),
        Input(
            "a patch of a pod template beside it",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{$patch: delete, name: c}]}}}\n---\n"
                + account),
        Input(
            "documents without --- after an end marker", account + "...\n# é\n\n" + account.replacing("cart", with: "b") + "...\n",
            ["cart", "b"]),
        Input(
            "JSON first, YAML after it", #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}}"# + "\n---\n" + account,
            ["a", "cart"]),
        Input(
            "flow YAML that begins like JSON",
            #"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}},"#
                + "\n# more\n" + #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"b"}},]}"# + "\n---\n" + account,
            ["a", "b", "cart"]),
        Input(
            "a typed list whose items name a kind and no version",
            #"{"apiVersion":"v1","items":[{"kind":"ServiceAccount","metadata":{"name":"a"}},{"metadata":{"name":"b"}}],"kind":"ServiceAccountList"}"#,
            ["a", "b"]),
        Input(
            "the same in YAML",
            "apiVersion: v1\nitems:\n- kind: ServiceAccount\n  metadata: {name: a}\n- metadata: {name: b}\nkind: ServiceAccountList\n",
            ["a", "b"]),
        Input(
            "items of an object that is no list",
            "apiVersion: example.com/v1\nkind: Bundle\nitems:\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata: {name: no}\n---\n"
                + account),
        Input(
            "items of a JSON object that is no list",
            #"{"apiVersion":"example.com/v1","kind":"Bundle","items":[{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"no"}}]}"#
                + "\n---\n" + account),
        Input("JSON with a comment after it", #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}} # done"# + "\n", ["a"]),
        Input(
            "a list of which only some items name their kind",
            #"{"kind":"ServiceAccountList","apiVersion":"v1","items":[{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#,
            ["a", "b"]),
        Input(
            "a kind of another group beside it", "apiVersion: iam.aws.crossplane.io/v1\nkind: Role\nmetadata: {name: x}\n---\n" + account),
    ]

    @Test("loads as if it were plain", arguments: readable)
    func loads(_ input: Input) {
        let state = load(input.text)
        #expect(state.serviceAccounts.map(\.meta.name) == input.names)
        #expect(state.diagnostics.isEmpty, "\(state.diagnostics.map(\.rendered))")
        #expect(state.roles.isEmpty)
    }

    @Test(
        "a bad document is one located error; documents before and after load",
        arguments: [
            "a: [1, 2\n", "a:\n\tb: 1\n", "a: 'x\n", "{{ if .x }}\na: 1\n{{ end }}\n", "? {a: 1}\n: b\n", "a: &x {b: c}\n*x : d\n",
            "a: &x []\n? *x\n: d\n", "a: *nowhere\n", "a: &x [*x]\n",
            "a: \u{1}\n", "a: \u{7F}\n", "a: \u{85}\u{86}\n",
        ])
    func badNeighbour(_ bad: String) {
        let state = load(Self.account + "---\n" + bad + "---\n" + Self.account.replacing("cart", with: "shop"))
        #expect(state.serviceAccounts.map(\.meta.name) == ["cart", "shop"])
        #expect(state.diagnostics.map(\.id) == ["invalid-yaml"])
        let line = state.diagnostics.first?.location?.line ?? 0
        #expect((5...8).contains(line), "line \(line)")
    }

    @Test("folders are read whole, hidden ones too, a repository's own one not")
    func folders() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for (path, name) in [("a.yaml", "a"), (".hidden/b.yml", "b"), ("deep/er/c.json", "c"), (".git/d.yaml", "d"), ("e.txt", "e")] {
            _ = try folder.write("{\"apiVersion\": \"v1\", \"kind\": \"ServiceAccount\", \"metadata\": {\"name\": \"\(name)\"}}", to: path)
        }
        let state = try ManifestLoader(usesDefaults: false).load([folder.path])
        #expect(Set(state.serviceAccounts.map(\.meta.name)) == ["a", "b", "c"])
    }

    @Test("what stands behind a document without ... or --- is an error, and so is a bad document behind ...")
    func notADocument() {
        for text in [Self.account + "...\na: [\n---\n" + Self.account, "[a]\nb: c\n---\n" + Self.account] {
            let state = load(text)
            #expect(state.diagnostics.map(\.id) == ["invalid-yaml"])
            #expect(state.serviceAccounts.map(\.meta.name) == ["cart"])
        }
    }

    @Test("files that a kustomization names as patches are no objects, those it also names as resources are")
    func kustomizePatches() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: NAME}\nrules: []\n"
        for name in ["base", "merge", "path", "json", "old", "both"] {
            _ = try folder.write(role.replacing("NAME", with: name), to: name == "base" ? "base.yaml" : "o/p/\(name).yaml")
        }
        _ = try folder.write(
            """
            resources: [../base.yaml, p/both.yaml]
            patches: [{path: ./p/path.yaml, target: {kind: Role}}, p/old.yaml, {patch: "kind: Role"}]
            patchesStrategicMerge: [p/../p/merge.yaml, p/both.yaml]
            patchesJson6902: [{path: p/json.yaml}]
            """, to: "o/Kustomization")
        let state = try ManifestLoader(usesDefaults: false).load([folder.path])
        #expect(Set(state.roles.map(\.meta.name)) == ["base", "both"])
        #expect(state.notObjects == 4)
        #expect(try ManifestLoader(usesDefaults: false).load([folder.file("o/p/merge.yaml")]).roles.count == 1)
    }

    @Test("a merge that expands to too much is an error")
    func mergeLimit() {
        let names = (0..<60_000).map { "n\($0)" }.joined(separator: ", ")
        let state = load(
            "a: &a {resourceNames: [\(names)]}\nb: &b {<<: *a}\nkind: ClusterRole\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: r}\nrules:\n- <<: *b\n"
        )
        #expect(state.diagnostics.map(\.id) == ["invalid-yaml"])
        #expect(state.roles.isEmpty)
    }

    @Test("a folder named through a link is read, and linked files in it")
    func links() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        _ = try folder.write(Self.account, to: "real/a.yaml")
        _ = try folder.write(Self.account.replacing("cart", with: "b"), to: "other.yaml")
        try FileManager.default.createSymbolicLink(atPath: folder.file("real/b.yaml"), withDestinationPath: folder.file("other.yaml"))
        try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: folder.file("real"))
        for path in ["link", "link/"] {
            let state = try ManifestLoader(usesDefaults: false).load([folder.file(path)])
            #expect(state.serviceAccounts.map(\.meta.name) == ["cart", "b"])
            #expect(state.sources.map(\.path) == ["a.yaml", "b.yaml"].map { folder.file("link/\($0)") })
        }
    }

    @Test("a rule that cannot be read keeps its number and grants nothing")
    func ruleNumbers() {
        let state = load(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: r}
            rules:
            - {verbs: get, apiGroups: [""], resources: [pods]}
            - {verbs: [get], apiGroups: [""], resources: [secrets]}
            - {apiGroups: [""], resources: [secrets]}
            - {verbs: get}
            """)
        #expect(state.roles[0].rules.map(\.rule.atoms.count) == [0, 1, 0, 0])
        #expect(
            state.diagnostics.map { "\($0.location.map { "\($0.line):\($0.column)" } ?? "") \($0.id) \($0.message)" } == [
                "5:11 wrong-type `verbs` must be a list of strings",
                "7:3 would-be-rejected the API server would reject Role `r`: rules[2].verbs is required",
                "8:11 wrong-type `verbs` must be a list of strings",
            ])
    }

    @Test(
        "nesting, alias bombs and cut-off input end in an error, not a crash",
        arguments: [
            String(repeating: "[", count: 10_000), String(repeating: "{a: ", count: 10_000), String(repeating: "{\"a\":", count: 10_000),
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
            "{\"apiVersion\":\"v1\",\"items\":[{\"kind\":\"ServiceAccount\"", "\"", "{", "[1,", "{\"a\" 1}",
        ])
    func hostile(_ text: String) {
        let state = load(text)
        #expect(state.objectCount == 0)
        #expect(state.diagnostics.count <= 2)
        #expect(!state.diagnostics.isEmpty)
    }

    @Test("a scalar of many MiB is an error at its key, and the next document is read", arguments: [true, false])
    func longScalar(_ isBlock: Bool) {
        let value =
            isBlock
            ? "|\n" + String(repeating: "    0123456789\n", count: 1_200_000) : "\"" + String(repeating: "0", count: 17 << 20) + "\"\n"
        let state = load(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: c}\ndata:\n  x: " + value
                + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n")
        #expect(state.serviceAccounts.map(\.meta.name) == ["a"])
        #expect(
            state.diagnostics.map { "\($0.location.map { "\($0.line):\($0.column)" } ?? "") \($0.message)" } == [
                "5:4 the document cannot be read: what follows is longer than 16 MiB"
            ])
    }

    @Test("truncations and mutations of real documents never crash")
    func mutations() throws {
        let text = try String(contentsOfFile: Fixtures.path("demo/cluster/pods.yaml"), encoding: .utf8)
        let json = try String(contentsOfFile: Fixtures.path("clusters/recorded/cluster.json"), encoding: .utf8).prefix(20_000)
        var random = SeededGenerator(seed: 5)
        for source in [Array(text.utf8), Array(json.utf8)] {
            for _ in 0..<300 {
                var bytes = Array(source.prefix(Int.random(in: 1...source.count, using: &random)))
                for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 9...126, using: &random) }
                _ = load(String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    @Test(
        "YAML plain scalars that are no strings are refused in rules, quoted ones load",
        arguments: [
            ("get", true), ("\"on\"", true), ("'1'", true), ("on", false), ("1", false), ("null", false), ("true", false), ("1.5", false),
            ("~", false),
            ("0x1", false), ("y", true), ("2001-01-01", true), ("\"*\"", true),
        ])
    func plainScalars(_ text: String, _ isString: Bool) {
        let state = load(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [{verbs: [\(text)], apiGroups: [\"\"], resources: [pods]}]\n"
        )
        #expect(state.roles.first?.rules.map(\.rule.atoms.count) == [isString ? 1 : 0])
        #expect(state.diagnostics.contains { $0.id == "wrong-type" } == !isString)
    }

    @Test("old versions load; v1alpha1 wrote everybody as User *")
    func oldVersions() {
        for version in ["v1", "v1beta1", "v1alpha1"] {
            let state = load(
                "apiVersion: rbac.authorization.k8s.io/\(version)\nkind: ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: User, name: '*'}]\n"
            )
            #expect(state.bindings.first?.subjects.first?.subject.kind == (version == "v1alpha1" ? "Group" : "User"))
        }
    }

    @Test("the later of two definitions counts, identical ones are silent")
    func duplicates() {
        let role = { (verb: String) in
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [{verbs: [\(verb)], apiGroups: [\"\"], resources: [pods]}]\n---\n"
        }
        #expect(load(role("get") + role("get")).diagnostics.isEmpty)
        let state = load(role("get") + role("list"))
        #expect(state.roles.map { $0.rules.map(\.rule.verbs) } == [[["list"]]])
        #expect(state.diagnostics.first?.notes == ["first defined at -:1:1"])
    }

    @Test("discovery documents and CustomResourceDefinitions extend the catalogue")
    func catalogue() {
        let state = load(
            #"{"kind":"APIResourceList","groupVersion":"shop.test/v1","resources":[{"name":"carts","singularName":"cart","namespaced":true,"kind":"Cart","verbs":["get"],"shortNames":["ct"]},{"name":"carts/checkout","namespaced":true,"kind":"Cart","verbs":["create"]}]}"#
        )
        let catalogue = ResourceCatalogue.builtIn(extendedBy: state.apiResources)
        for word in ["carts", "cart", "Cart", "ct", "carts.shop.test", "ct.shop.test"] {
            #expect(catalogue.resolve(word) == .init(apiGroup: "shop.test", resource: "carts", isNamespaced: true), "\(word)")
        }
        #expect(catalogue.knows(subresource: "checkout", of: "carts", apiGroup: "shop.test"))
        #expect(catalogue.resolve("deploy.apps") == .init(apiGroup: "apps", resource: "deployments", isNamespaced: true))
        #expect(catalogue.resolve("po").resource == "pods")
        #expect(catalogue.resolve("events").apiGroup == "")
        #expect(catalogue.resolve("thing.example.test") == .init(apiGroup: "example.test", resource: "thing", isNamespaced: nil))
        #expect(catalogue.knows(subresource: "exec", of: "pods", apiGroup: ""))
    }
}
