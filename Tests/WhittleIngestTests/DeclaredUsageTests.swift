import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleTestSupport

@Suite("DeclaredUsage")
struct DeclaredUsageTests {
    private func read(
        _ paths: String..., namespace: String = "shop", by version: ControllerGen = .current, roleName: String = "manager-role"
    ) throws -> DeclaredUsage.Declaration {
        try DeclaredUsage.read(
            paths, options: DeclaredUsage.Options(defaultNamespace: namespace, roleName: roleName, controllerGen: version))
    }

    private func fixture(_ name: String) -> String { Fixtures.path("declared/\(name)") }

    /// Reads a text as a file of that name.
    private func read(text: String, as name: String, namespace: String = "shop") throws -> DeclaredUsage.Declaration {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        return try read(try folder.write(text, to: name), namespace: namespace)
    }

    /// `shop/cart shop get pods till`; what is absent is left out, `*` is every namespace.
    private func words(_ needs: [DeclaredNeed]) -> [String] {
        needs.map { need in
            let target = need.atom.nonResourceURL ?? "\(need.atom.resource ?? "").\(need.atom.apiGroup ?? "")"
            return [
                need.serviceAccount.map { "\($0.namespace)/\($0.name)" }, need.namespace.isEmpty ? "everywhere" : need.namespace,
                need.atom.verb, target, need.atom.resourceName,
            ].compactMap { $0 }.joined(separator: " ")
        }
    }

    private func places(_ diagnostics: [Diagnostic]) -> [String] {
        diagnostics.map { "\($0.location?.line ?? 0):\($0.location?.column ?? 0) \($0.severity.rawValue) \($0.id)" }
    }

    // MARK: Markers

    struct MarkerVector: CustomTestStringConvertible {
        var id: String
        var json: JSON
        var testDescription: String { id }

        static let all: [MarkerVector] = {
            guard let folder = Fixtures.referenceData.map({ "\($0)/corpus/markers" }),
                let index = FileManager.default.contents(atPath: "\(folder)/index.json").flatMap(JSON.init(data:))
            else { return [] }
            return index.array.compactMap { entry in
                guard let id = entry["id"].string, entry["agreement"].string == "exact",
                    let json = FileManager.default.contents(atPath: "\(folder)/\(id)/markers.json").flatMap(JSON.init(data:))
                else { return nil }
                return MarkerVector(id: id, json: json)
            }
        }()
    }

