import Foundation
import GRDB
import GRDBSQLite
import Synchronization
import WhittleModel
import WhittleQueries

/// One cluster in one SQLite file, or in memory.
public final class WhittleDatabase: Sendable {
    /// The schema this version reads and writes.
    public static let schemaVersion = 5
    /// Seconds to wait for others that use the file.
    static let busySeconds: Double = 10
    static let applicationID = 0x5748_4954

    /// The path as given; `:memory:` for a database without a file.
    public let path: String
    /// The file that is open; a load may have put another at `path` by now.
    private let file: Mutex<File>
    private struct File {
        let queue: DatabaseQueue
        let inode: UInt64?
    }
    var queue: DatabaseQueue { file.withLock { $0.queue } }

    /// Digests of logs that were added, and of those that are parts of longer ones now.
    private let added = Mutex<Set<String>>([])
    /// What the reader whose facts are added knows; `nil` = nobody has asked.
    private let view = Mutex<UsageView?>(nil)

    init(path: String, queue: DatabaseQueue, inode: UInt64? = nil) {
        self.path = path
        file = Mutex(File(queue: queue, inode: inode))
    }

    // MARK: The file

    /// Opens the file that is at `path` now: that of a load, which carries the usage of the one before.
    ///
    /// - Throws: `StoreError.replaced` when it does not hold all of the usage, `becameOther` when it is of another cluster.
    private func reopen() throws(StoreError) {
        let new = try Self.open(path, isReadOnly: false)
        let (cluster, newCluster) = (try self.cluster(), try new.cluster())
        if let (was, now) = Self.difference(cluster, newCluster) { throw .becameOther(path: path, was: was, now: now) }
        // The runs of the old file are carried with its usage.
        let sql = "SELECT load_run_id, loaded_at FROM load_run ORDER BY load_run_id"
        let runs = try attempt { try Row.fetchAll($0, sql: sql) }
        guard try new.attempt({ try Row.fetchAll($0, sql: sql) }).starts(with: runs), try new.holdsLogs(of: self, added.withLock { $0 })
        else { throw .replaced(path: path) }
        let grown = try new.attempt { try Set(String.fetchAll($0, sql: "SELECT sha256 FROM earlier_checkpoint")) }
        view.withLock { view in
            view?.grown.formIntersection(grown)
            view?.version = nil
        }
        let opened = new.file.withLock { $0 }
        file.withLock { $0 = opened }
    }

    /// Whether all logs of these digests that another file of this database holds are here, too; some may have grown.
    private func holdsLogs(of other: WhittleDatabase, _ digests: Set<String>) throws(StoreError) -> Bool {
        let logs = try other.attempt { try Row.fetchAll($0, sql: "SELECT sha256, head, byte_count FROM checkpoint") }
        let sql = "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE sha256 = ? OR head = ? AND byte_count > ?)"
        return try attempt { database in
            try logs.allSatisfy { log in
                guard try digests.contains(log.at(0)) else { return true }
                return try Bool.fetchOne(database, sql: sql, arguments: [log.at(0) as String, log.at(1) as String, log.at(2) as Int64])
                    ?? false
            }
        }
    }

    /// What tells a cluster; `nil` = not known.
    private typealias Cluster = (uid: String?, name: String?)

    private func cluster() throws(StoreError) -> Cluster {
        try attempt { database in
            guard let row = try Row.fetchOne(database, sql: "SELECT uid, name FROM cluster") else { return (nil, nil) }
            return try (row.at(0), row.at(1))
        }
    }

    /// What tells two clusters apart. Names, which users give, count where no UID is known.
    private static func difference(_ one: Cluster, _ other: Cluster) -> (String, String)? {
        if let uid = one.uid, let otherUID = other.uid { return uid == otherUID ? nil : (uid, otherUID) }
        guard let name = one.name, let otherName = other.name, name != otherName else { return nil }
        return (name, otherName)
    }

    // MARK: Loading

    /// What a load should do beside writing the state.
    public struct LoadOptions: Sendable {
        /// The user's name for the cluster; `nil` not given.
        public var clusterName: String?
        /// Whether usage in the old file is dropped instead of carried over.
        public var isFresh = false
        /// Version of the tool.
        public var toolVersion = ""
        /// Kubernetes version of the resource catalogue.
        public var catalogueVersion = ""
        /// Microseconds since 1970-01-01 UTC.
        public var loadedAt: Int64 = 0

