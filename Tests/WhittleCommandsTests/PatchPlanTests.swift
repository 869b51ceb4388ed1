import Foundation
import Testing
import WhittleCommands
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore
import WhittleTestSupport

@Suite("PatchPlan")
struct PatchPlanTests {
    private static let version = "apiVersion: rbac.authorization.k8s.io/v1\n"
    private static let pods = "- apiGroups: [\"\"]\n  resources: [\"pods\"]\n  verbs: [\"get\", \"list\"]\n"
    private static let nodes = "# nodes\n- apiGroups: [\"\"]\n  resources: [\"nodes\"]\n  verbs: [\"get\"]\n"

    private static func role(_ name: String, _ metadata: String = "", kind: String = "ClusterRole") -> String {
        "\(version)kind: \(kind)\nmetadata:\n  name: \(name)\n\(metadata)rules:\n\(pods)\(nodes)"
    }

    private static func binding(_ name: String, _ subjects: [String]) -> String {
        "\(version)kind: RoleBinding\nmetadata:\n  name: \(name)\n  namespace: shop\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cart}\nsubjects:\n"
            + subjects.map { "- kind: ServiceAccount\n  name: \($0)\n" }.joined()
    }

    private static let getPods = PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"])
    private typealias Name = PatchPlan.ObjectName

    private static func cluster(_ name: String) -> PatchPlan.ObjectName { Name(kind: "ClusterRole", namespace: "", name: name) }
    private static func account(_ name: String) -> Subject { Subject(kind: "ServiceAccount", namespace: "shop", name: name) }

    private static let hasTools = ["/usr/bin/git", "/usr/bin/patch"].allSatisfy(FileManager.default.isExecutableFile(atPath:))

