import GRDB
import WhittleModel

extension WhittleDatabase {
    /// A Role (or ClusterRole, namespace `""`) with its stored rules and the places of both; `nil` when there is none.
    ///
    /// Labels are left out; an aggregationRule is told by `aggregationSelectors` being there, empty.
    public func role(namespace: String, name: String) throws(StoreError) -> Role? {
        try attempt { database in
            guard
                let row = try Row.fetchOne(
                    database,
                    sql: """
                        SELECT r.namespace, r.name, r.uid, r.managed_by, f.path, r.line, r.column, r.assumed, r.aggregated, r.role_id
                        FROM role AS r LEFT JOIN source AS f ON f.source_id = r.source_id WHERE r.namespace = ? AND r.name = ?
                        """, arguments: [namespace, name])
            else { return nil }
            let rules = try Row.fetchAll(
                database,
                sql: """
                    SELECT w.verbs, w.api_groups, w.resources, w.resource_names, w.urls, f.path, w.line, w.column FROM rule AS w
                    LEFT JOIN source AS f ON f.source_id = w.source_id WHERE w.role_id = ? AND w.origin = 'stored' ORDER BY w.ordinal
                    """, arguments: [try row.at(9) as Int64]
            ).map { row in
                func list(_ index: Int) throws -> [String]? { try (row.at(index) as String?).flatMap { strings(fromJSONArray: $0) } }
                return try WrittenRule(
                    PolicyRule(verbs: list(0), apiGroups: list(1), resources: list(2), resourceNames: list(3), nonResourceURLs: list(4)),
                    location: Self.location(row, from: 5))
            }
            return try Role(
                meta: Self.meta(
                    namespace: row.at(0), name: row.at(1), uid: row.at(2), manager: row.at(3), at: Self.location(row, from: 4)),
                rules: rules, aggregationSelectors: row.at(8) ? [] : nil, isAssumed: row.at(7))
        }
    }

    /// A RoleBinding (or ClusterRoleBinding, namespace `""`) with the places of it and of its subjects; `nil` when there is
    /// none.
    public func binding(namespace: String, name: String) throws(StoreError) -> Binding? {
        try attempt { database in
            guard
                let row = try Row.fetchOne(
                    database,
                    sql: """
                        SELECT b.namespace, b.name, b.uid, b.managed_by, f.path, b.line, b.column, b.assumed, b.role_ref_kind,
                               b.role_ref_name, b.binding_id
                        FROM binding AS b LEFT JOIN source AS f ON f.source_id = b.source_id WHERE b.namespace = ? AND b.name = ?
                        """, arguments: [namespace, name])
            else { return nil }
            let subjects = try Row.fetchAll(
                database,
                sql: """
                    SELECT s.kind, s.namespace, s.name, f.path, s.line, s.column FROM binding_subject AS s
                    LEFT JOIN source AS f ON f.source_id = s.source_id WHERE s.binding_id = ? ORDER BY s.ordinal
                    """, arguments: [try row.at(10) as Int64]
            ).map { row in
                try WrittenSubject(Subject(kind: row.at(0), namespace: row.at(1), name: row.at(2)), location: Self.location(row, from: 3))
            }
            return try Binding(
                meta: Self.meta(
                    namespace: row.at(0), name: row.at(1), uid: row.at(2), manager: row.at(3), at: Self.location(row, from: 4)),
                roleRef: RoleRef(kind: row.at(8), name: row.at(9)), subjects: subjects, isAssumed: row.at(7))
        }
    }

    /// The input that was read from `path` in the last load; `nil` when there was none.
    public func source(path: String) throws(StoreError) -> InputSource? {
        try attempt { database in
            try Row.fetchOne(database, sql: "SELECT path, sha256, byte_count FROM source WHERE path = ?", arguments: [path])
                .map { try InputSource(path: $0.at(0), sha256: $0.at(1), byteCount: $0.at(2)) }
        }
    }
}
