import Testing
import WhittleModel

/// The cases of apiserver/pkg/audit/policy/checker_test.go, and what its code says beyond them.
@Suite("AuditPolicy")
struct AuditPolicyTests {
    typealias Rule = AuditPolicy.Rule
    typealias Resources = AuditPolicy.GroupResources

    static let tim = UserInfo(name: "tim@k8s.io", groups: ["humans", "developers"])
    static let nobody = UserInfo(name: "", groups: [])

    static let requests: [String: Request] = [
        "namespaced": Request(verb: "get", resource: "pods", namespace: "default", name: "busybox"),
        "cluster": Request(verb: "get", apiGroup: "rbac.authorization.k8s.io", resource: "clusterroles", name: "edit"),
        "nonResource": Request(verb: "get", path: "/logs/kubelet.log"),
        "subresource": Request(verb: "get", resource: "pods", subresource: "log", namespace: "default", name: "busybox"),
    ]

    static let rules: [String: Rule] = [
        "default": Rule(.metadata),
        "create": Rule(.request, verbs: ["create"]),
        "tims": Rule(.metadata, users: ["tim@k8s.io"]),
        "humans": Rule(.metadata, userGroups: ["humans"]),
        "serviceAccounts": Rule(.request, userGroups: ["system:serviceaccounts"]),
        "getPods": Rule(.requestResponse, verbs: ["get"], resources: [Resources(resources: ["pods"])]),
        "getPodLogs": Rule(.request, verbs: ["get"], resources: [Resources(resources: ["pods/log"])]),
        "anyOfCore": Rule(.request, verbs: ["get"], resources: [Resources(resources: ["*"])]),
        "anyLog": Rule(.request, verbs: ["get"], resources: [Resources(resources: ["*/log"])]),
        "podsAny": Rule(.request, verbs: ["get"], resources: [Resources(resources: ["pods/*"])]),
        "getClusterRoles": Rule(
            .requestResponse, verbs: ["get"],
            resources: [Resources(group: "rbac.authorization.k8s.io", resources: ["clusterroles"])], namespaces: [""]),
        "getLogs": Rule(.requestResponse, verbs: ["get"], nonResourceURLs: ["/logs*"]),
        "getMetrics": Rule(.request, verbs: ["get"], nonResourceURLs: ["/metrics"]),
        "clusterRoleEdit": Rule(
            .request,
            resources: [Resources(group: "rbac.authorization.k8s.io", resources: ["clusterroles"], resourceNames: ["edit"])]),
        "coreGroup": Rule(.request, resources: [Resources()]),
        "namespaceOnly": Rule(.request, namespaces: ["default"]),
        "noNamespace": Rule(.request, namespaces: [""]),
        "wildcardGroup": Rule(.request, resources: [Resources(group: "*", resources: ["*"])]),
        "wildcardVerb": Rule(.request, verbs: ["*"]),
        "namesOfGroup": Rule(.request, resources: [Resources(resourceNames: ["other"])]),
        "otherName": Rule(.request, resources: [Resources(resources: ["pods"], resourceNames: ["other"])]),
        "anyURL": Rule(.request, nonResourceURLs: ["*"]),
    ]

    struct Case: CustomTestStringConvertible, Sendable {
        var request: String
        var rules: [String]
        var level: AuditPolicy.Level
        var user = AuditPolicyTests.tim
        var testDescription: String { "\(request) with \(rules.joined(separator: ", ")) is \(level.rawValue)" }

        init(_ request: String, _ level: AuditPolicy.Level, _ rules: String..., user: UserInfo = AuditPolicyTests.tim) {
            self.request = request
            self.level = level
            self.rules = rules
            self.user = user
        }
    }

