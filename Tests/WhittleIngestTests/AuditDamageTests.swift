import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

/// What is cut or damaged spoils itself, and nothing beside it.
@Suite("Damaged audit logs")
struct AuditDamageTests {
    private static func event(_ number: Int, user: String = "alice", _ more: String = "") -> String {
        """
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id-\(number)","stage":"ResponseComplete",\
        "requestURI":"/api/v1/namespaces/shop/pods/p\(number)","verb":"get","user":{"username":"\(user)"},\(more)\
        "responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000001Z",\
        "annotations":{"authorization.k8s.io/decision":"allow"}}
        """
    }

    private static func quoted(_ text: String) -> String { "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"" }

    /// Five events in lists that are in lists.
    private static let nested: [String] = {
        let rows = (0..<5).map { "[\"170000000000000000\($0)\",\(quoted(event($0)))]" }
        let bodies = (0..<5).map { "{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\(quoted(event($0)))}}" }
        let hits = (0..<5).map { "{\"_source\":\(event($0))}" }
        func list(_ elements: ArraySlice<String>) -> String { elements.joined(separator: ",\n") }
        return [
            "{\"streams\":[{\"stream\":{},\"values\":[\(list(rows[..<2]))]},{\"stream\":{},\"values\":[\(list(rows[2...]))]}]}\n",
            """
            {"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[\(list(rows[..<2]))]},
            {"stream":{},"values":[\(list(rows[2...]))]}],"stats":{"a":{"b":1}}}}\n
            """,
            """
            {"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[\(list(bodies[..<1]))]},
            {"logRecords":[\(list(bodies[1..<3]))]}]},{"scopeLogs":[{"logRecords":[\(list(bodies[3...]))]}]}]}\n
            """,
            """
            {"responses":[{"took":1,"hits":{"total":{"value":2},"hits":[\(list(hits[..<2]))]},"status":200},
            {"hits":{"hits":[\(list(hits[2...]))]},"status":200}]}\n
            """,
            "[\(event(0)),\(event(1))]\n[\(event(2)),\(event(3))]\n[\(event(4))]\n",
        ]
    }()

    private func counts(_ texts: String..., name: String = "audit.log") throws -> [(requests: Int, rejected: Int)] {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        return try texts.map { text in
            let log = try reader.read(try folder.write(text, to: name)) { _ in }.log
            _ = reader.take()
            return (log.requests + log.undecided, log.rejected)
        }
    }

    @Test("a list in a list that is cut gives what it holds, and is gone on with where it stopped", arguments: nested)
    func cutInside(_ whole: String) throws {
        // Where each event ends, also inside a text.
        let ends = (0..<5).compactMap { number in
            whole.range(of: "id-\(number)").flatMap { whole.range(of: "allow", range: $0.upperBound..<whole.endIndex) }
        }.map { whole.distance(from: whole.startIndex, to: $0.upperBound) }
        #expect(ends.count == 5)
        for size in stride(from: 1, to: whole.count, by: 23) {
            let read = try counts(String(whole.prefix(size)), whole)
            #expect(read[0].requests >= ends.count { $0 + 20 < size }, "cut at \(size)")
            #expect(read[0].requests + read[1].requests == 5 && read[0].rejected + read[1].rejected == 0, "cut at \(size)")
        }
    }

    @Test("one damaged record of a list in a list spoils only itself", arguments: nested.dropLast())
    func damagedInside(_ whole: String) throws {
        let damaged = whole.replacing(/(\[|\{)[^\[\{]*[\[\{][^\[\{]*id-3/) { match in "[bad \(match.output.0.dropFirst())" }
        for text in [damaged, whole.replacing("id-3", with: "id\u{1}")] {
            let read = try counts(text.replacing("\n", with: "") + "\n")
            #expect(read[0].requests >= 4 && read[0].requests + read[0].rejected == 5, "\(read) \(text)")
        }
    }

    @Test(
        "what a damaged element of a list has swallowed counts",
        arguments: [("\"verb\":\"get\"", "\"verb\":\"get"), ("\"user\":{", "\"user\":{{"), ("200},", "200,")])
    func swallowed(_ part: String, _ damaged: String) throws {
        for first in [0, 2, 3] {
            let events = (0..<5).map { $0 == first ? Self.event($0).replacing(part, with: damaged) : Self.event($0) }
            for (opening, separator) in [("{\"kind\":\"EventList\",\"items\":[", ","), ("[", ","), ("{\n \"items\": [\n  ", ",\n  ")] {
                let text = opening + events.joined(separator: separator) + (opening == "[" ? "]\n" : "]}\n")
                #expect(try counts(text)[0] == (4, 1), "\(first) \(opening)")
            }
        }
    }

    @Test("what a body holds is not taken for what a damaged element has swallowed", arguments: [1, 600])
    func bodies(_ depth: Int) throws {
        let (opening, closing) = (String(repeating: "[", count: depth), String(repeating: "]", count: depth))
        let body = "\"requestObject\":{\"items\":\(opening)\(Self.event(7)),\(Self.event(8)),\(Self.event(9))\(closing)},"
        let list = "{\"items\":[\(Self.event(0)),\(Self.event(1)),\(Self.event(2, body))"
        for text in [list + "]}\n", list + ",{\"kind\":\n", String(list.dropLast(60)) + "\n", String(list.dropLast(60))] {
            let folder = try Fixtures.TemporaryFolder()
            defer { folder.remove() }
            let fold = try AuditLogReader.fold(try folder.write(text, to: "audit.log"))
            let names = Set(fold.facts.map { fold.texts[Int($0.name)] })
            #expect(names.isSuperset(of: ["p0", "p1"]) && names.isDisjoint(with: ["p7", "p8", "p9"]), "\(names)")
        }
    }

    @Test("what stands inside a line of which the beginning is missing proves nothing")
    func inside() throws {
        let forged = Self.event(1, user: "victim")
        let text = Self.event(
            0, user: "mallory", "\"requestObject\":{\"data\":\"\(String(repeating: "x", count: 20_000))\",\"spec\":\(forged)},")
        let parts = [text.prefix(16_384), text.dropFirst(16_384) + "\n"].map {
            "{\"log\":\(Self.quoted(String($0)).replacing("\n", with: "\\n")),\"stream\":\"stdout\"}\n"
        }
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let fold = try AuditLogReader.fold(try folder.write(parts.joined(), to: "docker.log"))
        #expect(fold.facts.map { fold.texts[Int($0.user)] } == ["mallory"])
        let rest = try AuditLogReader.fold(try folder.write(text.dropFirst(16_384) + "\n", to: "rest.log"))
        #expect(rest.facts.isEmpty && rest.logs[0].rejected == 1)
    }

    @Test("a row of a table may begin with a list or an object", arguments: ["[]", "{}"])
    func rows(_ cell: String) throws {
        let columns = "SourceIps,AuditId,Stage,RequestUri,Verb,User,RequestReceivedTime\n"
        let row = "id-0,ResponseComplete,/api/v1/namespaces/x/pods/p,get,\"{\"\"username\"\":\"\"bob\"\"}\",2026-03-01T10:00:00Z\n"
        let rows = [cell, "\"[\"\"10.0.0.7\"\"]\"", ""].enumerated().map { "\($1),\(row.replacing("id-0", with: "id-\($0)"))" }
        #expect(try counts(columns + rows.joined())[0] == (3, 0))
    }

    @Test("a stream may have the lengths of known logs in the middle of its lines")
    func knownLengths() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        for (number, size) in [1_500, 20_500].enumerated() {
            let event = Self.event(number, "\"userAgent\":\"\",")
            let log = event.replacing("Agent\":\"", with: "Agent\":\"" + String(repeating: "x", count: size - event.count - 1)) + "\n"
            _ = try reader.read(try folder.write(log, to: "\(number).log")) { _ in }
        }
        let lines = (10..<70).map {
            "2026-01-01T00:00:00.000Z \(Self.event($0, "\"userAgent\":\"\(String(repeating: "y", count: 600))\","))\n"
        }
        let path = try folder.write(lines.joined(), to: "c.log")
        try folder.shell("gzip \(path)")
        let log = try reader.read(path + ".gz") { _ in }.log
        #expect(log.requests == 60 && log.rejected == 0)
    }

    @Test("zeros between two gzip members, and behind the last, are padding; anything else is damage")
    func padding() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for number in 0..<2 { _ = try folder.write(Self.event(number) + "\n", to: "\(number).log") }
        for (between, requests, damaged) in [("head -c 100 /dev/zero", 2, nil), ("head -c 300000 /dev/zero", 2, nil), ("echo x", 1, 1)] {
            try folder.shell("cd \(folder.path) && (gzip -c 0.log; \(between); gzip -c 1.log; head -c 512 /dev/zero) > packed")
            let (log, _) = try AuditLogReader().read(folder.file("packed")) { _ in }
            #expect(log.requests == requests && log.rejects["damaged"] == damaged, "\(between)")
        }
    }

    @Test(
        "an event with a member that no API server writes is rejected, whatever it stands in",
        arguments: ["userAgent", "username", "requestURI", "name", "reason"])
    func overlong(_ member: String) throws {
        let long = String(repeating: "x", count: 2 << 20)
        var event = Self.event(1)
        switch member {
        case "userAgent": event = Self.event(1, "\"userAgent\":\"\(long)\",")
        case "username": event = Self.event(1, user: long)
        case "requestURI": event = event.replacing("/p1\"", with: "/p1?x=\(long)\"")
        case "name": event = event.replacing(#/"requestURI":"[^"]*"/#, with: "\"objectRef\":{\"resource\":\"pods\",\"name\":\"\(long)\"}")
        default: event = event.replacing("\"annotations\":{", with: "\"annotations\":{\"authorization.k8s.io/reason\":\"\(long)\",")
        }
        for wrapped in [event, "{\"kind\":\"EventList\",\"items\":[\(event)]}", "{\"log\":\(Self.quoted(event))}"] {
            #expect(try counts("\(Self.event(0))\n\(wrapped)\n\(Self.event(2))\n").map { [$0.requests, $0.rejected] } == [[2, 1]])
        }
        // A body may be longer.
        let body = Self.event(1, "\"requestObject\":{\"a\":\"\(long)\"},")
        #expect(try counts("\(body)\n").map { [$0.requests, $0.rejected] } == [[1, 0]])
    }

    @Test("a user agent that is longer than an API server writes is kept cut, however it comes")
    func longAgent() throws {
        let agents = ["tool/1 " + String(repeating: "x", count: 2_041), "tool/2 " + String(repeating: "y", count: 600_000)]
        for agent in agents {
            let event = Self.event(1, "\"userAgent\":\"\(agent)\",")
            for text in [event, "{\"kind\":\"EventList\",\"items\":[\(event)]}", "{\"log\":\(Self.quoted(event))}"] {
                let fold = try fold(text + "\n")
                let kept = fold.facts.map { fold.texts[Int($0.userAgent)] }
                #expect(kept == [agent.utf8.count > 2_048 ? agent.prefix(2_048) + "...TRUNCATED" : agent])
            }
        }
    }

    @Test(
        "a copy of an event that is no UTF-8 hides none that is, whichever comes first",
        arguments: ["agent", "RBAC: allowed", "allow\"", "alice", "/pods/p1", "get\""])
    func damagedCopies(_ place: String) throws {
        let whole = Self.event(1, "\"userAgent\":\"agent\",").replacing(
            "\"allow\"", with: "\"allow\",\"authorization.k8s.io/reason\":\"RBAC: allowed by nobody\"")
        let start = whole[..<(try #require(whole.range(of: place))).lowerBound].utf8.count
        var damaged = Array(whole.utf8)
        damaged[start + 1] = 0xFF
        for copies in [[damaged, Array(whole.utf8)], [Array(whole.utf8), damaged]] {
            let folder = try Fixtures.TemporaryFolder()
            defer { folder.remove() }
            let log = try folder.write("", to: "a.log")
            try Data(copies.joined(separator: [0x0A]) + [0x0A]).write(to: URL(fileURLWithPath: log))
            let counts = try AuditLogReader().read(log) { _ in }.log
            #expect(counts.requests == 1 && counts.rejects == ["not-utf8": 1] && counts.repeated == 0, "\(counts)")
        }
    }

    @Test("an event that is read as a whole and turns out to be damaged hides no copy of it, in this log, load or a later one")
    func damagedCreate() throws {
        let whole = Self.event(1, "\"stageTimestamp\":\"2026-11-20T09:00:00.000002Z\",")
            .replacing("/api/v1/namespaces/shop/pods/p1", with: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles")
            .replacing("\"get\"", with: "\"create\"")
        var damaged = Array(whole.utf8)
        damaged[whole[..<(try #require(whole.range(of: "000002Z"))).lowerBound].utf8.count] = 0xFF
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let bad = try folder.write("", to: "bad.log")
        try Data(damaged + [0x0A]).write(to: URL(fileURLWithPath: bad))
        let good = try folder.write("\(whole)\n", to: "good.log")
        // Lines that follow each other are looked at together.
        let both = try folder.write("", to: "both.log")
        let copies = [damaged, Array(Self.event(2).utf8), Array(whole.utf8), damaged, Array(whole.utf8)]
        try Data(copies.joined(separator: [0x0A]) + [0x0A]).write(to: URL(fileURLWithPath: both))
        let together = try AuditLogReader().read(both) { _ in }.log
        #expect(together.requests == 2 && together.repeated == 1 && together.rejects == ["not-utf8": 2], "\(together)")
        let reader = AuditLogReader()
        #expect(try reader.read(bad) { _ in }.log.rejects == ["not-utf8": 1])
        let window = try #require(reader.take()).window
        let later = AuditLogReader(window: window)
        // What turns out to be known while it is read is forgotten, and nothing before it.
        let known = try folder.write((10..<40).map { "\(Self.event($0))\n" }.joined(), to: "known.log")
        try folder.shell("gzip \(known)")
        let between = AuditLogReader()
        for log in ["\(known).gz", bad, "\(known).gz"] { _ = try between.read(log) { _ in } }
        #expect(try between.read(good) { _ in }.log.requests == 1)
        for reader in [reader, later] {
            #expect(try reader.read(good) { _ in }.log.requests == 1)
            #expect(try reader.read(try folder.write("\n\(whole)\n", to: "again.log")) { _ in }.log.repeated == 1)
        }
    }

    @Test("a line that is too long is kept whole among the rejects")
    func wholeRejects() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.lineLimit = 1 << 20
        let reader = AuditLogReader(options: options)
        var kept: [(count: Int, isRest: Bool)] = []
        reader.onReject = { kept.append(($0.count, $1)) }
        let long = String(repeating: "x", count: 5 << 20) + "\n"
        let (log, _) = try reader.read(try folder.write("\(Self.event(0))\n\(long)garbage\n\(Self.event(1))\n", to: "a.log")) { _ in }
        #expect(log.requests == 2 && log.rejects == ["too-long": 1, "not-json": 1])
        #expect(kept.dropLast().reduce(0) { $0 + $1.count } == long.utf8.count && kept.last?.count == "garbage\n".utf8.count)
        #expect(kept.map(\.isRest) == [false] + kept.dropFirst(2).map { _ in true } + [false])
    }

    @Test("an event in a body that fills a part of a line that Docker has split is none")
    func alignedPart() throws {
        let part = 1 << 14
        let forged = Self.event(7, user: "mallory", "\"pad\":\"PAD\",")
        let inner = forged.replacing("PAD", with: String(repeating: "x", count: part - forged.utf8.count + 3))
        let head = Self.event(1, "\"requestObject\":{\"pad\":\"PAD\",\"a\":")
        let before = try #require(head.range(of: "\"a\":")).upperBound
        let filled = String(head[..<before]).replacing("PAD", with: String(repeating: "x", count: part - head[..<before].utf8.count + 3))
        let line = "\(filled)\(inner)},\(head[before...])\n"
        #expect(inner.utf8.count == part && filled.utf8.count == part)
        let parts = stride(from: 0, to: line.utf8.count, by: part).map { String(line.dropFirst($0).prefix(part)) }
        let text = parts.map { "{\"log\":\(Self.quoted($0).replacing("\n", with: "\\n")),\"stream\":\"stdout\",\"time\":\"t\"}\n" }.joined()
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        let (log, _) = try reader.read(try folder.write(text, to: "a.log")) { _ in }
        let fold = try #require(reader.take())
        #expect(log.requests == 1 && log.rejected == 0 && fold.facts.map { fold.key($0).user } == ["alice"])
    }
}