    @Test("the index of recorded markers is found", .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"))
    func vectorsExist() { #expect(MarkerVector.all.count >= 17) }

    @Test(
        "real markers give the committed role.yaml, byte by byte",
        .enabled(if: Fixtures.referenceData != nil, "needs WHITTLE_REFERENCE_DATA"), arguments: MarkerVector.all)
    func vector(_ vector: MarkerVector) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let settings = vector.json["controller_gen"]
        let root = folder.file(settings["cwd"].string ?? ".")
        let markers = vector.json["markers"].array
        for (file, markers) in Dictionary(grouping: markers, by: { $0["file"].string ?? "" }) {
            _ = try folder.write(Self.source(markers), to: file)
        }
        // Folders without a marker are named, too.
        let paths = (settings["paths"].strings).map { "\(root)/\($0)" }
        for path in paths {
            try FileManager.default.createDirectory(atPath: path.replacing("/...", with: ""), withIntermediateDirectories: true)
        }
        let declaration = try DeclaredUsage.read(
            paths,
            options: DeclaredUsage.Options(
                roleName: settings["roleName"].string ?? "",
                controllerGen: try #require(ControllerGen(rawValue: vector.json["model"].string ?? ""))))
        let reference = try #require(Fixtures.referenceData)
        let committed = try String(contentsOfFile: "\(reference)/corpus/markers/\(vector.id)/role.yaml", encoding: .utf8)
        // A licence may stand before the first document; old versions write an empty timestamp.
        let start = try #require(committed.firstRange(of: "---")).lowerBound
        #expect(
            DeclaredRenderer.controllerGenYAML(declaration.markerRoles)
                == committed[start...].replacing("  creationTimestamp: null\n", with: ""))
        #expect(declaration.diagnostics.filter { $0.id == "marker-ignored" }.count == markers.filter { $0["used"].bool == false }.count)
        #expect(declaration.diagnostics.allSatisfy { $0.severity != .error })
    }

    /// Go source with each marker where its context says: alone, or as the documentation of a function.
    private static func source(_ markers: [JSON]) -> String {
        var text = "package vector\n\nimport \"fmt\"\n"
        var isDocumenting = false
        func endDocumentation() {
            guard isDocumenting else { return }
            text += "func (r *Reconciler) Reconcile() { fmt.Println(`}`, '\"', \"// }\" /* { */) }\n"
            isDocumenting = false
        }
        for marker in markers.sorted(by: { ($0["line"].int ?? 0) < ($1["line"].int ?? 0) }) {
            let isUsed = marker["used"].bool ?? true
            if isUsed { endDocumentation() }
            if isUsed || !isDocumenting { text += "\n" }
            text += (marker["text"].string ?? "") + "\n"
            isDocumenting = !isUsed
        }
        endDocumentation()
        return text + "\nvar last = 1\n"
    }

    @Test("a Go module gives the roles that controller-gen writes; tests, vendor, testdata, hidden folders and other modules are not read")
    func module() throws {
        let declaration = try read(fixture("operator"))
        #expect(
            DeclaredRenderer.controllerGenYAML(declaration.markerRoles)
                == (try String(contentsOfFile: fixture("operator-role.yaml"), encoding: .utf8)))
        #expect(declaration.items.allSatisfy { $0.origin == .marker && $0.serviceAccount == nil })
        #expect(places(declaration.diagnostics) == ["25:1 note marker-ignored", "5:1 note marker-ignored", "3:1 note marker-ignored"])
        let recursive = try read(fixture("operator/..."))
        #expect(recursive.items == declaration.items)
        let other = try read(fixture("operator/cmd/main.go"), fixture("operator/internal"), roleName: "shop")
        // Roles of a namespace are sorted by name.
        #expect(other.markerRoles.map(\.meta.name) == ["shop", "payment-reader", "shop"])
        let rules = declaration.markerRoles.map { $0.rules.map(\.rule) }
        #expect(other.markerRoles.map { $0.rules.map(\.rule) } == [rules[0], rules[2], rules[1]])
    }

    @Test("comments count where controller-gen counts them: the resource is named for what becomes of the marker")
    func placement() throws {
        let declaration = try read(fixture("placement.go"))
        #expect(
            declaration.items.compactMap(\.atom.resource) == [
                "before-package-group", "package-doc", "package-trailing", "free", "local-grouped-closest", "after-func-brace",
                "before-type", "grouped-closest",
                "tab",
            ])
        let lines = try Fixtures.lines(fixture("placement.go"))
        let text = try String(contentsOfFile: fixture("placement.go"), encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        let ignored = declaration.diagnostics.map { String(text[($0.location?.line ?? 1) - 1]) }
        let wanted = lines.filter { $0.contains("resources=NO-") && !$0.contains("NO-raw-string") }
        #expect(ignored == wanted)
        #expect(Set(declaration.diagnostics.map(\.id)) == ["marker-ignored"])
    }

    struct Syntax: CustomTestStringConvertible {
        var marker: String
        /// Groups | resources | names | verbs | URLs | namespace | role name, or the column and message of the error.
        var expected: String
        var testDescription: String { marker }

        init(_ marker: String, _ expected: String) {
            self.marker = marker
            self.expected = expected
        }
    }

    static let syntax = [
        Syntax("groups=apps;batch,resources=jobs,verbs=get;list", "apps;batch|jobs||get;list||"),
        Syntax("resourceNames=b;a,verbs=get,groups=apps,resources=x", "apps|x|a;b|get||"),
        Syntax("groups={apps, batch},resources={jobs},verbs={get,list}", "apps;batch|jobs||get;list||"),
        Syntax("groups=\"\";\"apps\",resources=`x`,verbs=\"get\"", ";apps|x||get||"),
        Syntax("groups=core,resources=pods,verbs=get", "|pods||get||"),
        Syntax("groups=apps,resources=x;,verbs=get;", "apps|x||get||"),
        Syntax("groups=apps , resources= x ; y , verbs=get", "apps|x;y||get||"),
        Syntax("groups=apps,resources=deployments/scale,verbs=*", "apps|deployments/scale||*||"),
        Syntax("urls=/metrics;/healthz/*,verbs=get", "|||get|/healthz/*;/metrics|"),
        Syntax("groups=apps,resources=x,verbs=get,namespace=shop,roleName=cart", "apps|x||get||shop cart"),
        Syntax("groups=apps,resources=x,verbs=get,verbs=list", "apps|x||list||"),
        Syntax("groups=apps,resources=x,resourceNames=\"a\\u0062\\x63,\",verbs=get", "apps|x|abc,|get||"),
        Syntax("groups=apps,resources=x,resourceNames=1st;2.0,verbs=get", "apps|x|1st;2.0|get||"),
        Syntax("groups=,resources=x,verbs=get", "|x||get||"),
        Syntax("groups=apps,resources=x,verbs=get,create", "62 expected `=`, found the end"),
        Syntax("groups=apps,resources=x,verbs=get;create,update;list", "69 expected `=`, found `;`"),
        Syntax("groups=apps,resources=x", "5 the argument `verbs` is missing"),
        Syntax("groups=apps,resource=x,verbs=get", "34 unknown argument `resource`"),
        Syntax("groups=apps,resources=x,verbs=get,", "56 expected an argument name, found the end"),
        Syntax("groups={apps;batch},resources=x,verbs=get", "34 expected `,`, found `;`"),
        Syntax("groups={apps,resources=x,verbs=get", "56 expected `}`, found the end"),
        Syntax("groups=\"apps,resources=x,verbs=get", "29 the text in quotes has no end"),
        Syntax("groups=\"a\"b,resources=x,verbs=get", "32 expected `;` or `,`, found `b`"),
        Syntax("groups=\"\\q\",resources=x,verbs=get", "30 no such escape in a text in quotes"),
        Syntax("groups=apps,resources=x\"\\q\",verbs=get", "46 no such escape in a text in quotes"),
        Syntax("groups=apps,resources=x,verbs=get}", "55 expected `,`, found `}`"),
        Syntax("groups=apps;,,resources=x,verbs=get", "35 expected an argument name, found `,`"),
    ]

    @Test("arguments are read as controller-gen reads them", arguments: syntax)
    func arguments(_ syntax: Syntax) throws {
        let declaration = try read(text: "package shop\n\n// +kubebuilder:rbac:\(syntax.marker)\n", as: "shop.go")
        let found = declaration.markerRoles.map { role in
            let rule = role.rules.first?.rule ?? PolicyRule()
            let lists = [rule.apiGroups, rule.resources, rule.resourceNames, rule.verbs, rule.nonResourceURLs]
            return lists.map { ($0 ?? []).joined(separator: ";") }.joined(separator: "|") + "|"
                + (role.kind == "Role" ? "\(role.meta.namespace) \(role.meta.name)" : "")
        }
        let errors = declaration.diagnostics.filter { $0.severity == .error }.map {
            "\($0.location?.column ?? 0) \($0.message.replacing("the marker cannot be read: ", with: ""))"
        }
        #expect(found + errors == [syntax.expected])
    }

    @Test("only the name kubebuilder:rbac is a marker; what nearly is one is said")
    func names() throws {
        let declaration = try read(
            text: """
                package shop

                // +kubebuilder:rbac

                // +kubebuilder:rbac=get

                // +kubebuilder:rbac:groups

                // +kubebuilder:rbac:groups:apps=x,verbs=get

                // +kubebuilder:webhook:verbs=create

                // See +kubebuilder:rbac:groups=apps,resources=x,verbs=get
                """, as: "shop.go")
        #expect(declaration.items.isEmpty)
        #expect(
            places(declaration.diagnostics) == [
                "3:5 error invalid-marker", "5:17 error invalid-marker", "7:1 note marker-ignored", "9:1 note marker-ignored",
            ])
    }