    static let upstream: [Case] = [
        Case("namespaced", .metadata, "default"), Case("namespaced", .none, "create"), Case("namespaced", .metadata, "tims"),
        Case("namespaced", .metadata, "humans"), Case("namespaced", .none, "serviceAccounts"),
        Case("namespaced", .requestResponse, "getPods"), Case("namespaced", .none, "getClusterRoles"),
        Case("namespaced", .none, "getLogs"), Case("namespaced", .none, "getMetrics"),
        Case("namespaced", .metadata, "getMetrics", "serviceAccounts", "default"),
        Case("namespaced", .requestResponse, "getMetrics", "getPods", "default"),
        Case("namespaced", .requestResponse, "getPodLogs", "getPods"),
        Case("cluster", .metadata, "default"), Case("cluster", .none, "create"), Case("cluster", .metadata, "humans"),
        Case("cluster", .none, "serviceAccounts"), Case("cluster", .none, "getPods"), Case("cluster", .requestResponse, "getClusterRoles"),
        Case("cluster", .request, "clusterRoleEdit", "getClusterRoles"), Case("cluster", .none, "getLogs"),
        Case("cluster", .metadata, "getMetrics", "serviceAccounts", "default"), Case("cluster", .none, "getPodLogs", "getPods"),
        Case("nonResource", .metadata, "default"), Case("nonResource", .none, "create"), Case("nonResource", .metadata, "tims"),
        Case("nonResource", .none, "getPods"), Case("nonResource", .requestResponse, "getLogs"), Case("nonResource", .none, "getMetrics"),
        Case("nonResource", .requestResponse, "getLogs", "getClusterRoles", "default"), Case("nonResource", .none, "getPodLogs", "getPods"),
        Case("subresource", .request, "getPodLogs", "getPods"), Case("subresource", .request, "anyOfCore"),
        Case("subresource", .request, "anyLog"), Case("subresource", .request, "podsAny"),
        Case("namespaced", .none, "tims", user: nobody), Case("namespaced", .metadata, "tims", "default", user: nobody),
        Case("namespaced", .none, "humans", user: nobody),
    ]

    static let beyond: [Case] = [
        Case("namespaced", .request, "podsAny"), Case("namespaced", .none, "anyLog"), Case("subresource", .none, "getPods"),
        Case("namespaced", .request, "coreGroup"), Case("subresource", .request, "coreGroup"), Case("cluster", .none, "coreGroup"),
        Case("nonResource", .none, "coreGroup"),
        Case("namespaced", .request, "namespaceOnly"), Case("cluster", .none, "namespaceOnly"),
        Case("nonResource", .none, "namespaceOnly"), Case("cluster", .request, "noNamespace"), Case("nonResource", .none, "noNamespace"),
        Case("namespaced", .none, "wildcardGroup"), Case("namespaced", .none, "wildcardVerb"),
        Case("namespaced", .request, "namesOfGroup"), Case("namespaced", .none, "otherName"),
        Case("nonResource", .request, "anyURL"), Case("namespaced", .none, "anyURL"),
        Case("namespaced", .none),
    ]

