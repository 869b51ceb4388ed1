import Dispatch
import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// Runs the rows of bulk statements on GRDB's own connection: three times faster than its cached statements.
///
/// While `isPipelined`, rows are collected in blocks that a thread of its own writes in the order given, so that SQLite
/// works on one core while the next rows are prepared on another. Nobody else may then use the connection before `pipelined` returns.
final class BulkWriter: @unchecked Sendable {
    /// Bytes of row blocks after which pages are given to the system: SQLite syncs its journal each time, which must be worth it.
    private static let flushSize = 4 << 20
    private let connection: OpaquePointer?
    private let table: RowTable
    private let worker = DispatchQueue(label: "whittle.bulk-writer")
    private let freeBlocks = DispatchSemaphore(value: 7)
    private let spare = Mutex<[RowBlock]>([])
    private var block = RowBlock()
    /// Bytes of rows after which a block is handed on: few at first, so that the worker can begin.
    private var limit = RowBlock.firstLimit
    private var statementCount: Int32 = 0
    private var isPipelined = false
    private let onFlush: (() -> Void)?
    /// These belong to the worker.
    private var statements: [Prepared] = []
    /// Bytes of row blocks since pages were given to the system.
    private var unwritten = 0
    private var hasFlushed = false
    private var failure: StoreError?

    private struct Prepared {
        var statement: OpaquePointer?
        /// How many values are bound for a row; `nil` = it takes all rows from `table`.
        var columns: Int32?
        /// Rows of the block at hand that wait to be written.
        var rows: [UnsafePointer<RowBlock.Slot>] = []
    }

    /// - Parameter onFlush: called when pages were given to the system before the transaction ends; `nil` = that is left to SQLite.
    init(_ database: Database, onFlush: (() -> Void)? = nil) {
        self.onFlush = onFlush
        connection = database.sqliteConnection
        table = RowTable(connection)
    }

    /// Ends all statements. Must be called, also after an error, before the connection is used by anybody else: the last
    /// reference may be given up by the worker, and that is no place to touch the connection from.
    func finish() {
        worker.sync {
            for statement in statements { sqlite3_finalize(statement.statement) }
            statements = []
            table.remove()
        }
    }

    deinit {
        block.free()
        spare.withLock { for block in $0 { block.free() } }
    }

    /// An INSERT into a table, or into columns of it (`table (column, …)`).
    func insert(into table: String, columns: Int) -> BulkStatement { add(RowTable.insert(into: table, columns: columns), bindsRows: false) }

    /// Any other statement to give rows to. Of the rows of one block, those of statements made earlier are written first.
    func statement(_ sql: String) -> BulkStatement { add(sql, bindsRows: true) }

    private func add(_ sql: String, bindsRows: Bool) -> BulkStatement {
        let make = { @Sendable [self] in
            let statement = prepare(sql)
            statements.append(Prepared(statement: statement, columns: bindsRows ? sqlite3_bind_parameter_count(statement) : nil))
        }
        // Outside of `pipelined` the caller uses the connection himself: two threads must never be in it at once.
        if isPipelined { worker.async(execute: make) } else { worker.sync(execute: make) }
        statementCount += 1
        return BulkStatement(writer: self, index: statementCount - 1)
    }

