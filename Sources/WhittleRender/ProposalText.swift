import WhittleModel
import WhittlePropose

extension RuleAtom {
    /// As `get secrets named tls`.
    var text: String {
        "\(verb) \(targetText(resource: resource, apiGroup: apiGroup, url: nonResourceURL))\(resourceName.map { " named \($0)" } ?? "")"
    }
}

/// What a proposal is made of, in words and as JSON.
public enum ProposalText {
    /// The lines above a proposal's documents, without `#`.
    public static func comments(_ proposal: RoleProposal) -> [String] {
        let account = "ServiceAccount \(proposal.namespace)/\(proposal.name)"
        let fewest = proposal.ruleCount > 0 ? ", \(search(proposal))" : ""
        var lines = [
            "\(account): \(counted(proposal.needs.count, "need")), \(proposal.alreadyGiven.count) given by default bindings, \(counted(proposal.ruleCount, "rule"))\(fewest)"
        ]
        lines += proposal.generalisations.map { "beyond the needs: \(text($0))" }
        lines += proposal.warnings.map { "not in here: \($0)" }
        lines += proposal.attempts.map { item in
            let outcome = item.evidence.isRefused ? "refused" : "undecided"
            return proposal.allows(item.need)
                ? "\(outcome) once, and allowed by what is needed now: \(text(item))" : "\(outcome) and left out: \(text(item))"
        }
        lines += proposal.inexpressible.map { "left out, \(whyInexpressible($0)): \(text($0))" }
        return lines
    }

    private static func whyInexpressible(_ need: Need) -> String {
        if need.isMasked { return "the credential in it is not kept" }
        let request = need.request
        return request.verb.isEmpty || request.path == nil && request.resource.isEmpty
            ? "it has no verb or no resource" : "a rule would read the `*` as a wildcard"
    }

