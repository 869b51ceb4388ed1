import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore
import WhittleTestSupport

@testable import WhittleCommands

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

    @Test("changes of several files become one diff that patch and git accept and that loads to what was wanted")
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
                @@ -1,9 +0,0 @@
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
                @@ -5,22 +5,10 @@
                 rules:
                 - apiGroups: [""]
                   resources: ["pods"]
                -  verbs: ["get", "list"]
                -# nodes
                -- apiGroups: [""]
                -  resources: ["nodes"]
                -  verbs: ["get"]
                +  verbs: ["get"]
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
        try #require(FileManager.default.isExecutableFile(atPath: "/usr/bin/git"))
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
            ("boot-kept", "  labels: {kubernetes.io/bootstrapping: rbac-defaults}\n  annotations: {rbac.authorization.kubernetes.io/autoupdate: \"false\"}\n"),
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
        let managers = try database.authorizer().roles.map { $0.meta.manager }
        #expect(managers.suffix(2) == [.argo(application: "shop"), .flux(kustomization: "shop", namespace: "flux-system")])
    }

    @Test("live objects, texts that cannot be edited and aggregated roles")
    func kustomize() throws {
        let work = try Workspace()
        let text = [
            Self.role("live", "  uid: 5b2\n"), Self.role("anchor").replacing("- apiGroups", with: "- &a\n  apiGroups"),
            Self.role("sum").replacing("rules:", with: "aggregationRule: {clusterRoleSelectors: []}\nrules:"),
        ].joined(separator: "---\n")
        let line = #"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"line"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["*"]}]}"#
        let files = [try work.write(text, to: "r.yaml"), try work.write(line, to: "l.json")]
        let database = try WhittleDatabase.inMemory(try ManifestLoader(usesDefaults: false).load(files))
        let plan = try PatchPlan(
            ["live", "anchor", "sum", "line"].map { (Self.cluster($0), .rules([Self.getPods])) } + [
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

    @Test("every second rule of published roles goes exactly, or the reason is said", .enabled(if: Fixtures.referenceData != nil))
    func corpus() throws {
        let folder = try #require(Fixtures.referenceData) + "/corpus/manifests"
        let entries = try #require(FileManager.default.enumerator(atPath: folder))
        var counts = (roles: 0, edited: 0, refused: [String: Int]())
        for case let entry as String in entries where entry.hasSuffix(".yaml") || entry.hasSuffix(".yml") || entry.hasSuffix(".json") {
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(entry)") else { continue }
            let bytes = Array(data)
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.contains("Role"), Array(text.utf8) == bytes else { continue }
            let state = ManifestLoader(usesDefaults: false).load(text: text, file: entry)
            let edits = state.roles.filter { $0.rules.count > 1 }.compactMap { role -> ObjectEdit? in
                role.meta.location.map { location in
                    let kept = role.rules.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element.rule)
                    return ObjectEdit(
                        object: Name(kind: role.kind, namespace: role.meta.namespace, name: role.meta.name), goal: .rules(kept),
                        location: location)
                }
            }
            guard !edits.isEmpty else { continue }
            let result = EditedManifest(bytes, file: entry).applying(edits)
            counts.roles += edits.count
            counts.edited += edits.count - result.refused.count
            for refusal in result.refused { counts.refused[refusal.reason, default: 0] += 1 }
            let edited = try #require(result.bytes)
            // Lines only go: what is left is the old text with lines left out, in their order.
            var rest = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
            for line in edited.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
                guard let place = rest.firstIndex(of: line) else {
                    let isCut = text.contains("rules: [") || line.isEmpty
                    #expect(isCut, "\(entry): \(String(decoding: line, as: UTF8.self))")
                    break
                }
                rest = rest[(place + 1)...]
            }
            let again = ManifestLoader(usesDefaults: false).load(text: String(decoding: edited, as: UTF8.self), file: entry)
            for edit in edits where !result.refused.contains(where: { $0.edit.location == edit.location }) {
                guard case .rules(let wanted) = edit.goal else { continue }
                let role = again.roles.first { $0.meta.name == edit.object.name && $0.kind == edit.object.kind && $0.meta.namespace == edit.object.namespace }
                #expect(role?.rules.map(\.rule) == wanted, "\(entry) \(edit.object)")
            }
            #expect(again.bindings.count == state.bindings.count && again.roles.count == state.roles.count)
        }
        #expect(counts.roles > 500)
        // What is refused in the corpus is known; anything new is looked at.
        #expect(counts.edited * 100 >= counts.roles * 95, "\(counts)")
        print("corpus: \(counts)")
    }
}