    private func prepare(_ sql: String) -> OpaquePointer? {
        var prepared: OpaquePointer?
        if sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil) != SQLITE_OK { fail() }
        return prepared
    }

    /// Lets rows given by `body` be written on another thread meanwhile; all are written when this returns.
    ///
    /// - Throws: `StoreError.sql` of the first row that could not be written, or what `body` throws.
    func pipelined(_ body: () throws -> Void) throws {
        (isPipelined, limit) = (true, RowBlock.firstLimit)
        defer { isPipelined = false }
        let outcome = Result(catching: body)
        try flush()
        try outcome.get()
        // A transaction that is not large leaves it to the commit.
        worker.sync { if hasFlushed, unwritten >= RowBlock.lastLimit { flushPages() } }
    }

    /// Adds a row that `encode` writes the values of.
    @inline(__always)
    fileprivate func add(_ index: Int32, _ encode: (inout RowBlock) -> Void) throws(StoreError) {
        block.addRow(index, encode)
        if !isPipelined { try flush() } else if block.size >= limit { submit() }
    }

    /// Hands the block to the worker, which is never more than a few blocks behind.
    private func submit() {
        freeBlocks.wait()
        let full = block
        limit = min(limit * 2, RowBlock.lastLimit)
        block = spare.withLock { $0.popLast() } ?? RowBlock()
        worker.async { [self] in
            if failure == nil { write(full) }
            unwritten += full.size
            if unwritten >= Self.flushSize { flushPages() }
            spare.withLock { $0.append(full.emptied) }
            freeBlocks.signal()
        }
    }

    private func flush() throws(StoreError) {
        let failure = worker.sync { () -> StoreError? in
            if self.failure == nil { write(block) }
            unwritten += block.size
            return self.failure
        }
        block = block.emptied
        if let failure { throw failure }
    }

    /// Gives the pages to the system before the transaction ends, so that they can be on disk when the commit waits for that.
    ///
    /// SQLite may not write while others read: they are not waited for, and the pages stay where they are. Either way whoever wants to begin
    /// to read waits until the transaction has ended.
    private func flushPages() {
        guard let onFlush, failure == nil else { return }
        (unwritten, hasFlushed) = (0, true)
        sqlite3_busy_timeout(connection, 0)
        defer { sqlite3_busy_timeout(connection, Int32(WhittleDatabase.busySeconds * 1_000)) }
        if sqlite3_db_cacheflush(connection) == SQLITE_OK { onFlush() }
    }

    private func write(_ block: RowBlock) {
        block.forEachRow { statements[$0].rows.append($1) }
        for index in statements.indices where !statements[index].rows.isEmpty {
            write(statements[index], of: block)
            statements[index].rows.removeAll(keepingCapacity: true)
        }
    }

    private func write(_ prepared: Prepared, of block: RowBlock) {
        guard let columns = prepared.columns else { return table.with(prepared.rows, of: block) { run(prepared.statement) } }
        for row in prepared.rows {
            bind(row, of: block, prepared.statement, columns)
            run(prepared.statement)
        }
    }

    private func run(_ statement: OpaquePointer?) {
        // An error may have ended the transaction: what is run after it would be kept.
        guard failure == nil else { return }
        let code = sqlite3_step(statement)
        if code != SQLITE_DONE, code != SQLITE_ROW { fail() }
        sqlite3_reset(statement)
    }

    private func bind(_ row: UnsafePointer<RowBlock.Slot>, of block: RowBlock, _ statement: OpaquePointer?, _ columns: Int32) {
        for place in 0..<columns {
            let code =
                switch RowBlock.value(row[Int(place)], in: block.content) {
                case .null: sqlite3_bind_null(statement, place + 1)
                case .integer(let number): sqlite3_bind_int64(statement, place + 1, number)
                // The block outlives the step, so texts and bytes need not be copied: a nil destructor is SQLITE_STATIC.
                case .text(let start, let count): sqlite3_bind_text(statement, place + 1, start, count, nil)
                case .blob(let start, let count): sqlite3_bind_blob(statement, place + 1, start, count, nil)
                }
            if code != SQLITE_OK { fail() }
        }
    }

    private func fail() {
        if failure == nil {
            failure = .sql(code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)))
        }
    }
}

/// A prepared statement of a `BulkWriter`.
struct BulkStatement {
    fileprivate let writer: BulkWriter
    fileprivate let index: Int32

    /// Runs the statement once; values in the order of its parameters.
    @inline(__always)
    func run<each Value: BulkValue>(_ values: repeat each Value) throws(StoreError) {
        try writer.add(index) { block in repeat (each values).write(to: &block) }
    }
}