    @Test("lines end in CRLF, comments hold other scripts, and a byte order mark stands first")
    func text() throws {
        let text =
            "\u{FEFF}package shop\r\n\r\n// für die Kasse\r\n// +kubebuilder:rbac:groups=\"\",resources=pods,verbs=get\r\n\r\nvar s = \"ü\"\r\n"
        let declaration = try read(text: text, as: "shop.go")
        #expect(words(declaration.items) == ["everywhere get pods."])
        #expect(declaration.diagnostics.isEmpty)
        #expect(declaration.items.first?.location?.line == 4)
    }

    @Test(
        "source that is no Go is an error with its place; others are read",
        arguments: [
            ("package shop\n\nvar a = `x\n", "3:9"), ("package shop\n\n/* x\n", "3:1"), ("package shop\n\nvar a = 'x\n", "3:9"),
            ("package shop\n\nfunc f() { (}\n", "3:13"), ("package shop\n\nfunc f() {\n", "3:10"), ("package shop\n\n}\n", "3:1"),
            ("func f() {}\n", "1:1"), ("", "1:1"),
        ])
    func broken(_ text: String, _ place: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let marker = "\n// +kubebuilder:rbac:groups=apps,resources=x,verbs=get\n"
        _ = try folder.write(text + marker, to: "a.go")
        _ = try folder.write("package shop\n" + marker, to: "b.go")
        let declaration = try read(folder.path)
        let found = declaration.diagnostics.map { "\($0.id) \($0.location?.line ?? 0):\($0.location?.column ?? 0)" }
        #expect(found == ["invalid-go \(place)"])
        #expect(declaration.isIncomplete)
        #expect(words(declaration.items) == ["everywhere get x.apps"])
    }

