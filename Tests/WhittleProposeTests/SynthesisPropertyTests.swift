import Testing
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleTestSupport

/// What must hold of every proposal, whatever the needs; a failure names the seed that `WHITTLE_SEED` runs alone.
@Suite("Synthesis properties")
struct SynthesisPropertyTests {
    /// P1 to P4, P6 to P9, P11, P13, P16.
    @Test("rules are exact, irredundant, stable and independent of order and names", arguments: RandomNeeds.batches(8_000))
    func rules(_ seeds: [Int]) {
        for seed in seeds {
            var instance = RandomNeeds(seed: seed)
            let proposal = Rules(instance.needs)
            proposal.scopes.forEach { expectCertificate($0, proposal, instance) }
            expectExact(proposal, &instance)
            expectIrredundant(proposal, instance)
            expectNoNewWords(proposal, instance)
            expect(RoleMinimizer.minimize(instance.shuffled()) == proposal.scopes, "P7: other order, other rules", instance)
            expectStable(proposal, &instance)
            expectRenamed(proposal, &instance)
            let grouped = RoleMinimizer.minimize(instance.needs, layout: .grouped)
            let groupedRules = Rules(instance.needs, grouped)
            expect(groupedRules.covers(proposal) && proposal.covers(groupedRules), "layouts allow the same", instance)
            expect(zip(proposal.scopes, grouped).allSatisfy { $0.rules.count <= $1.rules.count }, "never more than grouped", instance)
            expect(RoleMinimizer.minimize(instance.shuffled(), layout: .grouped) == grouped, "P7: grouped", instance)
        }
    }

    /// P5.
    @Test("as few rules as exhaustive search finds", arguments: RandomNeeds.batches(2_400))
    func fewest(_ seeds: [Int]) {
        for seed in seeds {
            var instance = RandomNeeds(seed: seed)
            // Without names: two groups × four resources × four verbs. With names: three of each. And one where greedy may fail.
            let sizes = [(2, 4, 4, 0), (1, 3, 3, 3), (1, 6, 6, 0)][seed % 3]
            var needs: [Need] = []
            var needed: UInt64 = 0
            var free: UInt64 = 0
            let density = [30, 60, 85][instance.number(below: 3)]
            let count = sizes.0 * sizes.1 * sizes.2 * max(1, sizes.3)
            for cell in 0..<count {
                let dice = instance.number(below: 100)
                let name = sizes.3 == 0 ? "" : "n\(cell % sizes.3)"
                let rest = cell / max(1, sizes.3)
                // What is needed everywhere is free in the namespace.
                guard dice < density + 10 else { continue }
                let isFree = dice >= density
                needs.append(
                    Need(
                        Request(
                            verb: "v\(rest % sizes.2)", apiGroup: "g\(rest / sizes.2 / sizes.1)", resource: "r\(rest / sizes.2 % sizes.1)",
                            namespace: isFree ? "" : "shop", name: name)))
                if isFree { free |= 1 << UInt64(cell) } else { needed |= 1 << UInt64(cell) }
            }
            let found = RoleMinimizer.minimize(needs).first { !$0.namespace.isEmpty }
            let axes = [sizes.0, sizes.1, sizes.2] + (sizes.3 == 0 ? [] : [sizes.3])
            let fewest = ExhaustiveCover(sizes: axes, needed: needed, allowed: needed | free).fewest
            expect(found?.rules.count ?? 0 == fewest, "P5: \(found?.rules.count ?? 0) rules, \(fewest) are enough", instance)
            expect(found?.isProvenMinimal ?? true, "P5: a small grid is searched to the end", instance)
        }
    }

