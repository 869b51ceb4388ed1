import WhittleModel
import WhittlePropose

extension ProposalProof {
    /// The verdict in one line, and one line per finding.
    public func text(namespace: String, name: String) -> String {
        let verdict = isSound ? "proven" : "not proven"
        var lines = [
            "\(verdict): ServiceAccount \(namespace)/\(name): \(replayed - refused.count) of \(replayed) needs allowed, "
                + "\(excess.count) granted beyond them, \(redundantRules.count) rules not needed"
        ]
        if inexpressible > 0 { lines.append("  not replayed: \(inexpressible) requests that spell a `*`, which no rule allows alone") }
        lines += refused.map { "  refused: \($0.text)" }
        lines += excess.map { "  beyond: \($0.atom.text)\($0.namespace.isEmpty ? " in all namespaces" : " in \($0.namespace)")" }
        lines += redundantRules.map { "  not needed: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Need {
    var text: String { atom.text + (request.path != nil ? "" : scope.isEmpty ? " cluster-wide" : " in \(scope)") }
}

extension RuleAtom {
    var text: String {
        "\(verb) \(targetText(resource: resource, apiGroup: apiGroup, url: nonResourceURL))\(resourceName.map { " named \($0)" } ?? "")"
    }
}
