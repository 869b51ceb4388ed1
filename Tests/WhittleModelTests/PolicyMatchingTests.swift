import Testing
import WhittleModel

/// Which requests policies and webhooks are asked about.
@Suite("Matching of policies")
struct PolicyMatchingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var rule: PolicyCheck.MatchRule
        var request: Request
        var objectName: String?
        var expected: Bool

        init(_ name: String, _ rule: PolicyCheck.MatchRule, _ request: Request, named objectName: String? = nil, _ expected: Bool) {
            (self.name, self.rule, self.request, self.objectName, self.expected) = (name, rule, request, objectName, expected)
        }

        var testDescription: String { name }
    }

    private static func rule(
        _ resources: String..., groups: [String] = [""], operations: [String] = ["*"], names: [String] = [], scope: String = "*"
    ) -> PolicyCheck.MatchRule {
        PolicyCheck.MatchRule(apiGroups: groups, operations: operations, resources: resources, resourceNames: names, scope: scope)
    }

    private static func request(
        _ verb: String, _ resource: String, _ subresource: String = "", group: String = "", in namespace: String = "shop"
    ) -> Request {
        Request(verb: verb, apiGroup: group, resource: resource, subresource: subresource, namespace: namespace)
    }

    @Test(
        "rules",
        arguments: [
            Case("a create", rule("pods", operations: ["CREATE"]), request("create", "pods"), true),
            Case("an update is no create", rule("pods", operations: ["CREATE"]), request("update", "pods"), false),
            Case("a patch is an update", rule("pods", operations: ["UPDATE"]), request("patch", "pods"), true),
            Case("deletecollection deletes", rule("pods", operations: ["DELETE"]), request("deletecollection", "pods"), true),
            Case("reads are not seen", rule("*/*", groups: ["*"]), request("get", "pods"), false),
            Case("URLs are not seen", rule("*/*", groups: ["*"]), Request(verb: "post", path: "/pods"), false),
            Case("invented verbs are not seen", rule("*/*"), request("use", "pods"), false),
            Case("exec is a connection", rule("pods/exec", operations: ["CONNECT"]), request("create", "pods", "exec"), true),
            Case("exec by get is one too", rule("pods/exec", operations: ["CONNECT"]), request("get", "pods", "exec"), true),
            Case("exec is no create", rule("pods/exec", operations: ["CREATE"]), request("create", "pods", "exec"), false),
            Case("an eviction is a create", rule("pods/eviction", operations: ["CREATE"]), request("create", "pods", "eviction"), true),
            Case("another group", rule("pods", groups: ["apps"]), request("create", "pods"), false),
            Case("every group", rule("deployments", groups: ["*"]), request("create", "deployments", group: "apps"), true),
            Case("`*` has no subresources", rule("*"), request("update", "pods", "status"), false),
            Case("`*` has resources", rule("*"), request("update", "pods"), true),
            Case("`*/*` has both", rule("*/*"), request("update", "pods", "status"), true),
            Case("`*/*` has resources", rule("*/*"), request("update", "pods"), true),
            Case("`pods/*` has pods", rule("pods/*"), request("update", "pods"), true),
            Case("`pods/*` has subresources", rule("pods/*"), request("update", "pods", "status"), true),
            Case("`pods/*` has nothing else", rule("pods/*"), request("update", "services", "status"), false),
            Case("`*/scale`", rule("*/scale", groups: ["*"]), request("update", "deployments", "scale", group: "apps"), true),
            Case("`*/scale` alone", rule("*/scale", groups: ["*"]), request("update", "deployments", group: "apps"), false),
            Case("the name", rule("pods", names: ["a"]), request("update", "pods"), named: "a", true),
            Case("another name", rule("pods", names: ["a"]), request("update", "pods"), named: "b", false),
            Case("a name that is not known", rule("pods", names: ["a"]), request("create", "pods"), true),
            Case("namespaced", rule("pods", scope: "Namespaced"), request("create", "pods"), true),
            Case("namespaced, of a cluster-wide object", rule("nodes", scope: "Namespaced"), request("update", "nodes", in: ""), false),
            Case("namespaced, of a namespace", rule("*", scope: "Namespaced"), request("update", "namespaces"), false),
            Case("cluster", rule("*", scope: "Cluster"), request("update", "nodes", in: ""), true),
            Case("cluster, of a namespace", rule("*", scope: "Cluster"), request("update", "namespaces"), true),
            Case("cluster, of a namespaced object", rule("*", scope: "Cluster"), request("update", "pods"), false),
            Case(
                "policies are never asked about policies", rule("*/*", groups: ["*"]),
                request("update", "validatingadmissionpolicies", group: "admissionregistration.k8s.io", in: ""), false),
            Case(
                "nor about reviews", rule("*/*", groups: ["*"]), request("create", "tokenreviews", group: "authentication.k8s.io", in: ""),
                false),
        ])
    func rules(_ test: Case) {
        let check = PolicyCheck(policyKind: "ValidatingAdmissionPolicy", policyName: "p", rules: [test.rule], target: .computed)
        #expect(check.mayConcern(test.request, name: test.objectName) == test.expected)
    }

    @Test("webhooks are asked about reviews")
    func webhooks() {
        let check = PolicyCheck(
            policyKind: "ValidatingWebhookConfiguration", policyName: "p", rules: [Self.rule("*/*", groups: ["*"])], target: .computed)
        #expect(check.mayConcern(Self.request("create", "tokenreviews", group: "authentication.k8s.io", in: ""), name: nil))
        #expect(
            !check.mayConcern(
                Self.request("create", "validatingadmissionpolicies", group: "admissionregistration.k8s.io", in: ""), name: nil))
    }

    @Test("only what is excluded surely is")
    func excluded() {
        var check = PolicyCheck(policyKind: "ValidatingAdmissionPolicy", policyName: "p", rules: [Self.rule("*/*")], target: .computed)
        check.excludedRules = [Self.rule("pods", names: ["a"]), Self.rule("secrets"), Self.rule("services")]
        check.excludedRules[2].apiVersions = ["v1"]
        #expect(!check.mayConcern(Self.request("update", "secrets"), name: "a"))
        #expect(!check.mayConcern(Self.request("update", "pods"), name: "a"))
        #expect(check.mayConcern(Self.request("update", "pods"), name: "b"))
        #expect(check.mayConcern(Self.request("update", "pods"), name: nil))
        #expect(check.mayConcern(Self.request("update", "services"), name: nil))
        #expect(!check.mayConcern(Self.request("update", "services"), name: nil, versions: ["v1"]))
        #expect(check.mayConcern(Self.request("update", "services"), name: nil, versions: ["v1", "v2"]))
    }
}
