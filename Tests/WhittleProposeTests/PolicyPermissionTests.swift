import Testing
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender

/// What policies ask the authorizer about becomes a step where it is held, and a warning where it is not or cannot be told.
@Suite("Permissions that policies ask for")
struct PolicyPermissionTests {
    private static let account = "{kind: ServiceAccount, name: cart, namespace: shop}"

    /// A role that the account holds everywhere, or in one namespace.
    private static func role(_ name: String, _ rules: String, in namespace: String? = nil) -> String {
        """
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: \(name)}, rules: [\(rules)]}
        ---
        {apiVersion: rbac.authorization.k8s.io/v1, kind: \(namespace == nil ? "ClusterRoleBinding" : "RoleBinding"), \
        metadata: {name: \(name)\(namespace.map { ", namespace: \($0)" } ?? "")}, \
        roleRef: {kind: ClusterRole, name: \(name)}, subjects: [\(account)]}

        """
    }

    private static func policy(_ expression: String, on resources: String = "{apiGroups: [\"*\"], resources: [\"*/*\"]}", more: String = "")
        -> String
    {
        """
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata: {name: p}
        spec:
          matchConstraints: {resourceRules: [{apiVersions: ["*"], operations: ["*"], \(resources.dropFirst())]}
          validations: [{expression: "\(expression)"}]
          \(more)

        """
    }

    private static func write(
        _ verb: String, _ resource: String, group: String = "", in namespace: String = "shop", named name: String = ""
    ) -> Need {
        Need(Request(verb: verb, apiGroup: group, resource: resource, namespace: namespace, name: name))
    }

    /// Steps and warnings of a proposal, as `step in scope: atoms: reason`.
    private func hidden(_ manifests: String..., needs: [Need], knowsGrants: Bool = true, name: String = "cart") -> (
        steps: [String], warnings: [String]
    ) {
        let state = ManifestLoader(usesDefaults: false).load(text: manifests.joined())
        #expect(state.diagnostics.isEmpty)
        var basis = ProposalBasis(staying: Authorizer(roles: [], bindings: []))
        basis.observed = needs.map { EvidencedNeed($0, Evidence()) }
        basis.current = knowsGrants ? Authorizer(roles: state.roles, bindings: state.bindings) : nil
        basis.policyChecks = state.policyChecks
        basis.resources = ResourceCatalogue.builtIn(extendedBy: state.apiResources).resources
        let proposal = RoleProposal(namespace: "shop", name: name, basis)
        let steps = proposal.generalisations.filter { $0.step == .hidden }.map { step in
            let atoms = step.atoms.map {
                "\($0.verb) \($0.apiGroup ?? "")|\($0.resource ?? "")|\($0.resourceName ?? "")\($0.nonResourceURL ?? "")"
            }
            return "\(step.namespace): \(atoms.joined(separator: ", ")): \(step.reason)"
        }
        // What is added is in the roles.
        let proposed = Authorizer(roles: proposal.roles, bindings: proposal.bindings)
        let user = ServiceAccountName.user(namespace: "shop", name: name)
        for step in proposal.generalisations {
            let rules = proposed.rules(for: user, namespace: step.namespace).rules
            #expect(step.atoms.allSatisfy { atom in rules.contains { RuleCoverage.covers($0, atom) } })
        }
        return (steps, proposal.warnings)
    }

