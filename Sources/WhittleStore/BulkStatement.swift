import GRDB
import GRDBSQLite

/// A value for a raw statement.
enum BulkValue {
    case null
    case integer(Int64)
    case text(String)

    static func optional(_ value: Int64?) -> BulkValue { value.map(BulkValue.integer) ?? .null }
    static func optional(_ value: String?) -> BulkValue { value.map(BulkValue.text) ?? .null }
    static func flag(_ value: Bool) -> BulkValue { .integer(value ? 1 : 0) }
    static func flag(_ value: Bool?) -> BulkValue { value.map { .integer($0 ? 1 : 0) } ?? .null }
}

/// A prepared statement on GRDB's own connection: three times faster than its cached statements in bulk loads.
final class BulkStatement {
    private var statement: OpaquePointer?
    private let connection: OpaquePointer?
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    /// - Throws: `StoreError.sql`.
    init(_ database: Database, _ sql: String) throws(StoreError) {
        connection = database.sqliteConnection
        guard sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK else {
            throw Self.error(connection)
        }
    }

    deinit { sqlite3_finalize(statement) }

    /// Runs the statement once; values in the order of its parameters.
    func run(_ values: BulkValue...) throws(StoreError) {
        bind(values)
        let code = sqlite3_step(statement)
        sqlite3_reset(statement)
        guard code == SQLITE_DONE || code == SQLITE_ROW else { throw Self.error(connection) }
    }

    /// Runs a statement that returns at most one row; its integers, `nil` when there is no row.
    func integers(_ values: BulkValue...) throws(StoreError) -> [Int64]? {
        bind(values)
        defer { sqlite3_reset(statement) }
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return (0..<sqlite3_column_count(statement)).map { sqlite3_column_int64(statement, $0) }
        case SQLITE_DONE: return nil
        default: throw Self.error(connection)
        }
    }

    private func bind(_ values: [BulkValue]) {
        for (offset, value) in values.enumerated() {
            let place = Int32(offset + 1)
            switch value {
            case .null: sqlite3_bind_null(statement, place)
            case .integer(let number): sqlite3_bind_int64(statement, place, number)
            case .text(var text):
                text.withUTF8 { bytes in
                    bytes.withMemoryRebound(to: CChar.self) {
                        _ = sqlite3_bind_text(statement, place, $0.baseAddress, Int32($0.count), Self.transient)
                    }
                }
            }
        }
    }

    private static func error(_ connection: OpaquePointer?) -> StoreError {
        .sql(code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)))
    }
}
