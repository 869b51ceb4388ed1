import WhittleAnalysis
import WhittleModel

/// Comparisons of declared, granted and observed for people and programs.
public struct ComparisonRenderer {
    /// The comparisons, one per account.
    public var comparisons: [UsageComparison]

    /// Creates a renderer.
    public init(_ comparisons: [UsageComparison]) { self.comparisons = comparisons }

    /// Whether anything was declared, so that its columns mean something.
    private var isDeclared: Bool { comparisons.contains { $0.rows.contains { $0.declared != nil } } }

    /// How many requests a cell names.
    private static let fewRequests = 3

    /// One row per atom and account.
    public var table: Table {
        Table(
            columns: [
                "serviceAccount", "scope", "verb", "resource", "name", "declared", "grantedBy", "observed", "refused", "lastSeen",
                "verdict", "usedFor", "declaredAt", "grantedAt",
            ],
            rows: comparisons.flatMap { comparison in
                comparison.rows.map { row(comparison, $0) }
            },
            wideColumns: Set(
                (comparisons.count > 1 ? [] : ["serviceAccount"]) + (isDeclared ? [] : ["declared", "declaredAt"]) + ["lastSeen"]))
    }

    private func row(_ comparison: UsageComparison, _ row: UsageComparison.Row) -> [String] {
        let more = row.grants.count - 1
        return [
            "\(comparison.account.namespace)/\(comparison.account.name)", row.scopeNamespace ?? "all namespaces", row.atom.verb,
            targetText(resource: row.atom.resource, apiGroup: row.atom.apiGroup, url: row.atom.nonResourceURL),
            row.atom.resourceName.map { $0.isEmpty ? "\"\"" : $0 } ?? "", row.declared?.rawValue ?? "",
            row.grants.first.map { Self.text($0) + (more > 0 ? " (and \(more) more)" : "") } ?? "",
            row.allowedCount > 0 || row.refusedCount > 0 || row.observations.isEmpty ? String(row.allowedCount) : "open",
            String(row.refusedCount), row.lastSeen.map(TimeText.rfc3339) ?? "", row.verdict.rawValue, Self.uses(row),
            row.needs.compactMap { $0.location?.description }.uniqued().joined(separator: " "),
            row.grants.map(\.sourceText).filter { !$0.isEmpty }.uniqued().joined(separator: " "),
        ]
    }

    /// `Role shop/cart rule 0 by RoleBinding shop/cart`, with the group that it comes through.
    private static func text(_ grant: Grant) -> String {
        let group = grant.subject.kind == "Group" ? " to Group \(grant.subject.name)" : ""
        return "\(grant.roleText) rule \(grant.rule) by \(grant.bindingText)\(group)"
    }

    /// The requests behind a row that does not spell them itself: a pattern, or a grant in every namespace.
    private static func uses(_ row: UsageComparison.Row) -> String {
        let texts = row.observations.map { observation -> String in
            let request = observation.request
            let target = targetText(resource: request.combinedResource, apiGroup: request.apiGroup, url: request.path)
            return "\(request.verb) \(target)" + (request.namespace.isEmpty ? "" : " in \(request.namespace)")
        }.uniqued()
        let own =
            row.atom.verb + " " + targetText(resource: row.atom.resource, apiGroup: row.atom.apiGroup, url: row.atom.nonResourceURL)
            + (row.scopeNamespace.map { " in \($0)" } ?? "")
        guard texts != [own] else { return "" }
        let more = texts.count - fewRequests
        return texts.prefix(fewRequests).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }

    /// The comparisons as a document, see docs/declared-usage.md.
    public var document: JSONValue {
        .members([
            "agree": .bool(comparisons.allSatisfy(\.agrees)),
            "serviceAccounts": .array(comparisons.map(document)),
        ])
    }

    private func document(_ comparison: UsageComparison) -> JSONValue {
        .members([
            "namespace": .string(comparison.account.namespace), "name": .string(comparison.account.name),
            "agree": .bool(comparison.agrees), "hasUsage": .bool(comparison.hasUsage),
            "complete": .bool(comparison.missingKinds.isEmpty), "missingKinds": .strings(comparison.missingKinds),
            "rows": .array(comparison.rows.map(document)),
        ])
    }

    private func document(_ row: UsageComparison.Row) -> JSONValue {
        .members([
            "scope": row.scopeNamespace.map(JSONValue.string) ?? .null, "verb": .string(row.atom.verb),
            "apiGroup": row.atom.apiGroup.map(JSONValue.string), "resource": row.atom.resource.map(JSONValue.string),
            "resourceName": row.atom.resourceName.map(JSONValue.string),
            "nonResourceURL": row.atom.nonResourceURL.map(JSONValue.string),
            "declared": row.declared.map { .string($0.rawValue) } ?? .null,
            "needs": .array(row.needs.map(DeclaredRenderer.document)),
            "grants": .array(row.grants.map { .members(["subject": $0.subject.document, "grant": $0.document]) }),
            "observed": .integer(row.allowedCount), "refused": .integer(row.refusedCount),
            "lastSeen": row.lastSeen.map { .string(TimeText.rfc3339($0)) } ?? .null, "verdict": .string(row.verdict.rawValue),
            "requests": .array(row.observations.map(document)),
        ])
    }

    private func document(_ observation: UsageComparison.Observation) -> JSONValue {
        let request = observation.request
        let isURL = request.path != nil
        return .members([
            "verb": .string(request.verb), "apiGroup": isURL ? nil : .string(request.apiGroup),
            "resource": isURL ? nil : .string(request.combinedResource), "namespace": isURL ? nil : .string(request.namespace),
            "name": isURL ? nil : .string(request.name), "path": request.path.map(JSONValue.string),
            "observed": .integer(observation.allowedCount), "refused": .integer(observation.refusedCount),
            "lastSeen": observation.lastSeen.map { .string(TimeText.rfc3339($0)) } ?? .null,
        ])
    }
}
