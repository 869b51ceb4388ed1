import Foundation
import GRDB
import Testing
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

@Suite("WhittleDatabase")
struct WhittleDatabaseTests {
    private func state(_ text: String) -> ClusterState { ManifestLoader().load(text: text) }

    private static let shop = """
        {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"cluster-a"}}
        {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"cart","namespace":"shop","uid":"1"}}
        """

    private func dump(_ path: String, without tables: [String] = ["load_run"]) throws -> [String] {
        let queue = try DatabaseQueue(path: path)
        return try queue.read { database in
            try String.fetchAll(
                database, sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
            )
            .filter { !tables.contains($0) }
            .flatMap { table in try Row.fetchAll(database, sql: "SELECT * FROM \(table)").map { "\(table) \($0)" } }
        }
    }

    private static let user = "system:serviceaccount:shop:cart"

    private static var once: UsageCount {
        var count = UsageCount()
        count.add(at: 1, isComplete: true)
        return count
    }

    /// One request for each of some pods.
    private static func fold(ofNames names: [String]) -> UsageFold {
        var fold = UsageFold()
        for text in [user, "get", "pods"] + names { fold.texts.append(text) }
        for place in names.indices {
            var fact = UsageFact()
            (fact.user, fact.verb, fact.resource, fact.name) = (1, 2, 3, Int32(place + 4))
            fold.facts.append(fact)
            fold.counts.append(once)
        }
        return fold
    }

    /// So many that their pages are written before the transaction ends.
    private static let largeFold = fold(ofNames: (0..<40_000).map { "pod-\($0)" })

    @Test("every column of the schema has a comment")
    func columnsAreCommented() throws {
        let text = try String(contentsOfFile: Fixtures.path("../Sources/WhittleStore/SQL/Schema.sql"), encoding: .utf8)
        var isInTable = false
        var columns = 0
        for line in text.split(separator: "\n") {
            if line.hasPrefix("CREATE TABLE") {
                isInTable = true
            } else if line.hasPrefix(")") {
                #expect(line.contains("STRICT"))
                isInTable = false
            } else if isInTable, let word = line.split(separator: " ").first, word.first?.isLowercase ?? false {
                columns += 1
                #expect(line.contains("-- "), "\(line)")
            }
        }
        #expect(columns > 150)
    }

