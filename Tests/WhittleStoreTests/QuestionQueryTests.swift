import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

/// What the queries over a whole cluster say, each with rows that must and rows that must not be there.
@Suite("Questions about a cluster")
struct QuestionQueryTests {
    private func rows(_ query: String, _ manifest: String) throws -> [String] {
        let state = ManifestLoader(usesDefaults: false).load(text: manifest)
        #expect(!state.diagnostics.contains { $0.severity == .error })
        return try WhittleDatabase.inMemory(state).run(query).rows.map { row in
            row.map { $0.string ?? $0.integer.map(String.init) ?? "-" }.joined(separator: "|")
        }
    }

    @Test("only what is proven never to match is listed")
    func rulesThatNeverMatch() throws {
        let found = try rows(
            "rules-that-never-match",
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: c}
            rules:
            - {apiGroups: [""], resources: [pods], verbs: []}
            - {resources: [pods], verbs: [get]}
            - {apiGroups: [""], verbs: [get]}
            - {verbs: [get]}
            - {nonResourceURLs: [/metrics], verbs: [get]}
            - {apiGroups: [""], resources: [pods], resourceNames: [a], verbs: [deletecollection]}
            - {apiGroups: [""], resources: [pods], resourceNames: [a], verbs: [create, list]}
            - {apiGroups: [certificates.k8s.io], resources: [signers], verbs: [approve]}
            - {apiGroups: [""], resources: [nodes/metrics, "pods/*"], verbs: [get]}
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: b, namespace: shop}
            roleRef: {kind: ClusterRole, name: c}
            subjects: [{kind: User, name: erin}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: r, namespace: shop}
            rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
            """)
        #expect(
            found.map { $0.split(separator: "|").prefix(4).joined(separator: "|") } == [
                "ClusterRole|c|0|the whole rule: it has no verbs", "ClusterRole|c|1|the whole rule: it has resources but no apiGroups",
                "ClusterRole|c|2|the whole rule: it has apiGroups but no resources",
                "ClusterRole|c|3|the whole rule: it has neither resources nor nonResourceURLs",
                "ClusterRole|c|4|nonResourceURLs: only RoleBindings refer to the ClusterRole, and they never give a URL",
                "ClusterRole|c|5|deletecollection: it carries no name, and the rule is limited to names",
                "Role|shop|r|0",
            ])
    }

    private static let cluster = """
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: idle, namespace: shop}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: shared, namespace: shop}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {serviceAccountName: shared, nodeName: n, containers: [{name: c}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}, spec: {serviceAccountName: shared, automountServiceAccountToken: false, containers: [{name: c}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: d, namespace: shop}, spec: {containers: [{name: c}]}}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: gone, namespace: shop}, roleRef: {kind: Role, name: none}, subjects: [{kind: ServiceAccount, name: default}]}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}, rules: [{apiGroups: ["*"], resources: [pods], verbs: [get]}, {apiGroups: [""], resources: ["*/scale"], verbs: [get]}]}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: all}, roleRef: {kind: ClusterRole, name: all}, subjects: [{kind: Group, name: ops}]}
        """

    @Test("shared, unused, dangling, default, wildcard and exposed")
    func overviews() throws {
        #expect(try rows("shared-service-accounts", Self.cluster) == ["shop|shared|2|2|0"])
        #expect(try rows("unused-service-accounts", Self.cluster) == ["shop|idle|1|0|-"])
        #expect(try rows("dangling-role-refs", Self.cluster).map { String($0.prefix(27)) } == ["RoleBinding|shop|gone|Role|"])
        #expect(try rows("default-service-account-grants", Self.cluster) == ["shop|shop|RoleBinding|gone|Role|none|1"])
        #expect(try rows("wildcard-grants", Self.cluster).map { String($0.prefix(15)) } == ["Group|-|ops|-|C"])
        #expect(try rows("token-exposure", Self.cluster) == ["shop|a|shared|automount|-|0", "shop|d|default|automount|-|1"])
    }

    @Test("granted and not used, allowed and not granted, cluster-wide and used in one namespace")
    func usage() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        try WhittleDatabase.load(
            try ManifestLoader().load([Fixtures.path("demo/cluster")]), to: file, options: WhittleDatabase.LoadOptions())
        let fold = try AuditLogReader.fold(Fixtures.path("demo/audit.log"))
        let database = try WhittleDatabase.open(file, isReadOnly: false)
        try database.add(fold)
        let unused = try database.run("unused-permissions", ["user": .text("system:serviceaccount:shop:orders")]).rows.map {
            "\($0[7].string ?? "") \($0[9].string ?? "")"
        }
        #expect(unused == ["get configmaps", "list configmaps", "create jobs", "delete jobs", "get jobs", "watch jobs"])
        #expect(try database.run("ungranted-requests").rows.isEmpty)
        let poorer = ManifestLoader().load(text: "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}}")
        try WhittleDatabase.load(poorer, to: file, options: WhittleDatabase.LoadOptions())
        let ungranted = try WhittleDatabase.open(file).run("ungranted-requests").rows
        #expect(ungranted.count == 15)
    }
}
