import WhittleModel
import WhittlePropose

/// PROPOSAL.md: what a reviewer has to know before a proposal is merged.
public struct ProposalMarkdown: Sendable {
    private let proposal: RoleProposal
    private let digest: String
    /// What is said beside the proposal itself: coverage of the evidence, what goes with it.
    private let notes: [String]
    /// Rights that go, one line each; `nil` = the current ones are not known.
    private let removed: [String]?

    /// Describes a proposal.
    public init(_ proposal: RoleProposal, digest: String, notes: [String], removed: [String]?) {
        self.proposal = proposal
        self.digest = digest
        self.notes = notes
        self.removed = removed
    }

    /// The text of the file.
    public var text: String {
        var lines = ["# Proposal for ServiceAccount \(proposal.namespace)/\(proposal.name)", ""]
        let fewest = proposal.isProvenMinimal ? ", and fewer are proven impossible" : ""
        lines += [
            "\(counted(proposal.needs.count, "need")), of which the API server's default bindings give \(proposal.alreadyGiven.count); "
                + "\(counted(proposal.ruleCount, "rule"))\(fewest). Inputs: sha256 `\(digest)`.", "",
        ]
        if !notes.isEmpty { lines += ["## What to know", ""] + notes.map { "- \(Self.plain($0))" } + [""] }
        lines += ["## Rules and why", "", "| scope | rule | because of |", "|---|---|---|"]
        for scope in proposal.scopes {
            for rule in scope.rules {
                let place = scope.namespace.isEmpty ? "all namespaces" : scope.namespace
                let reason = ProposalText.reason(for: rule, in: scope.namespace, of: proposal)
                lines.append("| \(Self.cell(place)) | \(Self.cell(Self.text(rule))) | \(Self.cell(reason)) |")
            }
        }
        lines += ["", "## Needs", "", "| request | evidence |", "|---|---|"]
        let given = Set(proposal.alreadyGiven)
        for item in proposal.needs {
            let mark = given.contains(item.need) ? " (given by default)" : ""
            lines.append("| \(Self.cell(ProposalText.text(item.need) + mark)) | \(Self.cell(ProposalText.text(item.evidence))) |")
        }
        lines += section("Beyond the needs", proposal.generalisations.map(ProposalText.text), "Nothing: it allows exactly the needs.")
        lines += section("May be needed too", proposal.warnings, "Nothing that the evidence hints at.")
        lines += section(
            "Refused and left out",
            proposal.attempts.map { $0.evidence.isRefused ? ProposalText.text($0) : "undecided: \(ProposalText.text($0))" },
            "No request was refused.",
            "Allow one with `--include-denied '\(proposal.attempts.first.map { Self.plain(ProposalText.text($0.need)) } ?? "")'`.")
        if let removed { lines += section("Rights that go", removed, "None that the account's own bindings give.") }
        lines += [
            "", "## Before merging", "", "- [ ] `whittle verify --proposal .` in this folder ends with 0",
            "- [ ] every line of \"Beyond the needs\" is wanted", "- [ ] \"May be needed too\" was looked at",
            "- [ ] the evidence covers upgrades, failovers, backups and deletions", "",
        ]
        return lines.joined(separator: "\n")
    }

    private func section(_ title: String, _ items: [String], _ empty: String, _ hint: String? = nil) -> [String] {
        ["", "## \(title)", ""] + (items.isEmpty ? [empty] : items.map { "- \(Self.plain($0))" } + (hint.map { ["", $0] } ?? []))
    }

    private static func text(_ rule: PolicyRule) -> String {
        let verbs = (rule.verbs ?? []).joined(separator: ", ")
        if let urls = rule.nonResourceURLs { return "\(verbs): \(urls.joined(separator: ", "))" }
        let groups = (rule.apiGroups ?? []).map { $0.isEmpty ? "core" : $0 }.joined(separator: ", ")
        let names = rule.resourceNames.map { " named \($0.joined(separator: ", "))" } ?? ""
        return "\(verbs): \((rule.resources ?? []).joined(separator: ", ")) of \(groups)\(names)"
    }

    /// One line that Markdown shows as it is.
    private static func plain(_ text: String) -> String {
        String(ProposalText.comment(text).dropFirst(2).dropLast()).replacing("<", with: "&lt;")
    }

    private static func cell(_ text: String) -> String { plain(text).replacing("|", with: "\\|") }
}
