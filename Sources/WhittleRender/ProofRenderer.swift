import WhittleModel
import WhittlePropose

extension ProposalProof {
    /// The verdict in one line, one line per finding, and a witness for each entry.
    ///
    /// - Parameter isPassed: whether it holds as far as it was asked.
    public func text(namespace: String, name: String, isPassed: Bool) -> String {
        var lines = [
            "\(isPassed ? "proven" : "not proven"): ServiceAccount \(namespace)/\(name): \(replayed - refused.count) of \(replayed) needs allowed, "
                + "\(excess.count) granted beyond them, \(redundantRules.count) rules not needed"
        ]
        if inexpressible > 0 {
            lines.append("  not replayed: \(inexpressible) requests that spell a `*` or a credential, which no rule allows alone")
        }
        lines += refused.map { "  refused: \(ProposalText.text($0))" }
        let widened = Set(widened.map { ProposalText.text($0.atom, in: $0.namespace) })
        lines += excess.map { namespace, atom in
            let text = ProposalText.text(atom, in: namespace)
            return "  beyond: \(text)\(widened.contains(text) ? ", which it does not hold today" : "")"
        }
        lines += redundantRules.map { "  not needed: \($0)" }
        lines += witnessLines
        return lines.map { String(ProposalText.comment($0).dropFirst(2)) }.joined()
    }

    /// One line for the entries of a rule that one request shows.
    private var witnessLines: [String] {
        var lines: [(rule: String, need: Need?, entries: [String])] = []
        for witness in witnesses {
            if let place = lines.lastIndex(where: { $0.rule == witness.rule && $0.need == witness.need }) {
                lines[place].entries.append(witness.entry)
            } else {
                lines.append((witness.rule, witness.need, [witness.entry]))
            }
        }
        return lines.map { "  \($0.rule): \($0.need.map(ProposalText.text) ?? "nothing") shows \($0.entries.joined(separator: ", "))" }
    }

    /// The same for programs.
    public func document(namespace: String, name: String, isPassed: Bool) -> JSONValue {
        .members([
            "serviceAccount": .members(["namespace": .string(namespace), "name": .string(name)]), "proven": .bool(isPassed),
            "needs": .integer(replayed), "allowed": .integer(replayed - refused.count),
            "refused": .strings(refused.map(ProposalText.text)),
            "beyond": .strings(excess.map { ProposalText.text($0.atom, in: $0.namespace) }),
            "notHeldToday": .strings(widened.map { ProposalText.text($0.atom, in: $0.namespace) }),
            "rulesNotNeeded": .strings(redundantRules),
            "witnesses": .array(
                witnesses.map {
                    .members([
                        "rule": .string($0.rule), "entry": .string($0.entry), "request": $0.need.map { .string(ProposalText.text($0)) },
                    ])
                }),
        ])
    }
}
