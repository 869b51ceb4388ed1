import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleQueries
import WhittleStore
import WhittleTestSupport

@Suite("Queries")
struct QueryTests {
    @Test("the header says what SQLite reports: parameters, columns, read-only", arguments: QueryCatalogue.all.map(\.name))
    func header(_ name: String) throws {
        let query = try #require(QueryCatalogue.named(name))
        let database = try WhittleDatabase.inMemory(try Fixtures.recordedCluster())
        #expect(!query.title.isEmpty && !query.answers.isEmpty)
        #expect(try database.run(query).columns == query.columns.map(\.name))
        #expect(try database.plan(of: query).isReadOnly)
        let body = query.sql.split(separator: "\n").filter { !$0.hasPrefix("-- ") }.joined(separator: "\n")
        let used = Set(body.matches(of: #/[^:\w]:([a-z_]+)/#).map { String($0.output.1) })
        #expect(used == Set(query.parameters.map(\.name)))
        #expect(query.columns.allSatisfy { !$0.meaning.isEmpty && !$0.type.isEmpty })
    }

    @Test("every file of Queries/ is embedded unchanged")
    func embedded() throws {
        let folder = Fixtures.root.appendingPathComponent("Queries")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".sql") }.sorted()
        #expect(QueryCatalogue.all.map { $0.name + ".sql" } == names)
        for query in QueryCatalogue.all {
            #expect(query.sql == (try String(contentsOf: folder.appendingPathComponent(query.name + ".sql"), encoding: .utf8)))
        }
    }

    @Test("who-can and can-i read tables through indexes only", arguments: ["who-can", "who-can-url", "can-i", "can-i-url"])
    func plans(_ name: String) throws {
        let database = try WhittleDatabase.inMemory(try Fixtures.recordedCluster())
        let query = try #require(QueryCatalogue.named(name))
        let tables = ["atom", "a", "b", "s", "i", "r", "w", "n", "o", "k", "identity", "namespace", "role", "rule", "binding"]
        for line in try database.plan(of: query).lines where line.hasPrefix("SCAN ") {
            let words = line.split(separator: " ").map(String.init)
            let usesIndex = line.contains("USING INDEX") || line.contains("USING COVERING INDEX")
            #expect(!tables.contains(words[1]) || usesIndex, "\(line)")
        }
    }

    @Test("plain sqlite3 -readonly runs every query on a database file", arguments: QueryCatalogue.all.map(\.name))
    func plainSQLite(_ name: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let file = folder.file("c.db")
        try WhittleDatabase.load(try Fixtures.recordedCluster(), to: file, options: WhittleDatabase.LoadOptions())
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sqlite3", "-readonly", file, ".read \(Fixtures.path("../Queries/\(name).sql"))"]
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(errors.fileHandleForReading.readDataToEndOfFile().isEmpty)
    }
}
