import Foundation
import Testing
import WhittleIngest
import WhittleModel

/// What admission policies and webhooks ask the authorizer, as far as their text tells.
@Suite("Checks of policies")
struct PolicyCheckTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var expression: String
        var expected: [String]

        init(_ name: String, _ expression: String, _ expected: String...) {
            (self.name, self.expression, self.expected) = (name, expression, expected)
        }

        var testDescription: String { name }
    }

    /// Parts that count for the target, `?` = computed.
    private static func text(_ check: PolicyCheck) -> String {
        var text = ""
        if case .serviceAccount(let namespace, let name) = check.subject { text = "\(namespace ?? "?")/\(name ?? "?"): " }
        func part(_ part: String?) -> String { part ?? "?" }
        switch check.target {
        case .resource:
            text +=
                "\(part(check.verb)) \(part(check.apiGroup))|\(part(check.resource))|\(part(check.subresource))|\(part(check.namespace))|\(part(check.name))"
        case .url: text += "\(part(check.verb)) \(part(check.path))"
        case .request: text += "\(part(check.verb)) of the request"
        case .parameter: text += "\(part(check.verb)) \(part(check.apiGroup)) \(part(check.parameterKind))"
        case .computed: text += "computed"
        }
        return text
    }

    private func checks(_ expression: String) -> [PolicyCheck] {
        let text = String(decoding: (try? JSONEncoder().encode(expression)) ?? Data(), as: UTF8.self)
        let state = ManifestLoader(usesDefaults: false).load(
            text: """
                {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"p"},
                "spec":{"validations":[{"expression":\(text)}]}}
                """)
        #expect(state.diagnostics.isEmpty)
        return state.policyChecks
    }

    private static let cases = [
        Case(
            "a whole chain",
            "authorizer.group('apps').resource('deployments').subresource('scale').namespace('ns').name('n').check('use').allowed()",
            "use apps|deployments|scale|ns|n"),
        Case("the core group, cluster-wide", #"authorizer.group("").resource("pods").check("get").allowed()"#, "get |pods|||"),
        Case(
            "parts in another order, selectors",
            "authorizer.group('').resource('pods').name('n').fieldSelector('a=b').labelSelector(x).namespace('m').check('list')",
            "list |pods||m|n"),
        Case("a later part counts", "authorizer.group('').resource('pods').name('a').name('').check('get')", "get |pods|||"),
        Case("a path", "authorizer.path('/healthz').check('get').allowed()", "get /healthz"),
        Case("the request's resource", "authorizer.requestResource.check('custom').allowed()", "custom of the request"),
        Case("the request's resource with another name", "authorizer.requestResource.name('x').check('custom')", "computed"),
        Case("an account", "authorizer.serviceAccount('shop', 'cart').group('').resource('pods').check('get')", "shop/cart: get |pods|||"),
        Case(
            "an account that is computed", "authorizer.serviceAccount(object.metadata.namespace, 'cart').path('/x').check('get')",
            "?/cart: get /x"),
        Case("an account whose name is computed", "authorizer.serviceAccount('shop', f(a, 'b')).path('/x').check('get')", "shop/?: get /x"),
        Case("an account by one argument", "authorizer.serviceAccount('shop').path('/x').check('get')", "?/?: get /x"),
        Case(
            "computed parts", "authorizer.group('a').resource(variables.r).namespace(object.metadata.namespace).name('a' + 'b').check('v')",
            "v a|?||?|?"),
        Case("a computed verb", "['a', 'b'].all(v, authorizer.group('a').resource('b').check(v).allowed())", "? a|b|||"),
        Case("a chain that goes on elsewhere", "authorizer.group('a').resource('b').namespace('c')", "? a|b|?|?|?"),
        Case("a chain that breaks off", "authorizer.group('a')", "? a|?|?|?|?"),
        Case("an unknown call", "authorizer.group('a').kind('b').check('c')", "computed"),
        Case("the bare variable", "[authorizer].all(a, a.path('/x').check('get').allowed())", "computed"),
        Case(
            "two in one expression", "authorizer.path('/a').check('get').allowed() || authorizer.path('/b').check('get').allowed()",
            "get /a", "get /b"),
        Case(
            "one inside another", "authorizer.group('a').resource(authorizer.path('/b').check('get').allowed() ? 'c' : 'd').check('e')",
            "e a|?|||", "get /b"),
        Case(
            "over lines, with comments",
            "authorizer // not 'this\n  .group( 'a' ) // .resource('x')\n\t. resource('b')\r\n  .check(\n'c'\n)", "c a|b|||"),
        Case("only in a comment", "true // authorizer.path('/x').check('get')"),
        Case("only in a string", "'authorizer.path(\"/x\").check(\"get\")' == \"authorizer\" || '''authorizer''' == r'\\' + 'authorizer'"),
        Case(
            "fields and longer words",
            "object.authorizer.path('/x') || object.?authorizer.x || authorizers.path('x') || my_authorizer || a['x'].authorizer"),
        Case("a field of an object that is built", "Object{spec: Object.spec{authorizer: 'x', b: 1}}"),
        Case("a value of an object that is built", "Object{a: authorizer.path('/x').check('get')}", "get /x"),
        Case("from the root", "true && .authorizer.path('/x').check('get').allowed()", "get /x"),
        Case("long strings", "authorizer.path('''/a'b''').check(\"\"\"get\"\"\")", "get /a'b"),
        Case("empty long strings", "authorizer.group('''''').resource(\"\"\"b\"\"\").check('c')", "c |b|||"),
        Case("raw strings", #"authorizer.path(r'/a\n').check(R"get")"#, #"get /a\n"#),
        Case("escapes", #"authorizer.path('/\x61\u0062\U00000063\144\'\\').check("\"get\"")"#, #""get" /abcd'\"#),
        Case("an escape that there is not", #"authorizer.path('\q').check('get')"#, "get ?"),
        Case("bytes are no string", "authorizer.path(b'/x').check('get')", "get ?"),
        Case("a string in parentheses is computed", "authorizer.path(('/x')).check('get')", "get ?"),
        Case("a string that does not end", "authorizer.group('a').resource('b", "? a|?|?|?|?"),
        Case("brackets that do not match", "authorizer.group('a').resource(['b').check('c')", "? a|?|?|?|?"),
        Case("a quote in a longer word is none", "authorizer.path(bar'x').check('get')", "get ?"),
    ]

    @Test("expressions", arguments: cases)
    func expressions(_ test: Case) { #expect(checks(test.expression).map(Self.text) == test.expected) }

    @Test("no beginning of an expression does harm")
    func truncated() {
        for test in Self.cases {
            for count in 0...test.expression.unicodeScalars.count {
                #expect(checks(String(String.UnicodeScalarView(test.expression.unicodeScalars.prefix(count)))).count <= 2)
            }
        }
    }

    @Test("the expression is told on one line and cut when it is long")
    func expressionText() {
        #expect(
            checks("true &&\n  authorizer.group('a') // why\n  .resource( 'b' )\n  .check( 'c' ).allowed()").map(\.expression)
                == ["authorizer.group('a').resource('b').check('c')"])
        let long = checks("authorizer.path('/\(String(repeating: "é", count: 500))').check('get')").map(\.expression)
        #expect(long.map(\.unicodeScalars.count) == [120])
        #expect(long.allSatisfy { $0.hasSuffix("é…") })
        #expect(checks("authorizer.path('''a\nb\u{1B}''').check('get')").map(\.expression) == ["authorizer.path('''a b ''').check('get')"])
    }

    private static let policies = """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata: {name: all}
        spec:
          paramKind: {apiVersion: rules.example.com/v1, kind: Limit}
          matchConstraints:
            resourceRules:
            - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments], resourceNames: [a], scope: Namespaced}
            - {apiGroups: [""], apiVersions: ["*"], operations: ["*"], resources: ["pods/*"]}
            excludeResourceRules:
            - {apiGroups: ["*"], apiVersions: ["*"], operations: [DELETE], resources: ["*"]}
          matchConditions: [{name: a, expression: "authorizer.path('/1').check('get').allowed()"}]
          variables: [{name: a, expression: "authorizer.path('/2').check('get').allowed()"}]
          validations:
          - expression: >-
              authorizer.path('/3')
              .check('get').allowed()
            messageExpression: "authorizer.path('/4').check('get').reason()"
          auditAnnotations: [{key: a, valueExpression: "authorizer.path('/5').check('get').reason()"}]
        ---
        apiVersion: admissionregistration.k8s.io/v1beta1
        kind: MutatingAdmissionPolicy
        metadata: {name: change}
        spec:
          matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
          mutations:
          - {patchType: ApplyConfiguration, applyConfiguration: {expression: "authorizer.path('/6').check('get').allowed() ? Object{} : Object{}"}}
          - {patchType: JSONPatch, jsonPatch: {expression: "authorizer.path('/7').check('get').allowed() ? [] : []"}}
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingWebhookConfiguration
        metadata: {name: hooks}
        webhooks:
        - name: quiet.example.com
          rules: [{apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"]}]
        - name: asks.example.com
          rules: [{apiGroups: [""], apiVersions: [v1], operations: [DELETE], resources: [secrets]}]
          matchConditions: [{name: a, expression: "!authorizer.requestResource.check('breakglass').allowed()"}]
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: MutatingWebhookConfiguration
        metadata: {name: silent}
        webhooks: [{name: a.example.com, rules: [{apiGroups: 1}]}]
        """

    @Test("every expression of the four kinds, with its rules and its place")
    func policies() throws {
        let state = ManifestLoader(usesDefaults: false).load(text: Self.policies, file: "p.yaml")
        #expect(state.diagnostics.isEmpty)
        #expect(state.skipped == ["MutatingWebhookConfiguration.admissionregistration.k8s.io": 1])
        #expect(state.objectCount == 3)
        let checks = state.policyChecks
        #expect(
            checks.map { "\($0.policyKind) \($0.policyName) \(Self.text($0))" } == [
                "ValidatingAdmissionPolicy all get /1", "ValidatingAdmissionPolicy all get /2", "ValidatingAdmissionPolicy all get /3",
                "ValidatingAdmissionPolicy all get /4", "ValidatingAdmissionPolicy all get /5",
                "ValidatingAdmissionPolicy all get rules.example.com Limit", "MutatingAdmissionPolicy change get /6",
                "MutatingAdmissionPolicy change get /7", "ValidatingWebhookConfiguration hooks breakglass of the request",
            ])
        let first = try #require(checks.first)
        #expect(
            first.rules == [
                PolicyCheck.MatchRule(
                    apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["deployments"],
                    resourceNames: ["a"], scope: "Namespaced"),
                PolicyCheck.MatchRule(apiGroups: [""], operations: ["*"], resources: ["pods/*"]),
            ])
        #expect(first.excludedRules == [PolicyCheck.MatchRule(apiGroups: ["*"], operations: ["DELETE"], resources: ["*"])])
        #expect(first.location == SourceLocation(file: "p.yaml", line: 12, column: 43))
        #expect(checks.last?.rules.map(\.resources) == [["secrets"]])
        #expect(checks[5].rules.map(\.resourceNames) == [["all"]])
        #expect(checks[5].rules.map(\.resources) == [["validatingadmissionpolicies"]])
    }

    @Test("in parts, by libyaml or not: the same; of two policies of a name the later one counts, also when it asks nothing")
    func duplicates() {
        func policy(_ name: String, _ expression: String) -> String {
            """
            apiVersion: admissionregistration.k8s.io/v1
            kind: ValidatingAdmissionPolicy
            metadata:
              name: \(name)
            spec:
              validations:
              - expression: \(expression)

            """
        }
        let text = (0..<40).map { policy("p\($0 % 30)", $0 < 35 ? "authorizer.path('/\($0)').check('get')" : "'true'") }
            .joined(separator: "---\n")
        var loader = ManifestLoader(usesDefaults: false)
        let whole = loader.load(text: text, file: "f")
        #expect(whole.admissionPolicies.count == 30)
        #expect(whole.policyChecks.compactMap(\.path) == (30..<35).map { "/\($0)" } + (10..<30).map { "/\($0)" })
        #expect(whole.diagnostics.map(\.id) == Array(repeating: "duplicate-object", count: 10))
        loader.partSize = 300
        let parts = loader.load(text: text, file: "f")
        #expect(parts.policyChecks == whole.policyChecks && parts.diagnostics == whole.diagnostics)
        loader.readsPlainYAML = false
        #expect(loader.load(text: text, file: "f").policyChecks == whole.policyChecks)
    }

    @Test("nothing is said of policies that differ in what is not read")
    func silentDuplicates() {
        func policy(_ label: String) -> String {
            """
            {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration",
            "metadata":{"name":"a","uid":"\(label)","labels":{"a":"\(label)"}},"webhooks":[{"name":"\(label)"}]}

            """
        }
        let state = ManifestLoader(usesDefaults: false).load(text: policy("b") + policy("c"))
        #expect(state.diagnostics.isEmpty && state.policyChecks.isEmpty && state.objectCount == 0)
        #expect(state.skipped.values.reduce(0, +) == 2)
    }

    @Test("a rule with a wrong type does not count and is told, in policies that ask something")
    func wrongType() {
        let state = ManifestLoader(usesDefaults: false).load(
            text: """
                apiVersion: admissionregistration.k8s.io/v1
                kind: ValidatingWebhookConfiguration
                metadata: {name: a}
                webhooks:
                - rules: [{apiGroups: "", operations: ["*"], resources: [pods]}, {apiGroups: [""], operations: ["*"], resources: [secrets]}]
                  matchConditions: [{expression: "authorizer.path('/x').check('get').allowed()"}, {expression: 1}, 2]
                ---
                apiVersion: admissionregistration.k8s.io/v1
                kind: ValidatingAdmissionPolicy
                spec: {validations: [{expression: "authorizer.path('/x').check('get').allowed()"}]}
                """)
        #expect(state.diagnostics.map(\.id) == ["wrong-type", "missing-name"])
        #expect(state.policyChecks.map { $0.rules.flatMap(\.resources) } == [["secrets"]])
    }
}
