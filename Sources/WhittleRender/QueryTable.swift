import WhittleStore

/// The rows of any query as a table and a document.
public struct QueryTable: Sendable {
    /// Columns as the query names them.
    public var table: Table
    /// One object per row; NULL is `null`.
    public var document: JSONValue

    /// Reads a result.
    public init(_ result: QueryResult) {
        table = Table(columns: result.columns, rows: result.rows.map { $0.map(Self.cell) })
        document = .array(
            result.rows.map { row in
                .object(zip(result.columns, row).map { JSONValue.Member(key: $0, value: Self.value($1)) })
            })
    }

    private static func cell(_ value: SQLValue) -> String {
        switch value {
        case .null: ""
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .text(let text): text
        }
    }

    private static func value(_ value: SQLValue) -> JSONValue {
        switch value {
        case .null: .null
        case .integer(let number): .integer(Int(number))
        case .real(let number): .string(String(number))
        case .text(let text): .string(text)
        }
    }
}