    @Test(
        "build constraints are those of linux and amd64 without tags",
        arguments: [
            ("//go:build ignore", false), ("//go:build !ignore_autogenerated", true), ("//go:build linux && (amd64 || arm64)", true),
            ("//go:build windows || darwin", false), ("//go:build e2e", false), ("//go:build !windows && go1.22", true),
            ("// +build ignore", false), ("// +build linux,amd64 windows", true), ("// +build !linux", false), ("//go:build (", true),
            ("// go:build ignore", true), ("//go:build linux\n// +build ignore", true),
        ])
    func buildConstraints(_ line: String, _ isBuilt: Bool) throws {
        let text = "\(line)\n\npackage shop\n\n// +kubebuilder:rbac:groups=apps,resources=x,verbs=get\n"
        let declaration = try read(text: text, as: "shop.go")
        #expect(declaration.items.isEmpty != isBuilt)
        #expect(declaration.diagnostics.map(\.id) == (isBuilt ? [] : ["marker-ignored"]))
    }

    @Test(
        "file names with a system are left out, others are not",
        arguments: [
            ("a_windows.go", false), ("a_linux.go", true), ("a_linux_arm64.go", false), ("a_darwin_amd64.go", false), ("a_amd64.go", true),
            ("windows.go", true), ("a_controller.go", true),
        ])
    func fileNames(_ name: String, _ isBuilt: Bool) throws {
        let text = "package shop\n\n// +kubebuilder:rbac:groups=apps,resources=x,verbs=get\n"
        #expect(try read(text: text, as: name).items.isEmpty != isBuilt)
    }