        /// Creates the default options.
        public init() {}
    }

    /// Makes a database without a file.
    public static func inMemory(_ state: ClusterState, options: LoadOptions = LoadOptions()) throws(StoreError) -> WhittleDatabase {
        do {
            let queue = try DatabaseQueue(configuration: bulkConfiguration)
            try queue.writeWithoutTransaction { try build($0, state, options, oldPath: nil) }
            return WhittleDatabase(path: ":memory:", queue: queue)
        } catch {
            throw wrap(error, path: ":memory:")
        }
    }

    /// Writes the state beside `path` and renames it over it, or over what it links to; usage and checkpoints of the old file are
    /// carried over.
    ///
    /// An interrupted load leaves the old file as it was. The file may be read by its owner only, who stays the same.
    /// - Throws: `StoreError.otherCluster` when the old file holds usage of another cluster.
    public static func load(_ state: ClusterState, to path: String, options: LoadOptions) throws(StoreError) {
        let path = linked(path)
        var oldPath: String?
        let lock = FileLock(path)
        defer { withExtendedLifetime(lock) {} }
        if FileManager.default.fileExists(atPath: path) {
            let old = try open(path)
            if !options.isFresh {
                try old.checkCluster(state, options)
                oldPath = path
            }
        } else {
            // SQLite would write what belonged to a file that was deleted into the new one.
            for suffix in ["-journal", "-wal", "-shm"] { unlink(path + suffix) }
        }
        removeLeftovers(of: path)
        // The number alone may be another process's in another container.
        let temporary = "\(path).\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 16)).tmp"
        unlink(temporary)
        let descriptor = Foundation.open(temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        UnfinishedFiles.add(temporary)
        var status = stat()
        // Others than root may give a file to nobody.
        if stat(path, &status) == 0, status.st_uid != getuid() { _ = fchown(descriptor, status.st_uid, status.st_gid) }
        defer {
            close(descriptor)
            unlink(temporary)
            UnfinishedFiles.remove(temporary)
            unlink("\(temporary)-journal")
        }
        do {
            let queue = try DatabaseQueue(path: temporary, configuration: bulkConfiguration)
            try queue.writeWithoutTransaction { database in
                // Nothing but this process sees the file before the rename, so it needs no journal.
                try database.execute(
                    sql: """
                        PRAGMA main.journal_mode = OFF; PRAGMA main.synchronous = OFF; PRAGMA main.locking_mode = EXCLUSIVE;
                        PRAGMA page_size = \(state.objectCount > 5_000 ? 16_384 : 8_192); PRAGMA cache_size = -16384;
                        PRAGMA temp_store = FILE; PRAGMA threads = 1
                        """)
                try build(database, state, options, oldPath: oldPath)
            }
            try queue.close()
        } catch {
            throw wrap(error, path: path)
        }
        guard fsync(descriptor) == 0 else { throw .cannotWrite(path: path, reason: String(cString: strerror(errno))) }
        // Nobody could be kept from making the file while there was none.
        if lock == nil {
            if link(temporary, path) == 0 { return }
            if errno == EEXIST { return try load(state, to: path, options: options) }
        }
        guard rename(temporary, path) == 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
    }

    /// The file that a symbolic link leads to, also when there is none yet.
    private static func linked(_ path: String) -> String {
        var path = path
        // As many as the system follows.
        for _ in 0..<40 {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else { break }
            let folder = (path as NSString).deletingLastPathComponent
            path = target.hasPrefix("/") ? target : (folder as NSString).appendingPathComponent(target)
        }
        return path
    }

    /// Removes what loads that were killed left beside the file.
    private static func removeLeftovers(of path: String) {
        let folder = (path as NSString).deletingLastPathComponent
        let prefix = (path as NSString).lastPathComponent + "."
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
        where name.hasPrefix(prefix) && name.hasSuffix(".tmp") {
            guard let process = Int32(name.dropFirst(prefix.count).prefix(while: \.isNumber)), kill(process, 0) != 0, errno == ESRCH else {
                continue
            }
            unlink(folder.isEmpty ? name : "\(folder)/\(name)")
        }
    }

    /// References are right by construction (a test checks them all); checking each row would double the time.
    private static var bulkConfiguration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        return configuration
    }

