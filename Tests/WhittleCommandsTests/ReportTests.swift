import Foundation
import Testing
import WhittleTestSupport

@Suite("report and diff")
struct ReportTests {
    private func report(_ arguments: String...) throws -> CommandResult {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        _ = whittle("load", Fixtures.path("demo/cluster"), "-o", database)
        _ = whittle("usage", "load", Fixtures.path("demo/audit.log"), "--db", database)
        return whittle(["report", "--db", database] + arguments)
    }

    @Test("a report tells who runs, what is granted, used, refused, unused and enough")
    func account() throws {
        let text = try report("sa/cart", "-n", "shop").output
        for fact in [
            "Pod cart-6d5f7c9b8d-2xkqp of Deployment/cart on node-1, token by automount",
            "RoleBinding cart-edit of ClusterRole edit to ServiceAccount shop/cart, in shop",
            "get secrets cart-tls in shop: once", "list secrets: once",
            "create,delete,deletecollection,patch,update,get,list,watch pods in shop through RoleBinding cart-edit",
            "Role in shop: 6 rules", "1 of 10 needs are given by default bindings",
        ] {
            #expect(text.contains(fact), "\(fact)")
        }
        #expect(!text.contains("update leases.coordination.k8s.io in shop through"))
        let shared = try report("sa/orders", "-n", "shop").output
        #expect(shared.contains("CronJob/order-report") && shared.contains("Deployment/orders"))
        let wild = try report("sa/backup", "-n", "platform").output
        #expect(wild.contains("ClusterRole backup rule 0: get,list on") && wild.contains("and any added later"))
    }

    @Test("every format, every account; an unknown account is no answer")
    func formats() throws {
        for format in ["json", "yaml", "markdown", "csv"] {
            let result = try report("-A", "-o", format)
            #expect(result.code == 0 && result.output.contains("deployer"), "\(format)")
        }
        let json = try #require(JSON(data: Data(try report("sa/cart", "-n", "shop", "-o", "json").output.utf8)))
        #expect(json["uses"].array.count == 10)
        #expect(json["proposal"]["items"].array.count == 2)
        #expect(try report("sa/none", "-n", "shop").code == 2)
        #expect(try report("pod/cart").code == 64)
    }

    private func rbac(_ rules: String) -> String {
        """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: r, namespace: shop}
        rules: [\(rules)]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: r, namespace: shop}
        roleRef: {kind: Role, name: r}
        subjects: [{kind: ServiceAccount, name: cart}]
        """
    }

    @Test("diff compares meaning: gained, lost, rewritten but equal")
    func diff() throws {
        let workspace = try Workspace()
        let old = try workspace.write(rbac("{apiGroups: [\"\"], resources: [pods, services], verbs: [get]}"), to: "old.yaml")
        let rewritten = try workspace.write(
            rbac("{apiGroups: [\"\"], resources: [services], verbs: [get]}, {apiGroups: [\"\"], resources: [pods], verbs: [get]}"),
            to: "same.yaml")
        let other = try workspace.write(rbac("{apiGroups: [\"\"], resources: [pods], verbs: [get, delete]}"), to: "new.yaml")
        #expect(whittle("diff", old, old).code == 0)
        let equal = whittle("diff", old, rewritten)
        #expect(equal.code == 0 && equal.output.contains("rewritten"))
        let result = whittle("diff", old, other)
        #expect(result.code == 1)
        #expect(result.output.contains("gained  ServiceAccount shop/cart  shop   delete pods"))
        #expect(result.output.contains("lost    ServiceAccount shop/cart  shop   get services"))
        let database = workspace.file("c.db")
        _ = whittle("load", old, "-o", database)
        #expect(whittle("diff", database, old).code == 0)
        #expect(whittle("diff", old, workspace.file("none.yaml")).code == 2)
        let pods = try workspace.write("{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}", to: "sa.yaml")
        #expect(whittle("diff", old, pods).code == 2)
    }
}
