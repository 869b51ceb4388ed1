import Foundation
import Testing
import WhittleIngest
import WhittleTestSupport

/// Usage is counted exactly once, whatever is killed, split, merged, rotated or read again.
@Suite("Usage")
struct UsageTests {
    /// Events of some accounts; the seed decides which.
    private static func events(_ count: Int, seed: UInt64) -> [String] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).flatMap { number -> [String] in
            let account = Int.random(in: 0..<4, using: &random)
            let verb = ["get", "list", "watch", "delete", "patch"].randomElement(using: &random) ?? "get"
            let name = verb == "list" || verb == "watch" ? "" : "/p\(Int.random(in: 0..<12, using: &random))"
            let (day, second) = (Int.random(in: 10...12, using: &random), Int.random(in: 10...59, using: &random))
            let code = verb == "patch" ? 201 : 200
            let owner = "\"kind\":\"ReplicaSet\",\"name\":\"r\(name.dropFirst(2))\",\"blockOwnerDeletion\":true"
            let body = verb == "patch" ? "\"requestObject\":{\"metadata\":{\"ownerReferences\":[{\(owner)}]}}," : ""
            return ["ResponseStarted", "ResponseComplete"].filter { $0 == "ResponseComplete" || verb == "watch" }.map { stage in
                """
                {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"\(seed)-\(number)","stage":"\(stage)",\
                "requestURI":"/api/v1/namespaces/shop/pods\(name)","verb":"\(verb)",\
                "user":{"username":"system:serviceaccount:shop:a\(account)","groups":["system:authenticated"],\
                "extra":{"authentication.kubernetes.io/pod-name":["a\(account)-x"],"authentication.kubernetes.io/pod-uid":["u\(account)"]}},\
                "userAgent":"a/\(account)",\(body)"responseStatus":{"metadata":{},"code":\(code)},\
                "requestReceivedTimestamp":"2026-11-\(day)T09:00:\(second).000001Z",\
                "annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}
                """
            }
        }
    }

    private static func text(_ events: some Sequence<String>) -> String { events.map { $0 + "\n" }.joined() }

    /// Everything that usage is, by names and not by ids.
    private func facts(_ database: String) -> [String] {
        ["usage", "usage-by-pod", "usage-by-agent", "usage-by-day", "usage-by-binding"].map {
            whittle("query", $0, "--db", database, "-o", "json").output
        } + [
            whittle("usage", "export", "--db", database).output.split(separator: "\n")
                .filter { !$0.hasPrefix("{\"log\"") && !$0.hasPrefix("{\"end\"") }.joined(separator: "\n")
        ]
    }

    private func database(_ workspace: borrowing Workspace, _ name: String = "whittle.db") -> String {
        let path = workspace.file(name)
        #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", path).code == 0)
        return path
    }

    @Test("a log that cannot be read does not keep the others from counting, in whatever order they come")
    func badFiles() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let good = try workspace.write(Self.text(Self.events(5, seed: 1)), to: "good.log")
        let damaged = workspace.file("damaged")
        try Data([0x1F, 0x8B, 8, 0, 0, 0]).write(to: URL(fileURLWithPath: damaged))
        let missing = workspace.file("missing")
        for logs in [[missing, good], [good, missing], [damaged, good], [good, damaged], [good, workspace.file("no*.log")]] {
            try FileManager.default.removeItem(atPath: path)
            let result = whittle(["usage", "load"] + logs + ["--db", database(workspace)])
            #expect(result.code == 0 && result.errors.contains("whittle: error: cannot"))
            #expect(whittle("usage", "list", "--db", path).output.contains("pods"))
        }
        for logs in [[missing], [damaged], [missing, damaged]] {
            #expect(whittle(["usage", "load"] + logs + ["--db", database(workspace, "other.db")]).code == 2)
        }
        #expect(whittle("usage", "load", workspace.folder.path, "--follow", "--db", path).code == 64)
    }

    @Test("logs that go on from the same beginning differently, or that another load adds meanwhile, all count")
    func branches() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let events = Self.events(12_000, seed: 1)
        func log(_ name: String, _ parts: ArraySlice<String>...) throws -> String {
            try workspace.write(Self.text(parts.joined()).replacing(#/"auditID":"[^"]*",/#, with: ""), to: name)
        }
        let start = try log("p.log", events[..<2_000])
        let one = try log("a.log", events[..<2_000], events[2_000..<6_000])
        let other = try log("b.log", events[..<2_000], events[6_000..<12_000])
        let apart = try log("c.log", Self.events(50, seed: 2)[...])
        func requests(_ database: String) throws -> Int {
            let table = whittle("usage", "list", "--db", database, "-o", "csv", "--no-headers").output
            let place = try #require(
                whittle("usage", "list", "--db", database, "-o", "csv").output.split(separator: "\n").first?.split(separator: ",")
                    .firstIndex(of: "count"))
            return table.split(separator: "\n").reduce(0) {
                $0 + (Int($1.split(separator: ",", omittingEmptySubsequences: false)[place]) ?? 0)
            }
        }
        let complete = { (events: ArraySlice<String>) in events.count { $0.contains("ResponseComplete") } }
        let total = complete(events[..<12_000]) + 50
        #expect(whittle("usage", "load", start, one, other, apart, "--commit-every", "1", "--db", path).code == 0)
        #expect(try requests(path) == total)
        // Both read what was known before, and one of them comes too late.
        for round in 0..<4 {
            let result = try Shell.result(
                of: """
                    cp \(database(workspace, "fresh.db")) w.db; $WHITTLE usage load p.log --db w.db 2> /dev/null
                    $WHITTLE usage load a.log --db w.db 2> /dev/null & $WHITTLE usage load a.log c.log --db w.db; echo $?; wait
                    """, in: workspace.folder.path)
            #expect(result.output == "0\n", "round \(round)")
            #expect(try requests(workspace.file("w.db")) == complete(events[..<6_000]) + 50)
        }
    }

    @Test("a load of the cluster beside a long load of usage takes nothing of it away", arguments: [1, 1_024])
    func loadBeside(commitEvery: Int) throws {
        let workspace = try Workspace()
        let events = Self.events(3_000, seed: 1)
        for (name, part) in [("first.log", events[..<2_000]), ("rest.log", events[2_000...])] {
            _ = try workspace.write(Self.text(part), to: name)
        }
        _ = database(workspace)
        // Longer than what a pipe holds: the load of usage is at work when the first part is gone.
        let result = try Shell.result(
            of: """
                (cat first.log; $WHITTLE load \(Fixtures.path("demo/cluster")) -o whittle.db 2> /dev/null; cat rest.log) \
                | $WHITTLE usage load - --commit-every \(commitEvery) --db whittle.db 2> /dev/null; echo $?
                sqlite3 whittle.db 'SELECT sum(count) FROM usage; SELECT count(*) FROM checkpoint; SELECT count(*) > 0 FROM pod'
                """, in: workspace.folder.path)
        #expect(result.output == "0\n\(events.count { $0.contains("ResponseComplete") })\n1\n1\n")
    }

    @Test("signals end what waits for a log", arguments: [("INT", 130), ("TERM", 143), ("HUP", 129)])
    func signals(name: String, code: Int) throws {
        let workspace = try Workspace()
        _ = database(workspace)
        // A shell lets what it runs in the background ignore SIGINT.
        let result = try Shell.result(
            of: """
                set -m; $WHITTLE usage load none.log --follow --db whittle.db 2> /dev/null & process=$!
                sleep 2; kill -\(name) $process; (sleep 20; kill -9 $process) 2> /dev/null & wait $process; echo $?
                kill %2
                """, in: workspace.folder.path)
        #expect(result.output == "\(code)\n")
    }

    /// What a script prints beside an empty database and a log of these events.
    private func output(of script: String) throws -> (events: [String], output: String) {
        let workspace = try Workspace()
        let events = Self.events(400, seed: 1)
        _ = try workspace.write(Self.text(events), to: "a.log")
        _ = database(workspace)
        return (events, try Shell.result(of: script, in: workspace.folder.path).output)
    }

    @Test("what has come through a pipe is kept when a signal ends it, and nobody waits for its writer")
    func pipes() throws {
        let (events, output) = try output(
            of: """
                set -m; mkfifo named; (cat a.log; sleep 20) > named & $WHITTLE usage load named --db whittle.db 2> /dev/null & process=$!
                sleep 2; kill -INT $process; wait $process; echo $?; kill %1
                sqlite3 whittle.db 'SELECT sum(count) FROM usage'
                mkfifo silent; $WHITTLE usage load silent --db whittle.db 2> /dev/null & process=$!
                sleep 2; kill -TERM $process; (sleep 20; kill -9 $process) 2> /dev/null & wait $process; echo $?; kill %%
                """)
        #expect(output == "130\n\(events.count { $0.contains("ResponseComplete") })\n143\n")
    }

    @Test("a compressed log that was read before it was whole counts no damage once it is; pipes behind a pattern are passed over")
    func unfinishedCopy() throws {
        let (events, output) = try output(
            of: """
                gzip -c a.log > whole.gz; mkfifo fifo.gz; rm a.log
                for n in 3000 5000 100000000; do
                  head -c $n whole.gz > a.gz; $WHITTLE usage load a.gz --db whittle.db 2> /dev/null
                  sqlite3 whittle.db 'SELECT rejected, rejects, events FROM checkpoint'
                done
                $WHITTLE usage load '*.gz' --db whittle.db 2>&1
                """)
        let lines = output.split(separator: "\n")
        #expect(lines.count == 6)
        #expect(lines.prefix(2).allSatisfy { $0.hasPrefix("1|{\"damaged\":1}|") })
        #expect(lines[2...] == ["0|{}|\(events.count)", "fifo.gz: not read: no file", "a.gz: nothing new", "whole.gz: nothing new"])
    }

    @Test("a copy of a log from before it grew counts once, and what goes on behind it counts; 64 states of a log are remembered")
    func earlierStates() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let events = Self.events(400, seed: 1).map { $0.replacing(#/"auditID":"[^"]*",/#, with: "") }
        func load(_ name: String, _ events: some Sequence<String>) throws {
            #expect(whittle("usage", "load", try workspace.write(Self.text(events), to: name), "--db", path).code == 0)
        }
        func number(_ query: String) throws -> Int? {
            Int(try Shell.result(of: "sqlite3 whittle.db '\(query)'", in: workspace.folder.path).output.dropLast())
        }
        func requests() throws -> Int? { try number("SELECT sum(count) FROM usage") }
        let complete = { (events: ArraySlice<String>) in events.count { $0.contains("ResponseComplete") } }
        try load("copy.log", events[..<100])
        try load("audit.log", events[..<200])
        let copy = workspace.file("copy.log")
        for _ in 0..<2 {
            #expect(whittle("usage", "load", copy, "--db", path).errors == "\(copy): nothing new\n")
            let piped = try Shell.result(of: "gzip -c copy.log | $WHITTLE usage load - --db whittle.db", in: workspace.folder.path)
            #expect(piped.errors == "-: nothing new\n")
            #expect(try requests() == complete(events[..<200]))
            // What is known of logs outlives a load of the cluster.
            #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", path).code == 0)
        }
        try load("branch.log", events[..<100] + events[200..<300])
        #expect(try requests() == complete(events[..<300]))
        for end in 310..<400 { try load("audit.log", events[..<200] + events[300..<end]) }
        #expect(try requests() == complete(events[..<399]))
        #expect(try number("SELECT count(*) FROM earlier_checkpoint GROUP BY checkpoint_id") == 64)
        try load("copy.log", events[..<200] + events[300..<340])
        #expect(try requests() == complete(events[..<399]))
        // In a stream the ends of all states are met, one after the other.
        _ = try workspace.write(Self.text(events[..<200] + events[300...]), to: "audit.log")
        _ = try Shell.result(of: "gzip -c audit.log | $WHITTLE usage load - --db whittle.db", in: workspace.folder.path)
        #expect(try requests() == complete(events[...]))
        // Whoever merges an export knows them, too.
        let (merged, export) = (database(workspace, "merged.db"), workspace.file("export.ndjson"))
        #expect(whittle("usage", "export", "--db", path, "-o", export).code == 0)
        #expect(whittle("usage", "merge", export, "--db", merged).code == 0)
        #expect(whittle("usage", "load", workspace.file("copy.log"), "--db", merged).errors == "\(copy): nothing new\n")
    }

    @Test("names of logs cannot write on the terminal")
    func namesOnTerminal() throws {
        let workspace = try Workspace()
        let log = try workspace.write("garbage\n\(Self.text(Self.events(1, seed: 1)))", to: "a\u{1B}[31m\u{202E}.log")
        let result = whittle("usage", "load", log, "--db", database(workspace))
        #expect(result.code == 0 && result.errors.contains(#"a\u{1b}[31m\u{202e}.log:1:1: error"#))
        #expect(!result.errors.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x202E })
    }

    @Test("an interruption ends standard input, and what was read is kept; a log that is followed may come later")
    func interrupted() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        _ = try workspace.write(Self.text(Self.events(50, seed: 1)), to: "a.log")
        for signal in ["INT", "TERM"] {
            // What is behind the log fills the pipe: once it is in, the log is out.
            let result = try Shell.result(
                of: """
                    cp \(path) w.db; rm -f in; mkfifo in; $WHITTLE usage load - --db w.db < in & p=$!
                    exec 3> in; cat a.log >&3; head -c 65536 /dev/zero | tr '\\0' '\\n' >&3; kill -\(signal) $p; wait $p; echo $?
                    """, in: workspace.folder.path)
            #expect(result.output == (signal == "INT" ? "130\n" : "143\n"))
            #expect(result.errors.contains("50 requests"))
            #expect(whittle("usage", "list", "--db", workspace.file("w.db")).output.contains("pods"))
        }
        let late = try Shell.result(
            of: """
                cp \(path) w.db; $WHITTLE usage load late.log --follow --db w.db 2> err & p=$!
                for i in $(seq 300); do grep -q "not there yet" err && break; sleep 0.1; done
                cp a.log late.log; for i in $(seq 300); do grep -q "50 requests" err && break; sleep 0.1; done
                kill $p; wait $p; cat err >&2
                """, in: workspace.folder.path)
        #expect(late.errors.contains("not there yet") && late.errors.contains("50 requests"))
    }

    @Test("a load that is killed at any moment and run again gives the file of a load that was not")
    func killed() throws {
        let workspace = try Workspace()
        _ = database(workspace)
        for part in 0..<4 {
            _ = try workspace.write(Self.text(Self.events(4_000, seed: UInt64(part))), to: "logs/audit-\(part).log")
        }
        let load = "$WHITTLE usage load logs --commit-every 1 --threads 2 --db"
        let plain = try Shell.result(of: "cp whittle.db clean.db; \(load) clean.db", in: workspace.folder.path)
        #expect(plain.code == 0)
        let started = Date()
        _ = try Shell.result(of: "cp whittle.db timed.db; \(load) timed.db", in: workspace.folder.path)
        var random = SeededGenerator(seed: 11)
        var reach = Date().timeIntervalSince(started)
        var kills = 0
        for round in 0..<100 where kills < 50 {
            // Killed up to five times at random, until one load was quicker, and then left alone.
            let delays = (0..<5).map { _ in String(format: "%.4f", Double.random(in: 0..<reach, using: &random)) }
            let script = """
                cp whittle.db w.db; killed=0
                for delay in \(delays.joined(separator: " ")); do
                  \(load) w.db 2> /dev/null & pid=$!; sleep $delay; kill -9 $pid 2> /dev/null; wait $pid 2> /dev/null
                  [ $? = 137 ] || break
                  killed=$((killed + 1))
                done
                \(load) w.db > /dev/null 2>&1 || echo failed
                for db in clean w; do sqlite3 $db.db .dump > $db.sql; done
                cmp clean.sql w.sql && echo same $killed
                """
            let result = try Shell.result(of: script, in: workspace.folder.path)
            let words = result.output.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(words.first == "same", "round \(round): \(result.output) \(result.errors)")
            let killed = Int(words.last ?? "") ?? 0
            // The machine may be busier now than later: kills have to come earlier if loads end before them.
            reach *= killed < 2 ? 0.8 : 1.05
            kills += killed
        }
        #expect(kills >= 50)
    }

    @Test("what a process that was killed had begun to write is undone by whoever opens the file next, and never goes into another file")
    func unfinishedWrite() throws {
        let workspace = try Workspace()
        _ = database(workspace)
        _ = try workspace.write(Self.text(Self.events(50, seed: 1)), to: "a.log")
        let account = #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"new"}}"#
        _ = try workspace.write(account, to: "a.yaml")
        // So little memory that SQLite writes before the transaction ends.
        let kill = """
            killed() {
              cp whittle.db w.db
              sqlite3 w.db 'PRAGMA cache_size = 1; BEGIN' "UPDATE identity SET name = name || 'x'" \
                'CREATE TABLE t AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n' \\
                '.system kill -9 $PPID' 2> /dev/null
              [ -s w.db-journal ] || echo no journal
            }
            $WHITTLE usage load a.log --db whittle.db 2> /dev/null; sqlite3 whittle.db .dump > before.sql
            """
        let opened = try Shell.result(
            of: """
                \(kill)
                for command in "usage list" "query labelled-objects" "usage load a.log"; do
                  killed; $WHITTLE $command --db w.db > /dev/null 2>&1; echo $?; sqlite3 w.db .dump | cmp - before.sql; ls w.db-journal
                done
                """, in: workspace.folder.path)
        #expect(opened.output == "0\n0\n0\n", "\(opened.output) \(opened.errors)")
        let deleted = try Shell.result(
            of: """
                \(kill)
                killed; rm w.db; $WHITTLE load a.yaml -o w.db 2> /dev/null; $WHITTLE usage load a.log --db w.db > /dev/null 2>&1; echo $?
                sqlite3 w.db "PRAGMA integrity_check; SELECT count(*) FROM sqlite_schema WHERE name = 't'; SELECT sum(count) FROM usage"
                """, in: workspace.folder.path)
        #expect(deleted.output == "0\nok\n0\n50\n", "\(deleted.output) \(deleted.errors)")
    }

    @Test(
        "parts that were folded anywhere merge to the whole, in any order and grouping; the same part twice changes nothing",
        arguments: 1...6)
    func merging(_ seed: Int) throws {
        let workspace = try Workspace()
        var random = SeededGenerator(seed: UInt64(seed))
        let events = Self.events(600, seed: UInt64(seed))
        let whole = try workspace.write(Self.text(events), to: "whole.log")
        var parts: [[String]] = Array(repeating: [], count: 4)
        for event in events { parts[Int.random(in: 0..<4, using: &random)].append(event) }
        let limit = seed.isMultiple(of: 2) ? "1000" : "7"
        let expected = database(workspace, "whole.db")
        #expect(whittle("usage", "load", whole, "--max-names", limit, "--db", expected).code == 0)
        var files: [String] = []
        for (number, part) in parts.enumerated() {
            let log = try workspace.write(Self.text(part), to: "part-\(number).log")
            let file = workspace.file("part-\(number).ndjson" + (number.isMultiple(of: 2) ? ".zst" : ""))
            #expect(whittle("usage", "export", log, "--max-names", limit, "-o", file).code == 0)
            files.append(file)
        }
        for grouping in 0..<3 {
            let merged = database(workspace, "merged-\(grouping).db")
            let order = files.shuffled(using: &random)
            if grouping == 0 {
                for file in order + order { #expect(whittle("usage", "merge", file, "--max-names", limit, "--db", merged).code == 0) }
            } else {
                // Two parts first become one.
                let pair = database(workspace, "pair-\(grouping).db")
                let file = workspace.file("pair-\(grouping).ndjson")
                #expect(whittle("usage", "merge", order[0], order[1], "--max-names", limit, "--db", pair).code == 0)
                #expect(whittle("usage", "export", "--db", pair, "-o", file).code == 0)
                let rest = (grouping == 1 ? [order[2], file, order[3]] : [file, order[3], order[2]])
                #expect(whittle(["usage", "merge"] + rest + ["--max-names", limit, "--db", merged]).code == 0)
                // A part of it alone is known, but not what holds it and more.
                #expect(whittle("usage", "merge", order[0], "--db", merged).errors.contains("nothing new"))
                let other = database(workspace, "other-\(grouping).db")
                #expect(whittle("usage", "merge", order[0], "--db", other).code == 0)
                #expect(whittle("usage", "merge", file, "--db", other).code == 2)
            }
            #expect(facts(merged) == facts(expected))
        }
    }

    @Test("events of any time that can be loaded can be merged", arguments: ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
    func times(_ time: String) throws {
        let workspace = try Workspace()
        let events = Self.events(5, seed: 1)
        let odd = events[0].replacing(/"requestReceivedTimestamp":"[^"]*"/, with: "\"requestReceivedTimestamp\":\"\(time)\"")
        let log = try workspace.write(Self.text([odd] + events.dropFirst()), to: "audit.log")
        let (loaded, merged) = (database(workspace), database(workspace, "merged.db"))
        #expect(whittle("usage", "load", log, "--db", loaded).code == 0)
        #expect(whittle("usage", "export", log, "-o", workspace.file("part.ndjson")).code == 0)
        #expect(whittle("usage", "merge", workspace.file("part.ndjson"), "--db", merged).code == 0)
        #expect(facts(merged) == facts(loaded))
    }

    @Test("an earlier or later state of a merged log is refused: its events would count twice")
    func grownParts() throws {
        let workspace = try Workspace()
        let events = Self.events(60, seed: 3)
        var parts: [String] = []
        for count in [20, 40] {
            let log = try workspace.write(Self.text(events.prefix(count)), to: "a.log")
            parts.append(workspace.file("\(count).ndjson"))
            #expect(whittle("usage", "export", log, "-o", parts[parts.count - 1]).code == 0)
        }
        let rest = try workspace.write(Self.text(events.suffix(20)), to: "b.log")
        parts.append(workspace.file("rest.ndjson"))
        #expect(whittle("usage", "export", rest, "-o", parts[2]).code == 0)
        let path = database(workspace)
        #expect(whittle("usage", "merge", parts[0], "--db", path).code == 0)
        let before = facts(path)
        let refused = whittle("usage", "merge", parts[1], "--db", path)
        #expect(refused.code == 2 && refused.errors.contains("an earlier or later state"))
        #expect(facts(path) == before)
        #expect(whittle("usage", "merge", parts[2], "--db", path).code == 0)
    }

    @Test("of parts that are given together those of more log come first, whatever their order; what is wrong with one keeps no other out")
    func partsTogether() throws {
        let workspace = try Workspace()
        let events = Self.events(60, seed: 3)
        let path = database(workspace)
        var parts: [String] = []
        for count in [20, 40] {
            #expect(whittle("usage", "load", try workspace.write(Self.text(events.prefix(count)), to: "a.log"), "--db", path).code == 0)
            parts.append(workspace.file("\(count).ndjson"))
            #expect(whittle("usage", "export", "--db", path, "-o", parts[parts.count - 1]).code == 0)
        }
        for (number, order) in [parts, parts.reversed()].enumerated() {
            let merged = database(workspace, "\(number).db")
            let answer = whittle(["usage", "merge"] + order + ["--db", merged])
            #expect(answer.code == 0 && answer.errors.contains("20.ndjson: nothing new"))
            #expect(facts(merged) == facts(path))
        }
        let (merged, broken) = (database(workspace, "broken.db"), try workspace.write("{}\n", to: "broken.ndjson"))
        let answer = whittle("usage", "merge", broken, parts[0], workspace.file("missing"), parts[1], "--db", merged)
        #expect(answer.code == 2)
        #expect(answer.errors.contains("missing") && answer.errors.contains("broken.ndjson:1"))
        #expect(facts(merged) == facts(path))
        // A node whose disk was full.
        _ = try workspace.write("", to: "parts/a.ndjson")
        _ = try workspace.write(String(contentsOfFile: parts[1], encoding: .utf8), to: "parts/b.ndjson")
        let folder = whittle("usage", "merge", workspace.file("parts"), "--db", database(workspace, "folder.db"))
        #expect(folder.code == 2 && folder.errors.contains("is empty") && facts(workspace.file("folder.db")) == facts(path))
    }

    @Test("half a line at the end of a stream waits for the rest of it; the same log twice in a run counts once")
    func streams() throws {
        let workspace = try Workspace()
        let events = Self.events(40, seed: 5)
        let log = try workspace.write(Self.text(events), to: "a.log")
        let whole = database(workspace, "whole.db")
        #expect(whittle("usage", "load", log, "--db", whole).code == 0)
        let script = """
            for size in 700 1500 9000; do
              cp base.db s.db; head -c $size a.log | $WHITTLE usage load - --db s.db; cat a.log | $WHITTLE usage load - --db s.db
              cp base.db g.db; head -c $size a.log | gzip > a.gz; $WHITTLE usage load a.gz --db g.db
              gzip -c a.log > a.gz; $WHITTLE usage load a.gz --db g.db
              cp base.db c.db; gzip -c a.log | head -c $((size / 4)) > a.gz; $WHITTLE usage load a.gz --db c.db
              gzip -c a.log > a.gz; $WHITTLE usage load a.gz a.log a.gz --db c.db
              for db in s g c; do cp $db.db $db-$size.db; done
            done
            """
        _ = database(workspace, "base.db")
        _ = try Shell.result(of: script, in: workspace.folder.path)
        for size in [700, 1500, 9000] {
            for kind in ["s", "g", "c"] { #expect(facts(workspace.file("\(kind)-\(size).db")) == facts(whole), "\(kind) \(size)") }
        }
        // A broken file is as broken the second time.
        let broken = try Shell.result(
            of:
                "gzip -c a.log | head -c 900 > b.gz; cp base.db b.db; for i in 1 2; do $WHITTLE usage load b.gz --db b.db; sqlite3 b.db .dump > $i.sql; done; cmp 1.sql 2.sql && echo same",
            in: workspace.folder.path)
        #expect(broken.output.hasSuffix("same\n"))
        // Without audit IDs nothing else tells that they are the same.
        let anonymous = try workspace.write(Self.text(events).replacing(#/"auditID":"[^"]*",/#, with: ""), to: "b.log")
        let (once, twice) = (database(workspace, "once.db"), database(workspace, "twice.db"))
        #expect(whittle("usage", "load", anonymous, "--db", once).code == 0)
        let early = try workspace.write(Self.text(events.prefix(20)).replacing(#/"auditID":"[^"]*",/#, with: ""), to: "early.log")
        #expect(whittle("usage", "load", early, anonymous, anonymous, "--db", twice).code == 0)
        #expect(facts(twice) == facts(once))
    }

    @Test("files that are read are never written")
    func ownLog() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let text = Self.text(Self.events(3, seed: 1))
        let log = try workspace.write(text, to: "a.log")
        #expect(whittle("usage", "load", log, "--rejects", log, "--db", path).code == 64)
        #expect(whittle("usage", "load", log, "--rejects", path, "--db", path).code == 64)
        #expect(whittle("usage", "load", log, "--max-names", "9223372036854775807", "--db", path).code == 64)
        #expect(whittle("usage", "export", log, "-o", log).code == 64)
        #expect(whittle("usage", "export", log, "--rejects", workspace.file("x"), "-o", workspace.file("x")).code == 64)
        // Before the log is read.
        for target in [workspace.folder.path, workspace.file("none/x")] {
            let result = whittle("usage", "export", log, "-o", target)
            #expect(result.code == 2 && !result.errors.contains("requests"))
        }
        #expect(try String(contentsOfFile: log, encoding: .utf8) == text)
        // A log that grows by nothing good is no failure, and what was rejected before stays.
        let rejects = workspace.file("bad")
        for more in ["garbage\n", "garbage\nmore\n"] {
            _ = try workspace.write(text + more, to: "a.log")
            #expect(whittle("usage", "load", log, "--rejects", rejects, "--db", path).code == 0)
        }
        #expect(try String(contentsOfFile: rejects, encoding: .utf8) == "garbage\nmore\n")
        // In a folder it is no log.
        _ = try workspace.write("bad\n" + text.replacing(#""auditID":""#, with: #""auditID":"x"#), to: "logs/a.log")
        for number in 1...2 {
            let result = whittle("usage", "load", workspace.file("logs"), "--rejects", workspace.file("logs/bad"), "--db", path)
            #expect(result.code == 0 && result.errors.contains("not read: --rejects writes it") == (number == 2))
        }
        #expect(try String(contentsOfFile: workspace.file("logs/bad"), encoding: .utf8) == "bad\n")
    }

    @Test("what cannot be followed, patterns that do less than they seem to, names that a load drops and rejects that it does not show")
    func told() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let log = try workspace.write(Self.text(Self.events(30, seed: 5)), to: "logs/a.log")
        #expect(try Shell.result(of: "gzip -c logs/a.log > a.gz; mkfifo pipe", in: workspace.folder.path).code == 0)
        for (file, reason) in [("a.gz", "is compressed"), ("pipe", "no file"), ("logs", "a folder")] {
            let result = whittle("usage", "load", "--follow", workspace.file(file), "--db", path)
            #expect(result.code == 64 && result.errors.contains(reason), "\(file)")
        }
        #expect(whittle("usage", "load", workspace.file("**/a.log"), "--db", path).errors.contains("`**` stands for one folder"))
        let names = try workspace.write(Self.text(Self.events(30, seed: 6)), to: "b.log")
        let dropping = whittle("usage", "load", names, "--max-names", "0", "--db", path)
        #expect(dropping.errors.contains("names are not kept of") && dropping.errors.contains("(--max-names)"), "\(dropping.errors)")
        let bad = try workspace.write(String(repeating: "no event\n", count: 21), to: "bad.log")
        #expect(whittle("usage", "load", log, bad, "--db", path).errors.contains("20 of what is unreadable are shown"))
        let stray = Self.text(Self.events(1, seed: 7)).replacing("2026-", with: "2999-")
        let late = whittle("usage", "load", try workspace.write(stray, to: "late.log"), "--db", path).errors
        #expect(late.contains("which is to come: a clock is wrong"), "\(late)")
        #expect(!dropping.errors.contains("a clock is wrong"))
    }

    @Test("logs that hold no event are nothing that could be judged; that all of it is known is something else")
    func empty() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let other = "{\"category\":\"kube-scheduler\",\"properties\":{\"log\":\"x\"}}\n"
        for text in ["\n\n", "{\"kind\":\"EventList\",\"items\":[]}\n"] {
            let result = whittle("usage", "load", try workspace.write(text, to: "none.log"), "--db", path)
            #expect(result.code == 0 && result.errors.contains("no audit events"))
        }
        let result = whittle("usage", "load", try workspace.write(other, to: "other.log"), "--db", path)
        #expect(result.code == 2 && result.errors.contains("1 of other logs") && result.errors.contains("holds no audit events"))
        let nameless = try workspace.write(
            (Self.events(1, seed: 1).last ?? "").replacing(#/"username":"[^"]*"/#, with: #""username":"""#) + "\n", to: "nameless.log")
        let unjudged = whittle("usage", "load", nameless, "--db", database(workspace, "nameless.db"))
        #expect(unjudged.code == 2 && unjudged.errors.contains("no event tells who asked for what"))
        // Nor can it be the next time.
        #expect(whittle("usage", "load", nameless, "--db", workspace.file("nameless.db")).code == 2)
        #expect(whittle("usage", "load", workspace.file("other.log"), "--db", path).code == 2)
        // Nor beside others of the kind, or when it has grown by such.
        let another = other.replacing("\"x\"", with: "\"y\"")
        let more = try workspace.write(another, to: "more.log")
        #expect(whittle("usage", "load", workspace.file("other.log"), more, "--db", path).code == 2)
        _ = try workspace.write(another + other, to: "more.log")
        #expect(whittle("usage", "load", more, "--db", path).code == 2)
        let log = try workspace.write(Self.text(Self.events(3, seed: 1)), to: "a.log")
        #expect(whittle("usage", "load", log, "--db", path).code == 0)
        #expect(whittle("usage", "load", log, workspace.file("other.log"), "--db", path).code == 0)
        let again = whittle("usage", "load", log, workspace.file("none.log"), "--db", path)
        #expect(again.code == 0 && again.errors.contains("nothing new"))
        _ = try workspace.write(Self.text(Self.events(3, seed: 2)), to: "logs/.hidden.log")
        _ = try workspace.write(Self.text(Self.events(3, seed: 3)), to: "logs/a.log")
        let folder = whittle("usage", "load", workspace.file("logs"), "--db", path)
        #expect(folder.code == 0 && folder.errors.contains(".hidden.log: not read") && folder.errors.contains("logs/a.log: 3 requests"))
        _ = try workspace.write("", to: "nothing/a.log")
        let nothing = whittle("usage", "load", workspace.file("nothing"), "--db", path)
        #expect(nothing.code == 0 && nothing.errors.contains("nothing: 1 of the files in it is empty"))
    }

    /// What `usage export` writes of a log of `events`.
    private static func export(_ count: Int, seed: UInt64, in workspace: borrowing Workspace) throws -> String {
        let log = try workspace.write(text(events(count, seed: seed)), to: "a.log")
        let file = workspace.file("a.ndjson")
        #expect(whittle("usage", "export", log, "-o", file).code == 0)
        return try String(contentsOfFile: file, encoding: .utf8)
    }

    @Test("an export that is cut off, of another kind or of a newer version adds nothing")
    func badExports() throws {
        let workspace = try Workspace()
        let text = try Self.export(20, seed: 1, in: workspace)
        let path = database(workspace)
        let bad = [
            String(text.prefix(text.count / 2)), text.split(separator: "\n").dropLast().joined(separator: "\n"), "", "{}\n",
            text.replacing("\"version\":1", with: "\"version\":2"), text.replacing("\"allow\"", with: "\"perhaps\""), text + text,
            text.replacing(#/"byteCount":\d+/#, with: "\"byteCount\":-5"),
            text.replacing(#/"spans":\[\[.*?\]\]/#, with: "\"spans\":[[-9223372036854775808,9223372036854775807]]"),
            text.replacing(
                #/"spans":\[\[.*?\]\]/#,
                with: "\"spans\":[[-9223372036854775808,-9223372036854775807],[9223372036854775806,9223372036854775807]]"),
            text.replacing(#/"request":{"user":"[^"]*",/#, with: "\"request\":{"),
            text.replacing(#/"days":{[^}]*}/#, with: "\"days\":[9]"), text.replacing(#/"userAgent":"[^"]*"/#, with: "\"userAgent\":7"),
            text.replacing(#/"stages":{[^}]*}/#, with: "\"stages\":\"x\""),
            text.replacing(#/"allowed":(true|false)/#, with: "\"allowed\":1"),
            text.replacing(#/"spans":\[\[.*?\]\]/#, with: "\"spans\":[[0,5000000],[6000000,7000000]]"),
            text.replacing(#/"days":{"(\d+)":\d+/#) { "\($0.output.0),\"\($0.output.1)\":1" },
            text.replacing(#/"days":{[^}]*}/#, with: "\"days\":{}").replacing(#/"started":\d+/#, with: "\"started\":0"),
            text.replacing(#/"days":{"(\d+)":\d+/#) { "\"days\":{\"\($0.output.1)\":1099511627777" },
            text.split(separator: "\n").filter { !$0.hasPrefix("{\"log\"") }.joined(separator: "\n")
                .replacing(#/{"end":(\d+)}/#) { "{\"end\":\((Int($0.output.1) ?? 0) - 1)}\n" },
        ]
        #expect(!bad.contains(text))
        for text in bad {
            let result = whittle("usage", "merge", try workspace.write(text, to: "bad.ndjson"), "--db", path)
            #expect(result.code == 2)
            #expect(result.errors.contains("bad.ndjson:"))
        }
        #expect(whittle("usage", "list", "--db", path).errors.contains("holds no usage"))
    }

    @Test("an edited export with equal facts, or with a NUL in a name, is summed")
    func editedExport() throws {
        let workspace = try Workspace()
        let text = try Self.export(60, seed: 4, in: workspace)
        func requests(_ text: String, _ name: String) throws -> Int {
            let path = database(workspace, "\(name).db")
            #expect(whittle("usage", "merge", try workspace.write(text, to: "\(name).ndjson"), "--db", path).code == 0)
            let counts = whittle("usage", "list", "-o", "jsonl", "--db", path).output.matches(of: #/"count":(\d+)/#)
            return counts.compactMap { Int($0.1) }.reduce(0, +)
        }
        let whole = try requests(text, "whole")
        #expect(try requests("\u{FEFF}\(text)", "marked") == whole)
        let edited = text.replacing(#/"name":"[^"]*"/#, with: #""name":"a\u0000b""#)
        #expect(edited != text && whole > 0)
        #expect(try requests(edited, "edited") == whole)
        for (number, change) in [
            (#""started":\d+"#, #""started":-9223372036854775808"#), (#""days":\{"\d+":\d+"#, #""days":{"20000":9223372036854775807"#),
            (#""days":\{"\d+""#, #""days":{"3""#),
        ].enumerated() {
            let broken = text.replacing(try Regex(change.0), with: change.1)
            #expect(broken != text)
            let answer = whittle(
                "usage", "merge", try workspace.write(broken, to: "\(number).ndjson"), "--db", database(workspace, "\(number).db"))
            #expect(answer.code == 2 && answer.errors.contains("\(number).ndjson:"))
        }
    }

    @Test("names beyond the limit are dropped whichever log they came from first")
    func namesOverLoads() throws {
        let workspace = try Workspace()
        let events = Self.events(400, seed: 3)
        var results: [[String]] = []
        for (number, cut) in [400, 0, 20, 200, 380].enumerated() {
            let path = database(workspace, "\(number).db")
            for (part, lines) in [events.prefix(cut), events.dropFirst(cut)].enumerated() where !lines.isEmpty {
                let log = try workspace.write(Self.text(lines), to: "\(number)-\(part).log")
                #expect(whittle("usage", "load", log, "--max-names", "7", "--db", path).code == 0)
            }
            results.append(facts(path))
        }
        for result in results { #expect(result == results[0]) }
        #expect(results[0].last?.contains("namesDropped") ?? false)
        #expect(whittle("usage", "list", "-o", "jsonl", "--db", workspace.file("0.db")).output.contains("\"namesDropped\":1"))
    }

    @Test("texts that look alike are told apart, and those that no database can hold fail no load")
    func oddTexts() throws {
        let workspace = try Workspace()
        let event = Self.events(1, seed: 1).last ?? ""
        func with(_ id: Int, _ uri: String, _ agent: String = "a") -> String {
            event.replacing(#/"auditID":"[^"]*"/#, with: "\"auditID\":\"x\(id)\"").replacing(
                #/"requestURI":"[^"]*"/#, with: "\"requestURI\":\"\(uri)\""
            )
            .replacing(#/"userAgent":"[^"]*"/#, with: "\"userAgent\":\"\(agent)\"")
        }
        let lines = [
            with(1, "/api/v1/namespaces/a%00b/pods"), with(2, "/api/v1/namespaces/a%ffb/pods"), with(3, "/a%00b"), with(4, "/a%ffb"),
            with(5, "/x", "caf\\u00e9"), with(6, "/x", "cafe\\u0301"), with(7, "?x"),
        ]
        let path = database(workspace)
        for part in [lines, lines.reversed()] {
            let log = try workspace.write(Self.text(part), to: "\(part == lines).log")
            #expect(whittle("usage", "load", log, "--db", path).code == 0)
        }
        let exported = whittle("usage", "export", "--db", path).output.split(separator: "\n").filter { $0.hasPrefix("{\"fact\"") }
        #expect(exported.count == 5)
        #expect(exported.filter { $0.contains("\"path\":\"/x\"") }.count == 2)
    }

    @Test("what cannot be kept of the rejects is read again; a file that is refused stays as it is, and a link stays one")
    func filesBeside() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let log = try workspace.write(Self.text(Self.events(1, seed: 1) + ["garbage"]), to: "a.log")
        try #require(FileManager.default.fileExists(atPath: "/dev/full"))
        let failed = whittle("usage", "load", log, "--rejects", "/dev/full", "--db", path)
        #expect(failed.code == 2 && failed.errors.contains("/dev/full"))
        #expect(whittle("usage", "list", "--db", path).code == 2)
        let rejects = workspace.file("bad")
        #expect(whittle("usage", "load", log, "--rejects", rejects, "--db", path).code == 0)
        #expect(try String(contentsOfFile: rejects, encoding: .utf8) == "garbage\n")
        func permissions(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: log)
        #expect(whittle("usage", "load", log, "--rejects", log, "--db", path).code == 64)
        #expect(try permissions(log) == 0o644)
        let (target, link) = (try workspace.write("", to: "target"), workspace.file("link"))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
        #expect(whittle("usage", "export", log, "-o", link).code == 0)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target)
        #expect(try String(contentsOfFile: target, encoding: .utf8).contains("\"fact\"") && permissions(target) == 0o600)
    }

    @Test("folders and patterns are read in the order of their events, whatever the names")
    func folders() throws {
        let workspace = try Workspace()
        let events = Self.events(300, seed: 5).sorted { $0.suffix(200) < $1.suffix(200) }
        func log(_ lines: ArraySlice<String>, _ name: String) throws { _ = try workspace.write(Self.text(lines), to: name) }
        try log(events[200...], "logs/audit.log")
        try log(events[100..<200], "logs/audit-1.log")
        try log(events[..<100], "logs/old/audit-2.log")
        let whole = try workspace.write(Self.text(events), to: "whole.log")
        let expected = database(workspace, "whole.db")
        #expect(whittle("usage", "load", whole, "--db", expected).code == 0)
        for (number, paths) in [["logs"], ["logs/*"], ["logs/old", "logs/audit*"]].enumerated() {
            let path = database(workspace, "\(number).db")
            #expect(whittle(["usage", "load"] + paths.map { workspace.file($0) } + ["--db", path]).code == 0)
            #expect(facts(path) == facts(expected))
        }
        // Times in URLs are of no event.
        _ = try workspace.write(
            events[200].replacing(#""requestURI":"/"#, with: #""requestURI":"/x?sinceTime=1970-01-01T00:00:00Z&y=/"#) + "\n", to: "t/b.log")
        _ = try workspace.write(events[0] + "\n", to: "t/c.log")
        #expect(AuditLogFiles.expand([workspace.file("t")]).files == [workspace.file("t/c.log"), workspace.file("t/b.log")])
        let none = whittle("usage", "load", workspace.file("none*"), "--db", expected)
        #expect(none.code == 2)
        #expect(none.errors.contains("no file matches"))
    }

    @Test("a log is followed as it grows, through rotation by renaming and by cutting it off")
    func following() throws {
        let workspace = try Workspace()
        let parts = (0..<5).map { Self.events(50, seed: UInt64(20 + $0)) }
        for (number, part) in parts.enumerated() { _ = try workspace.write(Self.text(part), to: "part-\(number)") }
        _ = database(workspace)
        let expected = database(workspace, "expected.db")
        #expect(whittle(["usage", "load"] + (0..<5).map { workspace.file("part-\($0)") } + ["--db", expected]).code == 0)
        let script = """
            wait_for() { for i in $(seq 300); do [ "$(sqlite3 whittle.db 'SELECT coalesce(sum(requests), 0) FROM checkpoint' 2> /dev/null)" = $1 ] && return; sleep 0.1; done; echo "no $1"; }
            head -c 1000 part-0 > audit.log
            $WHITTLE usage load --follow audit.log --db whittle.db 2> told & pid=$!
            sleep 0.3; tail -c +1001 part-0 >> audit.log; wait_for 50
            exec 3>> audit.log; head -n 20 part-1 >&3; mv audit.log audit.1; : > audit.log; sleep 2.5; tail -n +21 part-1 >&3; wait_for 100
            exec 3>&-; cat part-2 > audit.log; wait_for 150
            head -c 3000 part-3 > audit.log; sleep 1.2; tail -c +3001 part-3 >> audit.log; wait_for 200
            printf '{"kind' >> audit.log; sleep 1.2; mv audit.log audit.2; mkfifo audit.log; sleep 6.5; mv audit.log pipe; cp part-4 audit.log; wait_for 250
            kill $pid; wait $pid; echo $?
            grep -c "cut off.*load the copy" told; grep -c "or no file; waiting" told; grep -c "before it was replaced" told; grep -c "  stages: " told
            """
        let result = try Shell.result(of: script, in: workspace.folder.path)
        #expect(result.output == "143\n1\n1\n1\n1\n")
        #expect(facts(workspace.file("whittle.db")) == facts(expected))
    }

    @Test("planted tokens are in no output, no error, no export and no page of the database; rejects are for their owner only")
    func secrets() throws {
        let workspace = try Workspace()
        let secret = "s3cr3tT0k3n"
        let body =
            "\"requestObject\":{\"kind\":\"TokenReview\",\"spec\":{\"token\":\"\(secret)\"}},\"responseObject\":{\"data\":{\"password\":\"\(secret)\"}},"
        let events = Self.events(10, seed: 9).map { $0.replacing("\"userAgent\"", with: body + "\"userAgent\"") }
        let query = Self.events(1, seed: 10).map {
            $0.replacing(#/"requestURI":"[^"]*"/#, with: "\"requestURI\":\"/api/v1/pods?token=\(secret)\"")
        }
        let wrapped = #"{"log":"plain \#(secret)","stream":"stdout"}"#
        let cut = String(events[0].prefix(events[0].count - 40)) + "\n" + "{\"x\": {\"token\": \"\(secret)\"}}\n"
        let list = "{\"items\":[\(events[1]),{\"token\":\"\(secret)\"}]}\n"
        let log = try workspace.write(Self.text(events + query) + wrapped + "\n" + cut + list, to: "a.log")
        let path = database(workspace)
        let rejects = workspace.file("rejects")
        let loaded = whittle("usage", "load", log, "--rejects", rejects, "--db", path)
        #expect(loaded.code == 0)
        let exported = whittle("usage", "export", "--db", path)
        for text in [
            loaded.output, loaded.errors, exported.output, exported.errors, whittle("usage", "list", "-o", "json", "--db", path).output,
        ] {
            #expect(!text.contains(secret))
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: workspace.folder.path) where name.hasPrefix("whittle.db") {
            #expect(try Data(contentsOf: URL(fileURLWithPath: workspace.file(name))).firstRange(of: Data(secret.utf8)) == nil)
        }
        #expect(try String(contentsOfFile: rejects, encoding: .utf8).contains(secret))
        let permissions = try FileManager.default.attributesOfItem(atPath: rejects)[.posixPermissions] as? Int
        #expect(permissions == 0o600)
    }

    @Test("what a wrong format has passed over counts with the right one: parts of a long log, and what a log has grown by")
    func wrongFormat() throws {
        let workspace = try Workspace()
        let events = Self.events(4_000, seed: 1)
        let path = database(workspace)
        let log = try workspace.write(Self.text(events[..<3_000]), to: "a.log")
        #expect(whittle("usage", "load", log, "--format", "gke", "--commit-every", "1", "--db", path).code == 2)
        #expect(whittle("usage", "load", log, "--db", path).errors.contains("3000 events"))
        _ = try workspace.write(Self.text(events), to: "a.log")
        _ = whittle("usage", "load", log, "--format", "gke", "--db", path)
        #expect(whittle("usage", "load", log, "--db", path).errors.contains("\(events.count - 3_000) events"))
        let whole = database(workspace, "whole.db")
        _ = whittle("usage", "load", log, "--db", whole)
        #expect(facts(path) == facts(whole))
    }

    @Test("an export replaces no database; parts may be a folder; what cannot be read as a log is named")
    func wrongFiles() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let log = try workspace.write(Self.text(Self.events(5, seed: 1)), to: "logs/a.log")
        #expect(whittle("usage", "load", log, "--db", path).code == 0)
        let before = facts(path)
        for arguments in [["--db", path], [log]] {
            let refused = whittle(["usage", "export"] + arguments + ["-o", path])
            #expect(refused.code == 64)
            #expect(refused.errors.contains("would replace the database"))
        }
        #expect(facts(path) == before)
        _ = try workspace.write("", to: "parts/x")
        #expect(whittle("usage", "export", "--db", path, "-o", workspace.file("parts/a.ndjson.zst")).code == 0)
        let merged = database(workspace, "merged.db")
        #expect(whittle("usage", "merge", workspace.file("parts"), "--db", merged).errors.contains("1 of the files in `"))
        #expect(facts(merged) == before)
        _ = whittle("usage", "export", "--db", path, "-o", workspace.file("a.ndjson"))
        #expect(whittle("usage", "load", workspace.file("a.ndjson"), "--db", path).errors.contains("`whittle usage merge`"))
        // A database beside the logs is passed over, and said to be.
        let beside = database(workspace, "logs/w.db")
        let loaded = whittle("usage", "load", workspace.file("logs"), "--db", beside)
        #expect(loaded.code == 0)
        #expect(loaded.errors.contains("w.db: not read: an SQLite database"))
        #expect(!loaded.errors.contains("unreadable ("))
        for (name, bytes) in [
            ("a.xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0x01]), ("a.bz2", Array("BZh91AY".utf8)), ("a.parquet", Array("PAR1\u{15}".utf8)),
            ("a.sz", [0xFF, 0x06, 0x00, 0x00] + Array("sNaPpY".utf8)), ("a.zz", [0x78, 0x9C, 0x01]),
        ] {
            try Data(bytes).write(to: URL(fileURLWithPath: workspace.file(name)))
            let unread = whittle("usage", "load", workspace.file(name), "--db", path)
            #expect(unread.code == 2)
            #expect(unread.errors.contains("is not read; "))
        }
        #expect(whittle("usage", "list", "deploy/cart", "--db", path).code == 64)
    }

    @Test("names of needs and of requests are bounded together, in whatever order they come")
    func namesOfNeeds() throws {
        let workspace = try Workspace()
        let event = Self.events(1, seed: 1).last ?? ""
        func asked(_ id: Int) -> String {
            event.replacing(#/"auditID":"[^"]*"/#, with: "\"auditID\":\"r\(id)\"").replacing(#/"verb":"[^"]*"/#, with: "\"verb\":\"get\"")
                .replacing(#/"requestURI":"[^"]*"/#, with: "\"requestURI\":\"/api/v1/namespaces/shop/pods/p\(id)\"")
                .replacing(#/shop:a\d/#, with: "shop:a0")
        }
        func reviewed(_ id: Int) -> String {
            let review =
                #"{"spec":{"user":"system:serviceaccount:shop:a0","resourceAttributes":{"verb":"get","resource":"pods","namespace":"shop","name":"q\#(id)"}}}"#
            return
                event.replacing(#/"auditID":"[^"]*"/#, with: "\"auditID\":\"s\(id)\"").replacing(
                    #/"verb":"[^"]*"/#, with: "\"verb\":\"create\""
                )
                .replacing(
                    #/"requestURI":"[^"]*"/#, with: "\"requestURI\":\"/apis/authorization.k8s.io/v1/subjectaccessreviews\""
                )
                .replacing(
                    "\"responseStatus\"",
                    with: "\"requestObject\":\(review),\"responseObject\":{\"status\":{\"allowed\":true}},\"responseStatus\""
                )
                .replacing(#/shop:a\d/#, with: "shop:other").replacing(
                    "\"user\":\"system:serviceaccount:shop:other\"", with: "\"user\":\"system:serviceaccount:shop:a0\"")
        }
        // Many users, so that only rows of those in the fold are read.
        let others = (0..<40).map { number in
            asked(1_000 + number).replacing("shop:a0", with: "shop:u\(number)")
        }
        let (asks, reviews) = ((0..<6).map(asked), (0..<4).map(reviewed))
        let results = try [[others, asks, reviews], [others, reviews, asks], [others + asks + reviews]].enumerated().map { number, parts in
            let path = database(workspace, "\(number).db")
            for (place, part) in parts.enumerated() {
                let log = try workspace.write(Self.text(part), to: "\(number)-\(place).log")
                #expect(whittle("usage", "load", log, "--max-names", "8", "--db", path).code == 0)
            }
            return facts(path)
        }
        for result in results { #expect(result == results[0]) }
        #expect(results[0].last?.contains("namesDropped") ?? false)
    }

    @Test("what holds no event at all could not be judged; options are checked")
    func nothing() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        for text in ["hello world", "hello\n", "\u{0}\u{1}\u{2}\n", "{\"kind\":0}\n"] {
            let result = whittle("usage", "load", try workspace.write(text, to: "a.log"), "--db", path)
            #expect(result.code == 2)
            #expect(result.errors.contains("holds no audit events"))
        }
        let yaml = try workspace.write("---\ninsertId: a\nprotoPayload:\n  methodName: io.k8s.core.v1.pods.get\n", to: "gke.yaml")
        #expect(whittle("usage", "load", yaml, "--db", path).errors.contains("YAML is not read"))
        #expect(whittle("usage", "load", try workspace.write("", to: "empty.log"), "--db", path).code == 0)
        let log = try workspace.write(Self.text(Self.events(3, seed: 1)), to: "b.log")
        #expect(whittle("usage", "load", log, "--format", "gke", "--db", path).code == 2)
        let right = whittle("usage", "load", log, "--format", "json", "--db", path)
        #expect(right.code == 0)
        #expect(right.errors.contains("3 events"), "the wrong format kept the log from being read")
        #expect(whittle("usage", "load", log, "--format", "nonsense", "--db", path).code == 64)
        #expect(whittle("usage", "load", log, "--threads", "0", "--db", path).code == 64)
        #expect(whittle("usage", "load", log, log, "--follow", "--db", path).code == 64)
    }

    @Test("rejects of a compressed log that was read before are not kept again, whatever stands around it")
    func knownRejects() throws {
        let workspace = try Workspace()
        let path = database(workspace)
        let rejects = workspace.file("bad")
        // One small log, and one that is longer than what is looked at first.
        for (number, count) in [20, 2_000].enumerated() {
            _ = try workspace.write("garbage \(number)\n\(Self.text(Self.events(count, seed: UInt64(number))))", to: "\(number).log")
            try workspace.folder.shell("cd \(workspace.folder.path) && gzip \(number).log")
        }
        _ = try workspace.write("other garbage\n\(Self.text(Self.events(20, seed: 9)))", to: "2.log")
        let logs = ["0.log.gz", "1.log.gz"].map { workspace.file($0) }
        for _ in 0..<2 { #expect(whittle(["usage", "load", "--rejects", rejects, "--db", path] + logs).code == 0) }
        #expect(whittle(["usage", "load", "--rejects", rejects, "--db", path] + [workspace.file("2.log")] + logs).code == 0)
        #expect(try String(contentsOfFile: rejects, encoding: .utf8) == "garbage 0\ngarbage 1\nother garbage\n")
    }
}
