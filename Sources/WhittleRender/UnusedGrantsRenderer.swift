import WhittleAnalysis
import WhittleModel

/// Unused grants of service accounts, with grades and reasons.
public struct UnusedGrantsRenderer: Sendable {
    private let accounts: [UnusedGrants]

    /// - Parameter accounts: in output order.
    public init(_ accounts: [UnusedGrants]) { self.accounts = accounts }

    /// One row per rule, target, scope, grade and reason, its verbs together.
    public var table: Table {
        var rows: [[String]] = []
        var places: [[ByteString]: Int] = [:]
        for account in accounts {
            for item in account.items {
                let grant = item.grant.grant
                let row = [
                    "\(account.namespace)/\(account.name)", item.grade.rawValue, "",
                    targetText(resource: item.grant.resource, apiGroup: item.grant.apiGroup, url: item.grant.url), grant.scopeText,
                    grant.bindingText, grant.roleText, String(grant.rule), item.reasons.joined(separator: "; "), grant.noteText,
                    grant.sourceText,
                ]
                let key = row.map(ByteString.init)
                if let place = places[key] {
                    rows[place][2] += ",\(item.grant.verb)"
                } else {
                    places[key] = rows.count
                    rows.append(row)
                    rows[rows.count - 1][2] = item.grant.verb
                }
            }
        }
        return Table(
            columns: ["account", "grade", "verbs", "resource", "scope", "binding", "role", "rule", "why", "note", "source"], rows: rows,
            wideColumns: ["note"])
    }

    /// The grants as a document, see docs/json-output.md.
    public var document: JSONValue {
        .array(
            accounts.map { account in
                .members([
                    "namespace": .string(account.namespace), "name": .string(account.name), "granted": .integer(account.granted),
                    "unused": .array(
                        account.items.map { item in
                            .members([
                                "grade": .string(item.grade.rawValue), "reasons": .strings(item.reasons),
                                "verb": .string(item.grant.verb), "apiGroup": item.grant.apiGroup.map(JSONValue.string),
                                "resource": item.grant.resource.map(JSONValue.string),
                                "nonResourceURL": item.grant.url.map(JSONValue.string),
                                "createdAt": item.grant.createdAt.map { .string(TimeText.rfc3339($0)) } ?? .null,
                                "grant": item.grant.grant.document,
                            ])
                        }),
                ])
            })
    }
}