    /// A comment line of YAML, with its line end; what would end the comment or cannot be seen is spelled out.
    public static func comment(_ text: String) -> String {
        let visible = text.unicodeScalars.map { scalar in
            let isHidden =
                scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.properties.generalCategory == .format
                || [0x2028, 0x2029].contains(scalar.value)
            return isHidden ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
        return "# \(visible.joined())\n"
    }

    /// How the rules were found and what is known of fewer.
    static func search(_ proposal: RoleProposal) -> String {
        let methods = Set(proposal.scopes.map(\.method))
        let fewest = proposal.isProvenMinimal ? "the fewest possible" : "at least \(proposal.scopes.reduce(0) { $0 + lowerBound($1) })"
        if methods == [.exact] { return fewest }
        return methods.contains(.greedy) ? "found by greedy search with exchange, \(fewest)" : "one per group and resource, \(fewest)"
    }

    private static func lowerBound(_ scope: RoleMinimizer.Scope) -> Int {
        switch scope.certificate {
        case .searchExhausted: scope.rules.count
        case .lowerBound(let count): count
        }
    }

    private static func certificate(_ scope: RoleMinimizer.Scope) -> String {
        switch scope.certificate {
        case .searchExhausted: "search exhausted"
        case .lowerBound(let count): "lower bound \(count)"
        }
    }

    /// As `get secrets/tls in shop`.
    public static func text(_ need: Need) -> String {
        guard need.request.path == nil else { return "\(need.request.verb) \(need.request.path ?? "")" }
        return text(need.atom, in: need.scope)
    }

    /// As `get secrets/tls in shop`.
    static func text(_ atom: RuleAtom, in scope: String) -> String {
        let place = atom.nonResourceURL != nil ? "" : scope.isEmpty ? " in all namespaces" : " in \(scope)"
        return atom.text + place
    }

    static func text(_ item: EvidencedNeed) -> String { "\(text(item.need)): \(text(item.evidence))" }

    /// As `12 requests from 2026-01-01T00:00:00Z to 2026-01-09T00:00:00Z by Deployment/cart`.
    static func text(_ evidence: Evidence) -> String {
        var parts: [String] = []
        if let first = evidence.firstSeen, let last = evidence.lastSeen {
            let requests = evidence.count == 0 ? "open" : counted(evidence.count, "request")
            let times = first == last ? "at \(TimeText.rfc3339(first))" : "from \(TimeText.rfc3339(first)) to \(TimeText.rfc3339(last))"
            parts.append("\(requests) \(times)")
        }
        let callers = [evidence.workloads, evidence.pods, evidence.userAgents].first { !$0.isEmpty } ?? []
        if !callers.isEmpty { parts.append("by \(listed(callers))") }
        let causes = evidence.causes.filter { $0 != "request" && $0 != "declared" }
        if !causes.isEmpty { parts.append("implied by \(causes.joined(separator: ", "))") }
        if !evidence.places.isEmpty { parts.append("declared at \(listed(evidence.places))") }
        return parts.isEmpty ? "declared" : parts.joined(separator: " ")
    }

    private static func listed(_ texts: [String]) -> String {
        texts.prefix(3).joined(separator: ", ") + (texts.count > 3 ? " and \(texts.count - 3) more" : "")
    }

    static func text(_ step: Generalisation) -> String {
        let atoms = step.atoms.map { text($0, in: step.namespace) }
        let size =
            step.atoms.isEmpty
            ? "" : " (\(counted(step.size, "further request")) today\(step.isUnbounded ? ", more with more objects" : ""))"
        return "\(step.step.rawValue): \(atoms.isEmpty ? "" : listed(atoms) + ": ")\(step.reason)\(size)"
    }

    /// What a rule of a scope is there for, one line.
    static func reason(for rule: PolicyRule, in scope: String, of proposal: RoleProposal) -> String {
        let (needs, steps) = proposal.reasons(for: rule, in: scope)
        var all = Evidence()
        for item in needs { all.add(item.evidence) }
        var parts = needs.isEmpty ? [] : [text(all)]
        parts += steps.map(\.step.rawValue).uniqued()
        return parts.joined(separator: "; ")
    }

    // MARK: JSON

    /// One proposal for programs.
    public static func document(_ proposal: RoleProposal, coverage: JSONValue? = nil) -> JSONValue {
        let given = Set(proposal.alreadyGiven)
        return .members([
            "serviceAccount": .members(["namespace": .string(proposal.namespace), "name": .string(proposal.name)]),
            "needs": .array(proposal.needs.map { document($0, isGiven: given.contains($0.need)) }),
            "generalisations": .array(proposal.generalisations.map(document)),
            "warnings": .strings(proposal.warnings),
            "denied": .array(proposal.attempts.map { document($0, isGiven: nil) }),
            "inexpressible": .array(proposal.inexpressible.map { document($0.atom, in: $0.scope) }),
            "rules": .integer(proposal.ruleCount),
            "provenMinimal": .bool(proposal.isProvenMinimal),
            "scopes": .array(
                proposal.scopes.map { scope in
                    .members([
                        "namespace": .string(scope.namespace), "rules": .integer(scope.rules.count),
                        "method": .string(scope.method.rawValue),
                        "provenMinimal": .bool(scope.isProvenMinimal), "certificate": .string(certificate(scope)),
                        "independentNeeds": .array(scope.independentNeeds.map { document($0, in: scope.namespace) }),
                    ])
                }),
            "coverage": coverage,
        ])
    }

    static func document(_ atom: RuleAtom, in scope: String) -> JSONValue { .object(members(atom, in: scope)) }

    private static func members(_ atom: RuleAtom, in scope: String) -> [JSONValue.Member] {
        let value = JSONValue.members([
            "verb": .string(atom.verb), "apiGroup": atom.apiGroup.map(JSONValue.string), "resource": atom.resource.map(JSONValue.string),
            "resourceName": atom.resourceName.map(JSONValue.string), "nonResourceURL": atom.nonResourceURL.map(JSONValue.string),
            "namespace": atom.nonResourceURL == nil ? .string(scope) : nil,
        ])
        guard case .object(let members) = value else { return [] }
        return members
    }

    private static func document(_ item: EvidencedNeed, isGiven: Bool?) -> JSONValue {
        let evidence = item.evidence
        let value = JSONValue.members([
            "count": .integer(evidence.count), "firstSeen": evidence.firstSeen.map { .string(TimeText.rfc3339($0)) },
            "lastSeen": evidence.lastSeen.map { .string(TimeText.rfc3339($0)) }, "pods": .strings(evidence.pods),
            "workloads": .strings(evidence.workloads), "userAgents": .strings(evidence.userAgents), "causes": .strings(evidence.causes),
            "places": .strings(evidence.places), "givenByDefault": isGiven.map(JSONValue.bool),
        ])
        guard case .object(let more) = value else { return .null }
        return .object(members(item.need.atom, in: item.need.scope) + more)
    }

    private static func document(_ step: Generalisation) -> JSONValue {
        .members([
            "step": .string(step.step.rawValue), "namespace": .string(step.namespace),
            "atoms": .array(step.atoms.map { document($0, in: step.namespace) }), "reason": .string(step.reason),
            "requests": .integer(step.size), "unbounded": .bool(step.isUnbounded),
        ])
    }
}
