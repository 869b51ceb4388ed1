import Testing
import WhittleModel
import WhittleTestSupport

/// Cases taken from Kubernetes' own tests, see Fixtures/vectors/README.md.
@Suite("Upstream vectors: authorization")
struct UpstreamVectorTests {
    @Test("authorize", arguments: Vector.cases("authorize"))
    func authorize(_ vector: Vector) {
        let (allowed, errors) = vector.given.authorizer.authorize(
            vector.when["attributes"].request, by: vector.when["attributes"]["user"].user)
        #expect(allowed == (vector.expect["decision"].string == "allow"))
        if let expected = vector.expect["resolutionErrors"].int { #expect(errors == expected) }
    }

    @Test("rule-match", arguments: Vector.cases("rule-match"))
    func ruleMatch(_ vector: Vector) {
        #expect(RuleMatcher.allows(vector.given["rule"].rule, vector.when["attributes"].request) == vector.expect["matches"].bool)
    }

    @Test("resource-match", arguments: Vector.cases("resource-match"))
    func resourceMatch(_ vector: Vector) {
        let matches = RuleMatcher.resource(
            vector.when["combined"].string ?? "", subresource: vector.when["subresource"].string ?? "",
            isIn: vector.given["resources"].strings)
        #expect(matches == vector.expect["matches"].bool)
    }

    @Test("subject-match", arguments: Vector.cases("subject-match"))
    func subjectMatch(_ vector: Vector) {
        let index = Subject.firstMatch(
            vector.given["subjects"].array.map(\.subject), user: vector.when["user"].user,
            bindingNamespace: vector.when["bindingNamespace"].string ?? "")
        #expect((index != nil) == vector.expect["matches"].bool)
        #expect(index == vector.expect["index"].int)
    }

    @Test("rules-for", arguments: Vector.cases("rules-for"))
    func rulesFor(_ vector: Vector) {
        let rules = vector.given.authorizer.rules(for: vector.when["user"].user, namespace: vector.when["namespace"].string ?? "").rules
        #expect(rules.map(\.normalized).multiset == vector.expect["rules"].rules.map(\.normalized).multiset)
    }

    @Test("sa-username-match", arguments: Vector.cases("sa-username-match"))
    func accountMatch(_ vector: Vector) {
        let matches = ServiceAccountName.matches(
            namespace: vector.given["namespace"].string ?? "", name: vector.given["name"].string ?? "",
            username: vector.when["username"].string ?? "")
        #expect(matches == vector.expect["matches"].bool)
    }

    @Test("sa-username-split", arguments: Vector.cases("sa-username-split"))
    func accountSplit(_ vector: Vector) {
        let name = ServiceAccountName.username(
            namespace: vector.given["namespace"].string ?? "", name: vector.given["name"].string ?? "")
        #expect(name == vector.expect["username"].string)
        #expect((ServiceAccountName.split(name) != nil) == vector.expect["splitOk"].bool)
    }

    @Test("sa-user-info", arguments: Vector.cases("sa-user-info"))
    func accountUserInfo(_ vector: Vector) {
        let given = vector.given
        let (namespace, name) = (given["namespace"].string ?? "", given["name"].string ?? "")
        #expect(ServiceAccountName.username(namespace: namespace, name: name) == vector.expect["username"].string)
        #expect(ServiceAccountName.groups(namespace: namespace) == vector.expect["groups"].strings)
        let extra = ServiceAccountName.tokenExtra(
            podName: given["podName"].string ?? "", podUID: given["podUID"].string ?? "", nodeName: given["nodeName"].string ?? "",
            nodeUID: given["nodeUID"].string ?? "")
        #expect(
            extra.mapValues { JSON.list($0.map(JSON.text)) }
                == vector.expect["extra"].keys.reduce(into: [:]) { $0[$1] = vector.expect["extra"][$1] })
    }

    @Test("covers", arguments: Vector.cases("covers"))
    func covers(_ vector: Vector) {
        let uncovered = RuleCoverage.uncovered(owner: vector.given["owner"].rules, servant: vector.given["servant"].rules)
        #expect(uncovered.isEmpty == vector.expect["covered"].bool)
        #expect(uncovered.map(\.rule.normalized).multiset == vector.expect["uncovered"].rules.map(\.normalized).multiset)
    }