    /// P10, P12, P17.
    @Test("proposals are valid, replay, and allow nothing that the old grants did not", arguments: RandomNeeds.batches(1_200))
    func proposals(_ seeds: [Int]) {
        for seed in seeds {
            let instance = RandomNeeds(seed: seed)
            let needs = instance.needs.filter(\.isExpressible)
            let staying = Authorizer(roles: [], bindings: [])
            let proposal = RoleProposal(namespace: "shop", name: "cart", needs: needs, staying: staying)
            for role in proposal.roles {
                expect(Validation.problems(of: role, kind: role.kind).isEmpty, "P12: \(role.kind) is invalid", instance)
            }
            for binding in proposal.bindings {
                let problems = Validation.problems(of: binding, kind: binding.kind, roleRefGroup: nil)
                expect(problems.isEmpty, "P12: \(binding.kind) is invalid", instance)
                expect(binding.roleRef.kind == (binding.meta.namespace.isEmpty ? "ClusterRole" : "Role"), "P12: roleRef", instance)
            }
            let proof = ProposalProof(
                roles: proposal.roles, bindings: proposal.bindings, needs: needs, namespace: "shop", name: "cart", staying: staying)
            expect(proof.isExact, "P17: \(proof.refused.count) refused, \(proof.excess.count) beyond", instance)
            // Grants that are wider than what was used of them: whole lists of verbs, and the cluster for a namespace.
            let old = needs.map { need -> PolicyRule in
                var rule = need.atom.rule
                rule.verbs = (rule.verbs ?? []) + ["get", "list"]
                if seed % 2 == 0 { rule.resourceNames = nil }
                return rule
            }
            for role in proposal.roles {
                let excess = RuleCoverage.uncovered(owner: old, servant: role.rules.map(\.rule))
                expect(excess.isEmpty, "P10: \(excess.count) atoms were not granted before", instance)
            }
        }
    }

    /// P14.
    @Test(
        "what a proposal allows beyond the needs is what its steps report, and a step that is off adds nothing",
        arguments: RandomNeeds.batches(1_200))
    func accounting(_ seeds: [Int]) {
        // What is written with `*` is declared, and never widened.
        for seed in seeds where seed % 12 != 10 {
            var instance = RandomNeeds(seed: seed)
            let needs = instance.needs.filter(\.isExpressible)
            let staying = Authorizer(roles: [], bindings: [])
            func proposal(_ policy: GeneralisationPolicy) -> RoleProposal {
                var basis = ProposalBasis(staying: staying)
                basis.observed = needs.map { EvidencedNeed($0, Evidence()) }
                basis.policy = policy
                return RoleProposal(namespace: "shop", name: "cart", basis)
            }
            func reported(_ proposal: RoleProposal) -> [Need] {
                proposal.generalisations.flatMap { step in
                    step.atoms.map {
                        let (resource, subresource) = ($0.resource ?? "").splitBytes(at: "/")
                        return Need(
                            Request(
                                verb: $0.verb, apiGroup: $0.apiGroup ?? "", resource: resource, subresource: subresource ?? "",
                                namespace: step.namespace, name: $0.resourceName ?? ""))
                    }
                }
            }
            var policy = GeneralisationPolicy()
            policy.maximumNames = instance.number(below: 4)
            for place in Self.switches { policy[keyPath: place] = instance.number(below: 4) > 0 }
            let whole = proposal(policy)
            let beyond = reported(whole)
            let proof = ProposalProof(
                roles: whole.roles, bindings: whole.bindings, needs: needs + beyond, namespace: "shop", name: "cart", staying: staying)
            expect(proof.isExact, "P14: \(proof.refused.count) refused, \(proof.excess.count) unreported", instance)
            let bare = Rules(needs)
            for step in whole.generalisations {
                let owner = bare.rules(in: "") + bare.rules(in: step.namespace)
                for atom in step.atoms {
                    let isBeyond = !RuleCoverage.uncovered(owner: owner, servant: [atom.rule]).isEmpty
                    expect(isBeyond, "P14: \(atom) is reported, and needed", instance)
                }
            }
            for place in Self.switches where policy[keyPath: place] {
                var less = policy
                less[keyPath: place] = false
                let rest = proposal(less)
                let left = Rules(needs + reported(whole)).covers(Rules(needs + reported(rest)))
                expect(left, "P14: more is allowed with a step off", instance)
            }
            expect(reported(proposal(.exact)).isEmpty, "P14: steps of an exact proposal", instance)
        }
    }