    private static func build(_ database: Database, _ state: ClusterState, _ options: LoadOptions, oldPath: String?) throws {
        func script(_ name: String) throws {
            try database.execute(sql: EmbeddedSQL.files.first { $0.name == name }?.text ?? "")
        }
        try database.inTransaction {
            try script("Schema.sql")
            try script("Views.sql")
            return .commit
        }
        if let oldPath {
            try database.execute(sql: "ATTACH DATABASE ? AS old", arguments: [oldPath])
        }
        // Deferred: an immediate transaction would lock the old file for writing too, against other loads.
        try database.inTransaction(.deferred) {
            try database.execute(
                sql: "INSERT INTO cluster VALUES (1, ?, ?, ?)", arguments: [state.clusterUID, options.clusterName, state.serverVersion])
            try UsageWriter.writeEmptyRows(database)
            let writer = BulkWriter(database)
            defer { writer.finish() }
            let dictionaries = try Dictionaries(database, writer, for: nil)
            var inventory = InventoryWriter(writer, state, dictionaries)
            try writer.pipelined { try inventory.write() }
            try script("Indexes.sql")
            if oldPath != nil { try UsageWriter(database, writer, dictionaries).carryOver() }
            try database.execute(
                sql: """
                    INSERT INTO load_run SELECT coalesce(max(load_run_id), 0) + 1, ?, ?, ?, ?, ?, ? FROM load_run
                    """,
                arguments: [
                    options.loadedAt, options.toolVersion, schemaVersion, options.catalogueVersion, state.inputSHA256, state.objectCount,
                ])
            return .commit
        }
        if oldPath != nil { try database.execute(sql: "DETACH DATABASE old") }
        try database.analyze()
    }