    @Test("references hold in a whole database")
    func foreignKeys() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        try WhittleDatabase.load(try Fixtures.recordedCluster(), to: file, options: WhittleDatabase.LoadOptions())
        let fold = try AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz"))
        try WhittleDatabase.open(file, isReadOnly: false).add(fold)
        try WhittleDatabase.load(try Fixtures.recordedCluster(), to: file, options: WhittleDatabase.LoadOptions())
        let violations = try DatabaseQueue(path: file).read { try Row.fetchAll($0, sql: "PRAGMA foreign_key_check").count }
        #expect(violations == 0)
    }

    @Test("a file is readable by its owner only, with a rollback journal, and equal for equal inputs")
    func fileIsPrivateAndReproducible() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for name in ["a.db", "b.db"] {
            try WhittleDatabase.load(try Fixtures.recordedCluster(), to: folder.file(name), options: WhittleDatabase.LoadOptions())
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.file("a.db"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try DatabaseQueue(path: folder.file("a.db")).read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "delete")
        #expect(try dump(folder.file("a.db")) == dump(folder.file("b.db")))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["a.db", "b.db"])
    }

    @Test("a load carries usage and checkpoints over; loading the same inputs twice changes nothing else")
    func usageSurvives() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        let cluster = try Fixtures.recordedCluster()
        try WhittleDatabase.load(cluster, to: file, options: WhittleDatabase.LoadOptions())
        let fold = try AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz"))
        try WhittleDatabase.open(file, isReadOnly: false).add(fold)
        let before = try WhittleDatabase.open(file).run("usage").rows
        #expect(!before.isEmpty)
        try WhittleDatabase.load(cluster, to: file, options: WhittleDatabase.LoadOptions())
        let once = try dump(file)
        try WhittleDatabase.load(cluster, to: file, options: WhittleDatabase.LoadOptions())
        #expect(try dump(file) == once)
        #expect(try WhittleDatabase.open(file).run("usage").rows == before)
        // Another inventory of the same cluster: state changes, usage stays.
        try WhittleDatabase.load(
            state("{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"a\"}}"), to: file,
            options: WhittleDatabase.LoadOptions())
        #expect(try WhittleDatabase.open(file).run("usage").rows == before)
        // The log is known: a second reading finds nothing new.
        let reader = AuditLogReader(known: try WhittleDatabase.open(file).foldedLogs())
        let again = try reader.read(Fixtures.path("clusters/recorded/audit.log.gz")) { _ in }
        #expect(again.log.events == 0)
        #expect(reader.take() == nil)
        try WhittleDatabase.load(cluster, to: file, options: fresh)
        #expect(try WhittleDatabase.open(file).run("usage").rows.isEmpty)
    }

    @Test("usage of another cluster is refused and the old file stays")
    func otherCluster() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        let fold = try AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz"))
        try WhittleDatabase.open(file, isReadOnly: false).add(fold)
        let before = try Data(contentsOf: URL(fileURLWithPath: file))
        let other = state(Self.shop.replacing("cluster-a", with: "cluster-b"))
        #expect(throws: StoreError.otherCluster(path: file, found: "cluster-a", given: "cluster-b")) {
            try WhittleDatabase.load(other, to: file, options: WhittleDatabase.LoadOptions())
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == before)
    }

    @Test("usage goes into the file that a load has put there meanwhile, unless that has dropped the usage")
    func replacedFile() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        let state = try Fixtures.recordedCluster()
        let packed = Fixtures.path("clusters/recorded/audit.log.gz")
        try folder.shell("gzip -dc \(packed) > \(folder.path)/whole.log")
        let log = try String(contentsOfFile: folder.file("whole.log"), encoding: .utf8)
        let lines = log.split(separator: "\n", omittingEmptySubsequences: true)
        let parts = [lines[..<(lines.count / 2)], lines[(lines.count / 2)...]].map { $0.joined(separator: "\n") + "\n" }
        try WhittleDatabase.load(state, to: file, options: WhittleDatabase.LoadOptions())
        try WhittleDatabase.open(file, isReadOnly: false).add(AuditLogReader.fold(packed))
        let whole = try WhittleDatabase.open(file).run("usage").rows

        try WhittleDatabase.load(state, to: file, options: fresh)
        let opened = try WhittleDatabase.open(file, isReadOnly: false)
        let known = try opened.knownUsage()
        let reader = AuditLogReader(known: known.logs, window: known.window)
        let path = folder.file("audit.log")
        for text in ["", parts[0], parts[0] + parts[1]] {
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            _ = try reader.read(path) { _ in }
            if let fold = reader.take() { #expect(try opened.add(fold)) }
            try WhittleDatabase.load(state, to: file, options: WhittleDatabase.LoadOptions())
        }
        #expect(try WhittleDatabase.open(file).run("usage").rows == whole)
        #expect(try WhittleDatabase.open(file).foldedLogs()[log.utf8.count]?.count == 1)

        try WhittleDatabase.load(state, to: file, options: fresh)
        try WhittleDatabase.load(state, to: file, options: WhittleDatabase.LoadOptions())
        #expect(throws: StoreError.replaced(path: file)) { try opened.add(UsageFold()) }

        let other = folder.file("other.db")
        try WhittleDatabase.load(self.state(Self.shop), to: other, options: WhittleDatabase.LoadOptions())
        let first = try WhittleDatabase.open(other, isReadOnly: false)
        let second = self.state(Self.shop.replacing("cluster-a", with: "cluster-b"))
        try WhittleDatabase.load(second, to: other, options: WhittleDatabase.LoadOptions())
        #expect(throws: StoreError.becameOther(path: other, was: "cluster-a", now: "cluster-b")) { try first.add(UsageFold()) }
    }

    private var fresh: WhittleDatabase.LoadOptions {
        var options = WhittleDatabase.LoadOptions()
        options.isFresh = true
        return options
    }

    @Test("a file that was put in place by hand must hold what was added, and is written then")
    func copiedFile() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let (file, copy) = (folder.file("c.db"), folder.file("copy.db"))
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        let opened = try WhittleDatabase.open(file, isReadOnly: false)
        _ = try opened.knownUsage()
        func fold(_ numbers: Range<Int>) throws -> UsageFold {
            try AuditLogReader.fold(try folder.write(OtherUsageTests.lines(numbers), to: "\(numbers).log"))
        }
        try opened.add(fold(0..<10))
        try FileManager.default.copyItem(atPath: file, toPath: copy)
        #expect(rename(copy, file) == 0)
        try opened.add(fold(10..<20))
        #expect(try WhittleDatabase.open(file).usage().counts.count == 20)

        try FileManager.default.copyItem(atPath: file, toPath: copy)
        try opened.add(fold(20..<30))
        #expect(rename(copy, file) == 0)
        #expect(throws: StoreError.replaced(path: file)) { try opened.add(fold(30..<40)) }
    }

    @Test("a load writes what a link leads to")
    func link() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        let link = folder.file("link.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        try WhittleDatabase.load(state(Self.shop), to: link, options: WhittleDatabase.LoadOptions())
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == file)
        #expect(try DatabaseQueue(path: file).read { try Int.fetchOne($0, sql: "SELECT count(*) FROM load_run") } == 2)
        // Also to where there is nothing yet.
        let first = folder.file("first.db")
        try FileManager.default.createSymbolicLink(atPath: first, withDestinationPath: "new.db")
        try WhittleDatabase.load(state(Self.shop), to: first, options: WhittleDatabase.LoadOptions())
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: first) == "new.db")
        #expect(FileManager.default.fileExists(atPath: folder.file("new.db")))
    }

    @Test("the days of a fact add up, whatever folds and in whatever order they came", arguments: UInt64(1)...40)
    func days(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("days.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        let database = try WhittleDatabase.open(file, isReadOnly: false)
        let dayLength: Int64 = 86_400_000_000
        var expected: [String: [Int64: Int]] = [:]
        var seen: Set<String> = []
        // Names beyond the limit are merged, which moves days too.
        let limit = Bool.random(using: &random) ? 2 : 1_000
        for part in 0..<4 {
            var fold = UsageFold()
            fold.texts.append("system:serviceaccount:shop:cart")
            let names = ["get", "pods", "a", "b", "c", "d"]
            for name in names { fold.texts.append(name) }
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                var fact = UsageFact()
                (fact.user, fact.verb, fact.resource, fact.name) = (1, 2, 3, Int32.random(in: 4...7, using: &random))
                var count = UsageCount()
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let day = Int64.random(in: part == 0 ? -1...1 : 0...2, using: &random)
                    let isComplete = Int.random(in: 0...3, using: &random) > 0
                    count.add(at: day * dayLength + Int64.random(in: 0..<dayLength, using: &random), isComplete: isComplete)
                    if isComplete { expected[names[Int(fact.name) - 2], default: [:]][day, default: 0] += 1 }
                }
                // The same fact may come twice, as in an export that was edited.
                fold.facts.append(fact)
                fold.counts.append(count)
                seen.insert(names[Int(fact.name) - 2])
            }
            if Bool.random(using: &random) { fold.window = EventWindowState(seed: 1) }
            try database.add(fold, maxNames: limit)
        }
        var found: [String: [Int64: Int]] = [:]
        let usage = try database.usage()
        for (fact, count) in zip(usage.facts, usage.counts) {
            let name = usage.key(fact).request.name
            #expect(count.days.values.reduce(0, +) == count.count)
            for (day, requests) in count.days { found[name, default: [:]][day, default: 0] += requests }
        }
        if seen.count > limit { expected = ["": expected.values.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }] }
        #expect(found == expected.filter { !$0.value.isEmpty })
    }

    @Test("the planner knows the size of every table that a fold fills")
    func statisticsOfUsage() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("statistics.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        try WhittleDatabase.open(file, isReadOnly: false).add(
            AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz")))
        try DatabaseQueue(path: file).read { database in
            for table in ["identity", "namespace", "atom", "object_name", "agent", "caller", "reason", "usage"] {
                let rows = try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table)") ?? 0
                let known = try Int.fetchOne(
                    database, sql: "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = ?", arguments: [table])
                // An estimate where a table has more rows than are looked at.
                #expect((rows / 2...rows * 2).contains(known ?? 0), "\(table) has \(rows) rows, the planner thinks \(known ?? 0)")
            }
        }
    }

    @Test("a small fold finds its names among many, new ones get ids of their own")
    func fewAmongMany() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("names.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        let database = try WhittleDatabase.open(file, isReadOnly: false)
        func fold(_ names: [String], implied: String) -> UsageFold {
            var fold = Self.fold(ofNames: names)
            let request = Request(verb: "create", resource: "pods", name: implied)
            fold.implied[ImpliedNeed(user: Self.user, request: request, cause: .webSocket, isAllowed: true)] = Self.once
            return fold
        }
        let many = (0..<400).map { "n\($0)" }
        for (names, implied) in [(many, "m"), (["n5", "zz", "aa"], "n7"), (["aa", "n399"], "new"), (["n5"], "zz")] {
            try database.add(fold(names, implied: implied))
        }
        let (names, counts) = try DatabaseQueue(path: file).read { database in
            (
                try String.fetchAll(database, sql: "SELECT name FROM object_name ORDER BY object_name_id"),
                try Int.fetchAll(
                    database,
                    sql:
                        "SELECT count FROM usage JOIN object_name USING (object_name_id) WHERE name IN ('aa','n399','n5','zz') ORDER BY name"
                )
            )
        }
        #expect(Set(names) == Set(many + ["", "m", "zz", "aa", "new"]) && names.count == 405)
        #expect(counts == [2, 2, 3, 1])
    }

    @Test("pages that are written before the transaction ends are undone with it")
    func undoneFlush() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("undone.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        try WhittleDatabase.open(file, isReadOnly: false).add(Self.fold(ofNames: ["pod-0", "pod-00"]))
        // Flags are written behind all facts.
        try DatabaseQueue(path: file).write {
            try $0.execute(sql: "CREATE TRIGGER late BEFORE INSERT ON usage_flag BEGIN SELECT RAISE(ABORT, 'late'); END")
        }
        let before = try dump(file)
        let time = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
        Thread.sleep(forTimeInterval: 0.1)
        var fold = Self.largeFold
        fold.flags[UsageFlag(user: Self.user, flag: "exec")] = Self.once
        let database = try WhittleDatabase.open(file, isReadOnly: false)
        #expect(throws: StoreError.self) { try database.add(fold, maxNames: 100_000) }
        // Had nothing been written before the end, there would have been nothing to undo.
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date != time)
        #expect(try dump(file) == before)
        fold.flags = [:]
        try database.add(fold, maxNames: 100_000)
        let counts = try DatabaseQueue(path: file).read { try Int.fetchAll($0, sql: "SELECT count FROM usage WHERE count > 1") }
        #expect(counts == [2])
    }

    @Test("a fold whose pages cannot be written early because somebody reads is kept when he has read")
    func flushBesideReader() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("read.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        let reader = try DatabaseQueue(path: file)
        let hasBegun = DispatchSemaphore(value: 0)
        let hasRead = DispatchSemaphore(value: 0)
        DispatchQueue.global().async {
            try? reader.read { database in
                _ = try? Int.fetchOne(database, sql: "SELECT count(*) FROM usage")
                hasBegun.signal()
                Thread.sleep(forTimeInterval: 1)
            }
            hasRead.signal()
        }
        hasBegun.wait()
        try WhittleDatabase.open(file, isReadOnly: false).add(Self.largeFold, maxNames: 100_000)
        hasRead.wait()
        #expect(try reader.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM usage") } == 40_000)
    }

    @Test("a file whose ids were changed by hand takes no usage, and says so")
    func changedIDs() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let fold = try AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz"))
        for (table, id) in [
            ("namespace", "namespace_id"), ("identity", "identity_id"), ("object_name", "object_name_id"), ("atom", "atom_id"),
            ("caller", "caller_id"), ("agent", "agent_id"), ("reason", "reason_id"), ("usage", "usage_id"),
        ] {
            let file = folder.file("\(table).db")
            try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
            try WhittleDatabase.open(file, isReadOnly: false).add(fold)
            var configuration = Configuration()
            configuration.foreignKeysEnabled = false
            try DatabaseQueue(path: file, configuration: configuration).write { database in
                try database.execute(
                    sql: """
                        UPDATE \(table) SET \(id) = \(Int64.max) WHERE \(id) = (SELECT max(\(id)) FROM \(table));
                        DELETE FROM checkpoint;
                        """)
            }
            #expect(throws: StoreError.sql(code: 0, message: "ids in the file were changed by hand"), "\(table)") {
                try WhittleDatabase.open(file, isReadOnly: false).add(fold)
            }
        }
    }

    @Test("files of other programs and other schemas are refused in words")
    func wrongFiles() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let text = try folder.write("this is no database, and long enough to be none at all", to: "text.db")
        #expect(throws: StoreError.notWhittle(path: text)) { try WhittleDatabase.open(text) }
        let foreign = folder.file("foreign.db")
        try DatabaseQueue(path: foreign).write { try $0.execute(sql: "CREATE TABLE t (a)") }
        #expect(throws: StoreError.notWhittle(path: foreign)) { try WhittleDatabase.open(foreign) }
        let newer = folder.file("newer.db")
        try WhittleDatabase.load(state(Self.shop), to: newer, options: WhittleDatabase.LoadOptions())
        try DatabaseQueue(path: newer).write { try $0.execute(sql: "PRAGMA user_version = 99") }
        #expect(throws: StoreError.newerSchema(path: newer, found: 99, supported: WhittleDatabase.schemaVersion)) {
            try WhittleDatabase.open(newer)
        }
        try DatabaseQueue(path: newer).write { try $0.execute(sql: "PRAGMA user_version = 0") }
        #expect(throws: StoreError.olderSchema(path: newer, found: 0, supported: WhittleDatabase.schemaVersion)) {
            try WhittleDatabase.open(newer)
        }
        #expect(throws: (any Error).self) { try WhittleDatabase.open(folder.file("missing.db")) }
    }

    @Test("a file of schema 1 is brought to the tables of a new one")
    func upgrade() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let (old, new) = (folder.file("old.db"), folder.file("new.db"))
        try Fixtures.contents(Fixtures.path("databases/schema-1.db.gz")).write(to: URL(filePath: old))
        _ = try WhittleDatabase.open(old)
        try WhittleDatabase.load(state(Self.shop), to: new, options: WhittleDatabase.LoadOptions())
        let columns = try [old, new].map { file in
            try DatabaseQueue(path: file).read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT m.type, m.name, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.pk
                        FROM sqlite_master AS m LEFT JOIN pragma_table_info(m.name) AS c
                        WHERE m.type <> 'index' AND m.name NOT LIKE 'sqlite_stat%' ORDER BY 1, 2, 3
                        """
                ).map { "\($0)" }
            }
        }
        #expect(columns[0] == columns[1])
        let days = try DatabaseQueue(path: old).read { database in
            try ["SELECT sum(count) FROM usage", "SELECT sum(count) FROM usage_day", "SELECT count(*) FROM usage_day_count"].map {
                try Int.fetchOne(database, sql: $0)
            }
        }
        #expect(days == [27, 27, 0], "no fact of the old file is of several days")
        let managed = try DatabaseQueue(path: old).read {
            try Int.fetchAll($0, sql: "SELECT count(*) FROM role GROUP BY bootstrap, managed_by IS NULL ORDER BY bootstrap")
        }
        #expect(managed.count == 2, "every default role is the API server's, no other is")
        #expect(try DatabaseQueue(path: old).read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == WhittleDatabase.schemaVersion)
    }

    @Test("the window of a file of schema 3 is kept")
    func upgradedWindow() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("old.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        func blob(_ hashes: [UInt64]) -> Data { hashes.withUnsafeBytes { Data($0) } }
        let windows: [(previous: ClosedRange<UInt64>?, current: ClosedRange<UInt64>?)] = [
            (nil, nil), (nil, 1...1), (1...5_000, 10_000...12_047), (1...2_048, nil),
        ]
        for (previous, current) in windows.map({ ($0.previous.map(Array.init) ?? [], $0.current.map(Array.init) ?? []) }) {
            try DatabaseQueue(path: file).write { database in
                try database.execute(
                    sql: """
                        DROP TABLE event_window; DROP TABLE earlier_checkpoint; DROP TABLE checkpoint;
                        CREATE TABLE checkpoint (byte_count INTEGER, sha256 TEXT, line_count INTEGER, head TEXT) STRICT;
                        CREATE TABLE event_window (event_window_id INTEGER PRIMARY KEY CHECK (event_window_id = 1), seed INTEGER NOT NULL,
                          previous BLOB NOT NULL, current BLOB NOT NULL) STRICT;
                        PRAGMA user_version = 3
                        """)
                try database.execute(sql: "INSERT INTO event_window VALUES (1, -7, ?, ?)", arguments: [blob(previous), blob(current)])
            }
            let window = try WhittleDatabase.open(file).knownUsage().window
            #expect(window == EventWindowState(seed: UInt64(bitPattern: -7), previous: previous, current: current))
        }
    }

    @Test("usage of a damaged file is told to be, and not taken for whole")
    func damagedUsage() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for damage in [
            "UPDATE usage SET first_seen = 9223372036854775807, last_seen = -9223372036854775808", "DELETE FROM agent",
        ] {
            let file = folder.file("\(damage.count).db")
            try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
            try WhittleDatabase.open(file, isReadOnly: false).add(AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz")))
            try DatabaseQueue(path: file).writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; \(damage)")
            }
            #expect(throws: StoreError.cannotOpen(path: file, reason: "the file is damaged; load the input again")) {
                try WhittleDatabase.open(file).usage()
            }
        }
    }

    @Test("a value that is missing in a damaged file is told, and ends no process", arguments: ["role", "binding"])
    func damagedState(_ table: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("damaged.db")
        try WhittleDatabase.load(state(Self.shop), to: file, options: WhittleDatabase.LoadOptions())
        try DatabaseQueue(path: file).writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = '\(table)'
                    """)
        }
        try DatabaseQueue(path: file).write { try $0.execute(sql: "UPDATE \(table) SET name = NULL") }
        #expect(throws: StoreError.cannotOpen(path: file, reason: "the file is damaged; load the input again")) {
            try WhittleDatabase.open(file).authorizer()
        }
    }

    @Test("rules and atoms are both kept, the empty string apart from NULL")
    func rulesAreKept() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        let manifest = """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: all}
            rules:
            - apiGroups: ["", apps]
              resources: ["*", pods/exec]
              resourceNames: [""]
              verbs: ["*"]
            - nonResourceURLs: [/metrics*]
              verbs: [get]
            """
        let path = try folder.write(manifest, to: "role.yaml")
        try WhittleDatabase.load(try ManifestLoader().load([path]), to: file, options: WhittleDatabase.LoadOptions())
        try DatabaseQueue(path: file).read { database in
            let rule = try #require(try Row.fetchOne(database, sql: "SELECT * FROM rule WHERE ordinal = 0"))
            #expect(rule["api_groups"] == "[\"\",\"apps\"]")
            #expect(rule["urls"] == nil as String?)
            #expect(rule["line"] == 5 && rule["column"] == 3)
            #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM rule_atom") == 5)
            #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM rule_name WHERE object_name_id = 0") == 1)
            #expect(try String.fetchOne(database, sql: "SELECT url_prefix FROM atom WHERE url IS NOT NULL") == "/metrics")
            #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM atom WHERE api_group IS NULL AND url IS NULL") == 0)
        }
    }
}