    /// P10 and P17, with what stays, what was refused and steps.
    @Test(
        "replayed, a proposal refuses what was refused and nothing else, whatever steps are on",
        arguments: RandomNeeds.batches(2_400))
    func replay(_ seeds: [Int]) {
        for seed in seeds {
            var instance = RandomNeeds(seed: seed)
            let all = instance.needs.filter { $0.isExpressible && !$0.isDeclared }
            guard !all.isEmpty else { continue }
            // Each request has one outcome or, now and then, both: refused at first and allowed later.
            var allowed: [Need] = []
            var refused: [Need] = []
            for need in all {
                let dice = instance.number(below: 10)
                if dice < 7 { allowed.append(need) }
                if dice > 5 { refused.append(need) }
            }
            for _ in 0..<4 {
                // Near what is needed: another verb of it, another name, no name.
                var near = all[instance.number(below: all.count)]
                if near.request.path == nil {
                    near.request.verb = ["get", "list", "watch", "update", "patch", "delete"][instance.number(below: 6)]
                    near.name = [near.name, nil, "other"][instance.number(below: 3)]
                }
                refused.append(near)
            }
            let staying = Self.staying(allowed.filter { _ in instance.number(below: 5) == 0 })
            var basis = ProposalBasis(staying: staying)
            basis.observed = allowed.map { EvidencedNeed($0, Evidence()) }
            basis.denied = refused.map { EvidencedNeed($0, Evidence()) }
            basis.policy.maximumNames = instance.number(below: 4)
            for place in Self.switches { basis.policy[keyPath: place] = instance.number(below: 4) > 0 }
            basis.policy.hidden = instance.number(below: 4) > 0
            let proposal = RoleProposal(namespace: "shop", name: "cart", basis)

            let user = ServiceAccountName.user(namespace: "shop", name: "cart")
            let proposed = Authorizer(roles: proposal.roles, bindings: proposal.bindings)
            func isAllowed(_ need: Need, _ authorizers: Authorizer...) -> Bool {
                var request = need.request
                request.name = need.name ?? ""
                return authorizers.contains { !$0.grants(for: request, by: user).isEmpty }
            }
            for need in allowed { expect(isAllowed(need, proposed, staying), "P17: \(need.request) is refused", instance) }
            // What some need allows is no attempt any more.
            let bare = Rules(allowed, allowed.map { ($0.scope, $0.atom.rule) })
            for need in refused {
                var request = need.request
                request.name = need.name ?? ""
                let isNeeded = bare.allows(request)
                expect(isNeeded || !isAllowed(need, proposed), "P17: \(request) was refused, and is granted", instance)
            }
            let proof = ProposalProof(
                roles: proposal.roles, bindings: proposal.bindings, needs: allowed, steps: proposal.generalisations, namespace: "shop",
                name: "cart", staying: staying)
            expect(proof.isExact, "P17: \(proof.refused.count) refused, \(proof.redundantRules) idle, \(proof.excess) beyond", instance)
        }
    }

    /// Grants that remain beside a proposal.
    private static func staying(_ needs: [Need]) -> Authorizer {
        var roles: [Role] = []
        var bindings: [Binding] = []
        for (scope, group) in Dictionary(grouping: needs, by: \.scope).sorted(by: { $0.key < $1.key }) {
            let meta = ObjectMeta(namespace: scope, name: "stays")
            let role = Role(meta: meta, rules: group.map { WrittenRule($0.atom.rule) })
            roles.append(role)
            bindings.append(
                Binding(
                    meta: meta, roleRef: RoleRef(kind: role.kind, name: "stays"),
                    subjects: [WrittenSubject(Subject(kind: "ServiceAccount", namespace: "shop", name: "cart"))]))
        }
        return Authorizer(roles: roles, bindings: bindings)
    }

