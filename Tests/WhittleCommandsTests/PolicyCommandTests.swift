import Foundation
import Testing
import WhittleTestSupport

/// From manifests with a policy and a log to the proposal.
@Suite("Policies, from load to verify")
struct PolicyCommandTests {
    private static let cluster = """
        {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: cart, namespace: shop}}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {name: wide}
        rules: [{apiGroups: ["*"], resources: ["*"], verbs: [create, use, approve-images]}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: {name: wide}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: wide}
        subjects: [{kind: ServiceAccount, name: cart, namespace: shop}]
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata: {name: images}
        spec:
          matchConstraints:
            resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
          validations:
          - expression: >-
              object.spec.containers.all(c, c.image.startsWith('ours/')) ||
              authorizer.group('images.example.com').resource('registries').name('any').check('approve-images').allowed()
          - expression: authorizer.group('images.example.com').resource('exceptions').check('breakglass').allowed()
        """

    private static let log = """
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete",\
        "requestURI":"/api/v1/namespaces/shop/pods","verb":"create",\
        "user":{"username":"system:serviceaccount:shop:cart","groups":["system:serviceaccounts","system:serviceaccounts:shop","system:authenticated"]},\
        "objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},\
        "requestReceivedTimestamp":"2026-11-10T09:00:00.000001Z","stageTimestamp":"2026-11-10T09:00:00.100001Z",\
        "annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}

        """

    @Test("a proposal keeps what a policy asks about, names what is not held, and verifies")
    func proposal() throws {
        let workspace = try Workspace()
        let database = workspace.file("c.db")
        let manifests = try workspace.write(Self.cluster, to: "cluster.yaml")
        #expect(whittle("load", manifests, "-o", database).code == 0)
        #expect(whittle("usage", "load", try workspace.write(Self.log, to: "audit.log"), "--db", database).code == 0)
        let rows = whittle("query", "policy-checks", "--db", database, "-o", "csv").output
        #expect(rows.split(separator: "\n").count == 3)
        let proposal = whittle("propose", "sa/shop/cart", "--db", database)
        #expect(proposal.code == 0, "\(proposal.errors)")
        #expect(
            proposal.output.contains(
                "# beyond the needs: hidden: approve-images registries.images.example.com named any in all namespaces: ValidatingAdmissionPolicy `images` asks the authorizer"
            ), "\(proposal.output)")
        #expect(
            proposal.output.contains(
                "# not in here: ValidatingAdmissionPolicy `images` asks the authorizer `authorizer.group('images.example.com').resource('exceptions').check('breakglass')` at `create pods`: it may need `breakglass exceptions.images.example.com`, which it does not hold\n"
            ), "\(proposal.output)")
        #expect(proposal.output.contains("verbs: [approve-images]"))
        let file = try workspace.write(proposal.output, to: "p.yaml")
        #expect(whittle("verify", file, "--db", database).code == 0)
        let without = whittle("propose", "sa/shop/cart", "--no-hidden", "--db", database)
        #expect(without.code == 0 && !without.output.contains("approve-images"))
        // Without the policy nothing asks.
        let bare = Self.cluster.components(before: "---\napiVersion: admissionregistration")
        #expect(whittle("load", try workspace.write(bare, to: "cluster.yaml"), "-o", database).code == 0)
        #expect(!whittle("propose", "sa/shop/cart", "--db", database).output.contains("ValidatingAdmissionPolicy"))
    }
}

extension String {
    fileprivate func components(before text: String) -> String { range(of: text).map { String(self[..<$0.lowerBound]) } ?? self }
}
