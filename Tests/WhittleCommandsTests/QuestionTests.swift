import Foundation
import Testing
import WhittleTestSupport

@Suite("who-can, can-i, permissions")
struct QuestionTests {
    private static let roles = """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {name: reader}
        rules:
        - apiGroups: [""]
          resources: [secrets, pods/exec, namespaces, nodes]
          verbs: [get, create]
        - apiGroups: [""]
          resources: [configmaps]
          resourceNames: [settings]
          verbs: [get]
        - nonResourceURLs: [/metrics]
          verbs: [get]

        """
    private static let bindings = """
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: cart, namespace: shop}
        roleRef: {kind: ClusterRole, name: reader}
        subjects:
        - {kind: ServiceAccount, name: cart}
        - {kind: Group, name: "system:serviceaccounts:shop"}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: {name: alice}
        roleRef: {kind: ClusterRole, name: reader}
        subjects:
        - {kind: User, name: alice}
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: cart, namespace: shop}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: cart-1, namespace: shop}
        spec: {serviceAccountName: cart, nodeName: n1, containers: [{name: c}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop}
        spec: {template: {spec: {serviceAccountName: cart, containers: [{name: c}]}}}

        """

    private func ask(_ arguments: String...) throws -> CommandResult {
        let workspace = try Workspace()
        let file = try workspace.write(Self.roles + Self.bindings, to: "rbac.yaml")
        return whittle(arguments + ["-f", file, "--no-defaults"])
    }

    @Test("a namespace sees ClusterRoleBindings and its own RoleBindings, with place and reason")
    func whoCanInNamespace() throws {
        let result = try ask("who-can", "get", "secrets", "-n", "shop")
        #expect(result.code == 0)
        #expect(result.output.contains("ServiceAccount shop/cart"))
        #expect(result.output.contains("Group system:serviceaccounts:shop"))
        #expect(result.output.contains("User alice"))
        #expect(result.output.contains("rbac.yaml:5:3"))
        let other = try ask("who-can", "get", "secrets", "-n", "other", "-o", "json")
        #expect(try #require(JSON(data: Data(other.output.utf8)))["answers"].array.map { $0["subject"]["name"].string } == ["alice"])
    }

    @Test("-A keeps each answer's scope; without -n the namespace is default")
    func whoCanEverywhere() throws {
        let all = try #require(JSON(data: Data(try ask("who-can", "get", "secrets", "-A", "-o", "json").output.utf8)))
        #expect(all["answers"].array.map { $0["grant"]["scope"].string } == ["shop", "shop", nil])
        #expect(try ask("who-can", "get", "secrets").output.contains("cart") == false)
    }

    @Test("TYPE/X is a subresource when the catalogue knows it, else a name; both can be forced")
    func subresourceOrName() throws {
        let exec = try ask("who-can", "create", "pods/exec", "-n", "shop")
        #expect(exec.code == 0 && exec.errors.contains("`exec` is taken as a subresource"))
        let named = try ask("who-can", "get", "configmaps/settings", "-n", "shop")
        #expect(named.code == 0 && named.errors.contains("`settings` is taken as an object name"))
        #expect(named.output.contains("only: settings"))
        #expect(try ask("who-can", "get", "configmaps/other", "-n", "shop").code == 1)
        #expect(try ask("who-can", "create", "pods", "--name", "exec", "-n", "shop").code == 1)
        #expect(try ask("who-can", "create", "pods", "--subresource", "exec", "-n", "shop").code == 0)
        #expect(try ask("who-can", "update", "pods/finalizers", "-n", "shop").errors.contains("`finalizers` is taken as a subresource"))
        #expect(try ask("who-can", "get", "po", "-n", "shop").code == 1)
        #expect(try ask("who-can", "get", "Secret", "-n", "shop").code == 0)
    }

    @Test("-n on a cluster-scoped type is ignored with a note, a named Namespace is judged in itself")
    func clusterScoped() throws {
        let nodes = try ask("who-can", "get", "nodes", "-n", "shop")
        #expect(nodes.errors.contains("-n is ignored"))
        #expect(nodes.output.contains("alice") && !nodes.output.contains("cart"))
        #expect(try ask("who-can", "get", "namespaces/shop").output.contains("ServiceAccount shop/cart"))
        #expect(!(try ask("who-can", "get", "namespaces")).output.contains("cart"))
        #expect(try ask("who-can", "get", "namespaces", "-A").output.contains("ServiceAccount shop/cart"))
    }

    @Test("a RoleBinding never gives a URL")
    func url() throws {
        let result = try ask("who-can", "get", "/metrics", "-o", "csv")
        #expect(result.output.contains("User alice"))
        #expect(!result.output.contains("cart"))
    }

