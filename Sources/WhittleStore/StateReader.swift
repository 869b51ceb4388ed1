import GRDB
import WhittleModel

extension WhittleDatabase {
    /// The roles and bindings of the file as an authorizer in memory, for many questions at once.
    ///
    /// - Parameter onlyBootstrap: whether only bindings with the label `kubernetes.io/bootstrapping` are taken.
    public func authorizer(onlyBootstrap: Bool = false) throws(StoreError) -> Authorizer {
        try attempt { database in
            func rule(_ row: Row, from first: Int) throws -> PolicyRule {
                func list(_ offset: Int) throws -> [String]? {
                    try (row.at(first + offset) as String?).flatMap { strings(fromJSONArray: $0) }
                }
                return try PolicyRule(
                    verbs: list(0), apiGroups: list(1), resources: list(2), resourceNames: list(3), nonResourceURLs: list(4))
            }
            var rules: [Int64: [WrittenRule]] = [:]
            let cursor = try Row.fetchCursor(
                database,
                sql: """
                    SELECT w.role_id, w.verbs, w.api_groups, w.resources, w.resource_names, w.urls, f.path, w.line, w.column, w.aggregated_from
                    FROM rule AS w JOIN role AS r ON r.role_id = w.role_id AND w.origin = r.rules_from
                    LEFT JOIN source AS f ON f.source_id = w.source_id ORDER BY w.role_id, w.ordinal
                    """)
            while let row = try cursor.next() {
                try rules[row.at(0), default: []].append(
                    WrittenRule(rule(row, from: 1), location: Self.location(row, from: 6), aggregatedFrom: row.at(9)))
            }
            let roles = try Row.fetchAll(
                database,
                sql: """
                    SELECT r.role_id, r.namespace, r.name, r.assumed, f.path, r.line, r.column, r.uid, r.managed_by, r.labels FROM role AS r
                    LEFT JOIN source AS f ON f.source_id = r.source_id ORDER BY r.role_id
                    """
            ).map { row in
                try Role(
                    meta: Self.meta(
                        namespace: row.at(1), name: row.at(2), uid: row.at(7), labels: row.at(9), manager: row.at(8),
                        at: Self.location(row, from: 4)),
                    rules: rules[row.at(0)] ?? [], isAssumed: row.at(3))
            }
            var subjects: [Int64: [WrittenSubject]] = [:]
            for row in try Row.fetchAll(
                database, sql: "SELECT binding_id, kind, namespace, name FROM binding_subject ORDER BY binding_id, ordinal")
            {
                try subjects[row.at(0), default: []].append(WrittenSubject(Subject(kind: row.at(1), namespace: row.at(2), name: row.at(3))))
            }
            let bindings = try Row.fetchAll(
                database,
                sql: """
                    SELECT b.binding_id, b.namespace, b.name, b.role_ref_kind, b.role_ref_name, b.assumed, f.path, b.line, b.column,
                           b.uid, b.managed_by, b.labels
                    FROM binding AS b LEFT JOIN source AS f ON f.source_id = b.source_id
                    WHERE b.bootstrap OR NOT ? ORDER BY b.binding_id
                    """, arguments: [onlyBootstrap]
            ).map { row in
                try Binding(
                    meta: Self.meta(
                        namespace: row.at(1), name: row.at(2), uid: row.at(9), labels: row.at(11), manager: row.at(10),
                        at: Self.location(row, from: 6)),
                    roleRef: RoleRef(kind: row.at(3), name: row.at(4)), subjects: subjects[row.at(0)] ?? [], isAssumed: row.at(5))
            }
            return Authorizer(roles: roles, bindings: bindings)
        }
    }

    static func meta(
        namespace: String, name: String, uid: String?, labels: String = "{}", manager: String?, at location: SourceLocation?
    ) -> ObjectMeta {
        ObjectMeta(
            namespace: namespace, name: name, uid: uid, labels: Labels(json: labels), manager: manager.flatMap { ObjectManager(json: $0) },
            location: location)
    }

    static func location(_ row: Row, from first: Int) throws -> SourceLocation? {
        guard let file: String = try row.at(first), let line: Int = try row.at(first + 1), let column: Int = try row.at(first + 2) else {
            return nil
        }
        return SourceLocation(file: file, line: line, column: column)
    }

    /// The kind under which `completeness` counts documents that could not be read.
    static let unreadableKind = "unreadable"

    /// What the last load's input held.
    public func completeness() throws(StoreError) -> Completeness {
        try attempt { database in
            // Every question asks this.
            let statement = try database.cachedStatement(sql: "SELECT kind, namespace, objects FROM completeness")
            let entries = try Row.fetchAll(statement).map {
                try Completeness.Entry(kind: $0.at(0), namespace: $0.at(1), objects: $0.at(2))
            }
            return Completeness(
                entries: entries.filter { $0.kind != Self.unreadableKind },
                unreadable: entries.filter { $0.kind == Self.unreadableKind }.reduce(0) { $0 + $1.objects })
        }
    }