    private static let all = role(
        "all", "{apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"]}, {nonResourceURLs: [\"*\"], verbs: [\"*\"]}")
    private static let use = "authorizer.group('x.io').resource('things').check('use').allowed()"

    @Test("what is held is added exactly, in the scope that is asked about")
    func held() {
        let asked = "ValidatingAdmissionPolicy `p` asks the authorizer"
        func steps(_ expression: String) -> [String] {
            let found = hidden(Self.all, Self.policy(expression), needs: [Self.write("create", "pods")])
            #expect(found.warnings.isEmpty)
            return found.steps
        }
        #expect(
            steps(Self.use)
                == [": use x.io|things|: \(asked) `authorizer.group('x.io').resource('things').check('use')` at `create pods`"])
        let named = "authorizer.group('').resource('a').subresource('b').namespace('ops').name('c').check('d')"
        #expect(steps(named) == ["ops: d |a/b|c: \(asked) `\(named)` at `create pods`"])
        let path = "authorizer.path('/breakglass').check('get')"
        #expect(steps(path) == [": get ||/breakglass: \(asked) `\(path)` at `create pods`"])
        #expect(steps("\(named).allowed() || \(named).errored()").count == 1)
    }

    @Test("what is not held is named, once for each check")
    func notHeld() {
        let pods = Self.role("pods", "{apiGroups: [\"\"], resources: [pods], verbs: [create, use]}", in: "shop")
        let needs = [Self.write("create", "pods"), Self.write("update", "pods", named: "a"), Self.write("delete", "secrets", named: "a")]
        let found = hidden(pods, Self.policy("\(Self.use) || \(Self.use)"), needs: needs)
        #expect(found.steps.isEmpty)
        #expect(
            found.warnings == [
                "ValidatingAdmissionPolicy `p` asks the authorizer `authorizer.group('x.io').resource('things').check('use')` at `create pods` and `update pods` and 1 more: it may need `use things.x.io`, which it does not hold"
            ])
        // Held in a namespace only, asked about cluster-wide.
        #expect(hidden(pods, Self.policy("authorizer.group('').resource('pods').check('use')"), needs: needs).steps.isEmpty)
        #expect(
            hidden(pods, Self.policy("authorizer.group('').resource('pods').namespace('shop').check('use')"), needs: needs).steps.count == 1
        )
        let unknown = hidden(Self.policy(Self.use), needs: needs, knowsGrants: false)
        #expect(unknown.steps.isEmpty && unknown.warnings.count == 1 && unknown.warnings[0].hasSuffix("it may need `use things.x.io`"))
    }

    @Test(
        "what is computed, or what a rule would read as a pattern, is only named",
        arguments: [
            "authorizer.group('x.io').resource(object.kind).check('use')", "authorizer.group('x.io').resource('*').check('use')",
            "authorizer.group('x.io').resource('things').check('*')", "authorizer.path('/a*').check('get')",
            "authorizer.requestResource.check(variables.verb)", "authorizer.group('x.io').resource('').check('use')",
        ])
    func computed(_ expression: String) {
        let found = hidden(Self.all, Self.policy(expression), needs: [Self.write("create", "pods")])
        #expect(found.steps.isEmpty)
        #expect(
            found.warnings == [
                "ValidatingAdmissionPolicy `p` asks the authorizer `\(expression)` at `create pods`: what it may need there cannot be told"
            ])
    }

    @Test("only who writes what a policy matches is asked about")
    func unmatched() {
        let policy = Self.policy(Self.use, on: "{apiGroups: [apps], resources: [deployments]}")
        let others = [Self.write("create", "pods"), Self.write("get", "deployments", group: "apps", named: "a")]
        let none = hidden(Self.all, policy, needs: others)
        #expect(none.steps.isEmpty && none.warnings.isEmpty)
        #expect(hidden(Self.all, policy, needs: others + [Self.write("patch", "deployments", group: "apps", named: "a")]).steps.count == 1)
    }

    @Test("the request's own resource, namespace and name")
    func requestResource() {
        func steps(_ grants: String, _ needs: Need...) -> [String] {
            hidden(grants, Self.policy("authorizer.requestResource.check('use')"), needs: needs).steps.map {
                String($0.prefix { $0 != "V" })
            }
        }
        let (a, b) = (Self.write("update", "pods", named: "a"), Self.write("patch", "pods", in: "ops", named: "b"))
        #expect(steps(Self.all, a, b) == ["ops: use |pods|b: ", "shop: use |pods|a: "])
        // The name of what is created is not known.
        #expect(steps(Self.all, Self.write("create", "pods"), a) == ["shop: use |pods|: "])
        let named = Self.role("r", "{apiGroups: [\"\"], resources: [pods], resourceNames: [a, c], verbs: [use]}", in: "shop")
        #expect(steps(named, Self.write("create", "pods")) == ["shop: use |pods|a, use |pods|c: "])
        #expect(
            steps(named, a, Self.write("delete", "pods", named: "c"), Self.write("delete", "pods", named: "a")) == [
                "shop: use |pods|a, use |pods|c: "
            ])
        // One name of two is held: not enough.
        let two = hidden(
            named, Self.policy("authorizer.requestResource.check('use')"), needs: [a, Self.write("update", "pods", named: "b")])
        #expect(two.steps.isEmpty && two.warnings.count == 1 && two.warnings[0].contains("may need `use pods` in `shop`, which"))
        // Many names, or generated ones, are no fixed set.
        #expect(
            steps(Self.all, a, Self.write("update", "pods", named: "b"), Self.write("update", "pods", named: "c")) == ["shop: use |pods|: "]
        )
        #expect(steps(Self.all, Self.write("update", "pods", named: "cart-x7k2p")) == ["shop: use |pods|: "])
    }

    @Test("a check about an account concerns that account, whoever writes")
    func accounts() {
        let read = [Need(Request(verb: "get", resource: "pods", namespace: "shop", name: "a"))]
        func found(_ account: String, _ check: String = "group('x.io').resource('things').check('use')", _ grants: String = Self.all) -> (
            steps: [String], warnings: [String]
        ) { hidden(grants, Self.policy("authorizer.serviceAccount(\(account)).\(check)"), needs: read) }
        let own = found("'shop', 'cart'")
        #expect(
            own.steps == [
                ": use x.io|things|: ValidatingAdmissionPolicy `p` asks the authorizer `authorizer.serviceAccount('shop', 'cart').group('x.io').resource('things').check('use')`, whoever makes the request"
            ])
        #expect(own.warnings.isEmpty)
        for other in ["'shop', 'other'", "'ops', 'cart'", "'ops', x"] {
            #expect(found(other).steps.isEmpty && found(other).warnings.isEmpty)
        }
        // Perhaps this one: named where it has something to lose.
        #expect(found("'shop', x").steps.isEmpty)
        #expect(found("'shop', x").warnings.map { $0.hasSuffix("perhaps about this account: it may need `use things.x.io`") } == [true])
        let pods = Self.role("pods", "{apiGroups: [\"\"], resources: [pods], verbs: [get]}")
        #expect(found("'shop', x", "group('x.io').resource('things').check('use')", pods).warnings.isEmpty)
        #expect(found("'shop', 'cart'", "group('x.io').resource('things').check('use')", pods).warnings.count == 1)
        #expect(found("x, y", "group('x.io').resource(z).check('use')").warnings.count == 1)
        // Such a check does not see system:authenticated.
        let everybody = Self.role("all", "{apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"]}").replacing(
            Self.account, with: "{kind: Group, name: \"system:authenticated\"}")
        #expect(found("'shop', 'cart'", "group('x.io').resource('things').check('use')", everybody).steps.isEmpty)
    }

    @Test("who writes a policy with parameters must read them all")
    func parameters() {
        let policy = Self.policy("true", more: "paramKind: {apiVersion: v1, kind: ConfigMap}")
        let group = "admissionregistration.k8s.io"
        let generic =
            "it writes validatingadmissionpolicies.\(group): one with parameters needs `get` on every object of its paramKind"
        let update = Self.write("update", "validatingadmissionpolicies", group: group, in: "", named: "p")
        let held = hidden(Self.all, policy, needs: [update])
        #expect(
            held.steps == [
                ": get |configmaps|: ValidatingAdmissionPolicy `p` has a paramKind ConfigMap of v1, which is checked at `update validatingadmissionpolicies.\(group)`"
            ])
        #expect(held.warnings.isEmpty)
        let other = hidden(
            Self.all, policy, needs: [Self.write("update", "validatingadmissionpolicies", group: group, in: "", named: "q")])
        #expect(other.steps.isEmpty && other.warnings == [generic])
        let created = hidden(Self.all, policy, needs: [Self.write("create", "validatingadmissionpolicies", group: group, in: "")])
        #expect(created.steps.count == 1 && created.warnings == [generic])
        let unknown = hidden(Self.all, Self.policy("true", more: "paramKind: {apiVersion: x.io/v1, kind: Odd}"), needs: [update])
        #expect(unknown.steps.isEmpty && unknown.warnings.count == 1)
        let inNamespace = Self.role("r", "{apiGroups: [\"\"], resources: [configmaps], verbs: [get]}", in: "shop")
        #expect(
            hidden(inNamespace, policy, needs: [update]).warnings.map {
                $0.hasSuffix("it may need `get configmaps`, which it does not hold")
            } == [true])
    }
}
