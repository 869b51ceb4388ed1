import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleStore
import WhittleTestSupport

/// Several readers add to one database at once.
@Suite("Usage that others add")
struct OtherUsageTests {
    static func lines(_ numbers: Range<Int>, hasID: Bool = true) -> String {
        numbers.map { number in
            let id = hasID ? "\"auditID\":\"id-\(number)\"," : ""
            return #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata",\#(id)"stage":"ResponseComplete","#
                + #""requestURI":"/api/v1/namespaces/shop/pods/p\#(number)","verb":"get","user":{"username":"alice"},"#
                + #""responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000001Z","#
                + #""annotations":{"authorization.k8s.io/decision":"allow"}}"# + "\n"
        }.joined()
    }

    /// A database, the log that it holds, and a reader that has read another log but not added it.
    private struct Scene {
        let folder: Fixtures.TemporaryFolder
        let file: String
        let database: WhittleDatabase
        let fold: UsageFold

        init(reading text: String) throws {
            folder = try Fixtures.TemporaryFolder()
            file = folder.file("c.db")
            try WhittleDatabase.load(ClusterState(), to: file, options: WhittleDatabase.LoadOptions())
            try Self.load(OtherUsageTests.lines(0..<10), "first.log", folder)
            database = try WhittleDatabase.open(file, isReadOnly: false)
            let known = try database.knownUsage()
            let reader = AuditLogReader(known: known.logs, window: known.window)
            _ = try reader.read(try folder.write(text, to: "own.log")) { _ in }
            fold = try #require(reader.take())
        }

        /// Reads and adds a log from the beginning; its requests that are new.
        @discardableResult
        static func load(_ text: String, _ name: String, _ folder: Fixtures.TemporaryFolder) throws -> Int {
            let database = try WhittleDatabase.open(folder.file("c.db"), isReadOnly: false)
            let known = try database.knownUsage()
            let reader = AuditLogReader(known: known.logs, window: known.window)
            let (log, _) = try reader.read(try folder.write(text, to: name)) { _ in }
            if let fold = reader.take() { try database.add(fold) }
            return log.requests
        }

        func count() throws -> Int {
            try WhittleDatabase.open(file).usage().counts.reduce(0) { $0 + Int($1.count) }
        }
    }

    @Test(
        "what others have added of a log while it was read is not added once more",
        arguments: [
            // An export that overlaps, and another state of the log with and without audit IDs.
            (OtherUsageTests.lines(100..<130), OtherUsageTests.lines(125..<150)),
            (OtherUsageTests.lines(100..<130), OtherUsageTests.lines(100..<140)),
            (OtherUsageTests.lines(100..<130, hasID: false), OtherUsageTests.lines(100..<140, hasID: false)),
            (OtherUsageTests.lines(100..<130, hasID: false), OtherUsageTests.lines(100..<120, hasID: false)),
        ])
    func meets(_ own: String, _ others: String) throws {
        let scene = try Scene(reading: own)
        defer { scene.folder.remove() }
        try Scene.load(others, "others.log", scene.folder)
        let before = try scene.count()
        #expect(throws: StoreError.overtaken(log: scene.folder.file("own.log"))) { try scene.database.add(scene.fold) }
        #expect(try scene.count() == before)
        // Read again, it adds what is new. That it is an earlier state of another can only be told by audit IDs.
        guard own.contains("auditID") || !others.hasPrefix(own) else { return }
        try Scene.load(own, "own.log", scene.folder)
        let all = Set((own + others).split(separator: "\n"))
        #expect(try scene.count() == 10 + all.count)
    }

    @Test("what cannot be read again is added all the same")
    func countsTwice() throws {
        let scene = try Scene(reading: OtherUsageTests.lines(100..<130))
        defer { scene.folder.remove() }
        try Scene.load(OtherUsageTests.lines(125..<150), "others.log", scene.folder)
        try scene.database.add(scene.fold, mayCountTwice: true)
        #expect(try scene.count() == 10 + 25 + 30)
        #expect(try Scene.load(OtherUsageTests.lines(100..<150), "all.log", scene.folder) == 0)
    }