    /// Resources that CustomResourceDefinitions and discovery documents of the input serve.
    public func apiResources() throws(StoreError) -> [APIResource] {
        try attempt { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT api_group, version, resource, kind, singular, short_names, namespaced, verbs, origin FROM api_resource
                    WHERE origin <> 'built-in' ORDER BY api_group, resource, version
                    """
            ).map { row in
                try APIResource(
                    apiGroup: row.at(0), version: row.at(1), resource: row.at(2), kind: row.at(3), singular: row.at(4),
                    shortNames: strings(fromJSONArray: row.at(5)) ?? [], isNamespaced: row.at(6),
                    verbs: strings(fromJSONArray: row.at(7)) ?? [], origin: APIResource.Origin(rawValue: row.at(8)) ?? .discovery)
            }
        }
    }

    /// SHA-256 over all manifests and dumps of the last load, hex; `""` = nothing was loaded.
    public func inputSHA256() throws(StoreError) -> String {
        try attempt { try String.fetchOne($0, sql: "SELECT input_sha256 FROM load_run ORDER BY load_run_id DESC LIMIT 1") ?? "" }
    }

    /// Whether the file holds usage.
    public func hasUsage() throws(StoreError) -> Bool {
        try attempt { try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM usage) OR EXISTS (SELECT 1 FROM implied_need)") ?? false }
    }

    /// Service accounts of the input and those that something names, by namespace and name.
    public func serviceAccounts() throws(StoreError) -> [(namespace: String, name: String)] {
        try attempt { database in
            try Row.fetchAll(database, sql: "SELECT namespace, name FROM service_account ORDER BY namespace, name").map {
                try ($0.at(0), $0.at(1))
            }
        }
    }

    /// Service accounts that something was allowed to, by namespace and name.
    public func serviceAccountsWithUsage() throws(StoreError) -> [(namespace: String, name: String)] {
        try attempt { database in
            try String.fetchAll(
                database,
                sql: """
                    SELECT name FROM identity WHERE identity_id IN (
                      SELECT identity_id FROM usage WHERE decision = 'allow' UNION SELECT identity_id FROM implied_need WHERE decision = 'allow')
                    """
            ).compactMap { ServiceAccountName.split($0) }.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        }
    }

    /// Which of the objects that somebody asks about exist: `Pod`, `Node`, `ServiceAccount`, `User`, `Group` or a workload kind.
    public func exists(kind: String, namespace: String, name: String) throws(StoreError) -> Bool {
        let sql =
            switch kind {
            case "Pod": "SELECT EXISTS (SELECT 1 FROM pod WHERE namespace = ?1 AND name = ?2)"
            case "Node": "SELECT EXISTS (SELECT 1 FROM node WHERE ?1 = ?1 AND name = ?2)"
            case "ServiceAccount": "SELECT EXISTS (SELECT 1 FROM service_account WHERE namespace = ?1 AND name = ?2)"
            case "User", "Group": "SELECT EXISTS (SELECT 1 FROM identity WHERE ?1 = ?1 AND kind = ?3 AND name = ?2)"
            default: "SELECT EXISTS (SELECT 1 FROM workload WHERE namespace = ?1 AND kind = ?3 AND name = ?2)"
            }
        return try attempt { database in
            let needsKind = sql.contains("?3")
            return try Bool.fetchOne(
                database, sql: sql, arguments: StatementArguments(needsKind ? [namespace, name, kind] : [namespace, name])) ?? false
        }
    }

    /// Whether a service account is in the input, or the logs tell something of it, though it be only what another server asked about it.
    public func knowsServiceAccount(namespace: String, name: String) throws(StoreError) -> Bool {
        if try exists(kind: "ServiceAccount", namespace: namespace, name: name) { return true }
        let sql = """
            SELECT EXISTS (SELECT 1 FROM identity AS i WHERE i.kind = 'User' AND i.name = ?
              AND (EXISTS (SELECT 1 FROM usage AS u WHERE u.identity_id = i.identity_id)
                OR EXISTS (SELECT 1 FROM implied_need AS n WHERE n.identity_id = i.identity_id)))
            """
        let user = ServiceAccountName.username(namespace: namespace, name: name)
        return try attempt { try Bool.fetchOne($0, sql: sql, arguments: [user]) ?? false }
    }

    /// What the last load had to say about its input, notes left out.
    public func diagnostics() throws(StoreError) -> [Diagnostic] {
        try attempt { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT severity, id, message, file, line, column, notes, help FROM diagnostic WHERE severity <> 'note'
                    ORDER BY diagnostic_id
                    """
            ).map { row in
                let file: String? = try row.at("file")
                let notes: String = try row.at("notes")
                return try Diagnostic(
                    Diagnostic.Severity(rawValue: row.at("severity")) ?? .error, id: row.at("id"), row.at("message"),
                    at: file.map { try SourceLocation(file: $0, line: row.at("line") ?? 1, column: row.at("column") ?? 1) },
                    notes: strings(fromJSONArray: notes) ?? [], help: row.at("help"))
            }
        }
    }

    /// Pods, objects and diagnostics of the last load, for a closing line.
    public func counts() throws(StoreError) -> [(table: String, rows: Int)] {
        try attempt { database in
            try ["role", "binding", "service_account", "pod", "workload", "namespace", "node"].map { table in
                (table, try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table)") ?? 0)
            }
        }
    }
}
