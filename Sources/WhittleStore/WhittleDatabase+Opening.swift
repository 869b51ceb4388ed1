import Foundation
import GRDB
import GRDBSQLite

extension WhittleDatabase {
    /// Opens a file that a load made; one of an older schema is brought to this one first.
    ///
    /// - Throws: `StoreError` when it is missing, no database of Whittle, of a newer schema, or of an older one and cannot be
    ///   written.
    public static func open(_ path: String, isReadOnly: Bool = true) throws(StoreError) -> WhittleDatabase {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw .cannotOpen(path: path, reason: "no such file; make it with `whittle load PATH -o \(path)`")
        }
        guard !isDirectory.boolValue else { throw .cannotOpen(path: path, reason: "it is a directory") }
        do {
            var configuration = Configuration()
            configuration.readonly = isReadOnly
            configuration.busyMode = .timeout(busySeconds)
            // As in a load: usage has ids of rows that the same transaction writes.
            configuration.foreignKeysEnabled = false
            // Many questions of one process read the same pages again; usage is mostly appended.
            configuration.prepareDatabase { try $0.execute(sql: "PRAGMA cache_size = \(isReadOnly ? -65_536 : -8_192)") }
            let inode = FileLock.inode(of: path)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            let (application, version) = try queue.read { database in
                (
                    try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                    try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
                )
            }
            // SQLite opens what may not be written for reading only.
            if !isReadOnly, try queue.read({ sqlite3_db_readonly($0.sqliteConnection, "main") }) == 1 {
                throw StoreError.cannotWrite(path: path, reason: "it may not be written")
            }
            // Beside it SQLite writes how to undo a change.
            let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent().path
            if !isReadOnly, access(folder, W_OK) != 0 {
                throw StoreError.cannotWrite(path: path, reason: "its folder may not be written")
            }
            guard application == applicationID else { throw StoreError.notWhittle(path: path) }
            guard version <= schemaVersion else {
                throw StoreError.newerSchema(path: path, found: version, supported: schemaVersion)
            }
            if version < schemaVersion { try upgrade(path, from: version) }
            return WhittleDatabase(path: path, queue: queue, inode: inode)
        } catch let error as StoreError {
            throw error
        } catch let error as DatabaseError where error.resultCode == .SQLITE_NOTADB {
            throw .notWhittle(path: path)
        } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_ROLLBACK && isReadOnly {
            try rollBack(path)
            return try open(path)
        } catch {
            throw wrap(error, path: path)
        }
    }

    /// Undoes what a process that was killed had begun to write.
    private static func rollBack(_ path: String) throws(StoreError) {
        do {
            _ = try open(path, isReadOnly: false)
        } catch .cannotWrite {
            throw .cannotOpen(path: path, reason: unfinished)
        }
    }

    private static let unfinished =
        "a load was killed while it wrote it; run any command of whittle on it once as somebody who may write the file and its folder"

    private static func upgrade(_ path: String, from found: Int) throws {
        do {
            var configuration = Configuration()
            // A script may replace a table that others refer to.
            configuration.foreignKeysEnabled = false
            configuration.busyMode = .timeout(busySeconds)
            try DatabaseQueue(path: path, configuration: configuration).inDatabase { database in
                try database.inTransaction(.immediate) {
                    // Another process may have done it meanwhile.
                    while case let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0, version < schemaVersion {
                        guard let script = EmbeddedSQL.files.first(where: { $0.name == "Upgrade-\(version).sql" }) else {
                            throw StoreError.olderSchema(path: path, found: found, supported: schemaVersion)
                        }
                        try database.execute(sql: script.text)
                    }
                    return .commit
                }
            }
        } catch let error as DatabaseError
            where [.SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM].contains(error.resultCode)
        {
            throw StoreError.olderSchema(path: path, found: found, supported: schemaVersion)
        }
    }

    static func wrap(_ error: any Error, path: String) -> StoreError {
        switch error {
        case StoreError.sql(let code, let message) where code & 0xFF != SQLITE_ERROR && code != 0:
            wrap(DatabaseError(resultCode: ResultCode(rawValue: code), message: message), path: path)
        case let error as StoreError: error
        case let error as DatabaseError where error.resultCode == .SQLITE_CANTOPEN:
            .cannotOpen(path: path, reason: error.message ?? "cannot be opened")
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
            .cannotWrite(path: path, reason: "no space is left on the disk, or the file would be larger than is allowed")
        case let error as DatabaseError where error.resultCode == .SQLITE_BUSY: .locked(path: path)
        case let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_ROLLBACK:
            .cannotOpen(path: path, reason: unfinished)
        case let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_DBMOVED:
            .cannotWrite(path: path, reason: "it was moved or deleted while it was open")
        case let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_DIRECTORY:
            .cannotWrite(path: path, reason: "its folder may not be written")
        case let error as DatabaseError where error.resultCode == .SQLITE_READONLY:
            .cannotWrite(path: path, reason: "it may not be written")
        case let error as DatabaseError where error.resultCode == .SQLITE_IOERR:
            .cannotWrite(path: path, reason: "the disk does not read or write it (SQLite error \(error.extendedResultCode.rawValue))")
        case let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT:
            .cannotOpen(path: path, reason: "the file is damaged; load the input again")
        case let error as DatabaseError:
            .sql(code: error.extendedResultCode.rawValue, message: error.message ?? "unknown error")
        case is RowDecodingError: .cannotOpen(path: path, reason: "the file is damaged; load the input again")
        default: .cannotOpen(path: path, reason: "\(error)")
        }
    }
}