    @Test("changes of several files become one diff that patch and git accept and that loads to what was wanted", .enabled(if: hasTools))
    func diff() throws {
        let work = try Workspace()
        _ = try work.write(Self.role("cart") + "---\n" + Self.role("till", kind: "Role"), to: "base/roles.yaml")
        _ = try work.write(Self.binding("cart", ["cart", "till"]), to: "base/bindings.yaml")
        _ = try work.write("# only this\n" + Self.binding("old", ["cart"]), to: "base/old.yaml")
        _ = try work.write("resources: [roles.yaml, old.yaml]\n", to: "base/kustomization.yaml")
        let database = try WhittleDatabase.inMemory(
            try ManifestLoader(defaultNamespace: "shop", usesDefaults: false).load([work.file("base")]))
        let plan = try PatchPlan(
            [
                (Self.cluster("cart"), .rules([Self.getPods])),
                (Name(kind: "Role", namespace: "shop", name: "till"), .rules([])),
                (Name(kind: "RoleBinding", namespace: "shop", name: "cart"), .removeSubject(Self.account("till"))),
                (Name(kind: "RoleBinding", namespace: "shop", name: "old"), .removeSubject(Self.account("cart"))),
            ], in: database, directory: work.folder.path)
        #expect(plan.refusals.isEmpty && plan.kustomized.isEmpty && plan.advice.isEmpty)
        #expect(plan.notes == ["\(work.file("base/old.yaml")) is removed: take it out of kustomization.yaml beside it"])
        #expect(
            plan.diff == """
                --- a/base/bindings.yaml
                +++ b/base/bindings.yaml
                @@ -7,5 +7,3 @@
                 subjects:
                 - kind: ServiceAccount
                   name: cart
                -- kind: ServiceAccount
                -  name: till
                --- a/base/old.yaml
                +++ /dev/null
                @@ -1,10 +0,0 @@
                -# only this
                -apiVersion: rbac.authorization.k8s.io/v1
                -kind: RoleBinding
                -metadata:
                -  name: old
                -  namespace: shop
                -roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cart}
                -subjects:
                -- kind: ServiceAccount
                -  name: cart
                --- a/base/roles.yaml
                +++ b/base/roles.yaml
                @@ -5,21 +5,10 @@
                 rules:
                 - apiGroups: [""]
                   resources: ["pods"]
                -  verbs: ["get", "list"]
                -# nodes
                -- apiGroups: [""]
                -  resources: ["nodes"]
                   verbs: ["get"]
                 ---
                 apiVersion: rbac.authorization.k8s.io/v1
                 kind: Role
                 metadata:
                   name: till
                -rules:
                -- apiGroups: [""]
                -  resources: ["pods"]
                -  verbs: ["get", "list"]
                -# nodes
                -- apiGroups: [""]
                -  resources: ["nodes"]
                -  verbs: ["get"]
                +rules: []

                """)
        _ = try work.write(plan.diff, to: "x.diff")
        let result = try Shell.result(
            of: "git apply --check x.diff && patch -p1 --dry-run -i x.diff && git apply x.diff", in: work.folder.path)
        #expect(result.code == 0, "\(result.errors)")
        let state = try ManifestLoader(defaultNamespace: "shop", usesDefaults: false).load([work.file("base")])
        #expect(state.roles.map { $0.rules.map(\.rule) } == [[Self.getPods], []])
        #expect(state.bindings.map { $0.subjects.map(\.subject.name) } == [["cart"]])
    }

    @Test("objects that something else writes get a sentence, not an edit")
    func managed() throws {
        let work = try Workspace()
        let metadata = [
            ("boot", "  labels: {kubernetes.io/bootstrapping: rbac-defaults}\n"),
            (
                "boot-kept",
                "  labels: {kubernetes.io/bootstrapping: rbac-defaults}\n  annotations: {rbac.authorization.kubernetes.io/autoupdate: \"false\"}\n"
            ),
            ("chart", "  labels: {app.kubernetes.io/managed-by: Helm}\n"),
            ("release", "  annotations: {meta.helm.sh/release-name: cart, meta.helm.sh/release-namespace: shop}\n"),
            ("olm", "  labels: {olm.owner: cart.v1}\n"),
            ("csv", "  ownerReferences: [{kind: ClusterServiceVersion, name: cart.v2, controller: false}]\n"),
            ("owned", "  ownerReferences: [{kind: X, name: x}, {kind: Cart, name: c, controller: true}]\n"),
            ("argo", "  annotations: {argocd.argoproj.io/tracking-id: \"shop:rbac/x:y\"}\n"),
            ("flux", "  labels: {kustomize.toolkit.fluxcd.io/name: shop, kustomize.toolkit.fluxcd.io/namespace: flux-system}\n"),
        ]
        let file = try work.write(metadata.map { Self.role($0.0, $0.1) }.joined(separator: "---\n"), to: "r.yaml")
        let path = work.file("c.db")
        try WhittleDatabase.load(try ManifestLoader(usesDefaults: false).load([file]), to: path, options: .init())
        let database = try WhittleDatabase.open(path)
        let plan = try PatchPlan(
            metadata.map { (Self.cluster($0.0), .rules([Self.getPods])) }, in: database, directory: work.folder.path)
        let end = "; the proposal re-binds instead"
        #expect(
            plan.advice == [
                "ClusterRole boot is managed by the API server: the API server restores it at its next start" + end,
                "ClusterRole boot-kept is managed by the API server: it belongs to Kubernetes itself" + end,
                "ClusterRole chart is managed by a Helm chart: change its chart values or template" + end,
                "ClusterRole release is managed by Helm release shop/cart: change its chart values or template" + end,
                "ClusterRole olm is managed by the Operator Lifecycle Manager (cart.v1): change what its ClusterServiceVersion or OperatorGroup asks for"
                    + end,
                "ClusterRole csv is managed by the Operator Lifecycle Manager (cart.v2): change what its ClusterServiceVersion or OperatorGroup asks for"
                    + end,
                "ClusterRole owned is managed by Cart c: change the Cart, or the program that writes it" + end,
            ])
        #expect(plan.diff.components(separatedBy: "-  verbs: [\"get\", \"list\"]\n").count == 3)
        #expect(plan.kustomized.isEmpty && plan.refusals.isEmpty)
        let managers: [ObjectManager] = [
            .bootstrap(restored: true), .bootstrap(restored: false), .helm(release: "", namespace: ""),
            .helm(release: "cart", namespace: "shop"), .olm(owner: "cart.v1"), .olm(owner: "cart.v2"), .owner(kind: "Cart", name: "c"),
            .argo(application: "shop"), .flux(kustomization: "shop", namespace: "flux-system"),
        ]
        #expect(try database.authorizer().roles.map { $0.meta.manager } == managers)
    }

    @Test("live objects, texts that cannot be edited and aggregated roles")
    func kustomize() throws {
        let work = try Workspace()
        let text = [
            Self.role("live", "  uid: 5b2\n"), Self.role("anchor").replacing("- apiGroups", with: "- &a\n  apiGroups"),
            Self.role("sum").replacing("rules:", with: "aggregationRule: {clusterRoleSelectors: []}\nrules:"),
        ].joined(separator: "---\n")
        let line =
            #"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"line"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["*"]}]}"#
        let files = [try work.write(text, to: "r.yaml"), try work.write(line, to: "l.json")]
        let database = try WhittleDatabase.inMemory(try ManifestLoader(usesDefaults: false).load(files))
        let plan = try PatchPlan(
            ["live", "anchor", "sum", "line"].map { (Self.cluster($0), .rules([Self.getPods])) }
                + [
                    (Self.cluster("missing"), .delete),
                    (Self.cluster("line"), .rules([PolicyRule(verbs: ["get"])])),
                ].prefix(1), in: database, directory: work.folder.path)
        #expect(plan.diff == "")
        #expect(
            plan.kustomized.map { "\($0.patch.name): \($0.reason)" } == [
                "live: it comes from a live dump", "line: in \(files[1]) the object is written on one line",
                "anchor: in \(files[0]) a rule uses anchors, aliases or tags",
            ])
        #expect(
            plan.advice == [
                "ClusterRole sum takes its rules from the ClusterRoles that its aggregationRule selects: change those; the proposal re-binds instead"
            ])
        #expect(plan.refusals == ["ClusterRole missing is not in the input"])
        #expect(plan.kustomizeText.contains("- path: patches/clusterrole-live.yaml\n  target:\n"))
        let rejected = try PatchPlan([(Self.cluster("line"), .rules([PolicyRule(verbs: ["get"])]))], in: database)
        #expect(rejected.refusals == ["the API server would reject ClusterRole line: rules[0].apiGroups is required"])
    }

    @Test("a file that changed since the load is refused, a duplicate is not made the only one")
    func changed() throws {
        let work = try Workspace()
        let file = try work.write(Self.role("cart"), to: "r.yaml")
        let twice = try work.write(Self.binding("x", ["cart"]) + "---\n" + Self.binding("x", ["cart"]), to: "t.yaml")
        let database = try WhittleDatabase.inMemory(try ManifestLoader(usesDefaults: false).load([file, twice]))
        _ = try work.write(Self.role("cart") + "# more\n", to: "r.yaml")
        let plan = try PatchPlan(
            [(Self.cluster("cart"), .rules([])), (Name(kind: "RoleBinding", namespace: "shop", name: "x"), .delete)], in: database,
            directory: work.folder.path)
        #expect(plan.diff == "")
        #expect(plan.refusals == ["ClusterRole cart: \(file) has changed since it was loaded"])
        #expect(plan.kustomized.map(\.reason) == ["in \(twice) an edit would change more than was wanted"])
    }

    @Test("no part of a Secret is ever shown", .enabled(if: hasTools))
    func secrets() throws {
        let work = try Workspace()
        let secret =
            "apiVersion: v1\ndata: {password: aHVudGVyMg==}\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData:\n  password: hunter2\n"
        let item = "- " + secret.dropLast().replacing("\n", with: "\n  ") + "\n"
        let role = "- " + Self.role("b").dropLast().replacing("\n", with: "\n  ") + "\n"
        let last = "- data: {password: aHVudGVyMg==}\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: t, namespace: shop}\n"
        let files = [
            try work.write(secret + "---\n" + Self.role("a") + "---\n" + secret, to: "a.yaml"),
            try work.write("apiVersion: v1\nkind: List\nitems:\n" + item + role + last, to: "b.yaml"),
            try work.write("apiVersion: v1\nkind: List\nitems:\n" + item + role.replacing("name: b", with: "name: c"), to: "c.yaml"),
            try work.write("kind: Secret\ndata: {{ .Values.password }}\nx: hunter2\n---\n" + Self.role("d"), to: "d.yaml"),
        ]
        let database = try WhittleDatabase.inMemory(try ManifestLoader(usesDefaults: false).load(files))
        let plan = try PatchPlan(
            ["a", "b", "c", "d"].map { (Self.cluster($0), .delete) }, in: database, directory: work.folder.path)
        #expect(!plan.diff.contains("password") && !plan.diff.contains("hunter2") && !plan.diff.contains("aHVudGVyMg"))
        #expect(plan.diff.contains("+++ b/a.yaml\n@@ -7,14 +7 @@\n----\n"), "\(plan.diff)")
        #expect(plan.diff.contains("+++ b/c.yaml\n") && plan.diff.contains("+++ b/d.yaml\n"))
        #expect(plan.kustomized.map(\.reason) == ["a diff of \(files[1]) would show a part of a Secret"])
        _ = try work.write(plan.diff, to: "x.diff")
        let result = try Shell.result(
            of: "git apply --check x.diff && patch -s -p1 -i x.diff && cat a.yaml", in: work.folder.path)
        #expect(result.code == 0 && result.output == secret + "---\n" + secret, "\(result)")
    }

    // MARK: Published manifests

    /// Texts of the recorded manifests that hold a Role or ClusterRole with rules.
    private static func published(_ body: (_ file: String, _ bytes: [UInt8], _ state: ClusterState) throws -> Void) throws {
        let folder = try #require(Fixtures.referenceData) + "/corpus"
        let entries = try #require(FileManager.default.enumerator(atPath: folder))
        for case let entry as String in entries where entry.hasSuffix(".yaml") || entry.hasSuffix(".yml") || entry.hasSuffix(".json") {
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(entry)") else { continue }
            let text = String(decoding: data, as: UTF8.self)
            guard text.contains("Role") else { continue }
            let state = ManifestLoader(usesDefaults: false).load(text: text, file: entry)
            if state.roles.contains(where: { !$0.rules.isEmpty }) { try body(entry, Array(data), state) }
        }
    }

    private static func edits(_ state: ClusterState, _ change: (Role) -> [PolicyRule]) -> [ObjectEdit] {
        state.roles.compactMap { role in
            role.meta.location.map { location in
                ObjectEdit(
                    object: Name(kind: role.kind, namespace: role.meta.namespace, name: role.meta.name), goal: .rules(change(role)),
                    location: location)
            }
        }
    }

    /// Expects the wanted rules in every object that was edited, and the old ones in all others.
    private static func check(_ result: EditedManifest, _ edits: [ObjectEdit], of file: String, _ state: ClusterState) throws
        -> ClusterState
    {
        let text = String(decoding: try #require(result.bytes), as: UTF8.self)
        let again = ManifestLoader(usesDefaults: false).load(text: text, file: file)
        #expect(again.roles.map(\.meta.name) == state.roles.map(\.meta.name), "\(file)")
        #expect(again.bindings.map(\.subjects.count) == state.bindings.map(\.subjects.count), "\(file)")
        for (edit, (before, after)) in zip(edits, zip(state.roles, again.roles)) {
            guard case .rules(var wanted) = edit.goal else { continue }
            if result.refused.contains(where: { $0.edit.location == edit.location }) { wanted = before.rules.map(\.rule) }
            let (left, right) = (after.rules.map { SortedRule($0.rule) }, wanted.map { SortedRule($0) })
            #expect(left.count == right.count && Set(left) == Set(right), "\(file) \(edit.object)")
        }
        return again
    }

    @Test("of published roles every second rule goes, and nothing but lines of the file", .enabled(if: Fixtures.referenceData != nil))
    func everySecondRule() throws {
        var (roles, refused) = (0, [String: Int]())
        try Self.published { file, bytes, state in
            let edits = Self.edits(state) { role in role.rules.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element.rule) }
            let result = EditedManifest(bytes, file: file).applying(edits)
            roles += edits.count
            for refusal in result.refused { refused[refusal.reason, default: 0] += 1 }
            _ = try Self.check(result, edits, of: file, state)
            let newline = UInt8(ascii: "\n")
            var rest = bytes.split(separator: newline, omittingEmptySubsequences: false)[...]
            for line in (result.bytes ?? []).split(separator: newline, omittingEmptySubsequences: false) where !line.isEmpty {
                let place = try #require(rest.firstIndex(of: line), "\(file): \(String(decoding: line, as: UTF8.self))")
                rest = rest[(place + 1)...]
            }
        }
        #expect(roles > 500)
        #expect(refused == [:])
    }

    @Test("published roles lose a rule, get one, and are narrowed in the rest", .enabled(if: Fixtures.referenceData != nil))
    func narrowed() throws {
        var (roles, refused) = (0, [String: Int]())
        try Self.published { file, bytes, state in
            let edits = Self.edits(state) { role in
                role.rules.dropFirst(role.rules.count > 2 ? 1 : 0).map { written in
                    var rule = written.rule
                    rule.verbs = rule.verbs.map { Array($0.prefix(1)) + ["watch"] }
                    rule.resources = rule.resources.map { Array($0.suffix(2)) }
                    if rule.nonResourceURLs == nil, rule.resourceNames == nil {
                        rule.resourceNames = ["cart"]
                    } else {
                        rule.resourceNames = nil
                    }
                    return rule
                } + [PolicyRule(verbs: ["get"], apiGroups: ["shop.example.com"], resources: ["carts", "carts/status"])]
            }
            let result = EditedManifest(bytes, file: file).applying(edits)
            roles += edits.count
            for refusal in result.refused { refused[refusal.reason, default: 0] += 1 }
            let again = try Self.check(result, edits, of: file, state)
            // What was made is edited again, down to nothing.
            guard let edited = result.bytes else { return }
            let emptied = Self.edits(again) { _ in [] }
            _ = try Self.check(EditedManifest(edited, file: file).applying(emptied), emptied, of: file, again)
        }
        #expect(roles > 500)
        #expect(Array(refused.keys) == ["it has no `rules` of its own"])
    }

    @Test("every second object of published manifests is cut out, and first subjects are", .enabled(if: Fixtures.referenceData != nil))
    func objects() throws {
        var (objects, refused) = (0, [String: Int]())
        try Self.published { file, bytes, state in
            var edits: [ObjectEdit] = []
            for (index, role) in state.roles.enumerated() where !index.isMultiple(of: 2) {
                guard let location = role.meta.location else { continue }
                edits.append(ObjectEdit(object: Name(role), goal: .delete, location: location))
            }
            for (index, binding) in state.bindings.enumerated() {
                guard let location = binding.meta.location, let subject = binding.subjects.first?.location else { continue }
                let goal: ObjectEdit.Goal = index.isMultiple(of: 2) ? .subjects(removed: [subject], left: []) : .delete
                edits.append(ObjectEdit(object: Name(binding), goal: goal, location: location))
            }
            let result = EditedManifest(bytes, file: file).applying(edits)
            objects += edits.count
            for refusal in result.refused { refused[refusal.reason, default: 0] += 1 }
            let again = ManifestLoader(usesDefaults: false).load(text: String(decoding: result.bytes ?? [], as: UTF8.self), file: file)
            guard result.refused.isEmpty else { return }
            #expect(
                again.roles.map(\.meta.name) == state.roles.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element.meta.name))
            #expect(again.pods.count == state.pods.count && again.workloads.count == state.workloads.count, "\(file)")
            #expect(again.serviceAccounts.count == state.serviceAccounts.count && again.skipped == state.skipped, "\(file)")
        }
        #expect(objects > 400)
        #expect(refused == [:])
    }
}
