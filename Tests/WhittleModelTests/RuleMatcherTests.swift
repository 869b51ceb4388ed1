import Testing
import WhittleModel

@Suite("RuleMatcher")
struct RuleMatcherTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var rule: PolicyRule
        var request: Request
        var isAllowed: Bool

        init(_ name: String, _ rule: PolicyRule, _ request: Request, _ isAllowed: Bool) {
            testDescription = name
            self.rule = rule
            self.request = request
            self.isAllowed = isAllowed
        }
    }

    static let pods = PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"])
    static let cases = [
        Case(
            "a name in another normal form is another name",
            PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["caf\u{E9}"]),
            Request(verb: "get", resource: "pods", name: "cafe\u{301}"), false),
        Case(
            "the same name in the same form matches",
            PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["caf\u{E9}"]),
            Request(verb: "get", resource: "pods", name: "caf\u{E9}"), true),
        Case(
            "`*/scale` allows deployments/scale",
            PolicyRule(verbs: ["update"], apiGroups: ["apps"], resources: ["*/scale"]),
            Request(verb: "update", apiGroup: "apps", resource: "deployments", subresource: "scale"), true),
        Case(
            "`*/scale` does not allow deployments",
            PolicyRule(verbs: ["update"], apiGroups: ["apps"], resources: ["*/scale"]),
            Request(verb: "update", apiGroup: "apps", resource: "deployments"), false),
        Case(
            "`*/` before a combining mark is still a pattern",
            PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["*/\u{301}x"]),
            Request(verb: "get", resource: "pods", subresource: "\u{301}x"), true),
        Case("`pods` does not allow pods/log", pods, Request(verb: "get", resource: "pods", subresource: "log"), false),
        Case("`pods` allows pods", pods, Request(verb: "get", resource: "pods"), true),
        Case(
            "`/foo/*` does not allow /foo", PolicyRule(verbs: ["get"], nonResourceURLs: ["/foo/*"]), Request(verb: "get", path: "/foo"),
            false),
        Case("`/foo*` allows /foobar", PolicyRule(verbs: ["get"], nonResourceURLs: ["/foo*"]), Request(verb: "get", path: "/foobar"), true),
        Case(
            "an empty name in resourceNames allows nameless requests",
            PolicyRule(verbs: ["list"], apiGroups: [""], resources: ["pods"], resourceNames: [""]), Request(verb: "list", resource: "pods"),
            true),
        Case(
            "an empty name in resourceNames does not allow named requests",
            PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: [""]),
            Request(verb: "get", resource: "pods", name: "a"), false),
    ]

    @Test("allows", arguments: cases)
    func allows(_ item: Case) {
        #expect(RuleMatcher.allows(item.rule, item.request) == item.isAllowed)
    }

    @Test("users whose names differ only in normal form are two users")
    func usersAreBytes() {
        let subjects = [Subject(kind: "User", name: "jos\u{E9}")]
        #expect(Subject.firstMatch(subjects, user: UserInfo(name: "jose\u{301}", groups: []), bindingNamespace: "") == nil)
        #expect(Subject.firstMatch(subjects, user: UserInfo(name: "jos\u{E9}", groups: []), bindingNamespace: "") == 0)
    }
}
