import Foundation
import WhittleModel

extension WhittleDatabase {
    /// What the policies and webhooks of the last load ask the authorizer about, in reading order.
    public func policyChecks() throws(StoreError) -> [PolicyCheck] {
        try run("policy-checks").named.map { row in
            var check = PolicyCheck(
                policyKind: row["policy_kind"].string ?? "", policyName: row["policy_name"].string ?? "",
                rules: PolicyCheck.rules(row["rules"].string), excludedRules: PolicyCheck.rules(row["excluded_rules"].string),
                target: row["target"].string.flatMap { PolicyCheck.Target(rawValue: $0) } ?? .computed)
            if let file = row["file"].string, let line = row["line"].integer, let column = row["column"].integer {
                check.location = SourceLocation(file: file, line: line, column: column)
            }
            if row["about"].string == "account" {
                check.subject = .serviceAccount(namespace: row["account_namespace"].string, name: row["account_name"].string)
            }
            (check.verb, check.apiGroup, check.resource) = (row["verb"].string, row["api_group"].string, row["resource"].string)
            (check.subresource, check.namespace) = (row["subresource"].string, row["namespace"].string)
            (check.name, check.path, check.parameterKind) = (row["name"].string, row["path"].string, row["parameter_kind"].string)
            check.expression = row["expression"].string ?? ""
            return check
        }
    }
}

extension PolicyCheck {
    /// Rules as the database keeps them.
    static func json(_ rules: [MatchRule]) throws -> String {
        guard !rules.isEmpty else { return "[]" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(rules), as: UTF8.self)
    }

    /// Reads what `json` gave; nothing for any other text.
    static func rules(_ json: String?) -> [MatchRule] {
        (try? JSONDecoder().decode([MatchRule].self, from: Data((json ?? "").utf8))) ?? []
    }
}