    private static let switches: [WritableKeyPath<GeneralisationPolicy, Bool> & Sendable] = [
        \.generatedNames, \.createThenUse, \.watchList, \.readClosure, \.writeClosure, \.lifecycle,
    ]

    /// P15.
    @Test("what is written as YAML reads back the same", arguments: RandomNeeds.batches(600))
    func roundTrip(_ seeds: [Int]) {
        for seed in seeds {
            let instance = RandomNeeds(seed: seed)
            let proposal = RoleProposal(
                namespace: "shop", name: "cart", needs: instance.needs, staying: Authorizer(roles: [], bindings: []))
            let state = ManifestLoader(usesDefaults: false).load(text: ManifestRenderer.yaml(proposal))
            func key(_ role: Role) -> String { "\(role.kind) \(role.meta.namespace)/\(role.meta.name)" }
            expect(state.diagnostics.allSatisfy { $0.severity != .error }, "P15: \(state.diagnostics.map(\.id))", instance)
            let written = state.roles.sorted { bytesPrecede(key($0), key($1)) }
            let proposed = proposal.roles.sorted { bytesPrecede(key($0), key($1)) }
            let same =
                written.map(key) == proposed.map(key)
                && zip(written, proposed).allSatisfy { left, right in
                    left.rules.count == right.rules.count
                        && zip(left.rules, right.rules).allSatisfy { $0.rule.isSame(as: $1.rule) }
                }
            expect(same, "P15: other rules were read back", instance)
        }
    }

    @Test("a spent budget costs the proof, never exactness, and never more rules than grouping", arguments: RandomNeeds.batches(1_200))
    func spentBudget(_ seeds: [Int]) {
        for seed in seeds {
            var instance = RandomNeeds(seed: seed)
            let steps = [0, 30, 300, 3_000][seed / 12 % 4]
            let proposal = Rules(instance.needs, RoleMinimizer.minimize(instance.needs, layout: .compact, stepLimit: steps))
            proposal.scopes.forEach { expectCertificate($0, proposal, instance) }
            expectExact(proposal, &instance)
            expectIrredundant(proposal, instance)
            let best = RoleMinimizer.minimize(instance.needs)
            let grouped = RoleMinimizer.minimize(instance.needs, layout: .grouped)
            for (scope, (best, grouped)) in zip(proposal.scopes, zip(best, grouped)) {
                expect(scope.rules.count <= grouped.rules.count, "more rules than grouped", instance)
                expect(scope.rules.count >= best.rules.count || !best.isProvenMinimal, "fewer rules than the fewest", instance)
                expect(!scope.isProvenMinimal || scope.rules.count == best.rules.count, "a wrong proof", instance)
            }
        }
    }

    // MARK: Properties

    private func expect(
        _ holds: Bool, _ property: @autoclosure () -> String, _ instance: RandomNeeds,
        at location: Testing.SourceLocation = #_sourceLocation
    ) {
        if !holds { Issue.record("\(property())\n\(instance)", sourceLocation: location) }
    }