    @Test("the level is upstream's", arguments: upstream + beyond)
    func level(_ item: Case) throws {
        let policy = AuditPolicy(rules: try item.rules.map { try #require(Self.rules[$0]) })
        let request = try #require(Self.requests[item.request])
        #expect(policy.decision(on: request, by: item.user).level == item.level)
        #expect(policy.rules(for: item.user).decision(on: request, by: Self.nobody).level == item.level)
    }

    @Test("stages are omitted by the rule that matches and by the policy, and level None does not undo that")
    func stages() throws {
        let request = try #require(Self.requests["namespaced"])
        let only = AuditPolicy(
            rules: [Rule(.request, omitStages: [.responseComplete]), Rule(.metadata)], omitStages: [.requestReceived])
        #expect(only.decision(on: request, by: Self.tim).omittedStages == [.requestReceived, .responseComplete])
        let none = AuditPolicy(rules: [], omitStages: [.panic])
        #expect(none.decision(on: request, by: Self.tim).omittedStages == [.panic])
    }

    @Test("an answered request leaves evidence in stage ResponseComplete, a long one in ResponseStarted too")
    func evidence() {
        let get = Request(verb: "get", resource: "pods", namespace: "shop", name: "a")
        let watch = Request(verb: "watch", resource: "pods", namespace: "shop")
        let exec = Request(verb: "create", resource: "pods", subresource: "exec", namespace: "shop", name: "a")
        let status = Request(verb: "get", resource: "pods", subresource: "status", namespace: "shop", name: "a")
        func leaves(_ request: Request, _ level: AuditPolicy.Level, _ omitted: Set<AuditPolicy.Stage>) -> Bool {
            AuditPolicy(rules: [Rule(level, omitStages: omitted)]).decision(on: request, by: Self.tim).leavesEvidence(of: request)
        }
        #expect(leaves(get, .metadata, [.requestReceived, .responseStarted, .panic]))
        #expect(!leaves(get, .none, []))
        #expect(!leaves(get, .metadata, [.responseComplete]))
        #expect(leaves(watch, .metadata, [.responseComplete]) && leaves(exec, .metadata, [.responseComplete]))
        #expect(!leaves(status, .metadata, [.responseComplete]))
        #expect(!leaves(watch, .metadata, [.responseComplete, .responseStarted]))
    }
}

/// Reasons as the RBAC authorizer writes them (semantics REA-1, REA-2).
@Suite("Reasons")
struct GrantReasonTests {
    @Test("names are Go literals, read from left to right with their quotes")
    func quotes() throws {
        let reason = try #require(
            GrantReason(
                #"RBAC: allowed by RoleBinding "a \"of\" b to c/shop" of ClusterRole "x \\ of Role \"y\" to" to Group "ops \" to User \"z""#
            ))
        #expect(reason.bindingKind == "RoleBinding" && reason.bindingName == #"a "of" b to c"# && reason.bindingNamespace == "shop")
        #expect(reason.roleKind == "ClusterRole" && reason.roleName == #"x \ of Role "y" to"#)
        #expect(reason.subject == Subject(kind: "Group", name: #"ops " to User "z"#))
    }

    @Test("escapes of bytes, code points and control characters")
    func escapes() throws {
        let reason = try #require(
            GrantReason(#"RBAC: allowed by ClusterRoleBinding "\x41\u00e9\U0001f600\n\t" of ClusterRole "caf\xc3\xa9" to User "a/b/c""#))
        #expect(reason.bindingName == "A\u{E9}\u{1F600}\n\t" && reason.bindingNamespace.isEmpty)
        #expect(reason.roleName == "caf\u{E9}")
        #expect(reason.subject.name == "a/b/c" && reason.subject.namespace == nil)
    }

    @Test("`name/namespace` is split at the last slash, of RoleBindings and ServiceAccounts only")
    func slashes() throws {
        let reason = try #require(
            GrantReason(#"RBAC: allowed by RoleBinding "a/b/shop" of Role "r/s" to ServiceAccount "cart/shop""#))
        #expect(reason.bindingName == "a/b" && reason.bindingNamespace == "shop" && reason.roleName == "r/s")
        #expect(reason.subject == Subject(kind: "ServiceAccount", namespace: "shop", name: "cart"))
        let cluster = try #require(GrantReason(#"RBAC: allowed by ClusterRoleBinding "a/b" of ClusterRole "c" to Group "g/h""#))
        #expect(cluster.bindingName == "a/b" && cluster.bindingNamespace.isEmpty && cluster.subject.name == "g/h")
    }

    @Test(
        "anything else names no grant",
        arguments: [
            "", "RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found",
            #"RBAC: allowed by RoleBinding "a/shop" of Role "r" to User "u" and more"#,
            #"RBAC: allowed by RoleBinding "a/shop of Role "r" to User "u""#,
            #"RBAC: allowed by RoleBinding "a/shop" of Role "r" to User "u"#, #"allowed by RoleBinding "a/shop" of Role "r" to User "u""#,
            #"RBAC: allowed by ClusterRoleBinding "\xZZ" of ClusterRole "c" to User "u""#,
        ])
    func others(_ text: String) { #expect(GrantReason(text) == nil) }
}
