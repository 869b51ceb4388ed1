import Testing
import WhittleIngest
import WhittleModel
import WhittleStore

@Suite("Stored checks of policies")
struct PolicyCheckReaderTests {
    @Test("the database gives back what was read")
    func stored() throws {
        let text = """
            apiVersion: admissionregistration.k8s.io/v1
            kind: ValidatingAdmissionPolicy
            metadata: {name: odd}
            spec:
              paramKind: {apiVersion: v1, kind: ConfigMap}
              matchConstraints:
                resourceRules: [{apiGroups: ["", a/b], apiVersions: [v1], operations: [CREATE], resources: [pods, "*/*"], resourceNames: ["é\\""], scope: Cluster}]
                excludeResourceRules: [{apiGroups: [""], apiVersions: [v1], operations: ["*"], resources: [secrets]}]
              validations:
              - expression: "authorizer.serviceAccount(a, 'b').group(g).resource('é\\"').check(v) == authorizer"
              - expression: "authorizer.serviceAccount('a', 'b').group('').resource('r').subresource('s').namespace('n').name('m').check('v')"
              - expression: "authorizer.path('/x').check('get') == authorizer.requestResource.check('v')"
            """
        var state = ManifestLoader(usesDefaults: false).load(text: text, file: "p.yaml")
        state.sources = [InputSource(path: "p.yaml", sha256: "", byteCount: 0)]
        #expect(state.policyChecks.map(\.target) == [.resource, .computed, .resource, .url, .request, .parameter])
        #expect(state.policyChecks.allSatisfy { $0.location != nil })
        let database = try WhittleDatabase.inMemory(state)
        #expect(try database.policyChecks() == state.policyChecks)
        let row = try #require(try database.run("policy-checks").named.first)
        #expect(row["about"] == .text("account") && row["account_namespace"] == .null && row["api_group"] == .null)
        #expect(
            row["excluded_rules"]
                == .text(
                    #"[{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resourceNames":[],"resources":["secrets"],"scope":"*"}]"#)
        )
    }
}
