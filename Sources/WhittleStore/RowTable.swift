import GRDBSQLite

/// Rows of a block as a virtual table, which exists on one connection only: an INSERT that selects from it takes many rows at once,
/// for less than half of what binding and running it for each costs.
final class RowTable {
    private static let name = "row_to_write"
    private static let maxColumns = 32

    /// What the table holds now.
    private struct Content {
        var rows: UnsafeBufferPointer<UnsafePointer<RowBlock.Slot>>
        var bytes: UnsafeRawPointer?
    }
    private struct Table {
        var base = sqlite3_vtab()
        var content: UnsafeMutablePointer<Content>
    }
    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var content: UnsafeMutablePointer<Content>
        var place = 0
    }

    private let connection: OpaquePointer?
    private let content: UnsafeMutablePointer<Content>

    init(_ connection: OpaquePointer?) {
        self.connection = connection
        content = .allocate(capacity: 1)
        content.initialize(to: Content(rows: UnsafeBufferPointer(start: nil, count: 0)))
        sqlite3_create_module_v2(connection, Self.name, Self.module, content, nil)
    }

    deinit { content.deallocate() }

    /// Takes the table from the connection; no statement may use it any more.
    func remove() { sqlite3_create_module_v2(connection, Self.name, nil, nil, nil) }

    /// An INSERT of rows of so many values.
    static func insert(into table: String, columns: Int) -> String {
        // After an error all is rolled back: `OR FAIL` spares SQLite to note how to undo the rows of one statement.
        "INSERT OR FAIL INTO \(table) SELECT \((0..<columns).map { "c\($0)" }.joined(separator: ", ")) FROM \(name)"
    }

    /// Runs `body` while the table holds rows, whose texts are in `block`.
    func with<Result>(_ rows: [UnsafePointer<RowBlock.Slot>], of block: RowBlock, _ body: () -> Result) -> Result {
        rows.withUnsafeBufferPointer {
            content.pointee = Content(rows: $0, bytes: block.content)
            defer { content.pointee = Content(rows: UnsafeBufferPointer(start: nil, count: 0)) }
            return body()
        }
    }

    private static func cursor(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> UnsafeMutablePointer<Cursor>? {
        UnsafeMutableRawPointer(base)?.assumingMemoryBound(to: Cursor.self)
    }

    /// What SQLite calls; without `xCreate` the table needs no CREATE.
    private nonisolated(unsafe) static let module: UnsafeMutablePointer<sqlite3_module> = {
        var module = sqlite3_module()
        module.xConnect = { connection, content, _, _, result, _ in
            guard let content else { return SQLITE_ERROR }
            let columns = (0..<maxColumns).map { "c\($0)" }.joined(separator: ", ")
            let code = sqlite3_declare_vtab(connection, "CREATE TABLE \(name) (\(columns))")
            guard code == SQLITE_OK else { return code }
            let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
            table.initialize(to: Table(content: content.assumingMemoryBound(to: Content.self)))
            result?.pointee = UnsafeMutableRawPointer(table).assumingMemoryBound(to: sqlite3_vtab.self)
            return SQLITE_OK
        }
        module.xDisconnect = { table in
            UnsafeMutableRawPointer(table)?.assumingMemoryBound(to: Table.self).deallocate()
            return SQLITE_OK
        }
        module.xBestIndex = { _, _ in SQLITE_OK }
        module.xOpen = { table, result in
            guard let table = UnsafeMutableRawPointer(table)?.assumingMemoryBound(to: Table.self) else { return SQLITE_ERROR }
            let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            cursor.initialize(to: Cursor(content: table.pointee.content))
            result?.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.xClose = { base in
            cursor(base)?.deallocate()
            return SQLITE_OK
        }
        module.xFilter = { base, _, _, _, _ in
            cursor(base)?.pointee.place = 0
            return SQLITE_OK
        }
        module.xNext = { base in
            cursor(base)?.pointee.place += 1
            return SQLITE_OK
        }
        module.xEof = { base in
            guard let cursor = cursor(base) else { return 1 }
            return cursor.pointee.place < cursor.pointee.content.pointee.rows.count ? 0 : 1
        }
        module.xColumn = { base, context, column in
            guard let cursor = cursor(base), let bytes = cursor.pointee.content.pointee.bytes else { return SQLITE_ERROR }
            let row = cursor.pointee.content.pointee.rows[cursor.pointee.place]
            // The block outlives the step, so texts and bytes need not be copied: a nil destructor is SQLITE_STATIC.
            switch RowBlock.value(row[Int(column)], in: bytes) {
            case .null: sqlite3_result_null(context)
            case .integer(let number): sqlite3_result_int64(context, number)
            case .text(let start, let count): sqlite3_result_text(context, start, count, nil)
            case .blob(let start, let count): sqlite3_result_blob(context, start, count, nil)
            }
            return SQLITE_OK
        }
        module.xRowid = { base, result in
            result?.pointee = sqlite3_int64(cursor(base)?.pointee.place ?? 0)
            return SQLITE_OK
        }
        let kept = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        kept.initialize(to: module)
        return kept
    }()
}