    /// P1, P2, P3 and P13: the rules allow a request exactly when a need does.
    private func expectExact(_ proposal: Rules, _ instance: inout RandomNeeds) {
        let asRules = Rules(instance.needs, instance.needs.map { ($0.scope, $0.atom.rule) })
        expect(proposal.covers(asRules), "P1, P3: a need is not allowed", instance)
        expect(asRules.covers(proposal), "P2, P3: more than the needs is allowed", instance)
        let fresh = Need(
            Request(verb: "fresh", apiGroup: "fresh", resource: "fresh", subresource: "fresh", namespace: "fresh", name: "fresh"))
        let sources = instance.needs + [fresh]
        for _ in 0..<40 {
            // A request with parts of several needs.
            let parts = (0..<6).map { _ in sources[instance.number(below: sources.count)] }
            var probe = parts[0].request
            // A declared need has its subresource in the resource.
            (probe.resource, probe.subresource) = parts[0].splitResource
            probe.verb = parts[1].request.verb
            if probe.path == nil {
                probe.name = parts[0].name ?? ""
                if instance.number(below: 3) == 0 { probe.name = parts[2].name ?? "" }
                if instance.number(below: 3) == 0 { probe.namespace = parts[3].request.namespace }
                if instance.number(below: 3) == 0 { probe.apiGroup = parts[4].request.apiGroup }
                if instance.number(below: 3) == 0 { probe.subresource = parts[5].splitResource.1 }
            }
            expect(proposal.allows(probe) == asRules.allows(probe), "P1, P2, P13: \(probe)", instance)
        }
    }

    /// P4: no rule, and no entry of a rule, can be left out.
    private func expectIrredundant(_ proposal: Rules, _ instance: RandomNeeds) {
        for scope in proposal.scopes {
            let needs = instance.needs.filter { $0.scope == scope.namespace }.map(\.atom.rule)
            let elsewhere = scope.namespace.isEmpty ? [] : proposal.rules(in: "")
            for index in scope.rules.indices {
                let lists: [WritableKeyPath<PolicyRule, [String]?>] = [
                    \.verbs, \.apiGroups, \.resources, \.resourceNames, \.nonResourceURLs,
                ]
                for list in lists {
                    for entry in (scope.rules[index][keyPath: list] ?? []).indices {
                        var rules = scope.rules
                        rules[index][keyPath: list]?.remove(at: entry)
                        // Without its last name a rule would be for any name.
                        if rules[index][keyPath: list]?.isEmpty ?? true { rules.remove(at: index) }
                        let refused = RuleCoverage.uncovered(owner: rules + elsewhere, servant: needs)
                        expect(!refused.isEmpty, "P4: rule \(index) can do without an entry", instance)
                    }
                }
            }
        }
    }

    /// P11: names, wildcards and words of rules come from needs, a name only with verbs that were needed with a name.
    private func expectNoNewWords(_ proposal: Rules, _ instance: RandomNeeds) {
        for scope in proposal.scopes {
            let atoms = instance.needs.filter { $0.scope == scope.namespace || $0.scope.isEmpty }.map(\.atom)
            func words(_ field: (RuleAtom) -> String?) -> Set<ByteString> { Set(atoms.compactMap(field).map(ByteString.init)) }
            func isKnown(_ list: [String]?, _ known: Set<ByteString>) -> Bool {
                (list ?? []).allSatisfy { known.contains(ByteString($0)) }
            }
            let (verbs, groups, resources) = (words(\.verb), words(\.apiGroup), words(\.resource))
            // Many trailing stars are written as one.
            let urls = words { $0.nonResourceURL.map { $0.hasSuffix("**") ? String($0.dropLast()) : $0 } }
            let names = words(\.resourceName)
            let named = Set(atoms.filter { $0.resourceName != nil }.map { ByteString($0.verb) })
            for rule in scope.rules {
                expect(
                    isKnown(rule.verbs, verbs) && isKnown(rule.apiGroups, groups) && isKnown(rule.resources, resources)
                        && isKnown(rule.resourceNames, names) && isKnown(rule.nonResourceURLs, urls), "P11: a new word", instance)
                expect(!(rule.resourceNames?.isEmpty ?? false), "P11: an empty list of names is any name", instance)
                if rule.resourceNames != nil { expect(isKnown(rule.verbs, named), "P11: a name for a nameless verb", instance) }
            }
        }
    }

