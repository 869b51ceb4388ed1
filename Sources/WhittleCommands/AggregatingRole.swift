import Foundation
import WhittleModel
import WhittleQueries
import WhittleStore

/// A ClusterRole of the input that takes the rules of those that its aggregationRule selects.
struct AggregatingRole {
    private var name: String
    /// Where it is written, as `file:line:column`; `nil` for built-in ones.
    private var place: String?
    /// A `nil` element is a null selector, which selects nothing.
    private var selectors: [LabelSelector?]

    /// As a finding names it.
    var text: String { "ClusterRole \(name)\(place.map { " of \($0)" } ?? "")" }

    /// Whether the API server's controller would copy the rules of `role` into this one.
    func takes(_ role: Role) -> Bool {
        // One invalid selector stops the whole aggregation.
        guard role.meta.namespace.isEmpty, !role.meta.name.isSameBytes(as: name), selectors.allSatisfy({ $0?.isValid ?? true }) else {
            return false
        }
        return selectors.contains { $0?.matches(role.meta.labels) ?? false }
    }

    private static let query = Query(
        name: "aggregating-roles",
        sql: """
            SELECT r.name, f.path || ':' || r.line || ':' || r.column AS place, s.selector
            FROM aggregation_selector AS s JOIN role AS r ON r.role_id = s.role_id LEFT JOIN source AS f ON f.source_id = r.source_id
            ORDER BY r.role_id, s.ordinal
            """)

    /// Every one of the input, in reading order.
    static func all(in database: WhittleDatabase) throws -> [AggregatingRole] {
        var result: [AggregatingRole] = []
        for row in try database.run(query).named {
            let name = row["name"].string ?? ""
            let written = try JSONDecoder().decode(Selector?.self, from: Data((row["selector"].string ?? "null").utf8))
            if result.last.map({ $0.name.isSameBytes(as: name) }) != true {
                result.append(AggregatingRole(name: name, place: row["place"].string, selectors: []))
            }
            result[result.count - 1].selectors.append(written?.selector)
        }
        return result
    }
}

/// A label selector as the database holds it.
private struct Selector: Decodable {
    struct Requirement: Decodable {
        var key: String
        var `operator`: String
        var values: [String]
    }

    var matchLabels: [String: String]?
    var matchExpressions: [Requirement]?

    var selector: LabelSelector {
        LabelSelector(
            matchLabels: Labels((matchLabels ?? [:]).map { (key: $0.key, value: $0.value) }),
            matchExpressions: (matchExpressions ?? []).map {
                LabelSelector.Requirement(key: $0.key, operator: $0.operator, values: $0.values)
            })
    }
}
