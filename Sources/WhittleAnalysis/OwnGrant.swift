import WhittleModel
import WhittleStore

/// One atom of a binding that names a service account itself, and since when it can have been used.
public struct OwnGrant: Hashable, Sendable {
    /// The verb as the rule writes it.
    public var verb: String
    /// `""` core; `nil` for a URL.
    public var apiGroup: String?
    /// With subresource; `nil` for a URL.
    public var resource: String?
    /// URL pattern; `nil` for a resource.
    public var url: String?
    /// Scope, binding, role, rule.
    public var grant: Grant
    /// When the youngest of binding, role and account was made, in microseconds; `nil` = the input does not tell of the binding or the role.
    public var createdAt: Int64?

    /// `delete pods in shop`, `get deployments.apps/scale`, `get /metrics`.
    public var text: String {
        let scope = url == nil ? grant.scopeNamespace.map { " in \($0)" } ?? "" : ""
        return "\(verb) \(targetText(resource: resource, apiGroup: apiGroup, url: url))\(scope)"
    }

    package init(_ row: QueryResult.Row, account: SubjectName) {
        verb = row["verb"].string ?? ""
        apiGroup = row["api_group"].string
        resource = row["resource"].string
        url = row["url"].string
        grant = Grant(row)
        grant.subject = account
        let (binding, role) = (row["binding_created_at"].integer, row["role_created_at"].integer)
        // A role of the built-in defaults is as old as the cluster.
        if let binding, role != nil || grant.isAssumed {
            createdAt = [binding, role, row["account_created_at"].integer].compactMap { $0.map(Int64.init) }.max()
        }
    }

    /// The grants of an account, by scope, binding, rule and atom.
    static func all(namespace: String, name: String, in database: WhittleDatabase) throws -> [OwnGrant] {
        let user = ServiceAccountName.username(namespace: namespace, name: name)
        let account = SubjectName(kind: "ServiceAccount", namespace: namespace, name: name)
        return try database.run("own-grants", ["user": .text(user)]).named.map { OwnGrant($0, account: account) }
    }

    /// What tells it from other grants of the account, as far as `unused-permissions` does.
    static func key(_ row: QueryResult.Row) -> [SQLValue] {
        ["scope_namespace", "binding_kind", "binding", "rule", "verb", "api_group", "resource", "url"].map { row[$0] }
    }

    /// The same of this grant.
    var key: [SQLValue] {
        [
            .optional(grant.scopeNamespace), .text(grant.bindingKind), .text(grant.binding), .integer(Int64(grant.rule)), .text(verb),
            .optional(apiGroup), .optional(resource), .optional(url),
        ]
    }
}
