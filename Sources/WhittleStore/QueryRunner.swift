import GRDB
import GRDBSQLite
import WhittleModel
import WhittleQueries

/// A value in a result or for a parameter.
public enum SQLValue: Hashable, Sendable {
    /// Absent, unknown or any.
    case null
    /// A whole number.
    case integer(Int64)
    /// A floating-point number.
    case real(Double)
    /// A text.
    case text(String)

    /// A text, or NULL.
    public static func optional(_ text: String?) -> SQLValue { text.map(SQLValue.text) ?? .null }
    /// A list as JSON array.
    public static func list(_ list: [String]) -> SQLValue { .text(jsonArray(list)) }

    /// The text; `nil` for NULL and numbers.
    public var string: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// The whole number; `nil` for everything else.
    public var integer: Int? {
        if case .integer(let number) = self { Int(number) } else { nil }
    }

    /// A flag: whether the number is not 0.
    public var isTrue: Bool { integer ?? 0 != 0 }

    var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .text(let text): text.databaseValue
        }
    }

    fileprivate init(column: Int32, of statement: SQLiteStatement) {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: self = .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: self = .real(sqlite3_column_double(statement, column))
        case SQLITE_TEXT:
            let bytes = UnsafeBufferPointer(
                start: sqlite3_column_text(statement, column), count: Int(sqlite3_column_bytes(statement, column)))
            self = .text(String(decoding: bytes, as: UTF8.self))
        default: self = .null
        }
    }
}

/// The rows of a query.
public struct QueryResult: Sendable {
    /// Column names.
    public var columns: [String]
    /// Values in the order of `columns`.
    public var rows: [[SQLValue]]

    /// Creates a result.
    public init(columns: [String], rows: [[SQLValue]]) {
        self.columns = columns
        self.rows = rows
    }

    /// One row whose values are read by column name.
    public struct Row {
        fileprivate let places: [String: Int]
        /// The values in the order of the result's columns.
        public let values: [SQLValue]

        /// The value of a column; NULL when there is none of this name.
        public subscript(_ column: String) -> SQLValue {
            places[column].map { values[$0] } ?? .null
        }
    }

    /// The rows, readable by name.
    public var named: [Row] {
        let places = Dictionary(columns.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return rows.map { Row(places: places, values: $0) }
    }
}

extension WhittleDatabase {
    /// Runs a query; parameters that are left out are NULL.
    ///
    /// - Throws: `StoreError.parameter` for a parameter that the header does not have, `cannotWrite` for a query that would write.
    public func run(_ query: Query, _ parameters: [String: SQLValue] = [:]) throws(StoreError) -> QueryResult {
        for name in parameters.keys where !query.parameters.contains(where: { $0.name == name }) {
            throw .parameter(query: query.name, name: name)
        }
        return try attempt { database in
            let statement = try database.cachedStatement(sql: query.sql)
            guard statement.isReadonly else { throw StoreError.cannotWrite(path: path, reason: "a query may only read") }
            var arguments: [String: DatabaseValue] = [:]
            for field in query.parameters { arguments[field.name] = parameters[field.name, default: .null].databaseValue }
            let cursor = try Row.fetchCursor(statement, arguments: StatementArguments(arguments))
            let columns = statement.columnNames
            var rows: [[SQLValue]] = []
            // The values of the row at hand, without a copy of the row.
            while try cursor.next() != nil {
                rows.append(
                    columns.indices.map { SQLValue(column: Int32($0), of: statement.sqliteStatement) })
            }
            return QueryResult(columns: columns, rows: rows)
        }
    }

    /// Runs the built-in query of this name.
    public func run(_ name: String, _ parameters: [String: SQLValue] = [:]) throws(StoreError) -> QueryResult {
        guard let query = QueryCatalogue.named(name) else { throw .unknownQuery(name) }
        return try run(query, parameters)
    }

    /// The lines of EXPLAIN QUERY PLAN for a query, and whether it only reads.
    public func plan(of query: Query) throws(StoreError) -> (lines: [String], isReadOnly: Bool) {
        try attempt { database in
            let statement = try database.makeStatement(sql: query.sql)
            let arguments = query.parameters.reduce(into: [String: DatabaseValue]()) { $0[$1.name] = .null }
            let rows = try Row.fetchAll(
                database, sql: "EXPLAIN QUERY PLAN " + query.sql, arguments: StatementArguments(arguments))
            return (try rows.map { try $0.at("detail") }, statement.isReadonly)
        }
    }
}