    private func checkCluster(_ state: ClusterState, _ options: LoadOptions) throws(StoreError) {
        guard try attempt({ try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM checkpoint)") ?? false }) else { return }
        let (uid, name) = try cluster()
        if let uid, let given = state.clusterUID, uid != given { throw .otherCluster(path: path, found: uid, given: given) }
        if let name, let given = options.clusterName, name != given { throw .otherCluster(path: path, found: name, given: given) }
    }

    // MARK: Usage

    /// Adds folded audit logs to the usage.
    ///
    /// - Parameters:
    ///   - maxNames: names of a verb on a resource that are kept for one user.
    ///   - mayCountTwice: whether it is added even if others have added some of it: it cannot be read again.
    /// - Returns: `false` when others have added all of it: there is nothing to add then.
    /// - Throws: `StoreError.replaced` when a file without the usage of this one has taken its place, `becameOther` when it is one of
    ///   another cluster, `overtaken` when others have added some of the logs, or of their events, since `knownUsage` was asked for.
    @discardableResult
    public func add(_ fold: UsageFold, maxNames: Int = 1_000, mayCountTwice: Bool = false) throws(StoreError) -> Bool {
        let lock = FileLock(path)
        defer { lock?.endSync() }
        if let lock, let inode = file.withLock({ $0.inode }), lock.inode != inode { try reopen() }
        let order = Promise { FoldOrder(fold) }
        do {
            let view = self.view.withLock { $0 }
            let (isWritten, seen) = try queue.write { database in
                let version = try UsageView.version(database)
                var seen = view ?? UsageView(version: version)
                if version != seen.version {
                    (seen.others, seen.version, seen.stored) = (try OtherUsage(database, since: seen), version, nil)
                }
                let window = fold.window.map { seen.others?.joined(with: $0) ?? $0 }
                let writer = BulkWriter(database, onFlush: lock?.beginSync)
                defer { writer.finish() }
                let dictionaries = try Dictionaries(database, writer, for: fold)
                let isWritten = try UsageWriter(database, writer, dictionaries).write(
                    fold, order, maxNames: maxNames, own: added.withLock { $0 }, view: seen, window: window, mayCountTwice: mayCountTwice)
                if isWritten, let window { seen.stored = window }
                return (isWritten, seen)
            }
            let digests = fold.logs.flatMap { [$0.digest] + ($0.extendedDigest.map { [$0] } ?? []) }
            added.withLock { $0.formUnion(digests) }
            guard view != nil else { return isWritten }
            self.view.withLock { view in
                view = seen
                view?.digests.formUnion(digests)
                if let window = fold.window { view?.window = window }
                // What others had is the reader's own by now.
                if !isWritten { view?.version = nil }
            }
            return isWritten
        } catch {
            let failure = Self.wrap(error, path: path)
            // What could not be written to its end is undone by whoever reads next: nobody else gets in between.
            if failure != .locked(path: path) { _ = try? queue.read { try Int.fetchOne($0, sql: "PRAGMA schema_version") } }
            throw failure
        }
    }

    /// Logs that were folded, also as they were before they grew, by their decompressed bytes.
    public func foldedLogs() throws(StoreError) -> [Int: Set<KnownLog>] { try attempt { try Self.foldedLogs($0) } }

    private static func foldedLogs(_ database: Database) throws -> [Int: Set<KnownLog>] {
        try Row.fetchAll(
            database,
            sql: """
                SELECT byte_count, sha256, line_count, head FROM checkpoint
                UNION ALL SELECT byte_count, sha256, line_count, head FROM earlier_checkpoint
                """
        )
        .reduce(into: [:]) { try $0[$1.at(0), default: []].insert(KnownLog(digest: $1.at(1), lineCount: $1.at(2), head: $1.at(3))) }
    }

    /// What was folded. What others add from now on is told from it when something is added here.
    public func knownUsage() throws(StoreError) -> KnownUsage {
        try attempt { database in
            let known = KnownUsage(logs: try Self.foldedLogs(database), window: try EventWindowState.read(database))
            let digests = Set(known.logs.values.joined().map(\.digest))
            let grown = try Set(String.fetchAll(database, sql: "SELECT sha256 FROM earlier_checkpoint"))
            let version = try UsageView.version(database)
            view.withLock { $0 = UsageView(digests: digests, grown: grown, window: known.window, stored: known.window, version: version) }
            return known
        }
    }

    /// Whether a log of this path was folded.
    public func hasFolded(path: String) throws(StoreError) -> Bool {
        try attempt { try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE path = ?)", arguments: [path]) ?? false }
    }

    /// Whether nothing in any of the logs of these digests could be read as an event that tells who asked for what.
    public func hasOnlyRejects(ofLogs digests: Set<String>) throws(StoreError) -> Bool {
        let sql = """
            SELECT count(*) FROM checkpoint WHERE sha256 = ? AND rejected + skipped > 0
              AND events <= coalesce(json_extract(rejects, '$."no-user"'), 0) + coalesce(json_extract(rejects, '$."no-attributes"'), 0)
            """
        return try attempt { database in
            try digests.allSatisfy { try Int.fetchOne(database, sql: sql, arguments: [$0]) == 1 }
        }
    }

    /// Verbs on resources of some user whose names are not kept, because there were more than `maxNames`.
    public func countDroppedNames() throws(StoreError) -> Int {
        try attempt { try Int.fetchOne($0, sql: "SELECT count(*) FROM names_dropped") ?? 0 }
    }

    /// What the logs that were folded begin with, see `UsageFold.Log.head`.
    public func logHeads() throws(StoreError) -> [String] {
        try attempt { try String.fetchAll($0, sql: "SELECT DISTINCT head FROM checkpoint WHERE head <> ''") }
    }

    /// Runs a read; every error becomes a `StoreError`.
    func attempt<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            // `read` would forbid a connection that may write to do so for the time, after which SQLite compiles every statement anew.
            return try queue.unsafeRead { database in
                try database.beginTransaction(.deferred)
                defer { try? database.commit() }
                return try body(database)
            }
        } catch {
            throw Self.wrap(error, path: path)
        }
    }
}

extension Database {
    /// Tells the query planner how many rows every table has; without that, or with numbers of before a load, it may scan a table
    /// for each row of another.
    func analyze() throws {
        // Load runs are history, not state: they must not make equal inputs differ.
        try execute(sql: "PRAGMA analysis_limit = 1000; ANALYZE; DELETE FROM sqlite_stat1 WHERE tbl = 'load_run'")
    }
}