    @Test("groups are counted, and expanded when asked for")
    func expansion() throws {
        let plain = try ask("who-can", "get", "secrets", "-n", "shop")
        #expect(plain.output.contains("1 account, 1 pod"))
        #expect(!plain.output.contains("Pod shop/cart-1"))
        let expanded = try ask("who-can", "get", "secrets", "-n", "shop", "--expand", "--pods")
        #expect(expanded.output.contains("  ServiceAccount shop/cart"))
        #expect(expanded.output.contains("Pod shop/cart-1"))
        #expect(expanded.output.contains("Deployment/web (no pods)"))
    }

    @Test("can-i answers yes and no with 0 and 1, and gives every reason")
    func canI() throws {
        let yes = try ask("can-i", "get", "secrets", "-n", "shop", "--as", "pod/shop/cart-1")
        #expect(yes.code == 0 && yes.output.hasPrefix("yes\n"))
        #expect(yes.output.contains("RoleBinding shop/cart"))
        let no = try ask("can-i", "delete", "secrets", "-n", "shop", "--as", "sa/shop/cart")
        #expect(no.code == 1 && no.output == "no\n")
        #expect(try ask("can-i", "get", "secrets", "--as", "user/bob", "--as-group", "system:masters").code == 0)
        #expect(try ask("can-i", "get", "secrets", "--as", "pod/shop/none").code == 2)
        #expect(try ask("can-i", "get", "configmaps", "-n", "shop", "--as", "sa/shop/cart").code == 1)
    }

    @Test("permissions of pods, workloads, nodes, accounts, users and groups")
    func permissions() throws {
        for identity in ["pod/cart-1", "deploy/web", "sa/cart", "node/n1", "group/system:serviceaccounts:shop"] {
            let result = try ask("permissions", identity, "-n", "shop")
            #expect(result.code == 0, "\(identity): \(result.errors)")
            #expect(result.output.contains("RoleBinding shop/cart"), "\(identity)")
            #expect(!result.output.contains("/metrics"), "\(identity)")
        }
        #expect(try ask("permissions", "user/alice").output.contains("/metrics"))
        #expect(try ask("permissions", "user/bob").code == 1)
        #expect(try ask("permissions", "pod/none", "-n", "shop").code == 2)
        #expect(try ask("permissions", "sa/cart", "-n", "shop", "-o", "matrix").output.contains("secrets"))
        for format in ["json", "yaml", "csv"] { #expect(try ask("permissions", "sa/cart", "-n", "shop", "-o", format).code == 0) }
    }

    @Test("a template that mounts another account's token Secret acts as that account, and only as it when automount is off")
    func tokenSecretInTemplate() throws {
        let workspace = try Workspace()
        let file = try workspace.write(
            Self.roles + """
                ---
                {apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop}, automountServiceAccountToken: false}
                ---
                {apiVersion: v1, kind: Secret, metadata: {name: t, namespace: shop, annotations: {kubernetes.io/service-account.name: ops}}, type: kubernetes.io/service-account-token}
                ---
                {apiVersion: batch/v1, kind: CronJob, metadata: {name: night, namespace: shop}, spec: {jobTemplate: {spec: {template: {spec: {serviceAccountName: web, containers: [{name: c, envFrom: [{secretRef: {name: t}}]}]}}}}}}
                ---
                {apiVersion: apps/v1, kind: Deployment, metadata: {name: none, namespace: shop}, spec: {template: {spec: {serviceAccountName: web, containers: [{name: c}]}}}}
                ---
                {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: ops}, roleRef: {kind: ClusterRole, name: reader}, subjects: [{kind: ServiceAccount, name: ops, namespace: shop}]}
                """, to: "t.yaml")
        let night = try #require(
            JSON(data: Data(whittle("permissions", "cronjob/night", "-n", "shop", "-o", "json", "-f", file).output.utf8)))
        #expect(night["identities"].strings == ["system:serviceaccount:shop:ops"])
        #expect(whittle("permissions", "deploy/none", "-n", "shop", "-f", file).code == 1)
        #expect(whittle("who-can", "get", "secrets", "-n", "shop", "--pods", "-f", file).output.contains("CronJob/night (no pods)"))
    }