    @Test("what has nothing to do with it may be added meanwhile, and its events are remembered")
    func passes() throws {
        let scene = try Scene(reading: OtherUsageTests.lines(100..<130))
        defer { scene.folder.remove() }
        try Scene.load(OtherUsageTests.lines(200..<230), "others.log", scene.folder)
        try scene.database.add(scene.fold)
        #expect(try scene.count() == 70)
        #expect(try Scene.load(OtherUsageTests.lines(225..<240), "later.log", scene.folder) == 10)
        #expect(try Scene.load(OtherUsageTests.lines(95..<135), "late.log", scene.folder) == 10)
        #expect(try scene.count() == 90)
    }

    @Test("what others have added before is met later, too, though nobody adds anything any more")
    func meetsLater() throws {
        let scene = try Scene(reading: OtherUsageTests.lines(100..<130))
        defer { scene.folder.remove() }
        try Scene.load(OtherUsageTests.lines(200..<230), "others.log", scene.folder)
        try scene.database.add(scene.fold)
        let known = try #require(scene.fold.window)
        func read(_ numbers: Range<Int>) throws -> UsageFold {
            let reader = AuditLogReader(window: known)
            _ = try reader.read(try scene.folder.write(OtherUsageTests.lines(numbers), to: "more.log")) { _ in }
            return try #require(reader.take())
        }
        #expect(throws: StoreError.overtaken(log: scene.folder.file("more.log"))) { try scene.database.add(read(225..<240)) }
        try scene.database.add(read(300..<310))
        #expect(try scene.count() == 80)
        // Its own events and those of the others are remembered.
        #expect(try Scene.load(OtherUsageTests.lines(95..<320), "all.log", scene.folder) == 225 - 70)
    }

    @Test("a log of which nothing was kept so far goes on")
    func emptyPart() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        try WhittleDatabase.load(ClusterState(), to: folder.file("c.db"), options: WhittleDatabase.LoadOptions())
        let database = try WhittleDatabase.open(folder.file("c.db"), isReadOnly: false)
        let known = try database.knownUsage()
        var options = AuditLogReader.Options()
        options.partSize = 1 << 20
        let reader = AuditLogReader(options: options, known: known.logs, window: known.window)
        let text = String(repeating: "\n", count: 5 << 20) + OtherUsageTests.lines(0..<5)
        _ = try reader.read(try folder.write(text, to: "a.log")) { try database.add($0) }
        if let fold = reader.take() { try database.add(fold) }
        #expect(try database.usage().counts.count == 5)
    }

    @Test("the window that is written piece by piece is the one that was given, also where it moves on or somebody else wrote it")
    func windowInParts() throws {
        let scene = try Scene(reading: OtherUsageTests.lines(100..<101))
        defer { scene.folder.remove() }
        func write(_ window: EventWindowState, _ database: WhittleDatabase) throws {
            var fold = scene.fold
            fold.logs[0].digest = "ends:\(UInt64.random(in: 0 ... .max))"
            fold.logs[0].head = ""
            fold.window = window
            try database.add(fold, mayCountTwice: true)
        }
        func stored() throws -> EventWindowState? { try WhittleDatabase.open(scene.file).knownUsage().window }
        let seed = try #require(try stored()).seed
        var window = EventWindowState(seed: seed)
        var next: UInt64 = 1
        let sizes = [0, 1, 2_047, 1, 5_000, 10_000]
        for size in sizes {
            window.current += next..<next + UInt64(size)
            next += UInt64(size)
            try write(window, scene.database)
            #expect(try stored() == window)
        }
        // The younger become the older, with more of them than were written, and then again with none.
        for more in [3_000, 0] {
            window = EventWindowState(
                seed: seed, previous: window.current + (next..<next + UInt64(more)), current: more == 0 ? [] : [next + 5_000])
            next += 10_000
            try write(window, scene.database)
            #expect(try stored() == window)
        }
        let other = try WhittleDatabase.open(scene.file, isReadOnly: false)
        let known = try #require(try other.knownUsage().window)
        try write(EventWindowState(seed: seed, previous: known.previous, current: known.current + [next]), other)
        try write(window, scene.database)
        let all = try #require(try stored())
        #expect(Set(all.previous + all.current).isSuperset(of: window.previous + window.current + [next]))
    }
}
