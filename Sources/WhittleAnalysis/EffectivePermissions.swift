import WhittleModel
import WhittleStore

/// Everything that a pod, workload, service account, user, group or node may do.
public struct EffectivePermissions: Sendable {
    /// Whose permissions are asked for.
    public enum Target: Hashable, Sendable {
        /// `Pod` or a workload kind, by the API tokens its pods hold.
        case runner(kind: String, namespace: String, name: String)
        /// The union over the pods of a node.
        case node(String)
        /// A service account.
        case serviceAccount(namespace: String, name: String)
        /// A user with the groups that authentication adds, and more.
        case user(String, groups: [String])
        /// A group alone.
        case group(String)
        /// The union over several.
        indirect case all([Target])
    }

    /// One atom with scope and path.
    public struct Permission: Hashable, Sendable {
        /// Who holds it: a user name; `nil` for a group.
        public var actsAs: String?
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
    }

    /// The identities whose rights these are.
    public var identities: [String]
    /// Sorted by identity, scope, group, resource, URL, verb.
    public var permissions: [Permission]
    /// Kinds the input did not hold although the list would need them to be complete.
    public var missingKinds: [String]

    /// Asks a database.
    ///
    /// - Throws: `AnalysisError.unknown` when the input has no such pod, workload or node.
    public init(of target: Target, in database: WhittleDatabase) throws {
        missingKinds = try database.completeness().missingKinds(forNamespace: nil)
        permissions = []
        identities = []
        var seen: Set<UserInfo> = []
        for user in try Self.users(of: target, in: database) where seen.insert(user).inserted {
            if !user.name.isEmpty { identities.append(user.name) }
            let result = try database.run("subject-permissions", ["user": .text(user.name), "groups": .list(user.groups)])
            permissions += result.named.map { row in
                Permission(
                    actsAs: user.name.isEmpty ? nil : user.name, verb: row["verb"].string ?? "", apiGroup: row["api_group"].string,
                    resource: row["resource"].string, url: row["url"].string, grant: Grant(row))
            }
        }
    }

    private static func users(of target: Target, in database: WhittleDatabase) throws -> [UserInfo] {
        switch target {
        case .runner(let kind, let namespace, let name): try acting(kind: kind, namespace: namespace, name: name, in: database)
        case .node(let name): try acting(kind: "Node", namespace: "", name: name, in: database)
        case .serviceAccount(let namespace, let name): [ServiceAccountName.user(namespace: namespace, name: name)]
        case .user(let name, let groups): [UserInfo(name: name, groups: ImplicitGroup.groups(ofUser: name, explicit: groups))]
        case .group(let name): [UserInfo(name: "", groups: [name])]
        case .all(let targets): try targets.flatMap { try users(of: $0, in: database) }
        }
    }

    private static func acting(
        kind: String, namespace: String, name: String, in database: WhittleDatabase
    ) throws -> [UserInfo] {
        let result = try database.run(
            "acting-identities", ["kind": .text(kind), "namespace": .text(namespace), "name": .text(name)])
        guard !result.rows.isEmpty else { throw AnalysisError.unknown(kind: kind, namespace: namespace, name: name) }
        return result.named.compactMap { $0["user"].string }.map { UserInfo(name: $0, groups: ImplicitGroup.groups(ofUser: $0)) }
    }

    /// One line of the matrix: a resource in a scope with the verbs that are allowed on it.
    public struct MatrixRow: Hashable, Sendable {
        /// `nil` = in every namespace.
        public var scopeNamespace: String?
        /// `pods`, `deployments.apps`, or a URL.
        public var resource: String
        /// Names the verbs are limited to; `nil` = any request.
        public var names: [String]?
        /// Verbs as written.
        public var verbs: Set<String>
    }

    /// The permissions as resources × verbs; unrestricted and name-restricted ones on separate lines.
    public var matrix: [MatrixRow] {
        var rows: [[String]: MatrixRow] = [:]
        for permission in permissions {
            let name = targetText(resource: permission.resource, apiGroup: permission.apiGroup, url: permission.url)
            let names = permission.grant.names
            let key = [permission.url == nil ? "0" : "1", permission.grant.scopeNamespace ?? "", name] + (names ?? [])
            rows[key, default: MatrixRow(scopeNamespace: permission.grant.scopeNamespace, resource: name, names: names, verbs: [])]
                .verbs.insert(permission.verb)
        }
        return rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
    }
}