    /// P6, P8 and P9.
    private func expectStable(_ proposal: Rules, _ instance: inout RandomNeeds) {
        let fewer = Rules(instance.half())
        expect(proposal.covers(fewer), "P6: fewer needs allow more", instance)

        let atoms = proposal.scopes.flatMap { scope in scope.rules.flatMap(\.atoms).map { Need($0, namespace: scope.namespace) } }
        let again = RoleMinimizer.minimize(atoms)
        expect(
            again.map(\.namespace) == proposal.scopes.map(\.namespace) && again.map(\.rules) == proposal.scopes.map(\.rules),
            "P8: the rules of the rules are others", instance)

        guard !atoms.isEmpty else { return }
        let known = atoms[instance.number(below: atoms.count)]
        expect(RoleMinimizer.minimize(instance.needs + [known]).map(\.rules) == proposal.scopes.map(\.rules), "P9: a known need", instance)
        let another = instance.another()
        let more = RoleMinimizer.minimize(instance.needs + [another])
        for scope in more where scope.namespace != another.scope && !another.scope.isEmpty {
            expect(proposal.scopes.contains(scope), "P9: a need in \(another.scope) changed \(scope.namespace)", instance)
        }
    }

    /// P16: other words in the same order give the same rules in other words; in another order as many.
    private func expectRenamed(_ proposal: Rules, _ instance: inout RandomNeeds) {
        let isPlain = instance.needs.allSatisfy { $0.request.path == nil && !$0.isDeclared }
        guard isPlain else { return }
        func renamed(_ need: Need, _ change: (String) -> String) -> Need {
            var request = need.request
            request.resource = change(request.resource)
            request.name = need.name.map(change) ?? ""
            if !request.namespace.isEmpty { request.namespace = change(request.namespace) }
            return Need(request)
        }
        let prefixed = RoleMinimizer.minimize(instance.needs.map { renamed($0) { "x-" + $0 } })
        expect(
            prefixed.map(\.namespace) == proposal.scopes.map { $0.namespace.isEmpty ? "" : "x-" + $0.namespace }
                && prefixed.map(\.rules)
                    == proposal.scopes.map { scope in
                        scope.rules.map { rule in
                            var rule = rule
                            rule.resources = rule.resources?.map { "x-" + $0 }
                            rule.resourceNames = rule.resourceNames?.map { "x-" + $0 }
                            return rule
                        }
                    },
            "P16: renamed in order", instance)
        let salt = instance.number(below: 97)
        let scrambled = RoleMinimizer.minimize(
            instance.needs.map { renamed($0) { word in "\(word.utf8.reduce(salt) { ($0 &* 31 &+ Int($1)) % 9_973 })-\(word)" } })
        expect(
            scrambled.map(\.rules.count).sorted() == proposal.scopes.map(\.rules.count).sorted(), "P16: another order, another count",
            instance)
    }

    /// No two of the needs that prove the bound fit one rule, and the numbers agree.
    private func expectCertificate(_ scope: RoleMinimizer.Scope, _ proposal: Rules, _ instance: RandomNeeds) {
        expect(scope.independentNeeds.count <= scope.rules.count, "more independent needs than rules", instance)
        if case .lowerBound(let bound) = scope.certificate {
            expect(bound >= scope.independentNeeds.count && bound <= scope.rules.count, "bound \(bound)", instance)
        }
        let allowed = proposal.rules(in: "") + proposal.rules(in: scope.namespace)
        for (index, left) in scope.independentNeeds.enumerated() {
            expect(RuleCoverage.uncovered(owner: scope.rules, servant: [left.rule]).isEmpty, "a need of the scope", instance)
            for right in scope.independentNeeds[(index + 1)...] {
                // A rule holding both; named and nameless needs, and URLs and resources, never share one.
                let both = PolicyRule(
                    verbs: [left.verb, right.verb], apiGroups: [left, right].compactMap(\.apiGroup),
                    resources: [left, right].compactMap(\.resource), resourceNames: [left, right].compactMap(\.resourceName),
                    nonResourceURLs: [left, right].compactMap(\.nonResourceURL))
                guard (left.resourceName == nil) == (right.resourceName == nil), (left.resource == nil) == (right.resource == nil)
                else { continue }
                expect(!RuleCoverage.uncovered(owner: allowed, servant: [both]).isEmpty, "two independent needs fit one rule", instance)
            }
        }
    }
}

