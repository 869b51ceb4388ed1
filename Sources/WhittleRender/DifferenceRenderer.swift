import WhittleAnalysis
import WhittleModel

extension GrantDifference {
    /// One row per change.
    public var table: Table {
        Table(
            columns: ["change", "subject", "scope", "what"],
            rows: entries.map { entry in
                [
                    entry.change.rawValue, entry.subject, entry.scopeNamespace ?? "all namespaces",
                    entry.atom?.text ?? "rules, with the same meaning",
                ]
            })
    }

    /// The changes as a document, see docs/json-output.md.
    public var document: JSONValue {
        .members([
            "different": .bool(isDifferent),
            "changes": .array(
                entries.map { entry in
                    .members([
                        "change": .string(entry.change.rawValue), "subject": .string(entry.subject),
                        "scope": entry.scopeNamespace.map(JSONValue.string) ?? .null, "verb": entry.atom.map { .string($0.verb) },
                        "apiGroup": entry.atom?.apiGroup.map(JSONValue.string), "resource": entry.atom?.resource.map(JSONValue.string),
                        "resourceName": entry.atom?.resourceName.map(JSONValue.string),
                        "nonResourceURL": entry.atom?.nonResourceURL.map(JSONValue.string),
                    ])
                }),
        ])
    }
}

extension GrantDifference.Entry {
    /// `ServiceAccount shop/cart`, `User erin`, `Group dev`.
    fileprivate var subject: String {
        if identity.kind == .user, let account = ServiceAccountName.split(identity.name) {
            return "ServiceAccount \(account.namespace)/\(account.name)"
        }
        return "\(identity.kind.rawValue) \(identity.name)"
    }
}
