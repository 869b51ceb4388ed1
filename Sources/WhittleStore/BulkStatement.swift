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
    private let connection: OpaquePointer?
    private let worker = DispatchQueue(label: "whittle.bulk-writer")
    private let freeBlocks = DispatchSemaphore(value: 7)
    private let spare = Mutex<[RowBlock]>([])
    private var block = RowBlock()
    /// Bytes of rows after which a block is handed on: few at first, so that the worker can begin.
    private var limit = RowBlock.firstLimit
    private var statementCount: Int32 = 0
    private var isPipelined = false
    /// These belong to the worker.
    private var statements: [Prepared] = []
    private var failure: StoreError?

    private struct Prepared {
        /// For one row.
        var single: OpaquePointer?
        /// For `batch` rows at once, which costs less than half; made when there are so many.
        var many: OpaquePointer?
        var manySQL: String
        var batch: Int
        var columns: Int32
        /// Rows of the block at hand that wait to be written.
        var rows: [RowBlock.Reader] = []
    }

    init(_ database: Database) { connection = database.sqliteConnection }

    /// Ends all statements. Must be called, also after an error, before the connection is used by anybody else: the last
    /// reference may be given up by the worker, and that is no place to touch the connection from.
    func finish() {
        worker.sync {
            for statement in statements {
                sqlite3_finalize(statement.single)
                sqlite3_finalize(statement.many)
            }
            statements = []
        }
    }

    deinit {
        block.free()
        spare.withLock { for block in $0 { block.free() } }
    }

    /// An INSERT of whole rows.
    func insert(into table: String, columns: Int) -> BulkStatement {
        let row = "(" + Array(repeating: "?", count: columns).joined(separator: ", ") + ")"
        let batch = 512 / columns
        // After an error all is rolled back: `OR FAIL` spares SQLite to note how to undo the rows of one statement.
        return add("INSERT OR FAIL INTO \(table) VALUES ", row: row, batch)
    }

    /// Any other statement to give rows to. Of the rows of one block, those of statements made earlier are written first.
    func statement(_ sql: String) -> BulkStatement { add(sql, row: "", 1) }

    private func add(_ sql: String, row: String, _ batch: Int) -> BulkStatement {
        let make = { @Sendable [self] in
            let single = prepare(sql + row)
            let manySQL = sql + repeatElement(row, count: batch).joined(separator: ", ")
            statements.append(
                Prepared(single: single, manySQL: manySQL, batch: batch, columns: sqlite3_bind_parameter_count(single)))
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
    }

    /// Adds a row that `encode` writes the values of.
    @inline(__always)
    fileprivate func add(_ index: Int32, _ encode: (inout RowBlock) -> Void) throws(StoreError) {
        block.startRow(index)
        encode(&block)
        if !isPipelined { try flush() } else if block.count >= limit { submit() }
    }

    /// Hands the block to the worker, which is never more than a few blocks behind.
    private func submit() {
        freeBlocks.wait()
        let full = block
        limit = min(limit * 2, RowBlock.lastLimit)
        block = spare.withLock { $0.popLast() } ?? RowBlock()
        worker.async { [self] in
            if failure == nil { write(full) }
            spare.withLock { $0.append(full.emptied) }
            freeBlocks.signal()
        }
    }

    private func flush() throws(StoreError) {
        let failure = worker.sync { () -> StoreError? in
            if self.failure == nil { write(block) }
            return self.failure
        }
        block = block.emptied
        if let failure { throw failure }
    }

    private func write(_ block: RowBlock) {
        block.forEachRow { index, values in
            statements[Int(index)].rows.append(values)
            values.skip(statements[Int(index)].columns)
        }
        for index in statements.indices where !statements[index].rows.isEmpty {
            if statements[index].many == nil, statements[index].rows.count >= statements[index].batch {
                statements[index].many = prepare(statements[index].manySQL)
            }
            let statement = statements[index]
            var rows = statement.rows[...]
            while !rows.isEmpty {
                let isFull = rows.count >= statement.batch
                run(isFull ? statement.many : statement.single, rows.prefix(isFull ? statement.batch : 1), statement.columns)
                rows = rows.dropFirst(isFull ? statement.batch : 1)
            }
            statements[index].rows.removeAll(keepingCapacity: true)
        }
    }

    private func run(_ statement: OpaquePointer?, _ rows: ArraySlice<RowBlock.Reader>, _ columns: Int32) {
        // An error may have ended the transaction: what is run after it would be kept.
        guard failure == nil else { return }
        var place: Int32 = 0
        for row in rows {
            var values = row
            bind(&values, statement, columns, after: place)
            place += columns
        }
        let code = sqlite3_step(statement)
        if code != SQLITE_DONE, code != SQLITE_ROW { fail() }
        sqlite3_reset(statement)
    }

    private func bind(_ values: inout RowBlock.Reader, _ statement: OpaquePointer?, _ columns: Int32, after: Int32 = 0) {
        for place in after + 1..<after + 1 + columns {
            let code =
                switch values.next() {
                case .null: sqlite3_bind_null(statement, place)
                case .integer(let number): sqlite3_bind_int64(statement, place, number)
                // The block outlives the step, so texts and bytes need not be copied: a nil destructor is SQLITE_STATIC.
                case .text(let start, let count): sqlite3_bind_text(statement, place, start, count, nil)
                case .blob(let start, let count): sqlite3_bind_blob64(statement, place, start, UInt64(count), nil)
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

/// Rows waiting to be written: the number of the statement, then each value with a tag.
struct RowBlock: @unchecked Sendable {
    static let firstLimit = 1 << 14
    static let lastLimit = 1 << 18
    private static let capacity = lastLimit + 4_096
    private var start: UnsafeMutableRawPointer
    private var capacity = RowBlock.capacity
    private(set) var count = 0

    private enum Tag: UInt8 {
        case null, integer, text, blob
    }

    init() { start = .allocate(byteCount: Self.capacity, alignment: 16) }

    func free() { start.deallocate() }

    /// The same memory without rows.
    var emptied: RowBlock {
        var copy = self
        copy.count = 0
        return copy
    }

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: start, byteCount: count)
        start.deallocate()
        start = larger
    }

    mutating func startRow(_ statement: Int32) {
        reserve(4)
        start.storeBytes(of: statement, toByteOffset: count, as: Int32.self)
        count += 4
    }

    mutating func addNull() {
        reserve(1)
        start.storeBytes(of: Tag.null.rawValue, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    mutating func add(_ number: Int64) {
        reserve(9)
        start.storeBytes(of: Tag.integer.rawValue, toByteOffset: count, as: UInt8.self)
        start.storeBytes(of: number, toByteOffset: count + 1, as: Int64.self)
        count += 9
    }

    mutating func add(_ text: String) {
        var copy = text
        let isWhole = copy.withUTF8 { bytes in
            guard bytes.baseAddress.map({ memchr($0, 0, bytes.count) == nil }) ?? true else { return false }
            let bytes = UnsafeBufferPointer(rebasing: bytes.prefix(Int(Int32.max)))
            reserve(5 + bytes.count)
            start.storeBytes(of: Tag.text.rawValue, toByteOffset: count, as: UInt8.self)
            start.storeBytes(of: Int32(bytes.count), toByteOffset: count + 1, as: Int32.self)
            if let base = bytes.baseAddress { (start + count + 5).copyMemory(from: base, byteCount: bytes.count) }
            count += 5 + bytes.count
            return true
        }
        if !isWhole { add(text.withoutNUL) }
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        reserve(9 + bytes.count)
        start.storeBytes(of: Tag.blob.rawValue, toByteOffset: count, as: UInt8.self)
        start.storeBytes(of: bytes.count, toByteOffset: count + 1, as: Int.self)
        if let base = bytes.baseAddress { (start + count + 9).copyMemory(from: base, byteCount: bytes.count) }
        count += 9 + bytes.count
    }

    /// Calls `body` for each row; it takes the row's values.
    func forEachRow(_ body: (Int32, inout Reader) -> Void) {
        var reader = Reader(position: UnsafeRawPointer(start))
        let end = UnsafeRawPointer(start) + count
        while reader.position < end {
            let statement = reader.position.loadUnaligned(as: Int32.self)
            reader.position += 4
            body(statement, &reader)
        }
    }

    struct Reader {
        fileprivate var position: UnsafeRawPointer

        enum Value {
            case null
            case integer(Int64)
            case text(UnsafePointer<CChar>, Int32)
            case blob(UnsafeRawPointer, Int)
        }

        mutating func skip(_ count: Int32) {
            for _ in 0..<count { _ = next() }
        }

        mutating func next() -> Value {
            let tag = position.loadUnaligned(as: UInt8.self)
            position += 1
            switch tag {
            case Tag.integer.rawValue:
                defer { position += 8 }
                return .integer(position.loadUnaligned(as: Int64.self))
            case Tag.text.rawValue:
                let count = position.loadUnaligned(as: Int32.self)
                defer { position += 4 + Int(count) }
                return .text((position + 4).assumingMemoryBound(to: CChar.self), count)
            case Tag.blob.rawValue:
                let count = position.loadUnaligned(as: Int.self)
                defer { position += 8 + count }
                return .blob(position + 8, count)
            default: return .null
            }
        }
    }
}

extension String {
    /// Whether there is a NUL character.
    var holdsNUL: Bool {
        var copy = self
        return copy.withUTF8 { bytes in bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false }
    }

    /// The text with a mark for NUL characters, at which SQLite's functions for text end.
    var withoutNUL: String {
        holdsNUL ? String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 })) : self
    }
}

/// A value, or several values side by side, of a row.
protocol BulkValue {
    /// Writes the value after those before it.
    func write(to block: inout RowBlock)
}

extension Int64: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self) }
}

extension Int: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(Int64(self)) }
}

extension Bool: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self ? 1 : 0) }
}

extension String: BulkValue {
    @inline(__always) func write(to block: inout RowBlock) { block.add(self) }
}

/// A blob of numbers of eight bytes each, the least significant first.
extension [UInt64]: BulkValue {
    func write(to block: inout RowBlock) { withUnsafeBytes { block.add($0) } }
}

extension Optional: BulkValue where Wrapped: BulkValue {
    @inline(__always)
    func write(to block: inout RowBlock) {
        if let value = self { value.write(to: &block) } else { block.addNull() }
    }
}