    @Test("input without bindings or roles is never read as nobody")
    func couldNotJudge() throws {
        let workspace = try Workspace()
        let rolesOnly = try workspace.write(Self.roles, to: "roles.yaml")
        for command in [
            ["who-can", "get", "secrets"], ["can-i", "get", "secrets", "--as", "user/alice"], ["permissions", "user/alice"],
        ] {
            let result = whittle(command + ["-f", rolesOnly, "--no-defaults"])
            #expect(result.code == 2, "\(command)")
            #expect(result.errors.contains("could not judge"))
            #expect(result.output.isEmpty)
        }
        // A dump of an API server without ClusterRoleBindings holds no answer either.
        let dump = try workspace.write(
            (Self.roles + Self.bindings).replacing("metadata: {name:", with: "metadata: {uid: u, name:").replacing(
                "kind: ClusterRoleBinding", with: "kind: Other"), to: "dump.yaml")
        #expect(whittle("who-can", "delete", "secrets", "-f", dump).code == 2)
        #expect(whittle("who-can", "delete", "secrets", "-f", workspace.file("missing.yaml")).code == 2)
        // A document that could not be read may have held any binding; a dump of an API server is whole all the same.
        let broken = Self.roles + Self.bindings + "---\n{{ if .x }}\n"
        let unread = try workspace.write(broken, to: "unread.yaml")
        #expect(whittle("can-i", "delete", "secrets", "--as", "user/bob", "-f", unread).code == 2)
        #expect(whittle("can-i", "get", "secrets", "--as", "user/alice", "-f", unread).code == 0)
        let dumped = try String(contentsOfFile: Fixtures.path("clusters/recorded/cluster.json"), encoding: .utf8)
        let whole = try workspace.write(dumped, to: "whole.json")
        let question = ["can-i", "delete", "nodes", "--as", "user/nobody", "-f", whole]
        #expect(whittle(question).code == 1)
        #expect(whittle(question + ["-f", unread]).code == 1)
        // Cut off in the middle of the last object.
        _ = try workspace.write(String(dumped.dropLast(200)), to: "whole.json")
        #expect(whittle(question).code == 2)
        // RoleBindings whose Roles were left out, although an assumed ClusterRole is there.
        let dangling = try workspace.write(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: a, namespace: shop}
            roleRef: {kind: Role, name: missing}
            subjects: [{kind: ServiceAccount, name: cart}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: b, namespace: shop}
            roleRef: {kind: ClusterRole, name: view}
            subjects: [{kind: User, name: erin}]
            """, to: "dangling.yaml")
        #expect(whittle("can-i", "get", "secrets", "--as", "sa/shop/cart", "-n", "shop", "-f", dangling).code == 2)
        // RoleBindings of one namespace are not those of every namespace, also as a typed list and also of kube-system.
        for namespace in ["shop", "kube-system"] {
            let list = try workspace.write(
                #"{"kind":"RoleBindingList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"a","namespace":"\#(namespace)","uid":"1"},"roleRef":{"kind":"ClusterRole","name":"reader"}}]}"#
                    + #"{"kind":"ClusterRoleBindingList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"a","uid":"1"},"roleRef":{"kind":"ClusterRole","name":"reader"}}]}"#
                    + #"{"kind":"RoleList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"a","namespace":"kube-system","uid":"1"}},{"metadata":{"name":"a","namespace":"b","uid":"2"}}]}"#
                    + #"{"kind":"ClusterRoleList","apiVersion":"rbac.authorization.k8s.io/v1","items":[{"metadata":{"name":"reader","uid":"1"}}]}"#,
                to: "\(namespace).json")
            #expect(whittle("can-i", "get", "secrets", "--as", "user/x", "-n", "other", "-f", list).code == 2)
            #expect(whittle("can-i", "get", "secrets", "--as", "user/x", "-n", namespace, "-f", list).code == 1)
        }
    }

    @Test("can-i --requests judges line by line, in order")
    func requests() throws {
        let workspace = try Workspace()
        let file = try workspace.write(Self.roles + Self.bindings, to: "rbac.yaml")
        let requests = try workspace.write(
            """
            {"id":"a","user":"system:serviceaccount:shop:cart","verb":"get","namespace":"shop","resource":"secrets","tag":"x"}
            {"id":2,"user":"x","groups":["system:masters"],"verb":"get","path":"/x"}
            nonsense
            {"kind":"SubjectAccessReview","spec":{"user":"alice","resourceAttributes":{"verb":"get","resource":"secrets","namespace":"b"}}}

            {"id":3,"user":"system:serviceaccount:shop:cart","groups":[],"verb":"get","resource":"secrets"}
            {"id":4,"us\\u0065r":"alice","verb":"get","resource":"secrets","path":""}
            {"id":01,"user":"alice"}
            {"id":5,"user":"a\\q"}
            """, to: "requests.jsonl")
        let result = whittle("can-i", "--requests", requests, "-f", file)
        #expect(result.code == 2)
        let lines = result.output.split(separator: "\n").compactMap { JSON(data: Data($0.utf8)) }
        #expect(lines.count == 8)
        #expect(lines[0]["id"].string == "a" && lines[0]["allowed"].bool == true)
        let grant = lines[0]["grants"].array.first ?? .null
        #expect(grant["binding"].text == #"{"kind":"RoleBinding","name":"cart","namespace":"shop"}"#)
        #expect(grant["role"].text == #"{"kind":"ClusterRole","name":"reader","namespace":""}"#)
        #expect(grant["subject"].text == #"{"kind":"ServiceAccount","name":"cart","namespace":"shop"}"#)
        #expect(lines[1]["by"].string == "system:masters" && lines[1]["grants"].array.isEmpty && lines[1]["id"].int == 2)
        #expect(lines[2]["line"].int == 3 && lines[2]["error"].string != nil)
        #expect(lines[3]["allowed"].bool == true)
        #expect(lines[4]["allowed"].bool == false)
        #expect(lines[5]["allowed"].bool == true && lines[5]["id"].int == 4)
        #expect(lines[6]["error"].string != nil && lines[7]["error"].string != nil)
    }

    @Test("defaults that the input refers to are assumed and marked, and can be turned off")
    func defaults() throws {
        let workspace = try Workspace()
        let file = try workspace.write(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: v, namespace: shop}
            roleRef: {kind: ClusterRole, name: view}
            subjects: [{kind: User, name: erin}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: widgets, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
            rules: [{apiGroups: [example.test], resources: [widgets], verbs: [get]}]
            """, to: "v.yaml")
        let result = whittle("who-can", "list", "pods", "-n", "shop", "-f", file)
        #expect(result.code == 0 && result.output.contains("erin") && result.output.contains("assumed"))
        #expect(whittle("who-can", "get", "secrets", "-n", "shop", "-f", file).code == 1)
        #expect(whittle("who-can", "get", "widgets.example.test", "-n", "shop", "-f", file).output.contains("erin"))
        #expect(whittle("who-can", "list", "pods", "-n", "shop", "-f", file, "--no-defaults").code == 1)
    }

    @Test("bindings of a subject and of its groups, in every spelling of an account")
    func bindings() throws {
        for subject in ["sa/shop/cart", "shop:cart", "shop/cart", "system:serviceaccount:shop:cart"] {
            let result = try ask("bindings", subject)
            #expect(
                result.code == 0 && result.output.contains("ServiceAccount shop/cart") && result.output.contains("RoleBinding/cart"),
                "\(subject)")
        }
        #expect(try ask("bindings", "user/alice").output.contains("cluster-wide"))
        #expect(try ask("bindings", "user/bob").code == 1)
        #expect(try ask("bindings", "pod/x").code == 64)
    }

    @Test("queries run by name, built in or from a folder")
    func queries() throws {
        let workspace = try Workspace()
        #expect(try ask("query", "token-exposure").output.contains("cart-1"))
        #expect(try ask("query", "node-reach", "--param", "node=n1").output.contains("secrets"))
        #expect(try ask("query", "none").code == 64)
        #expect(try ask("query", "node-reach", "--param", "nodes=n1").code == 64)
        #expect(try ask("query", "node-reach").errors.contains("not given: node"))
        _ = try workspace.write(
            "-- title:   Pods\n-- answers: each pod\n-- column:  name text name\nSELECT name FROM pod ORDER BY name\n", to: "q/pods.sql")
        #expect(try ask("query", "pods", "--queries", workspace.file("q"), "-o", "csv").output == "name\ncart-1\n")
        _ = try workspace.write("-- title:   Nothing\n-- answers: nothing\nDELETE FROM pod\n", to: "q/delete.sql")
        let refused = try ask("query", "delete", "--queries", workspace.file("q"))
        #expect(refused.code == 2)
        #expect(refused.errors.contains("may only read"))
        #expect(whittle("query", "--list").output.contains("who-can"))
    }

    @Test("the command line is checked: usage errors are 64")
    func usageErrors() {
        for arguments in [
            ["who-can", "get"], ["can-i", "get", "pods"], ["can-i", "get", "pods", "--as", "sa//a"],
            ["who-can", "get", "pods", "-n", "a", "-A"], ["nonsense"], ["permissions", "cart"], ["propose"], ["load"],
        ] {
            #expect(whittle(arguments).code == 64, "\(arguments)")
        }
        #expect(whittle("--version").output.contains("schema 5"))
        #expect(whittle("--help").code == 0)
    }
}