    @Test("where controller-gen keeps the verbs of one rule by chance, all are kept and it is said")
    func verbsKept() throws {
        let declaration = try read(fixture("diagnostics/marker-verbs-kept.go"))
        #expect(
            declaration.markerRoles.flatMap { $0.rules.map(\.rule) } == [
                PolicyRule(verbs: ["get", "list"], apiGroups: ["a", "b"], resources: ["x"])
            ])
        #expect(places(declaration.diagnostics) == ["3:1 warning marker-verbs-kept"])
        #expect(declaration.diagnostics.first?.notes.count == 2)
        // Verbs that differ in `*` only are two rules until the end, as in controller-gen.
        let stars = try read(
            text: """
                package shop

                // +kubebuilder:rbac:groups=a,resources=x,verbs=get;*
                // +kubebuilder:rbac:groups=b,resources=x,verbs=*
                """, as: "shop.go")
        #expect(
            stars.markerRoles.flatMap { $0.rules.map(\.rule) } == [
                PolicyRule(verbs: ["*"], apiGroups: ["a"], resources: ["x"]), PolicyRule(verbs: ["*"], apiGroups: ["b"], resources: ["x"]),
            ])
        #expect(stars.diagnostics.isEmpty)
    }

    @Test("what the API server would reject is said and kept")
    func rejected() throws {
        let declaration = try read(
            text: """
                package shop

                // +kubebuilder:rbac:groups=,resources=pods,verbs=get

                // +kubebuilder:rbac:groups="",resources=pods,urls=/metrics,verbs=get

                // +kubebuilder:rbac:urls=/metrics,verbs=get,namespace=shop

                // +kubebuilder:rbac:groups=apps,resources=x,verbs=
                """, as: "shop.go")
        #expect(places(declaration.diagnostics) == [3, 5, 7, 9].map { "\($0):1 warning would-be-rejected" })
        #expect(DeclaredRenderer.controllerGenYAML(declaration.markerRoles).contains("verbs: null"))
        #expect(words(declaration.items) == ["everywhere get pods.", "everywhere get /metrics"])
        // Empty groups and the core group have one key in controller-gen; what grants something counts.
        let merged = try read(
            text: """
                package shop

                // +kubebuilder:rbac:groups=,resources=pods,verbs=get
                // +kubebuilder:rbac:groups="",resources=pods,verbs=list
                """, as: "shop.go")
        #expect(merged.markerRoles.first?.rules.map(\.rule) == [PolicyRule(verbs: ["get", "list"], apiGroups: [""], resources: ["pods"])])
    }

    @Test(
        "texts are quoted as go-yaml quotes them",
        arguments: [
            ("*", "'*'"), ("", "\"\""), ("*/scale", "'*/scale'"), ("true", "\"true\""), ("1", "\"1\""), ("pods", "pods"),
            ("/metrics", "/metrics"),
            ("a: b", "'a: b'"), ("system:auth", "system:auth"), ("a #b", "'a #b'"), ("-x", "-x"), ("it's", "it's"), ("'x", "'''x'"),
            ("1.2.3", "1.2.3"),
            ("y", "\"y\""), ("null", "\"null\""), ("2024-01-15", "\"2024-01-15\""), ("0x1f", "\"0x1f\""), ("e1", "e1"),
        ])
    func quoting(_ text: String, _ expected: String) {
        let role = Role(meta: ObjectMeta(name: "r"), rules: [WrittenRule(PolicyRule(verbs: [text]))])
        #expect(DeclaredRenderer.controllerGenYAML([role]).hasSuffix("- verbs:\n  - \(expected)\n"))
    }

    // MARK: Other forms

    @Test("permissions of a ClusterServiceVersion are the operator's namespace's, clusterPermissions everywhere")
    func serviceVersion() throws {
        let declaration = try read(fixture("service-version.yaml"))
        #expect(
            words(declaration.items) == [
                "shop/shop-operator shop get configmaps.", "shop/shop-operator shop create configmaps.",
                "shop/shop-operator everywhere list carts.shop.example.com", "shop/shop-operator everywhere get /metrics",
                "shop/shop-webhook everywhere create subjectaccessreviews.authorization.k8s.io",
            ])
        #expect(declaration.items.allSatisfy { $0.origin == .csv })
        #expect(declaration.items.map { $0.location?.line } == [13, 13, 19, 22, 26])
        #expect(declaration.diagnostics.isEmpty)
        let broken = try read(
            text: """
                apiVersion: operators.coreos.com/v1alpha1
                kind: ClusterServiceVersion
                metadata: {name: shop}
                spec:
                  install:
                    spec:
                      permissions:
                      - rules: []
                      - serviceAccountName: a
                        rules:
                        - {apiGroups: [""], resources: pods, verbs: [get]}
                        - {apiGroups: [""], resources: [pods], verbs: [1]}
                        - {resources: [pods], verbs: [get]}
                        - {apiGroups: [""], resources: [nodes], verbs: [get]}
                      clusterPermissions: {}
                """, as: "csv.yaml")
        #expect(
            places(broken.diagnostics) == [
                "8:9 error invalid-declaration", "11:40 error invalid-declaration", "12:56 error invalid-declaration",
                "13:11 warning would-be-rejected", "15:27 error invalid-declaration",
            ])
        #expect(words(broken.items) == ["shop/a shop get nodes."])
    }

    @Test("a Needs list: the namespace of a need, else of its account, else the default one; clusterWide and URLs everywhere")
    func needs() throws {
        let declaration = try read(fixture("needs.yaml"), namespace: "till")
        #expect(
            words(declaration.items) == [
                "shop/cart shop get pods. till", "shop/cart shop get pods/log. till", "till/cart till list deployments.apps",
                "everywhere * nodes.", "till create events.", "everywhere get /metrics",
            ])
        #expect(declaration.items.allSatisfy { $0.origin == .needs })
        #expect(declaration.diagnostics.isEmpty)
    }

    @Test(
        "a Needs list takes nothing in silence",
        arguments: [
            ("- {apiGroups: [\"\"], resource: [pods], verbs: [get]}", "4:21"), ("- {resources: [pods], verbs: [get]}", "4:3"),
            ("- {apiGroups: [\"\"], resources: [pods]}", "4:3"), ("- {verbs: [get]}", "4:3"),
            ("- {nonResourceURLs: [/a], resources: [pods], apiGroups: [\"\"], verbs: [get]}", "4:3"),
            ("- {nonResourceURLs: [/a], namespace: shop, verbs: [get]}", "4:3"),
            ("- {apiGroups: [\"\"], resources: [pods], verbs: [get], namespace: a, clusterWide: true}", "4:3"),
            ("- {apiGroups: [\"\"], resources: [pods], verbs: [get], clusterWide: maybe}", "4:67"),
            ("- {apiGroups: [\"\"], resources: pods, verbs: [get]}", "4:32"),
            ("- {apiGroups: [\"\"], resources: [1], verbs: [get]}", "4:33"), ("- pods", "4:3"),
            ("- {serviceAccount: a/b/c, apiGroups: [\"\"], resources: [pods], verbs: [get]}", "4:20"),
            ("- {serviceAccount: 1, apiGroups: [\"\"], resources: [pods], verbs: [get]}", "4:20"),
        ])
    func badNeeds(_ entry: String, _ place: String) throws {
        let rest = "\n- {apiGroups: [\"\"], resources: [nodes], verbs: [get]}\n"
        let declaration = try read(text: "apiVersion: whittle.dev/v1alpha1\nkind: Needs\nneeds:\n\(entry)\(rest)", as: "needs.yaml")
        #expect(places(declaration.diagnostics) == ["\(place) error invalid-declaration"])
        #expect(words(declaration.items) == ["shop get nodes."])
        #expect(declaration.isIncomplete)
    }

    @Test("other fields and versions of Needs, and a list that is none, are errors")
    func badNeedsDocuments() throws {
        let good = "[{apiGroups: [\"\"], resources: [pods], verbs: [get]}]"
        for (text, place) in [
            ("apiVersion: whittle.dev/v2\nkind: Needs\nneeds: \(good)", "1:13"),
            ("apiVersion: whittle.dev/v1alpha1\nkind: Needs\nneeds: {}", "3:8"),
            ("apiVersion: whittle.dev/v1alpha1\nkind: Needs\n", "1:1"),
            ("apiVersion: whittle.dev/v1alpha1\nkind: Needs\nneed: \(good)\nneeds: \(good)", "3:1"),
        ] {
            let declaration = try read(text: text, as: "needs.yaml")
            #expect(places(declaration.diagnostics) == ["\(place) error invalid-declaration"])
        }
        let json =
            #"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"whittle.dev/v1alpha1","kind":"Needs","needs":"#
            + #"[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}]}"#
        #expect(words(try read(text: json, as: "needs.json").items) == ["shop get pods."])
    }

    @Test("a bound rule belongs to the accounts of its bindings, where they hold; an unbound one to the account asked about")
    func boundRoles() throws {
        let declaration = try read(fixture("bound-roles.yaml"))
        #expect(
            words(declaration.items) == [
                "shop/cart shop get pods.", "platform/metrics shop get pods.", "platform/probe everywhere get pods.",
                "platform/probe everywhere get /healthz", "shop list services.",
            ])
        #expect(declaration.items.allSatisfy { $0.origin == .manifest })
        #expect(declaration.diagnostics.isEmpty)
        // Over several files, and to a role that every cluster has.
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let role = try folder.write(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a, namespace: b}, rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]}",
            to: "role/role.yaml")
        let binding = try folder.write(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: b}, roleRef: {kind: Role, name: a}, subjects: [{kind: ServiceAccount, name: c}]}",
            to: "binding.yaml")
        #expect(words(try read(role, binding).items) == ["b/c b get pods."])
        #expect(words(try read(folder.path).items) == ["b/c b get pods."])
        let view = try folder.write(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: v, namespace: b}, roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: ServiceAccount, name: c}]}",
            to: "view/view.yaml")
        let viewed = try read(view)
        #expect(words(viewed.items).contains("b/c b list pods."))
        #expect(viewed.items.allSatisfy { $0.serviceAccount == DeclaredNeed.Account(namespace: "b", name: "c") })
    }

    @Test("requests are of the account they name, else of the one asked about")
    func requests() throws {
        let declaration = try read(fixture("requests.jsonl"))
        #expect(words(declaration.items) == ["shop get pods. till", "shop/cart shop create pods/exec.", "everywhere get /metrics"])
        #expect(declaration.items.map { $0.location?.line } == [1, 2, 3])
        let broken = try read(
            text: #"{"verb":"get","resource":"pods"}"# + "\n\nnothing\n" + #"{"user":"jane","verb":"get","path":"/a"}"#, as: "r.jsonl")
        #expect(places(broken.diagnostics) == ["3:1 error invalid-declaration", "4:1 note declared-for-others"])
        #expect(words(broken.items) == ["everywhere get pods."])
    }

    @Test("several forms are read as one; the same atom counts once")
    func together() throws {
        let declaration = try read(fixture("needs.yaml"), fixture("requests.jsonl"), fixture("operator"))
        #expect(declaration.items.filter { $0.atom.nonResourceURL == "/metrics" }.count == 1)
        #expect(Set(declaration.items.map(\.origin)) == [.marker, .needs, .request])
        #expect(throws: IngestError.self) { try read(fixture("absent.yaml")) }
    }

    // MARK: Diagnostics

    static let diagnostics = ((try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("declared/diagnostics"))) ?? []).sorted()

    private static let diagnosticPlaces = [
        "declared-for-others": "1:1", "invalid-declaration": "5:3", "invalid-go": "5:12", "invalid-marker": "3:79",
        "manifests-not-read": "1:1",
        "marker-ignored": "4:1", "marker-verbs-kept": "3:1", "marker-word-kept": "3:65",
    ]

    @Test("each fixture raises exactly the diagnostic it is named for, at its place", arguments: diagnostics)
    func diagnostic(_ name: String) throws {
        let id = String(name.prefix { $0 != "." })
        let declaration = try read(fixture("diagnostics/\(name)"))
        #expect(declaration.diagnostics.map(\.id) == [id])
        let location = try #require(declaration.diagnostics.first?.location)
        #expect("\(location.line):\(location.column)" == Self.diagnosticPlaces[id])
        #expect(declaration.diagnostics.first?.help != nil)
    }
}