    @Test("nonresource-covers", arguments: Vector.cases("nonresource-covers"))
    func urlCovers(_ vector: Vector) {
        #expect(
            RuleCoverage.url(vector.given["owner"].string ?? "", covers: vector.when["requested"].string ?? "")
                == vector.expect["covers"].bool)
    }

    @Test("compact: what upstream merges means the same to us", arguments: Vector.cases("compact"))
    func compact(_ vector: Vector) {
        let (before, after) = (vector.given["rules"].rules, vector.expect["rules"].rules)
        #expect(RuleCoverage.uncovered(owner: before, servant: after).isEmpty)
        #expect(RuleCoverage.uncovered(owner: after, servant: before).isEmpty)
    }

    @Test("rule-lint: what the rule builder refuses is a problem or a finding", arguments: Vector.cases("rule-lint"))
    func ruleLint(_ vector: Vector) {
        let rule = vector.given["rule"].rule
        let isClean =
            Validation.problems(of: rule, at: "rule", isNamespaced: false).isEmpty && RuleLint.findings(rule).isEmpty
        #expect(isClean == vector.expect["ok"].bool)
    }

    @Test("allowed-subjects", arguments: Vector.cases("allowed-subjects"))
    func allowedSubjects(_ vector: Vector) {
        var subjects = [Subject(kind: "Group", name: ImplicitGroup.masters, apiGroup: "rbac.authorization.k8s.io")]
        if let superUser = vector.given["superUser"].string, !superUser.isEmpty {
            subjects.append(Subject(kind: "User", name: superUser, apiGroup: "rbac.authorization.k8s.io"))
        }
        subjects += vector.given.authorizer.subjects(allowed: vector.when["attributes"].request).map(\.subject)
        #expect(subjects == vector.expect["subjects"].array.map(\.subject))
    }

    @Test("aggregate-step", arguments: Vector.cases("aggregate-step"))
    func aggregateStep(_ vector: Vector) {
        let roles = vector.given.roles
        let role = roles.first { $0.meta.name == vector.when["sync"].string }
        let computed = role.flatMap { RoleAggregation.rules(for: $0, among: roles) }?.map(\.rule.normalized)
        // The controller writes only what differs from the stored rules.
        let applied = computed == role?.rules.map(\.rule.normalized) ? nil : computed
        #expect(applied == (vector.expect["applied"] == .null ? nil : vector.expect["applied"].rules.map(\.normalized)))
    }

    @Test("aggregate-fixpoint", arguments: Vector.cases("aggregate-fixpoint"))
    func aggregateFixPoint(_ vector: Vector) throws {
        let roles = vector.given.roles
        let index = try #require(roles.firstIndex { $0.meta.name == vector.when["sync"].string })
        let rules = RoleAggregation.fixPoint(roles)[index] ?? roles[index].rules
        #expect(rules.map(\.rule.normalized) == vector.expect["rules"].rules.map(\.normalized))
    }

    @Test("impersonation-checks", arguments: Vector.cases("impersonation-checks"))
    func impersonationChecks(_ vector: Vector) {
        let wanted = vector.when["wanted"]
        let extra = wanted["extra"].keys.reduce(into: [String: [String]]()) { $0[$1] = wanted["extra"][$1].strings }
        let legacy = Impersonation.legacyChecks(wanted: wanted.user, uid: wanted["uid"].string ?? "", extra: extra)
        #expect(Set(legacy) == Set(vector.expect["legacy"].array.map(\.request)))
        for mode in vector.expect["constrained"].keys {
            let checks = Impersonation.constrainedChecks(
                mode: mode, request: vector.when["attributes"].request, wanted: wanted.user, uid: wanted["uid"].string ?? "", extra: extra)
            #expect(Set(checks) == Set(vector.expect["constrained"][mode].array.map(\.request)))
        }
    }

    @Test("escalation", arguments: Vector.cases("escalation"))
    func escalation(_ vector: Vector) throws {
        let user = vector.when["user"].user
        let namespace = vector.when["namespace"].string ?? ""
        let authorizer = vector.given.authorizer
        let held = authorizer.rules(for: user, namespace: namespace).rules
        let isAuthorized = { (request: Request) -> Bool in
            vector.given["authorizerAllowsAll"].strings.contains(user.name)
                || vector.given["authorizerIsRBAC"].bool == true && authorizer.authorize(request, by: user).allowed
        }
        let kind = vector.when["kind"].string ?? ""
        let missing: [RuleAtom]?
        if kind.hasSuffix("Binding") {
            let reference = vector.when["object"]["roleRef"]
            let binding = Binding(
                meta: ObjectMeta(namespace: namespace, name: "b"),
                roleRef: RoleRef(kind: reference["kind"].string ?? "", name: reference["name"].string ?? ""), subjects: [])
            let role = vector.given.roles.first {
                $0.meta.name == binding.roleRef.name && $0.kind == binding.roleRef.kind && ["", namespace].contains($0.meta.namespace)
            }
            missing = Escalation.missing(
                toWrite: binding, rules: role?.rules.map(\.rule), by: user, held: held, isAuthorized: isAuthorized)
        } else {
            func role(_ object: JSON) -> Role? {
                guard object != .null else { return nil }
                let selectors = object["aggregationRule"]
                return Role(
                    meta: ObjectMeta(namespace: namespace, name: object["name"].string ?? ""),
                    rules: object["rules"].rules.map { WrittenRule($0) },
                    aggregationSelectors: selectors == .null ? nil : selectors["clusterRoleSelectors"].array.map(\.selector))
            }
            missing = Escalation.missing(
                toWrite: try #require(role(vector.when["object"])), replacing: role(vector.when["old"]), by: user, held: held,
                isAuthorized: isAuthorized)
        }
        #expect((missing?.isEmpty ?? false) == vector.expect["allowed"].bool)
    }

    @Test("ownerref-admission", arguments: Vector.cases("ownerref-admission"))
    func ownerReferences(_ vector: Vector) {
        func owners(_ list: JSON) -> [OwnerReferencePermissions.Owner] {
            list.array.map {
                OwnerReferencePermissions.Owner(
                    apiVersion: $0["apiVersion"].string ?? "", kind: $0["kind"].string ?? "", name: $0["name"].string ?? "",
                    uid: $0["uid"].string ?? "", blockOwnerDeletion: $0["blockOwnerDeletion"].bool)
            }
        }
        let resource = vector.when["resource"].string ?? ""
        let checks = OwnerReferencePermissions.checks(
            resource: resource, subresource: vector.when["subresource"].string ?? "",
            old: vector.when["old"] == .null ? nil : owners(vector.when["old"]), new: owners(vector.when["new"]))
        let refused = vector.given["cannotDeleteOrFinalize"].strings
        func isRefused(_ resource: String) -> Bool { refused.contains("*") || refused.contains(resource) }
        let error: String? =
            checks.deletesObject && isRefused(resource)
            ? "cannot-set-ownerref"
            : checks.blocking.contains { isRefused("\($0.kind.lowercased())s") } ? "cannot-set-blockOwnerDeletion" : nil
        #expect(error == vector.expect["error"].string)
    }

    @Test("reason-parse", arguments: Vector.cases("reason-parse"))
    func reasonParse(_ vector: Vector) {
        let text = vector.given["reason"].string ?? ""
        let reason = GrantReason(text)
        #expect((reason != nil) == vector.expect["match"].bool)
        guard let reason else {
            #expect(ReasonClass(text).rawValue == vector.expect["class"].string)
            return
        }
        #expect(reason.bindingKind == vector.expect["binding"]["kind"].string)
        #expect(reason.bindingName == vector.expect["binding"]["name"].string)
        #expect(reason.bindingNamespace == vector.expect["binding"]["namespace"].string ?? "")
        #expect(reason.roleKind == vector.expect["role"]["kind"].string)
        #expect(reason.roleName == vector.expect["role"]["name"].string)
        #expect(reason.subject == vector.expect["subject"].subject)
    }

    @Test("forbidden-parse", arguments: Vector.cases("forbidden-parse"))
    func forbiddenParse(_ vector: Vector) {
        let message = ForbiddenMessage(vector.given["message"].string ?? "")
        #expect((message != nil) == vector.expect["match"].bool)
        guard let message else { return }
        #expect(message.user == vector.expect["user"].string)
        #expect(message.request == vector.expect.request)
        #expect(message.reason == vector.expect["reason"].string)
    }

    @Test(
        "words of the authorizer before Kubernetes 1.12",
        arguments: [
            (#"pods is forbidden: User "u" cannot list pods in the namespace "shop"."#, "", "pods", "", "shop", ""),
            (#"pods "a" is forbidden: User "u" cannot get pods/log in the namespace "shop": no"#, "", "pods", "log", "shop", "a"),
            (#"forbidden: User "u" cannot get deployments.apps/scale at the cluster scope"#, "apps", "deployments", "scale", "", ""),
            (#"x.example.com is forbidden: User "u" cannot get x.example.com at the cluster scope."#, "example.com", "x", "", "", ""),
        ])
    func earlierForbidden(
        _ text: String, _ apiGroup: String, _ resource: String, _ subresource: String, _ namespace: String, _ name: String
    ) throws {
        let message = try #require(ForbiddenMessage(text))
        #expect(message.user == "u" && message.reason == (text.hasSuffix(": no") ? "no" : ""))
        #expect(
            message.request
                == Request(
                    verb: message.request.verb, apiGroup: apiGroup, resource: resource, subresource: subresource, namespace: namespace,
                    name: name))
        #expect(ForbiddenMessage(#"pods "a" is forbidden: User "u" cannot use pods today"#) == nil)
    }

    @Test("every file is read")
    func everyFileIsRead() {
        #expect(Vector.all.filter { !$0.id.isEmpty }.count >= 805)
    }
}
