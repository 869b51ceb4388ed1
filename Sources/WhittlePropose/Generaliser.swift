import WhittleModel

/// Takes the steps of a policy over observed needs (docs/proposing.md). What an author declared is never widened.
struct Generaliser {
    private let policy: GeneralisationPolicy
    private let universe: ReferenceUniverse
    /// Observed needs and what earlier steps added.
    private var needs: Set<Need>
    private(set) var steps: [Generalisation] = []
    /// Steps that were not taken because they would allow what was refused, one sentence each.
    private(set) var refusals: [String] = []
    /// What was refused, and no need allows.
    private let denied: [Need]

    /// - Parameters:
    ///   - needs: observed ones.
    ///   - denied: what was refused; no step may allow it.
    init(_ needs: Set<Need>, denied: [Need] = [], policy: GeneralisationPolicy, universe: ReferenceUniverse) {
        self.needs = needs
        let index = Dictionary(grouping: needs, by: { ByteString($0.scope) }).mapValues { AtomIndex($0.map(\.atom)) }
        self.denied = denied.filter { need in
            ![index[ByteString(need.scope)], index[ByteString("")]].contains { $0?.covers(need.atom) ?? false }
        }
        self.policy = policy
        self.universe = universe
    }

    /// The needs that the steps added.
    var added: [Need] { steps.flatMap { step in step.atoms.map { Need($0, observedIn: step.namespace) } } }

    /// Takes all steps in their order: each sees what the ones before added.
    mutating func run() {
        dropNames()
        if policy.watchList { closeWatches() }
        if policy.readClosure { add(.readClosure, "get", "is read as a list anyway") { ["list", "watch"].contains($0.request.verb) } }
        if policy.writeClosure {
            add(.writeClosure, "patch", "is updated") { $0.request.verb == "update" }
            add(.writeClosure, "update", "is patched") { $0.request.verb == "patch" }
        }
        if policy.lifecycle {
            add(.lifecycle, "delete", "is created") { $0.request.verb == "create" && $0.request.subresource.isEmpty }
        }
        if let selector = policy.namespaceSelector { fill(selector) }
    }

    private mutating func take(_ step: Generalisation.Step, _ atoms: [RuleAtom], in scope: String, _ reason: String) {
        let new = atoms.filter { !isGiven($0, in: scope) }
        guard !new.isEmpty else { return }
        let refused = denied.first { need in
            (scope.isEmpty || need.scope.isSameBytes(as: scope)) && new.contains { RuleCoverage.covers($0.rule, need.atom) }
        }
        if let refused {
            let name = refused.name.map { " named \($0)" } ?? ""
            let target = targetText(resource: refused.atom.resource, apiGroup: refused.atom.apiGroup, url: refused.atom.nonResourceURL)
            refusals.append("\(step.rawValue) is not taken, as `\(refused.request.verb) \(target)\(name)` was refused: \(reason)")
            return
        }
        steps.append(Generalisation(step: step, namespace: scope, atoms: new, reason: reason))
        for atom in new { needs.insert(Need(atom, observedIn: scope)) }
    }

    private func isGiven(_ atom: RuleAtom, in scope: String) -> Bool {
        var unnamed = atom
        unnamed.resourceName = nil
        for place in [scope, ""] {
            if needs.contains(Need(atom, observedIn: place)) || needs.contains(Need(unnamed, observedIn: place)) { return true }
        }
        return false
    }

    // MARK: Names

    private mutating func dropNames() {
        var names: [Need: [String]] = [:]
        for need in needs {
            guard let name = need.name else { continue }
            var unnamed = need
            unnamed.name = nil
            names[unnamed, default: []].append(name)
        }
        for (unnamed, names) in names.sorted(by: { Need.precedes($0.key, $1.key) }) {
            let names = names.sorted(by: bytesPrecede)
            guard let (step, reason) = whyUnnamed(unnamed, names) else { continue }
            take(step, [unnamed.atom], in: unnamed.scope, reason)
        }
    }

    /// Names of one verb and resource from which the subject's own creating is taken as the reason of there being many.
    private static let createdNames = 3

