import WhittleModel
import WhittleStore

/// Rows of a usage query for people and programs.
public struct UsageList: Sendable {
    private let names: [String]
    private let rows: [[SQLValue]]

    private static let wide: Set<String> = ["by", "firstSeen", "pods", "namesDropped"]

    /// Reads the result of `usage` or of one of its splits.
    public init(_ result: QueryResult) {
        names = result.columns.map(Self.camelCase)
        rows = result.rows
    }

    /// Whether there is no row.
    public var isEmpty: Bool { rows.isEmpty }

    /// One object per row; what does not apply is left out.
    public var documents: some Sequence<JSONValue> {
        rows.lazy.map { row in
            .object(
                zip(names, row).compactMap { name, value in
                    Self.value(name, value).map { JSONValue.Member(key: name, value: $0) }
                })
        }
    }

    /// The same as cells.
    public var table: Table {
        Table(
            columns: names,
            rows: rows.map { row in zip(names, row).map { name, value in Self.value(name, value).map(Self.cell) ?? "" } },
            wideColumns: Self.wide)
    }

    private static func camelCase(_ column: String) -> String {
        let words = column.split(separator: "_")
        return (words.first.map(String.init) ?? "") + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    private static func value(_ name: String, _ value: SQLValue) -> JSONValue? {
        switch value {
        case .null: nil
        case .integer(let number) where name.hasSuffix("Seen"): .string(TimeText.rfc3339(number))
        case .integer(let number): .integer(Int(number))
        case .real(let number): .string(String(number))
        case .text(let text) where name == "pods": .strings(strings(fromJSONArray: text) ?? [])
        case .text(let text): .string(text)
        }
    }

    private static func cell(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let values): values.map(cell).joined(separator: ",")
        default: value.line
        }
    }
}
