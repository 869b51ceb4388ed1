import WhittleAnalysis
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

/// How well a proposal that is made of the first part of the window would have served the rest (docs/proposing.md).
struct StabilityReport {
    private let part: Double
    private let command: ProposeCommand

    init(part: Double, _ command: ProposeCommand) {
        self.part = part
        self.command = command
    }

    /// One account's figures.
    private struct Line {
        var account: ProposalInput.Account
        /// Needs of the first part, and of the rest.
        var mined = 0
        var heldOut = 0
        /// Of the needs of the rest: those that the proposal allows.
        var foretold = 0
        /// Requests of the needs and steps that the proposal allows, and those of them that the rest used.
        var granted = 0
        var used = 0
        var missing: [String] = []

        /// Shares between 0 and 1; `nil` = there is nothing to divide by.
        var recall: Double? { heldOut == 0 ? nil : Double(foretold) / Double(heldOut) }
        var precision: Double? { granted == 0 ? nil : Double(used) / Double(granted) }
    }

    func write(_ accounts: [ProposalInput.Account], _ shared: ProposalInput.Shared, in database: WhittleDatabase) throws {
        let window = try database.run("usage-window").named.first
        guard let first = window?["first_seen"].integer, let last = window?["last_seen"].integer, last > first else {
            throw CommandFailure("the usage has no extent in time that could be divided")
        }
        let cut = Int64(first) + Int64(Double(last - first) * part)
        let lines = try accounts.map { try line($0, shared, cut: cut, in: database) }
        let console = Console.current
        let window0 =
            "\(TimeText.rfc3339(Int64(first))) to \(TimeText.rfc3339(cut)), tested on the rest to \(TimeText.rfc3339(Int64(last)))"
        switch command.output {
        case .json:
            console.output(
                JSONValue.members([
                    "minedFrom": .string(TimeText.rfc3339(Int64(first))), "minedTo": .string(TimeText.rfc3339(cut)),
                    "testedTo": .string(TimeText.rfc3339(Int64(last))), "accounts": .array(lines.map(Self.document)),
                ]).indented)
        case .yaml:
            console.error("whittle: mined from \(window0)\n")
            let table = Table(
                columns: ["account", "mined", "held out", "recall", "precision", "missing"],
                rows: lines.map { line in
                    [
                        "\(line.account.namespace)/\(line.account.name)", "\(line.mined)", "\(line.heldOut)", Self.text(line.recall),
                        Self.text(line.precision),
                        line.missing.prefix(3).joined(separator: "; ")
                            + (line.missing.count > 3 ? "; and \(line.missing.count - 3) more" : ""),
                    ]
                })
            console.output(Output.render(table, .null, as: .table, hasHeader: true, isColoured: console.isColoured))
        }
    }

    private func line(
        _ account: ProposalInput.Account, _ shared: ProposalInput.Shared, cut: Int64, in database: WhittleDatabase
    ) throws -> Line {
        let usage = try AccountEvidence(namespace: account.namespace, name: account.name, in: database)
        var early = usage
        early.facts = usage.facts.filter { $0.firstSeen < cut }
        let basis = shared.basis(early, command.generalisations, declared: [])
        let proposal = account.proposal(basis)
        let user = ServiceAccountName.user(namespace: account.namespace, name: account.name)
        let allowing = [Authorizer(roles: proposal.roles, bindings: proposal.bindings), shared.staying]
        let heldOut = ProposalInput.needs(usage.facts.filter { $0.decision == .allow && $0.lastSeen >= cut })
            .filter(\.need.isExpressible)
        let missing = heldOut.filter { item in !allowing.contains { item.need.isGiven(to: user, by: $0) } }
        let later = Set(heldOut.map(\.need))
        var line = Line(account: account)
        (line.mined, line.heldOut) = (proposal.needs.count, heldOut.count)
        line.foretold = heldOut.count - missing.count
        line.used = proposal.needs.filter { later.contains($0.need) }.count
        line.granted = proposal.needs.count + proposal.generalisations.reduce(0) { $0 + $1.size }
        // What a step foresaw was granted, and is used.
        line.used += line.foretold - heldOut.filter { item in proposal.needs.contains { $0.need == item.need } }.count
        line.granted = max(line.granted, line.used)
        line.missing = missing.map { ProposalText.text($0.need) }
        return line
    }

    private static func thousandths(_ share: Double?) -> Int? { share.map { Int(($0 * 1000).rounded()) } }

    private static func text(_ share: Double?) -> String { thousandths(share).map(JSONValue.decimal) ?? "-" }

    private static func document(_ line: Line) -> JSONValue {
        .members([
            "namespace": .string(line.account.namespace), "name": .string(line.account.name), "minedNeeds": .integer(line.mined),
            "heldOutNeeds": .integer(line.heldOut), "foretold": .integer(line.foretold),
            "recall": thousandths(line.recall).map(JSONValue.thousandths),
            "precision": thousandths(line.precision).map(JSONValue.thousandths), "missing": .strings(line.missing),
        ])
    }
}