    private func whyUnnamed(_ need: Need, _ names: [String]) -> (Generalisation.Step, String)? {
        let request = need.request
        let target = ReferenceUniverse.Target(apiGroup: request.apiGroup, resource: request.combinedResource)
        if policy.generatedNames {
            let reasons = names.compactMap { name in
                GeneratedName.reason(
                    name, owner: universe.owner(of: name, target: target, namespace: request.namespace), siblings: names)
            }
            if let first = reasons.first {
                let more = reasons.count > 1 ? ", and \(reasons.count - 1) more of \(names.count) names" : ""
                return (.generatedNames, first + more)
            }
        }
        if policy.createThenUse, names.count >= Self.createdNames, request.verb != "create" {
            var create = Need(Request(verb: "create", apiGroup: request.apiGroup, resource: request.resource, namespace: request.namespace))
            var creates = needs.contains(create)
            create.request.namespace = ""
            creates = creates || needs.contains(create)
            if creates { return (.createThenUse, "it creates these objects, \(names.count) names were seen, as `\(names[0])`") }
        }
        if policy.maximumNames > 0, names.count > policy.maximumNames {
            return (.manyNames, "\(names.count) names, more than \(policy.maximumNames)")
        }
        return nil
    }

    // MARK: Namespaces

    /// Needs in so many namespaces of a selector are needs in all of them.
    private static let alikeNamespaces = 2

    private mutating func fill(_ selector: LabelSelector) {
        let selected = universe.namespaceLabels.filter { selector.matches($0.value) }.keys.map(\.string).sorted(by: bytesPrecede)
        var scopes: [RuleAtom: Set<ByteString>] = [:]
        for need in needs where selected.contains(where: need.scope.isSameBytes(as:)) {
            scopes[need.atom, default: []].insert(ByteString(need.scope))
        }
        let wide = scopes.filter { $0.value.count >= Self.alikeNamespaces }.keys
            .sorted { Need.precedes(Need($0, observedIn: ""), Need($1, observedIn: "")) }
        for namespace in selected {
            for atom in wide where !(scopes[atom]?.contains(ByteString(namespace)) ?? true) {
                let seen = scopes[atom]?.count ?? 0
                let target = targetText(resource: atom.resource, apiGroup: atom.apiGroup, url: nil)
                take(
                    .namespaces, [atom], in: namespace,
                    "`\(atom.verb) \(target)` is needed in \(seen) of the \(selected.count) namespaces that the selector matches")
            }
        }
    }

    // MARK: Verbs

    private mutating func closeWatches() {
        let watched = Set(needs.filter { $0.request.verb == "watch" }.map { Self.kind($0) })
        add(.watchList, "list", "is watched: a client lists when its watch breaks or the server cannot stream") {
            $0.request.verb == "watch"
        }
        add(.watchList, "watch", "is listed here and watched elsewhere by the same account") {
            $0.request.verb == "list" && watched.contains(Self.kind($0))
        }
    }

    private static func kind(_ need: Need) -> [ByteString] {
        [need.request.apiGroup, need.request.resource, need.request.subresource].map(ByteString.init)
    }

    /// Adds `verb` on everything that a need which satisfies `isReason` is about, one step per scope.
    private mutating func add(_ step: Generalisation.Step, _ verb: String, _ reason: String, where isReason: (Need) -> Bool) {
        let reasons = needs.filter { $0.request.isResourceRequest && isReason($0) }.sorted(by: Need.precedes)
        for (scope, group) in Dictionary(grouping: reasons, by: { ByteString($0.scope) }).sorted(by: {
            bytesPrecede($0.key.string, $1.key.string)
        }) {
            let atoms = group.map { need in
                var atom = need.atom
                atom.verb = verb
                return atom
            }
            for atom in atoms {
                let target = targetText(resource: atom.resource, apiGroup: atom.apiGroup, url: nil)
                take(step, [atom], in: scope.string, "`\(target)\(atom.resourceName.map { "/\($0)" } ?? "")` \(reason)")
            }
        }
    }
}

extension Need {
    /// The need of a rule that is added beyond observed needs: literal, and without a name it means any name.
    init(_ atom: RuleAtom, observedIn scope: String) {
        if let url = atom.nonResourceURL {
            self.init(Request(verb: atom.verb, path: url))
        } else {
            let (resource, subresource) = (atom.resource ?? "").splitBytes(at: "/")
            self.init(
                Request(
                    verb: atom.verb, apiGroup: atom.apiGroup ?? "", resource: resource, subresource: subresource ?? "",
                    namespace: scope, name: atom.resourceName ?? ""))
        }
    }
}
