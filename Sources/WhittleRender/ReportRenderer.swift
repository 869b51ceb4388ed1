import WhittleAnalysis
import WhittleModel
import WhittlePropose

/// One service account's report for people and programs.
public struct ReportRenderer: Sendable {
    private let report: PrivilegeReport
    private let proposal: RoleProposal?
    private let coverage: CoverageRenderer?

    /// - Parameters:
    ///   - proposal: what would be enough; `nil` = nothing was seen of it.
    ///   - coverage: what the logs could show of it; `nil` = is not told.
    public init(_ report: PrivilegeReport, proposal: RoleProposal?, coverage: Coverage? = nil) {
        self.report = report
        self.proposal = proposal
        self.coverage = coverage.map { CoverageRenderer($0) }
    }

    private struct Section {
        var title: String
        var lines: [String]
        var empty: String
    }

    private var sections: [Section] {
        let uses = { (isRefused: Bool) in
            report.uses.filter { $0.isRefused == isRefused }.map { use in
                "\(use.request): \(use.count == 1 ? "once" : "\(use.count) times"), \(TimeText.rfc3339(Int64(use.firstSeen))) to \(TimeText.rfc3339(Int64(use.lastSeen)))"
            }
        }
        let why = coverage?.hasEvents ?? false ? "nothing of it was seen in the logs" : "no usage; see `whittle usage load`"
        return [
            Section(title: "Runs as it", lines: report.runners.map(Self.text), empty: "nothing in the input"),
            Section(
                title: "Shared by workloads", lines: report.workloads.count > 1 ? report.workloads : [], empty: "not shared"),
            Section(title: "Bindings", lines: report.bindings.map(Self.text), empty: "none"),
            Section(
                title: "Wildcards", lines: report.bindings.flatMap { line in line.wildcards.map { "\(line.role) \($0)" } }, empty: "none"),
            Section(
                title: "Not in the catalogue",
                lines: report.bindings.flatMap { line in line.unknownResources.map { "\(line.role) \($0)" } }.uniqued(), empty: "nothing"),
            Section(title: "Never matches", lines: report.deadRules.map { "\($0.rule): \($0.reason)" }, empty: "nothing"),
            Section(title: "Used", lines: uses(false), empty: "no usage was seen"),
            Section(title: "Refused", lines: uses(true), empty: "nothing was seen"),
            Section(
                title: "Granted to it and not used", lines: report.unused ?? [],
                empty: report.unused == nil ? "not known: \(why)" : "nothing"),
            Section(title: "Evidence", lines: coverage?.report ?? [], empty: "no audit log was read; see `whittle usage load`"),
            Section(title: "Enough", lines: proposal.map(Self.text) ?? [], empty: "not known: \(why)"),
        ]
    }

    private static func text(_ runner: WhoCan.Runner) -> String {
        let pod = runner.pod.map { "Pod \($0)" + (runner.workload.map { " of \($0)" } ?? "") } ?? "\(runner.workload ?? "") without pods"
        return "\(pod)\(runner.node.map { " on \($0)" } ?? ""), token by \(runner.exposure)"
    }

    private static func text(_ line: PrivilegeReport.BindingLine) -> String {
        let marks = [line.isDangling ? "the role does not exist" : nil, line.isAssumed ? "assumed" : nil].compactMap { $0 }
        return "\(line.binding) of \(line.role) to \(line.subject), \(line.scopeNamespace.map { "in \($0)" } ?? "in all namespaces")"
            + (marks.isEmpty ? "" : " (\(marks.joined(separator: ", ")))")
    }

    private static func text(_ proposal: RoleProposal) -> [String] {
        let rules = proposal.roles.map { role in
            "\(role.kind)\(role.meta.namespace.isEmpty ? "" : " in \(role.meta.namespace)"): \(counted(role.rules.count, "rule")), \(counted(role.rules.flatMap(\.rule.atoms).count, "atom"))"
        }
        return rules + ["\(proposal.alreadyGiven.count) of \(proposal.needs.count) needs are given by default bindings"]
    }

    /// Sections of lines.
    public var text: String {
        // Any client chooses what it asks for: that must not look like a section of its own.
        "ServiceAccount \(report.namespace)/\(report.name)".printable() + "\n"
            + sections.map { section in
                let lines = section.lines.map { "  \($0.printable())\n" }
                return "\n\(section.title)\n" + (lines.isEmpty ? "  \(section.empty)\n" : lines.joined())
            }.joined()
    }

    /// The same as Markdown.
    public var markdown: String {
        "# ServiceAccount \(report.namespace)/\(report.name)".markdown + "\n"
            + sections.map { section in
                let lines = section.lines.map { "- \($0.markdown)\n" }
                return "\n## \(section.title)\n\n" + (lines.isEmpty ? "\(section.empty)\n" : lines.joined())
            }.joined()
    }

    /// One row per line of a section.
    public var table: Table {
        Table(
            columns: ["account", "section", "fact"],
            rows: sections.flatMap { section in section.lines.map { ["\(report.namespace)/\(report.name)", section.title, $0] } })
    }

    /// The report as a document, see docs/json-output.md.
    public var document: JSONValue {
        .members([
            "namespace": .string(report.namespace), "name": .string(report.name),
            "complete": .bool(report.missingKinds.isEmpty), "missingKinds": .strings(report.missingKinds),
            "runners": .array(
                report.runners.map {
                    .members([
                        "pod": $0.pod.map(JSONValue.string) ?? .null, "workload": $0.workload.map(JSONValue.string) ?? .null,
                        "node": $0.node.map(JSONValue.string) ?? .null, "exposure": .string($0.exposure),
                    ])
                }),
            "workloads": .strings(report.workloads),
            "bindings": .array(
                report.bindings.map {
                    .members([
                        "subject": $0.subject.document, "scope": $0.scopeNamespace.map(JSONValue.string) ?? .null,
                        "binding": .string($0.binding), "role": .string($0.role), "dangling": .bool($0.isDangling),
                        "assumed": .bool($0.isAssumed), "wildcards": .strings($0.wildcards),
                        "unknownResources": .strings($0.unknownResources),
                    ])
                }),
            "neverMatches": .array(report.deadRules.map { .members(["rule": .string($0.rule), "reason": .string($0.reason)]) }),
            "uses": .array(
                report.uses.map {
                    .members([
                        "request": .string($0.request), "refused": .bool($0.isRefused), "count": .integer($0.count),
                        "firstSeen": .string(TimeText.rfc3339(Int64($0.firstSeen))),
                        "lastSeen": .string(TimeText.rfc3339(Int64($0.lastSeen))),
                    ])
                }),
            "unused": report.unused.map(JSONValue.strings) ?? .null,
            "coverage": coverage?.document,
            "proposal": proposal.map { ManifestRenderer.list([$0]) } ?? .null,
        ])
    }
}
