import Foundation
import Testing
import WhittleTestSupport

@Suite("declared, compare")
struct DeclaredCommandTests {
    private func fixture(_ name: String) -> String { Fixtures.path("declared/\(name)") }

    // MARK: declared

    @Test("markers are written as controller-gen writes them; notes go to standard error")
    func declaredMarkers() throws {
        let result = whittle("declared", fixture("operator"), "-o", "yaml")
        #expect(result.code == 0)
        #expect(result.output == (try String(contentsOfFile: fixture("operator-role.yaml"), encoding: .utf8)))
        #expect(
            result.errors.contains("cart.go:25:1: note: controller-gen ignores the marker: it documents `func Reconcile` [marker-ignored]"))
        let named = whittle("declared", fixture("operator/..."), "--role-name", "shop", "-o", "yaml")
        #expect(named.output.contains("  name: shop\n") && !named.output.contains("manager-role"))
        let legacy = whittle("declared", fixture("operator/internal/cart/cart.go"), "-o", "yaml", "--controller-gen", "legacy")
        #expect(legacy.output.contains("  resources:\n  - carts\n  - carts/status\n  verbs:\n  - get\n  - list\n  - watch\n"))
    }

    @Test("a part that cannot be read is said and ends with 2, the rest is written; nothing at all ends with 1")
    func declaredExitCodes() throws {
        let workspace = try Workspace()
        let file = try workspace.write(
            """
            package shop

            // +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get

            // +kubebuilder:rbac:groups=apps,resources=daemonsets,verbs=get;create,update
            """, to: "shop.go")
        let partly = whittle("declared", file, "-o", "yaml")
        #expect(partly.code == 2)
        #expect(partly.output.contains("- deployments\n") && !partly.output.contains("daemonsets"))
        #expect(partly.errors.contains("shop.go:5:78: error: the marker cannot be read"))
        #expect(partly.errors.contains("could not judge: part of the declaration"))
        #expect(whittle("declared", fixture("diagnostics/marker-ignored.go")).code == 1)
        let absent = whittle("declared", workspace.file("absent.yaml"))
        #expect(absent.code == 2 && absent.output.isEmpty)
        #expect(whittle("declared").code == 64)
        let document = try #require(JSON(data: Data(whittle("declared", file, "-o", "json").output.utf8)))
        #expect(document["complete"].bool == false)
        #expect(document["diagnostics"].array.map { $0["id"].string } == ["invalid-marker"])
    }

    @Test("tables and JSON tell account, scope, origin and place")
    func declaredFormats() throws {
        let csv = whittle("declared", fixture("needs.yaml"), "-n", "till", "-o", "csv").output.split(separator: "\n").map(String.init)
        #expect(csv.first == "serviceAccount,scope,verbs,resource,name,origin,source")
        #expect(csv.dropFirst().first == "shop/cart,shop,get,pods,till,needs,\(fixture("needs.yaml")):6:3")
        #expect(csv.contains("till/cart,till,list,deployments.apps,,needs,\(fixture("needs.yaml")):12:3"))
        #expect(csv.contains(",all namespaces,*,nodes,,needs,\(fixture("needs.yaml")):16:3"))
        let document = try #require(JSON(data: Data(whittle("declared", fixture("service-version.yaml"), "-o", "json").output.utf8)))
        #expect(document["complete"].bool == true)
        let first = document["needs"].array[0]
        #expect(first["serviceAccount"]["namespace"].string == "default" && first["serviceAccount"]["name"].string == "shop-operator")
        #expect(first["scope"].string == "default" && first["verb"].string == "get" && first["origin"].string == "csv")
        #expect(document["needs"].array[2]["scope"] == .null)
    }

    @Test("what is no marker is written as roles and bindings that declare the same again")
    func declaredRoundTrip() throws {
        let workspace = try Workspace()
        for name in ["needs.yaml", "service-version.yaml", "bound-roles.yaml", "requests.jsonl"] {
            let yaml = whittle("declared", fixture(name), "-n", "shop", "-o", "yaml")
            #expect(yaml.code == 0)
            let file = try workspace.write(yaml.output, to: "roles.yaml")
            func needs(_ path: String) -> Set<JSON> {
                Set(
                    (JSON(data: Data(whittle("declared", path, "-n", "shop", "-o", "json").output.utf8)) ?? .null)["needs"].array.map {
                        need in
                        guard case .map(var members) = need else { return need }
                        (members["origin"], members["source"]) = (nil, nil)
                        return .map(members)
                    })
            }
            #expect(needs(file) == needs(fixture(name)))
            #expect(!needs(file).isEmpty)
        }
    }

    @Test("propose takes a declaration of any form, and of other accounts nothing")
    func propose() throws {
        let workspace = try Workspace()
        let database = try demo(workspace)
        let result = whittle("propose", "sa/cart", "-n", "shop", "--declared", fixture("bound-roles.yaml"), "--db", database)
        #expect(result.code == 0)
        #expect(result.output.contains("resources: [pods]") && result.output.contains("resources: [services]"))
        #expect(!result.output.contains("/healthz"))
    }

    // MARK: compare

    private func demo(_ workspace: borrowing Workspace) throws -> String {
        let database = workspace.file("demo.db")
        #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", database).code == 0)
        #expect(whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database).code == 0)
        return database
    }

    /// `scope verb resource name: verdict (declared, observed)` of each row of one account.
    private func rows(_ result: CommandResult) -> [String] {
        let document = JSON(data: Data(result.output.utf8)) ?? .null
        return document["serviceAccounts"].array.flatMap { account in
            account["rows"].array.map { row in
                let group = row["apiGroup"].string.map { $0.isEmpty ? "" : ".\($0)" } ?? ""
                let target = row["nonResourceURL"].string ?? "\(row["resource"].string ?? "")\(group)"
                let name = row["resourceName"].string.map { " \($0)" } ?? ""
                let declared = row["declared"].string.map { "\($0), " } ?? ""
                return
                    "\(row["scope"].string ?? "*") \(row["verb"].string ?? "") \(target)\(name): \(row["verdict"].string ?? "") (\(declared)\(row["observed"].int ?? -1))"
            }
        }
    }

    @Test("without a declaration: used, unused and denied, with the binding and the place of the rule")
    func compareGranted() throws {
        let workspace = try Workspace()
        let database = try demo(workspace)
        let orders = whittle("compare", "sa/orders", "-n", "shop", "--db", database, "-o", "json")
        #expect(orders.code == 1)
        #expect(
            rows(orders) == [
                "shop get configmaps: unused (0)", "shop list configmaps: unused (0)", "shop watch configmaps: used (1)",
                "shop get secrets orders-database: used (1)", "shop create jobs.batch: unused (0)", "shop delete jobs.batch: unused (0)",
                "shop get jobs.batch: unused (0)", "shop list jobs.batch: used (1)", "shop watch jobs.batch: unused (0)",
            ])
        let cart = whittle("compare", "shop:cart", "--db", database, "-o", "json")
        #expect(rows(cart).contains("* list secrets: denied (0)"))
        // Given to all by a group, so never unused, and shown only where it is used.
        #expect(rows(cart).filter { $0.hasPrefix("*") } == ["* list secrets: denied (0)", "* get /version: used (2)"])
        #expect(rows(cart).contains("shop create configmaps: used (1)"))
        let table = whittle("compare", "sa/orders", "-n", "shop", "--db", database).output
        #expect(table.contains("Role shop/orders rule 0 by RoleBinding shop/orders"))
        #expect(table.contains("shop.yaml:63:3"))
    }

    @Test("a pattern is used when something it covers was seen, and says by what")
    func comparePatterns() throws {
        let workspace = try Workspace()
        let database = try demo(workspace)
        let result = whittle("compare", "platform:backup", "--db", database)
        let lines = result.output.split(separator: "\n").map(String.init)
        #expect(lines.count == 3)
        #expect(lines[1].contains("unused") && lines[1].contains("get"))
        #expect(lines[2].contains(" used ") && lines[2].contains("list configmaps, list secrets, list deployments.apps"))
        // Declaring a part of what was used shows the rest.
        let needs = try workspace.write(#"{"verb":"list","resource":"configmaps"}"# + "\n", to: "needs.jsonl")
        let compared = whittle("compare", "platform:backup", "--db", database, "--declared", needs, "-o", "json")
        #expect(
            rows(compared) == [
                "* list configmaps: used (yes, 1)", "* list secrets: used but not declared (no, 1)", "* get *.*: unused (no, 0)",
                "* list *.*: used (partly, 3)", "* list deployments.apps: used but not declared (no, 1)",
            ])
        #expect(compared.code == 1)
    }

    @Test("every account: the declaration's bindings say whose it is; needs of nobody cannot be judged")
    func compareAll() throws {
        let workspace = try Workspace()
        let database = try demo(workspace)
        let all = whittle("compare", "-A", "--db", database, "-o", "json")
        let document = try #require(JSON(data: Data(all.output.utf8)))
        let names = document["serviceAccounts"].array.map { "\($0["namespace"].string ?? "")/\($0["name"].string ?? "")" }
        #expect(names.contains("shop/cart") && names.contains("platform/backup"))
        #expect(names == names.sorted())
        #expect(all.code == 1 && document["agree"].bool == false)
        let declared = whittle("compare", "-A", "--db", database, "--declared", fixture("service-version.yaml"), "-n", "shop", "-o", "csv")
        #expect(
            declared.output.contains(
                "shop/shop-webhook,all namespaces,create,subjectaccessreviews.authorization.k8s.io,,yes,,0,0,,declared but not granted"))
        #expect(declared.code == 1)
        let homeless = whittle("compare", "-A", "--db", database, "--declared", fixture("operator"))
        #expect(homeless.code == 2 && homeless.errors.contains("name no service account"))
        #expect(!homeless.output.isEmpty)
    }

    private static let cluster = """
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: cart, namespace: shop}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: cart, namespace: shop}
        rules:
        - {apiGroups: [""], resources: [pods], verbs: [get, list]}
        - {apiGroups: [""], resources: [secrets], resourceNames: [till, safe], verbs: [get]}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: cart, namespace: shop}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: cart}
        subjects: [{kind: ServiceAccount, name: cart}]
        """

    private func event(_ number: Int, _ verb: String, _ uri: String, resource: String, name: String = "", isAllowed: Bool = true) -> String
    {
        let decision = isAllowed ? "allow" : "forbid"
        return """
            {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"20000000-0000-4000-8000-00000000000\(number)",\
            "requestURI":"\(uri)","verb":"\(verb)","user":{"username":"system:serviceaccount:shop:cart","groups":["system:serviceaccounts",\
            "system:serviceaccounts:shop","system:authenticated"]},"stage":"ResponseComplete","objectRef":{"resource":"\(resource)",\
            "namespace":"shop","name":"\(name)","apiVersion":"v1"},"responseStatus":{"code":\(isAllowed ? 200 : 403)},\
            "requestReceivedTimestamp":"2026-11-20T09:00:0\(number).000000Z","stageTimestamp":"2026-11-20T09:00:0\(number).000000Z",\
            "annotations":{"authorization.k8s.io/decision":"\(decision)"}}
            """
    }

    private func database(_ workspace: borrowing Workspace, _ events: [String]) throws -> String {
        let database = workspace.file("c.db")
        #expect(whittle("load", try workspace.write(Self.cluster, to: "cluster.yaml"), "-o", database).code == 0)
        if !events.isEmpty {
            let log = try workspace.write(events.joined(separator: "\n") + "\n", to: "audit.log")
            #expect(whittle("usage", "load", log, "--db", database).code == 0)
        }
        return database
    }

    private func needs(_ workspace: borrowing Workspace, _ entries: String...) throws -> String {
        try workspace.write(
            "apiVersion: whittle.dev/v1alpha1\nkind: Needs\nneeds:\n" + entries.map { "- {apiGroups: [\"\"], \($0)}\n" }.joined(),
            to: "needs.yaml")
    }

    @Test("all agree: exit status 0")
    func compareAgrees() throws {
        let workspace = try Workspace()
        let pods = "/api/v1/namespaces/shop/pods"
        let database = try database(
            workspace,
            [
                event(1, "get", "\(pods)/a", resource: "pods", name: "a"), event(2, "get", "\(pods)/b", resource: "pods", name: "b"),
                event(3, "list", pods, resource: "pods"),
                event(4, "get", "/api/v1/namespaces/shop/secrets/till", resource: "secrets", name: "till"),
                event(5, "get", "/api/v1/namespaces/shop/secrets/safe", resource: "secrets", name: "safe"),
            ])
        let file = try needs(
            workspace, "resources: [pods], verbs: [list, get]", "resources: [secrets], resourceNames: [safe, till], verbs: [get]")
        let result = whittle("compare", "sa/cart", "-n", "shop", "--db", database, "--declared", file, "-o", "json")
        #expect(
            rows(result) == [
                "shop get pods: used (yes, 2)", "shop list pods: used (yes, 1)", "shop get secrets safe: used (yes, 1)",
                "shop get secrets till: used (yes, 1)",
            ])
        #expect(result.code == 0)
        let document = try #require(JSON(data: Data(result.output.utf8)))
        #expect(document["agree"].bool == true)
        let row = document["serviceAccounts"].array[0]["rows"].array[0]
        #expect(row["lastSeen"].string == "2026-11-20T09:00:02.000000Z")
        #expect(row["requests"].array.map { $0["name"].string } == ["a", "b"])
        #expect(row["needs"].array.first?["source"].string == "\(file):4:3")
        #expect(row["grants"].array.first?["grant"]["source"].string?.hasSuffix("cluster.yaml:9:3") ?? false)
        #expect(whittle("compare", "sa/cart", "-n", "shop", "--db", database).code == 0)
    }

    @Test("each way to differ has its verdict")
    func compareDiffers() throws {
        let workspace = try Workspace()
        let space = "/api/v1/namespaces/shop"
        let database = try database(
            workspace,
            [
                event(1, "get", "\(space)/pods/a", resource: "pods", name: "a"),
                event(2, "get", "\(space)/services/a", resource: "services", name: "a"),
                event(3, "get", "\(space)/endpoints/a", resource: "endpoints", name: "a"),
                event(4, "delete", "\(space)/pods/a", resource: "pods", name: "a", isAllowed: false),
                event(5, "list", "\(space)/pods", resource: "pods", isAllowed: false),
            ])
        let file = try needs(
            workspace, "resources: [services], verbs: [get]", "resources: [secrets], resourceNames: [till], verbs: [get]",
            "resources: [nodes], verbs: [get], clusterWide: true")
        let result = whittle("compare", "sa/cart", "-n", "shop", "--db", database, "--declared", file, "-o", "json")
        #expect(
            rows(result) == [
                "* get nodes: declared but not granted (yes, 0)",
                "shop get endpoints a: used but not granted (no, 1)",
                "shop delete pods a: denied (no, 0)",
                "shop get pods: used but not declared (no, 1)",
                "shop list pods: denied (no, 0)",
                "shop get secrets safe: unused (no, 0)",
                "shop get secrets till: declared but never seen (yes, 0)",
                "shop get services: used but not granted (yes, 1)",
            ])
        #expect(result.code == 1)
    }

    @Test("without usage what is declared is compared with what is granted; without either nothing is judged")
    func compareWithoutUsage() throws {
        let workspace = try Workspace()
        let database = try database(workspace, [])
        let nothing = whittle("compare", "sa/cart", "-n", "shop", "--db", database)
        #expect(nothing.code == 2 && nothing.output.isEmpty && nothing.errors.contains("neither usage nor a declaration"))
        let file = try needs(workspace, "resources: [pods], verbs: [\"*\"]")
        let result = whittle("compare", "sa/cart", "-n", "shop", "--db", database, "--declared", file, "-o", "json")
        #expect(
            rows(result) == [
                "shop * pods: declared but not granted (yes, 0)", "shop get pods: declared and granted (yes, 0)",
                "shop list pods: declared and granted (yes, 0)", "shop get secrets safe: granted but not declared (no, 0)",
                "shop get secrets till: granted but not declared (no, 0)",
            ])
        #expect(result.code == 1 && result.errors.contains("holds no usage"))
        let exact = try needs(
            workspace, "resources: [pods], verbs: [get, list]", "resources: [secrets], resourceNames: [till, safe], verbs: [get]")
        #expect(whittle("compare", "sa/cart", "-n", "shop", "--db", database, "--declared", exact).code == 0)
        #expect(whittle("compare", "sa/cart", "-n", "shop", "-f", workspace.file("cluster.yaml"), "--declared", exact).code == 0)
    }

    @Test("a declaration that cannot be read in part: the rest is compared, exit status 2")
    func comparePartly() throws {
        let workspace = try Workspace()
        let database = try demo(workspace)
        let file = fixture("diagnostics/invalid-declaration.yaml")
        let result = whittle("compare", "sa/orders", "-n", "shop", "--db", database, "--declared", file, "-o", "json")
        #expect(result.code == 2)
        #expect(rows(result).contains("shop get pods: declared but not granted (yes, 0)"))
        #expect(result.errors.contains("invalid-declaration.yaml:5:3: error"))
        #expect(result.errors.contains("part of the declaration could not be read"))
    }

    @Test("what is granted is not known whole: exit status 2")
    func compareIncomplete() throws {
        let workspace = try Workspace()
        let roles = try workspace.write(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a, namespace: shop}, rules: []}", to: "roles.yaml")
        let result = whittle("compare", "sa/cart", "-n", "shop", "-f", roles, "--declared", fixture("requests.jsonl"))
        #expect(result.code == 2 && result.errors.contains("could not judge: the input lacks"))
        #expect(result.errors.contains("the input has no ServiceAccount `shop/cart`"))
    }

    @Test("the command line", arguments: [[], ["-A", "sa/cart"], ["user/jane"], ["sa"]])
    func compareUsage(_ arguments: [String]) { #expect(whittle(["compare"] + arguments).code == 64) }
}
