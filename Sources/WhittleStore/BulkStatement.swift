import GRDB
import GRDBSQLite

/// A value, or several values side by side, for a raw statement.
protocol BulkValue {
    /// Binds the value to the next parameters.
    func bind(to binder: inout BulkBinder)
}

/// Gives the parameters of a statement their values, from left to right.
struct BulkBinder {
    fileprivate let statement: OpaquePointer?
    private var place: Int32 = 0
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    fileprivate init(_ statement: OpaquePointer?) { self.statement = statement }

    mutating func bindNull() {
        place += 1
        sqlite3_bind_null(statement, place)
    }

    mutating func bind(_ number: Int64) {
        place += 1
        sqlite3_bind_int64(statement, place, number)
    }

    mutating func bind(_ text: String) {
        place += 1
        var text = text
        text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                _ = sqlite3_bind_text(statement, place, $0.baseAddress, Int32($0.count), Self.transient)
            }
        }
    }
}

extension Int64: BulkValue {
    @inline(__always) func bind(to binder: inout BulkBinder) { binder.bind(self) }
}

extension Int: BulkValue {
    @inline(__always) func bind(to binder: inout BulkBinder) { binder.bind(Int64(self)) }
}

extension Bool: BulkValue {
    @inline(__always) func bind(to binder: inout BulkBinder) { binder.bind(self ? 1 : 0) }
}

extension String: BulkValue {
    @inline(__always) func bind(to binder: inout BulkBinder) { binder.bind(self) }
}

extension Optional: BulkValue where Wrapped: BulkValue {
    @inline(__always)
    func bind(to binder: inout BulkBinder) {
        if let value = self { value.bind(to: &binder) } else { binder.bindNull() }
    }
}

/// A prepared statement on GRDB's own connection: three times faster than its cached statements in bulk loads.
final class BulkStatement {
    private let statement: OpaquePointer?
    private let connection: OpaquePointer?

    /// - Throws: `StoreError.sql`.
    init(_ database: Database, _ sql: String) throws(StoreError) {
        connection = database.sqliteConnection
        var prepared: OpaquePointer?
        guard sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil) == SQLITE_OK else {
            throw Self.error(connection)
        }
        statement = prepared
    }

    deinit { sqlite3_finalize(statement) }

    /// Runs the statement once; values in the order of its parameters.
    @inline(__always)
    func run<each Value: BulkValue>(_ values: repeat each Value) throws(StoreError) {
        var binder = BulkBinder(statement)
        repeat (each values).bind(to: &binder)
        let code = sqlite3_step(statement)
        sqlite3_reset(statement)
        guard code == SQLITE_DONE || code == SQLITE_ROW else { throw Self.error(connection) }
    }

    /// Runs a statement that returns at most one row; its integers, `nil` when there is no row.
    func integers<each Value: BulkValue>(_ values: repeat each Value) throws(StoreError) -> [Int64]? {
        var binder = BulkBinder(statement)
        repeat (each values).bind(to: &binder)
        defer { sqlite3_reset(statement) }
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return (0..<sqlite3_column_count(statement)).map { sqlite3_column_int64(statement, $0) }
        case SQLITE_DONE: return nil
        default: throw Self.error(connection)
        }
    }

    private static func error(_ connection: OpaquePointer?) -> StoreError {
        .sql(code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)))
    }
}