extension Need {
    fileprivate var splitResource: (String, String) {
        let (resource, subresource) = request.combinedResource.splitBytes(at: "/")
        return (resource, subresource ?? "")
    }
}

/// Rules per scope, asked as an authorizer would.
private struct Rules {
    var scopes: [RoleMinimizer.Scope] = []
    private var byScope: [String: [PolicyRule]]

    init(_ needs: [Need]) { self.init(needs, RoleMinimizer.minimize(needs)) }

    init(_ needs: [Need], _ scopes: [RoleMinimizer.Scope]) {
        self.init(needs, scopes.flatMap { scope in scope.rules.map { (scope.namespace, $0) } })
        self.scopes = scopes
    }

    init(_ needs: [Need], _ rules: [(String, PolicyRule)]) { byScope = Dictionary(grouping: rules, by: \.0).mapValues { $0.map(\.1) } }

    func rules(in scope: String) -> [PolicyRule] { byScope[scope] ?? [] }

    func allows(_ request: Request) -> Bool {
        let namespace = request.path == nil ? request.namespace : ""
        return (rules(in: "") + (namespace.isEmpty ? [] : rules(in: namespace))).contains { RuleMatcher.allows($0, request) }
    }

    func covers(_ other: Rules) -> Bool {
        other.byScope.allSatisfy { scope, rules in
            RuleCoverage.uncovered(owner: self.rules(in: "") + (scope.isEmpty ? [] : self.rules(in: scope)), servant: rules).isEmpty
        }
    }
}

/// The fewest boxes by trying them all; written without a look at the search that it checks.
private struct ExhaustiveCover {
    private let boxes: [UInt64]
    private let needed: UInt64

    init(sizes: [Int], needed: UInt64, allowed: UInt64) {
        self.needed = needed
        // Axis by axis: every choice of values, as long as nothing is outside.
        var found: [UInt64] = []
        let strides = sizes.indices.map { axis in sizes[(axis + 1)...].reduce(1, *) }
        func extend(_ axis: Int, _ offsets: [Int]) {
            guard axis < sizes.count else {
                let mask = offsets.reduce(UInt64(0)) { $0 | 1 << UInt64($1) }
                if mask & ~allowed == 0, mask & needed != 0 { found.append(mask & needed) }
                return
            }
            for choice in 1..<1 << sizes[axis] {
                let values = (0..<sizes[axis]).filter { choice >> $0 & 1 == 1 }
                extend(axis + 1, offsets.flatMap { offset in values.map { offset + $0 * strides[axis] } })
            }
        }
        if needed != 0 { extend(0, [0]) }
        let unique = Array(Set(found)).sorted { $0.nonzeroBitCount > $1.nonzeroBitCount }
        var kept: [UInt64] = []
        for box in unique where !kept.contains(where: { box & ~$0 == 0 }) { kept.append(box) }
        boxes = kept
    }

    var fewest: Int { (0...64).first { canCover(needed, with: $0) } ?? 64 }

    private func canCover(_ rest: UInt64, with count: Int) -> Bool {
        guard rest != 0 else { return true }
        guard count > 0 else { return false }
        // The open cell with the fewest boxes.
        var holders: [UInt64] = []
        var cells = rest
        while cells != 0 {
            let cell = cells & ~(cells - 1)
            cells &= cells - 1
            let own = boxes.filter { $0 & cell != 0 }
            if holders.isEmpty || own.count < holders.count { holders = own }
        }
        return holders.contains { canCover(rest & ~$0, with: count - 1) }
    }
}
