import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

/// Where logs begin, end, grow and break.
@Suite("Audit reader")
struct AuditReaderTests {
    private static func event(_ number: Int, _ more: String = "", uri: String? = nil, stage: String = "ResponseComplete") -> String {
        """
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"id-\(number)","stage":"\(stage)",\
        "requestURI":"\(uri ?? "/api/v1/namespaces/shop/pods/p\(number)")","verb":"get","user":{"username":"alice"},\
        "userAgent":"a/1",\(more)"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-20T09:00:00.000001Z",\
        "annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"r"}}
        """
    }

    /// Reads the texts one after the other as states of one file; what was counted in all.
    private func grow(_ texts: [String]) throws -> (requests: Int, rejected: Int, unfinished: Int) {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        var (requests, rejected, unfinished) = (0, 0, 0)
        for text in texts {
            let read = try reader.read(try folder.write(text, to: "audit.log")) { _ in }
            requests += read.log.requests
            rejected += read.log.rejected
            unfinished = read.unfinished
            _ = reader.take()
        }
        return (requests, rejected, unfinished)
    }

    @Test(
        "a log that grows counts each event once, wherever its first part ended",
        arguments: [1, 2, 3, 10, 100, 400, 401, 402, 403, 404, 405, 500, 900, 1_000_000])
    func growth(_ size: Int) throws {
        let lines = (0..<3).map { Self.event($0) + "\n" }.joined()
        let list = "{\"kind\":\"EventList\",\"items\":[\n" + (0..<3).map { Self.event($0) }.joined(separator: ",\n") + "\n]}\n"
        let cri = (0..<3).map { "2026-11-20T09:00:00.1Z stdout F \(Self.event($0))\n" }.joined()
        for whole in [lines, lines + lines, list, "[\(Self.event(0)),\n\(Self.event(1)), \(Self.event(2))]", cri] {
            let result = try grow([String(whole.prefix(size)), whole, whole])
            #expect(result.requests == 3)
            #expect(result.rejected == 0)
            #expect(result.unfinished == 0)
        }
    }

    @Test(
        "a last line without its line end counts when it is whole, and waits when it is not",
        arguments: [
            (event(0) + "\n" + event(1), 2, 0), (event(0) + event(1) + "{\"kind\":\"Ev", 0, 1), ("x F \(event(0))", 1, 0),
            ("2026-03-01T10:00:00.1Z stdout F \(event(0))", 1, 0), (event(0) + "\n" + event(1).prefix(100), 1, 1),
            (event(0) + "\nhello world", 1, 1), ("hello world", 0, 1), ("{\"items\":[\(event(0)),\(event(1))", 2, 0),
        ])
    func lastLine(_ text: String, _ requests: Int, _ waits: Int) throws {
        let result = try grow([text])
        #expect(result.requests == requests)
        #expect((result.unfinished > 0) == (waits > 0))
        #expect(result.rejected == 0)
    }

    @Test("lines that wait for the rest of their value are numbered once")
    func lineNumbers() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        let text = Self.event(0) + "\n{\n\"kind\":\n"
        let (log, unfinished) = try reader.read(try folder.write(text, to: "audit.log")) { _ in }
        #expect(unfinished == 10)
        #expect(log.lineCount == 1)
        _ = reader.take()
        _ = try reader.read(try folder.write(text + "\"x\"}\nnothing\n", to: "audit.log")) { _ in }
        #expect(reader.take()?.diagnostics.map(\.location?.line) == [2, 5])
    }

    @Test("good lines between a cut line and what would close it count")
    func cutLine() throws {
        let text =
            "{\"kind\":\"Event\",\"user\":{\"username\":\"x\",\n" + (0..<3).map { Self.event($0) + "\n" }.joined() + "\"groups\":[]}}\n"
        let result = try fold(text + Self.event(3) + "\n")
        #expect(result.logs[0].requests == 4)
        #expect(result.logs[0].rejected == 2)
    }

    @Test("lines that are cut off count one by one, wherever they are cut, and a good one behind them counts")
    func cutLines() throws {
        for rest in 1..<Self.event(0).count - 1 {
            let log = try fold((0..<4).map { Self.event($0).dropLast(rest) + "\n" }.joined() + Self.event(5) + "\n").logs[0]
            #expect(log.rejected == 4 && log.requests == 1, "\(Self.event(0).dropLast(rest).suffix(20))")
        }
    }

    @Test("a log in UTF-16, as PowerShell writes it", arguments: [String.Encoding.utf16LittleEndian, .utf16BigEndian])
    func utf16(_ encoding: String.Encoding) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let text = (0..<2_000).map { Self.event($0, "\"x\":\"é 😀\",") + "\r\n" }.joined()
        let path = try folder.write("", to: "audit.log")
        try #require(("\u{FEFF}" + text).data(using: encoding)).write(to: URL(filePath: path))
        let fold = try AuditLogReader.fold(path)
        #expect(fold.logs[0].requests == 2_000 && fold.logs[0].rejects.isEmpty)
        #expect(fold.usage == (try AuditLogReader.fold(try folder.write(text, to: "utf8.log")).usage))
    }

    @Test("keys with escapes say what they say to every reader of JSON")
    func escapedKeys() throws {
        let slashes = try fold(Self.event(0).replacing("/", with: "\\/") + "\n")
        #expect(slashes.usage.keys.map(\.decision) == [.allow])
        #expect(slashes.usage.keys.map(\.reason) == ["r"])
        let forbidden = try fold(Self.event(0).replacing("k8s.io/decision\":\"allow", with: "k8s.io\\/decision\":\"forbid") + "\n")
        #expect(forbidden.usage.keys.map(\.decision) == [.forbid])
        let impersonated = try fold(Self.event(0, "\"impersonated\\u0055ser\":{\"username\":\"bob\"},") + "\n")
        #expect(impersonated.usage.keys.map(\.user) == ["bob"])
        let twice = Self.event(0).replacing(
            "\"annotations\":{", with: "\"annotations\":{\"authorization.k8s.io/decision\":\"forbid\"},\"annotations\":{")
        #expect(try fold(twice + "\n").usage.keys.map(\.decision) == [.allow])
    }

    @Test("an answer that was put in afterwards proves nothing without a decision")
    func closedEarly() throws {
        let event = Self.event(0).replacing("\"code\":200", with: "\"code\":200,\"message\":\"Connection closed early\"")
        #expect(try fold(event + "\n").usage.keys.map(\.decision) == [.allow])
        let undecided = event.replacing("\"authorization.k8s.io/decision\":\"allow\",", with: "")
        #expect(try fold(undecided + "\n").usage.keys.map(\.decision) == [.unknown])
    }

    @Test("a body that is a need is read however its URI and keys are written")
    func bodies() throws {
        let review = "\"requestObject\":{\"spec\":{\"user\":\"zed\",\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"secrets\"}}},"
        let reference = "\"objectRef\":{\"resource\":\"subjectaccessreviews\",\"apiGroup\":\"authorization.k8s.io\"},"
        for uri in ["authorization.k8s.io", "authorization%2Ek8s.io", "authorization\\u002ek8s.io"] {
            let text = Self.event(0, review + reference, uri: "/apis/\(uri)/v1/subjectaccessreviews").replacing(
                "\"get\",\"user", with: "\"create\",\"user")
            #expect(try fold(text + "\n").implied.keys.map(\.user) == ["zed"])
        }
    }

    @Test("an event of a stage that was counted, or of another log, counts once; a client's own ids do not mix requests up")
    func repeated() throws {
        let stages = ["RequestReceived", "ResponseStarted", "ResponseComplete"].map { Self.event(0, stage: $0) + "\n" }.joined()
        let result = try fold(stages + stages + "{\"items\":[\(Self.event(0))]}\n")
        #expect(result.counts.map(\.count) == [1])
        #expect(result.counts.map(\.started) == [1])
        #expect(result.logs[0].events == 7)
        // What comes before authorization proves nothing and is not told apart.
        #expect(result.logs[0].repeated == 3)
        let others = [
            Self.event(0), Self.event(0, uri: "/api/v1/pods"), Self.event(0).replacing("alice", with: "bob"),
            Self.event(0).replacing("\"get\",\"user", with: "\"delete\",\"user"),
        ]
        #expect(try fold(others.joined(separator: "\n") + "\n").logs[0].requests == 4)
        let anonymous = Self.event(0).replacing("\"auditID\":\"id-0\",", with: "")
        #expect(try fold(anonymous + "\n" + anonymous + "\n").logs[0].requests == 2)
    }

    @Test("an open watch has its hints, which count when it ends")
    func openWatch() throws {
        let uri = "/api/v1/namespaces/shop/pods?watch=true\\u0026sendInitialEvents=true"
        let open = Self.event(0, uri: uri, stage: "ResponseStarted").replacing("\"get\",\"user", with: "\"watch\",\"user")
        let hint = UsageFlag(user: "alice", flag: "fallback:list pods shop")
        #expect(try fold(open + "\n").flags.mapValues(\.count) == [hint: 0])
        let closed = open.replacing("ResponseStarted", with: "ResponseComplete")
        let result = try fold(open + "\n" + closed + "\n")
        #expect(result.flags.mapValues(\.count) == [hint: 1])
    }

    @Test("a verb on a resource with too many names keeps none, in whatever order they come")
    func names() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.maxNames = 5
        let many = (0..<20).map { Self.event($0) } + (20..<24).map { Self.event($0, uri: "/api/v1/namespaces/shop/secrets/s\($0)") }
        var results: Set<[UsageKey: UsageCount]> = []
        for lines in [many, many.reversed(), many.sorted()] {
            let fold = try AuditLogReader.fold(try folder.write(lines.joined(separator: "\n") + "\n", to: "a.log"), options: options)
            #expect(fold.withoutNames.map { fold.key($0).request } == [Request(verb: "get", resource: "pods")])
            #expect(fold.usage.filter { $0.key.request.resource == "pods" }.map { ($0.key.request.name) } == [""])
            #expect(fold.usage.filter { $0.key.request.resource == "pods" }.map(\.value.count) == [20])
            #expect(fold.facts.count == 5)
            results.insert(fold.usage)
        }
        #expect(results.count == 1)
    }

    @Test("names of implied needs count with those of facts, and names in hints have the same limit")
    func impliedNames() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.maxNames = 5
        let uri = { (number: Int) in "/apis/apps/v1/namespaces/shop/deployments/d\(number)" }
        let put = (0..<6).map { number in
            Self.event(number, uri: uri(number)).replacing("\"get\",\"user", with: "\"patch\",\"user").replacing("200", with: "201")
        }
        let created = Self.event(100, uri: "/apis/apps/v1/namespaces/shop/deployments/x/scale").replacing(
            "\"get\",\"user", with: "\"create\",\"user")
        let owner = { (number: Int) in
            """
            "requestObject":{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r\(number)",\
            "blockOwnerDeletion":true}]}},
            """
        }
        let owned = (0..<6).map { number in
            Self.event(200 + number, owner(number), uri: "/api/v1/namespaces/shop/pods").replacing(
                "\"get\",\"user", with: "\"create\",\"user")
        }
        for count in [5, 6] {
            let lines = put.prefix(count) + [created] + owned.prefix(count)
            var results: Set<[UsageKey: UsageCount]> = []
            for lines in [Array(lines), lines.reversed()] {
                let fold = try AuditLogReader.fold(try folder.write(lines.joined(separator: "\n") + "\n", to: "a.log"), options: options)
                let implied = fold.implied.map { "\($0.key.request.verb) \($0.key.request.name) \($0.value.count)" }.sorted()
                let flags = fold.flags.map { "\($0.key.flag) \($0.value.count)" }.sorted()
                if count == 5 {
                    #expect(implied == (0..<5).map { "create d\($0) 1" })
                    #expect(flags == (0..<5).map { "hidden:update apps ReplicaSet/finalizers r\($0) shop 1" })
                    #expect(fold.withoutNames.isEmpty)
                } else {
                    #expect(implied == ["create  6"])
                    #expect(flags == ["hidden:update apps ReplicaSet/finalizers */* shop 6"])
                    #expect(Set(fold.withoutNames.map { fold.key($0).request.verb }) == ["create", "patch"])
                }
                results.insert(fold.usage)
            }
            #expect(results.count == 1)
        }
    }

    @Test("names of written bindings have the limit of names, whatever roles they name")
    func writtenNames() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.maxNames = 5
        let bindings = (0..<6).map { number in
            Self.event(
                number,
                "\"objectRef\":{\"name\":\"b\(number)\"},\"requestObject\":{\"roleRef\":{\"kind\":\"Role\",\"name\":\"r\(number)\"}},",
                uri: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings"
            ).replacing("\"get\",\"user", with: "\"create\",\"user")
        }
        func written(_ lines: some Sequence<String>) throws -> [String] {
            let fold = try AuditLogReader.fold(try folder.write(lines.joined(separator: "\n") + "\n", to: "a.log"), options: options)
            return fold.flags.filter { $0.key.flag.hasPrefix("written:") }.map { "\($0.key.flag) \($0.value.count)" }.sorted()
        }
        #expect(try written(bindings.dropLast()) == (0..<5).map { #"written:["rolebindings","shop","b\#($0)","Role","r\#($0)"] 1"# })
        #expect(try written(bindings) == [#"written:["rolebindings","shop","*/*"] 6"#])
        // The name may be made by the server, and GKE tells it as that of the resource.
        let made = bindings[0].replacing(#""objectRef":{"name":"b0"},"#, with: "").replacing(
            "}},", with: #"}},"responseObject":{"metadata":{"name":"b-x2"}},"#)
        #expect(try written([made]) == [#"written:["rolebindings","shop","b-x2","Role","r0"] 1"#])
        let method = "io.k8s.authorization.rbac.v1.rolebindings.create"
        let entry =
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z","protoPayload":{"methodName":"\#(method)","resourceName":"rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/b7","authenticationInfo":{"principalEmail":"alice"},"request":{"roleRef":{"kind":"Role","name":"r7"}}}}"#
        #expect(try written([entry]) == [#"written:["rolebindings","shop","b7","Role","r7"] 1"#])
        let bodiless = entry.replacing(#","request":{"roleRef":{"kind":"Role","name":"r7"}}"#, with: "")
        #expect(try written([bodiless]) == [#"written:["rolebindings","shop","b7"] 1"#])
    }

    @Test("one line may be longer than many blocks, and is refused beyond the limit; its neighbours count")
    func longLines() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.lineLimit = 4 << 20
        let body = { (size: Int) in "\"responseObject\":{\"data\":\"" + String(repeating: "x", count: size) + "\"}," }
        let text = [Self.event(0), Self.event(1, body(3 << 20)), Self.event(2), Self.event(3, body(5 << 20)), Self.event(4)].joined(
            separator: "\n")
        let fold = try AuditLogReader.fold(try folder.write(text + "\n", to: "a.log"), options: options)
        #expect(fold.logs[0].requests == 4)
        #expect(fold.logs[0].rejects == ["too-long": 1])
        let list = try AuditLogReader.fold(
            try folder.write(
                "{\"items\":[" + (0..<8).map { Self.event($0, body(1 << 20)) }.joined(separator: ",") + "]}", to: "b.log"), options: options
        )
        #expect(list.logs[0].requests == 8)
        // What is too long is one bad value, whatever stands around it, and what is behind it counts.
        let long = Self.event(9, body(5 << 20))
        let indented = long.replacing(",\"", with: ",\n \"").replacing("xxxxxxxx", with: "x\",\n\"x\":\"x")
        let lists = [
            "[\n\(Self.event(0)),\n\(long),\n\(Self.event(1)),\n\(Self.event(2))\n]\n",
            "{\"items\":[\(long)\n,\(Self.event(1))\n,\(Self.event(2))]}\n",
        ]
        for (text, requests) in zip(lists + ["\(Self.event(0))\n\(indented)\n\(Self.event(1))\n"], [3, 2, 2]) {
            let log = try AuditLogReader.fold(try folder.write(text, to: "c.log"), options: options).logs[0]
            #expect(log.rejects == ["too-long": 1] && log.requests == requests)
        }
    }

    @Test("one thread and many count the same")
    func threads() throws {
        var results: [[UsageKey: UsageCount]] = []
        for threads in [1, 2, 4] {
            var options = AuditLogReader.Options()
            options.threads = threads
            results.append(try AuditLogReader.fold(Fixtures.path("clusters/recorded/audit.log.gz"), options: options).usage)
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    /// Lines of a few bytes up to some that are longer than a block, bad ones among them: some 8 MB.
    private static func manyBlocks() -> String {
        var random = SystemRandomNumberGenerator()
        var text = ""
        for number in 0..<4_000 {
            let size: Int =
                switch Int.random(in: 0..<400, using: &random) {
                case 0: .random(in: 500_000...1_200_000, using: &random)
                case 1...20: .random(in: 10_000...40_000, using: &random)
                default: .random(in: 0...1_000, using: &random)
                }
            let body = "\"responseObject\":{\"data\":\"" + String(repeating: "x", count: size) + "\"},"
            let event = Self.event(number, body, uri: "/api/v1/namespaces/shop/pods/p\(number % 300)")
            text += (number % 97 == 0 ? String(event.prefix(200)) : event) + "\n"
        }
        return text
    }

    @Test("a plain log of many blocks counts as it does from a pipe, on however many threads, also when it grows")
    func blocks() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let text = Self.manyBlocks()
        let path = try folder.write(text, to: "audit.log")
        func fold(_ path: String, threads: Int, memoryLimit: Int = 12 << 20) throws -> UsageFold {
            var options = AuditLogReader.Options()
            options.threads = threads
            options.memoryLimit = memoryLimit
            var fold = try AuditLogReader.fold(path, options: options)
            fold.logs[0].path = ""
            return fold
        }
        try folder.shell("gzip -1 < \(path) > \(path).gz")
        let expected = try fold(path + ".gz", threads: 1)
        #expect(expected.logs[0].requests == 4_000 - 42 && expected.logs[0].rejected == 42)
        #expect(expected.logs[0].byteCount == text.utf8.count)
        // With little memory kinds of events are forgotten on the way, with hardly any also who asked.
        for (threads, memoryLimit) in [(1, 12 << 20), (2, 12 << 20), (4, 12 << 20), (1, 10_000), (2, 10_000), (2, 1_000)] {
            let own = try fold(path, threads: threads, memoryLimit: memoryLimit)
            #expect(own.usage == expected.usage && own.logs == expected.logs && own.window == expected.window)
        }
        for _ in 0..<4 {
            let half = try folder.write(String(text.prefix(.random(in: 1..<text.utf8.count))), to: "part.log")
            let reader = AuditLogReader()
            let (first, _) = try reader.read(half) { _ in }
            _ = reader.take()
            let (rest, _) = try reader.read(path) { _ in }
            #expect(first.requests + rest.requests == expected.logs[0].requests)
            #expect(rest.lineCount == expected.logs[0].lineCount)
        }
    }

    @Test("a log that is cut off while it is read gives what was left of it")
    func cutOff() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let text = Self.manyBlocks()
        let path = try folder.write(text, to: "audit.log")
        let left = text.utf8.count / 2
        let reader = AuditLogReader()
        reader.onProgress = { if $0.folded > 1 << 20 { truncate(path, off_t(left)) } }
        let (log, _) = try reader.read(path) { _ in }
        // Blocks that were read before may go further.
        let certain = text.utf8.prefix(left).count { $0 == UInt8(ascii: "\n") }
        #expect(log.requests + log.rejected >= certain - 1 && log.requests < 4_000 - 42)
        // Of a block that was about to be read the loss is told.
        try (0..<12_000).map { Self.event($0) + "\n" }.joined().write(toFile: path, atomically: true, encoding: .utf8)
        var options = AuditLogReader.Options()
        options.threads = 1
        let other = AuditLogReader(options: options)
        other.onProgress = { if $0.folded > 1 << 20 { truncate(path, off_t($0.folded + 1_000)) } }
        let (short, _) = try other.read(path) { _ in }
        #expect(short.rejects["damaged"] == 1 && short.requests > 2_000 && short.requests < 6_000)
    }

    @Test("reasons tell what is no event, and the rejected texts are kept")
    func reasons() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let nobody = Self.event(1).replacing("{\"username\":\"alice\"}", with: "{}")
        let aimless = Self.event(2, uri: "")
        let timeless = Self.event(3).replacing("\"requestReceivedTimestamp\":\"2026-11-20T09:00:00.000001Z\",", with: "")
        let bad = [nobody, aimless, timeless, "{\"kind\":0}", "[1,2", "text", String(Self.event(4).prefix(150))]
        let path = try folder.write((bad + [Self.event(0)]).joined(separator: "\n") + "\n", to: "a.log")
        let reader = AuditLogReader()
        var kept: [String] = []
        reader.onReject = { text, _ in kept.append(String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)) }
        let (log, _) = try reader.read(path) { _ in }
        #expect(log.rejects == ["no-user": 1, "no-attributes": 1, "no-time": 1, "not-an-event": 1, "cut-off": 2, "not-json": 1])
        #expect(Set(kept) == Set(bad))
        #expect(log.requests == 1)
    }

    @Test("indented events, one by one and in a list, count over the borders of blocks; a damaged one is told at its line")
    func indented() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let shape = Self.event(0).replacing("\":{", with: "\":{\n    ").replacing(",\"", with: ",\n  \"").replacing(
            "}}", with: "\n    }\n}")
        let events = (0..<1_500).map { shape.replacing("id-0", with: "id-\($0)") }
        let (feeds, damaged) = (shape.utf8.count { $0 == 0x0A }, 1_200)
        for (opening, separator, closing) in [("", "\n", "\n"), ("[\n", ",\n", "\n]\n"), ("{\"items\": [\n", "\n,\n\n", "\n]}\n")] {
            // The last is one that is noted as new before anybody sees that it is damaged.
            for word in ["\"verb\"", "\"verb", "\"requestURI\":\"\u{1}"] {
                let old = word.hasSuffix("\u{1}") ? "\"requestURI\":\"" : "\"verb\""
                let all = events[..<damaged] + [events[damaged].replacing(old, with: word)] + events[(damaged + 1)...]
                let reader = AuditLogReader()
                let (log, _) = try reader.read(try folder.write(opening + all.joined(separator: separator) + closing, to: "a.log")) { _ in }
                let isWhole = word.hasSuffix("\"")
                // Between values, each line of the damaged one stands for itself.
                #expect(log.requests == events.count - (isWhole ? 0 : 1) && log.repeated == 0)
                #expect(isWhole ? log.rejected == 0 : opening.isEmpty ? log.rejected > 0 : log.rejected == 1)
                let between = separator.utf8.count { $0 == 0x0A }
                let line = opening.utf8.count { $0 == 0x0A } + 1 + damaged * (feeds + between)
                let told = (reader.take()?.diagnostics ?? []).compactMap(\.location?.line)
                #expect(told.isEmpty == isWhole && told.allSatisfy { (line...line + feeds).contains($0) })
            }
        }
    }

    @Test("each bad row of a table is kept, and once though several records in it are bad")
    func rows() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        func row(_ text: String) -> String { "1,\"\(text.replacing("\"", with: "\"\""))\"" }
        let bad = ["{}\n{}", "text", String(Self.event(1).prefix(150))].map(row) + ["1", "1,2,3"]
        let rows = [row(Self.event(0)), bad[0], bad[1], row(Self.event(2))] + bad[2...] + [row(Self.event(3))]
        let path = try folder.write("time,message\n" + rows.joined(separator: "\n") + "\n", to: "a.csv")
        let reader = AuditLogReader()
        var kept: [String] = []
        reader.onReject = { text, _ in kept.append(String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)) }
        let (log, _) = try reader.read(path) { _ in }
        #expect(log.requests == 3 && log.rejects == ["not-an-event": 5, "cut-off": 1])
        #expect(kept.filter { !$0.isEmpty } == bad)
    }

    @Test("events are told apart though their clients chose IDs that are the names of users")
    func chosenIDs() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let pairs = [("alice", "alice"), ("bob", "bob"), ("carol", "dave"), ("dave", "carol"), ("same", "x"), ("same", "y"), ("same", "x")]
        let events = pairs.map { id, user in
            Self.event(1).replacing("\"id-1\"", with: "\"\(id)\"").replacing("\"alice\"}", with: "\"\(user)\"}")
        }
        let (log, _) = try AuditLogReader().read(try folder.write(events.joined(separator: "\n") + "\n", to: "a.log")) { _ in }
        #expect(log.requests == 6 && log.repeated == 1)
    }

    @Test("a small log that ended without a line end goes on behind it, whatever it ended in", arguments: ["", " 17", "]"])
    func smallLogGrows(_ tail: String) throws {
        func line(_ number: Int) -> String { "x \(Self.event(number).replacing("\"auditID\":\"id-\(number)\",", with: ""))\(tail)" }
        for end in ["\n", "\r\n"] {
            let grown = try grow([line(1), line(1) + end + line(2) + end, line(1) + end + line(2) + end, ""])
            #expect(grown.requests == 2 && grown.rejected == 0)
        }
    }

    @Test("an event is of a time that there is")
    func unreal() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let day = "2026-11-20T09"
        let times = ["2026-02-29T09", "2026-04-31T09", "2026/11/20T09", "2026-02-30T09", "2024-02-29T09", day]
        let events = times.enumerated().map { Self.event($0).replacing(day, with: $1) }
        // The end of the request has a time too.
        let received = #""requestReceivedTimestamp""#
        let stamped = Self.event(8, #""stageTimestamp":"\#(day):00:00.000001Z","#).replacing(
            "\(received):\"\(day)", with: "\(received):\"2026-02-30T09")
        let text = (events + [stamped]).joined(separator: "\n") + "\n"
        let (log, _) = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
        #expect(log.rejects == ["no-time": 4] && log.requests == 3)
    }

    @Test("an event of a stage that Kubernetes does not know is rejected", arguments: ["Foo", "", "responsecomplete"])
    func unknownStages(_ stage: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let bad = Self.event(1).replacing("ResponseComplete", with: stage)
        let text = "\(bad)\n\(Self.event(2))\n{\"items\":[\(bad),\(Self.event(3))]}\n"
        let (log, _) = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
        #expect(log.rejects == ["unknown-stage": 2])
        #expect(log.events == 2 && log.requests == 2)
    }

    @Test(
        "an event whose user or request is of another type is rejected, not guessed",
        arguments: [
            (#""user":{"username":"alice"}"#, #""user":"alice""#), (#""user":{"#, #""impersonatedUser":"root","user":{"#),
            (#""verb":"get""#, #""verb":7"#), (#""user":{"#, #""impersonatedUser":[],"user":{"#),
            (#""user":{"#, #""impersonatedUser":{"username":7},"user":{"#),
            (#""requestURI":"/api/v1/namespaces/shop/pods/p1""#, #""requestURI":null,"objectRef":{"resource":"pods","namespace":7}"#),
            (#""requestURI":"/api/v1/namespaces/shop/pods/p1""#, #""objectRef":"pods""#),
        ])
    func wrongTypes(_ part: String, _ wrong: String) throws {
        let event = Self.event(1)
        try #require(event.contains(part))
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        // What comes before the answer is only counted, unless it is plainly wrong.
        let stages = wrong.contains("objectRef") || wrong.contains("username\":7") ? 1 : 2
        for stage in ["ResponseComplete", "RequestReceived"].prefix(stages) {
            let bad = event.replacing(part, with: wrong).replacing("ResponseComplete", with: stage)
            let (log, _) = try AuditLogReader().read(try folder.write(bad + "\n" + event + "\n", to: "a.log")) { _ in }
            #expect(log.rejects == ["wrong-type": 1])
            #expect(log.events == 1 && log.requests == 1)
        }
    }

    @Test("a record of a table that is no UTF-8 is told as that")
    func recordWithoutUTF8() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        func cell(_ event: String) -> String { "\"" + event.trimmingCharacters(in: .newlines).replacing("\"", with: "\"\"") + "\"\n" }
        let path = folder.file("a.csv")
        try Data(Array("message\n\(cell(Self.event(1)))".utf8) + [0x22, 0xFF, 0x22, 0x0A] + cell(Self.event(2)).utf8)
            .write(to: URL(fileURLWithPath: path))
        let (log, _) = try AuditLogReader().read(path) { _ in }
        #expect(log.rejects == ["not-utf8": 1] && log.requests == 2)
    }

    @Test(
        "what is wrong in one element of a list, or one value, on a line spoils only that",
        arguments: [
            (#"{"kind":"EventList","items":["#, ",", "]}"), ("[", ",", "]"), (#"{"hits":{"hits":["#, ",", "]}}"), ("", "", ""),
            ("", " ", ""),
        ])
    func badElement(_ head: String, _ between: String, _ tail: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for (wrong, reason) in [([UInt8](arrayLiteral: 0xFF), "not-utf8"), (Array("\\x".utf8), "not-json")] {
            var line = Array("\(head)\(Self.event(1))\(between)".utf8)
            let bad = Array(Self.event(2).utf8)
            line += bad[..<100] + wrong + bad[100...]
            line += "\(between)\(Self.event(3))\(tail)\n\(Self.event(4))\n".utf8
            let path = folder.file("a.log")
            try Data(line).write(to: URL(fileURLWithPath: path))
            let (log, _) = try AuditLogReader().read(path) { _ in }
            #expect(log.rejects == [reason: 1] && log.requests == 3)
        }
    }

    @Test(
        "of a list that is cut off on its line only the last element is lost; a number in it is none",
        arguments: [(#"{"kind":"EventList","items":["#, "]}"), ("[", "]"), (#"{"hits":{"hits":["#, "]}}"), (#"{"records":["#, "]}")])
    func listOnLine(_ head: String, _ tail: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let events = (1...5).map { Self.event($0) }
        let whole = head + events.joined(separator: ",")
        for cut in [20, 120, 300] {
            let text = "\(whole.dropLast(cut))\n\(Self.event(9))\n"
            let (log, _) = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
            #expect(log.rejects == ["cut-off": 1] && log.requests == 5, "\(cut)")
        }
        for place in 0..<5 {
            var mixed = events
            mixed[place] = "12"
            let text = "\(head)\(mixed.joined(separator: ","))\(tail)\n"
            let (log, _) = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
            #expect(log.rejects == ["not-an-event": 1] && log.requests == 4, "\(place)")
        }
    }

    @Test(
        "behind a list that is cut off anywhere all other lines and documents count",
        arguments: [
            #"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[EVENTS]}"#, "[EVENTS]", #"{"records":[EVENTS]}"#,
            #"{"data":[EVENTS],"meta":{"status":"done"}}"#,
            "{\n  \"kind\": \"EventList\",\n  \"items\": [\n    EVENTS\n  ],\n  \"more\": {}\n}",
        ])
    func cutLists(_ shape: String) throws {
        let isIndented = shape.contains("\n")
        func list(_ numbers: Range<Int>) -> String {
            let events = numbers.map { number in
                let event = Self.event(number, #""sourceIPs":["10.0.0.7"],"#)
                return isIndented ? event.replacing(",\"", with: ",\n      \"").replacing("}}", with: "\n      }\n    }") : event
            }
            return shape.replacing("EVENTS", with: events.joined(separator: isIndented ? ",\n    " : ","))
        }
        let cut = list(0..<2)
        let feeds = cut.utf8.enumerated().filter { $0.element == UInt8(ascii: "\n") }.map(\.offset)
        let others = [
            list(4..<6), "2026-11-20T09:00:00.1Z stdout F \(Self.event(6))", #"{"log":\#(Self.quoted(Self.event(7)))}"#, Self.event(8),
            #"[{"message":\#(Self.quoted(Self.event(9)))}]"#,
        ]
        for place in isIndented ? feeds : Array(stride(from: 1, to: cut.utf8.count - 1, by: 7)) {
            // The value of the first member may stand on the next line.
            // Or an array may go on there.
            let least = cut.prefix(place).hasSuffix("[") ? 6 : 8
            for first in others.indices where !cut.prefix(place).hasSuffix("{\"kind\":") {
                let behind = [others[first]] + others.enumerated().filter { $0.offset != first }.map(\.element)
                let text = ([list(2..<4), String(cut.prefix(place))] + behind).joined(separator: "\n") + "\n"
                let log = try fold(text).logs[0]
                #expect(log.rejects == ["cut-off": 1] && (least...10).contains(log.requests), "\(place) \(first)")
            }
        }
    }

    @Test(
        "a list that is cut off where another value could follow takes no more than one document",
        arguments: [
            ("[\n<0>,\n<1>,\n", "[\n<2>,\n<3>\n]\n", 4), ("[<0>,<1>\n", "[\n<2>,\n<3>\n]\n", 4),
            ("[<0>,{\n", "{\n\"log\":'1'}\n{\n\"log\":'2'}\n", 3), ("[<0>,{\"groups\":[\n", "{\"log\":'1'}\n{\"log\":'2'}\n", 2),
            ("{\"items\": [<0>, {\"kind\": \n", "{\"log\":'1'}\n{\"log\":'2'}\n", 3),
            ("{\"items\": [<0>, {\"kind\": \n", "{\"log\":'1'}\n<2>\n", 3),
            ("{\n\"items\": [\n<0>,\n{\n\"level\": \"Metadata\",\n", "{\"log\":'1'}\n{\"log\":'2'}\n", 3),
            ("[<0>,{\"requestObject\":{\"m\":[\n", "<1>\n2026-03-01T22:00:00Z stdout F <2>\n2026-03-01T22:00:00Z stdout F <3>\n", 3),
            ("{\"requestObject\":{\"m\":[\n", "<1>\n\n <2>\n\t<3>\n", 3), ("{\"requestObject\":\n", "<1>\n <2>\n", 2),
        ])
    func cutWhereMoreMayFollow(_ cut: String, _ behind: String, requests: Int) throws {
        var text = cut + behind
        for number in 0..<4 {
            text = text.replacing("<\(number)>", with: Self.event(number)).replacing("'\(number)'", with: Self.quoted(Self.event(number)))
        }
        let log = try fold(text).logs[0]
        #expect(log.requests == requests && log.rejects == ["cut-off": 1])
    }

    @Test("an event that must be read as a whole counts behind one that a cut value seemed to hold")
    func wholeBehindCut() throws {
        let grant = Self.event(2, uri: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles").replacing("\"get\"", with: "\"create\"")
        for (cut, requests) in [("{\"requestObject\":{\"m\":[\n", 2), ("{\"requestObject\":\n", 2), ("[{\"requestObject\":{\"m\":[\n", 1)] {
            let log = try fold("\(cut)\(Self.event(1))\n\(grant)\n").logs[0]
            #expect(log.requests == requests && log.repeated == 0 && log.rejects == ["cut-off": 1], "\(cut)")
        }
    }

    @Test("files that were written behind each other may each begin with a byte order mark")
    func byteOrderMarks() throws {
        let events = (0..<7).map { Self.event($0) }
        let files = [
            events[0], "{\"items\":[\(events[1]),\(events[2])]}", "[\n\(events[3]),\n\(events[4])\n]", try Self.broken(events[5], " "),
        ]
        let log = try fold(files.map { "\u{FEFF}\($0)\n" }.joined()).logs[0]
        #expect(log.requests == 6 && log.rejected == 0)
        // What was cut off before takes nothing.
        for cut in ["{\"level\":", "[\(events[6]),", "{\n \"level\": [\n", "{\"items\":[\(events[6])]"] {
            let log = try fold("\(cut)\n" + files.map { "\u{FEFF}\($0)\n" }.joined()).logs[0]
            #expect(log.requests == (cut.contains("auditID") ? 7 : 6) && log.rejects == ["cut-off": 1], "\(cut)")
        }
    }

    @Test("however a whole list is formatted, nothing in it ends it, and no body becomes a record")
    func wholeLists() throws {
        let fake = Self.event(99).replacing("alice", with: "mallory")
        let list = #"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[\#(fake)]}"#
        let bodies = [
            #"{"m":[{},\#(fake)]}"#, #"{"m":[{"a":[{}]},\#(list),[\#(fake)]]}"#, #"{"spec":{"ingress":[{}]},"m":\#(list)}"#,
            #"[\#(fake)]"#, #"{"m":[\#(fake),\#(fake)]}"#,
            #"{"m":[\#(String(repeating: "[", count: 70) + String(repeating: "]", count: 70)),\#(fake)]}"#,
            #"{"m":[\#(String(repeating: "7", count: 70)),\#(fake)]}"#,
        ]
        for (number, body) in bodies.enumerated() {
            let key = number.isMultiple(of: 2) ? "requestObject" : "responseObject"
            let compact = (0..<6).map { Self.event($0, "\"\(key)\":\(body),") }
            let formats: [(String) throws -> String] = [
                { $0 }, { try Self.broken($0, "") }, { try Self.broken($0, "  ") }, { $0.replacing("},{", with: "},\n{") },
                { $0.replacing("\":", with: "\":\n") }, { $0.replacing("\":", with: "\"\n:") }, Self.brokenArrays,
            ]
            for format in formats {
                let found = try fold((try compact.map(format) + [Self.event(7), ""]).joined(separator: "\n"))
                #expect(found.logs[0].requests == 7 && found.logs[0].rejected == 0)
                #expect(found.usage.keys.allSatisfy { $0.user == "alice" })
            }
            for (head, tail) in [
                ("{\"kind\":\"EventList\",\"items\":[", "]}"), ("[", "]"), ("[\n", "\n]"),
                ("{\n  \"items\": [\n", "\n  ],\n  \"more\": [\n{\"a\":1},\n{\"a\":2}\n]\n}"),
                ("{\"records\":[", "],\"more\":[\n{\"a\":1},\n{\"a\":2}\n]}"),
            ] {
                for format in formats {
                    for separator in [",", ",\n", "\n,", "\n,\n"] {
                        let text = head + (try compact.map(format)).joined(separator: separator) + tail + "\n" + Self.event(7) + "\n"
                        let found = try fold(text)
                        #expect(found.logs[0].requests == 7 && found.logs[0].rejected == 0, "\(text.prefix(200))")
                        #expect(found.usage.keys.allSatisfy { $0.user == "alice" })
                    }
                }
            }
        }
        // Elements that are formatted in different ways.
        let compact = (0..<2).map { Self.event($0, "\"requestObject\":\(bodies[0]),") }
        let apart = "[\(compact.joined(separator: ",")),\n{\n\(Self.brokenArrays(compact[0]).dropFirst())\n]"
        let mixed = try fold("\(apart)\n\(Self.event(7))\n")
        #expect(mixed.logs[0].requests == 3 && mixed.logs[0].repeated == 1 && mixed.logs[0].rejected == 0)
        #expect(mixed.usage.keys.allSatisfy { $0.user == "alice" })
        // Lists in lists, whose elements are indented and themselves are not.
        let batches = try (0..<3).map { try Self.broken("{\"records\":[\(Self.event($0))]}", "  ") }
        for separator in [",", ",\n"] {
            let log = try fold("[\(batches.joined(separator: separator))]\n").logs[0]
            #expect(log.requests == 3 && log.rejected == 0)
        }
        // Whose events stand alone on lines.
        let inner = [0..<3, 3..<6].map { "[\n\($0.map { Self.event($0) }.joined(separator: ",\n"))\n]" }
        let nested = try fold("[\n\(inner.joined(separator: ",\n"))\n]\n\(Self.event(7))\n").logs[0]
        #expect(nested.requests == 7 && nested.rejected == 0)
        // What is no JSON ends nothing either.
        let lines = try Self.broken(
            "{\"items\":[\((0..<6).map { Self.event($0, "\"requestObject\":\(bodies[0]),") }.joined(separator: ","))]}", "  "
        )
        .split(separator: "\n", omittingEmptySubsequences: false)
        for (number, stray) in ["[warn] dropped", "W0301 10:00:00 {\"a\": 1}", "{}"].enumerated() {
            for place in stride(from: 10 + number, to: lines.count - 4, by: 17) {
                let text = (lines[..<place] + [Substring(stray)] + lines[place...]).joined(separator: "\n") + "\n"
                #expect(try fold(text).usage.keys.allSatisfy { $0.user == "alice" }, "\(stray) \(place)")
            }
        }
    }

    @Test("no body of a LogEntry becomes a record, however it is formatted", arguments: ["request", "response"])
    func wholeLogEntries(_ key: String) throws {
        let fake = Self.event(99).replacing("alice", with: "mallory")
        let entries = (0..<3).map {
            #"{"insertId":"i\#($0)","timestamp":"2026-03-01T10:00:00Z","protoPayload":{"methodName":"io.k8s.core.v1.pods.get","#
                + #""resourceName":"core/v1/namespaces/shop/pods/a","\#(key)":{"m":[{},\#(fake)]},"authenticationInfo":"#
                + #"{"principalEmail":"alice"},"authorizationInfo":[{"granted":true}]}}"#
        }
        for format in [Self.brokenArrays, { try Self.broken($0, "") }, { try Self.broken($0, "  ") }] as [(String) throws -> String] {
            for (head, separator, tail) in [("", "\n", ""), ("[", ",\n", "]"), ("[\n", "\n,", "\n]")] {
                let found = try fold(head + (try entries.map(format)).joined(separator: separator) + tail + "\n")
                #expect(found.logs[0].requests == 3 && found.logs[0].rejected == 0)
                #expect(found.usage.keys.allSatisfy { $0.user == "alice" })
            }
        }
    }

    /// JSON with a line for each member and element.
    private static func broken(_ text: String, _ indent: String) throws -> String {
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .withoutEscapingSlashes])
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        return lines.map { line in indent.isEmpty ? String(line.drop { $0 == " " }) : String(line) }.joined(separator: "\n")
    }

    /// JSON that begins a line behind each bracket and each object of an array.
    private static func brokenArrays(_ text: String) -> String {
        text.replacing("[{", with: "[\n{").replacing(",{", with: ",\n{").replacing("}]", with: "}\n]")
    }

    private static func quoted(_ text: String) -> String { String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self) }

    @Test("a log that begins inside an event, or behind a list, says so", arguments: [#","requestURI":"/x","verb":"get"}"#, "]}", "}"])
    func cutBeginning(_ first: String) throws {
        let log = try fold("\(first)\n\(Self.event(1))\n\(Self.event(2))\n").logs[0]
        #expect(log.rejected == 1 && log.requests == 2)
    }

    @Test("a last line of a stream that is not whole yet is read when it is, up to 4 MiB", arguments: [1_000, 70_000, 1_000_000])
    func longLastLine(_ length: Int) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let long = Self.event(2, #""requestObject":{"data":"\#(String(repeating: "x", count: length))"},"#)
        let text = "\(Self.event(1))\n\(long)\n\(Self.event(3))\n"
        var known: [Int: Set<KnownLog>] = [:]
        var requests = 0
        for end in [Self.event(1).utf8.count + long.utf8.count - 20, text.utf8.count] {
            _ = try folder.write(String(text.prefix(end)), to: "a.log")
            try folder.shell("gzip -c \(folder.file("a.log")) > \(folder.file("a.log.gz"))")
            let (log, _) = try AuditLogReader(known: known).read(folder.file("a.log.gz")) { _ in }
            known[log.byteCount, default: []].insert(KnownLog(digest: log.digest, lineCount: log.lineCount, head: log.head))
            #expect(log.rejects.isEmpty)
            requests += log.requests
        }
        #expect(requests == 3)
    }

    @Test("a known log of a database of schema 1 takes nothing from the log that was read before it")
    func knownByAllBytes() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let old = (0..<50).map { Self.event($0) + "\n" }.joined()
        _ = try folder.write(old, to: "old.log")
        try folder.shell("sha256sum < \(folder.file("old.log")) | head -c 64 > \(folder.file("sum"))")
        let digest = try String(contentsOfFile: folder.file("sum"), encoding: .utf8)
        let reader = AuditLogReader(known: [old.utf8.count: [KnownLog(digest: digest, lineCount: 50, head: "")]])
        var requests = 0
        func keep(_ fold: UsageFold?) { requests += fold?.counts.reduce(0) { $0 + Int($1.count) } ?? 0 }
        let new = (100..<120).map { Self.event($0) + "\n" }.joined()
        #expect(try reader.read(try folder.write(new, to: "new.log")) { keep($0) }.log.requests == 20)
        let (log, _) = try reader.read(folder.file("old.log")) { keep($0) }
        #expect(log.extendedDigest == digest && log.events == 0)
        keep(reader.take())
        #expect(requests == 20)
    }

    @Test("an event behind one that is cut in a list counts, though it was looked at before")
    func behindCutList() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let body = #""requestObject":{"roleRef":{"kind":"Role","name":"r"}},"#
        let binding = Self.event(2, body)
            .replacing(#""verb":"get""#, with: #""verb":"create""#)
            .replacing(#/"requestURI":"[^"]*"/#, with: #""requestURI":"/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings""#)
        let cut = #"{"kind":"Event","user":{"groups":["a","#
        let path = try folder.write("\(cut)\n\(binding)\n\(Self.event(3))\n", to: "a.log")
        let reader = AuditLogReader()
        let (log, _) = try reader.read(path) { _ in }
        #expect(log.requests == 2 && log.rejected == 1 && log.repeated == 0)
        let flags = try #require(reader.take()).flags.keys.map(\.flag)
        #expect(flags.contains { $0.hasPrefix("hidden:bind-or-hold") })
    }

    @Test("a list without an end that grows, with commas on lines of their own, is gone on with where it stopped")
    func growingList() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        // Without audit IDs nothing else tells that an event was read.
        let events = (0..<40).map { Self.event($0).replacing("\"auditID\":\"id-\($0)\",", with: "") }
        let text = "[\n" + events.joined(separator: "\n,\n") + "\n,\n"
        let first = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
        #expect(first.log.requests == 40 && first.unfinished <= 3)
        let known = [first.log.byteCount: Set([KnownLog(digest: first.log.digest, lineCount: first.log.lineCount, head: first.log.head)])]
        let more = text + "\(Self.event(50))\n]\n"
        let (log, _) = try AuditLogReader(known: known).read(try folder.write(more, to: "a.log")) { _ in }
        #expect(log.requests == 1 && log.rejected == 0)
    }

    @Test("a gap of NUL bytes is told once, wherever the first part of the log ended")
    func gapGrowth() throws {
        let (gap, list) = (String(repeating: "\0", count: 200), "{\"kind\":\"EventList\",\"items\":[\n" + Self.event(3) + ",\n")
        for start in ["", "\n"] {
            let whole =
                start + gap + Self.event(0) + "\n" + gap + "\n" + Self.event(1).prefix(90) + gap + Self.event(2) + "\n" + list + gap
                + "  {\n\"kind\":\"Event\",\n" + gap + Self.event(4) + "\n"
            let expected = try grow([whole])
            #expect(expected.requests == 4 && expected.unfinished == 0)
            for size in stride(from: 1, to: whole.count, by: 13) {
                let result = try grow([String(whole.prefix(size)), whole])
                #expect(result == expected, "cut at \(size)")
            }
        }
    }

    @Test("what was given up of a split line in one log belongs to no line of another")
    func givenUpElsewhere() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var options = AuditLogReader.Options()
        options.lineLimit = 1 << 12
        let part = "2026-01-05T08:00:00Z stdout P {\"kind\":\"Event\",\"x\":\"" + String(repeating: "x", count: 1_000) + "\n"
        let lost = try folder.write(String(repeating: part, count: 9), to: "a.log")
        let whole = try folder.write((1...2).map { "2026-01-05T08:00:00Z stdout F \(Self.event($0))\n" }.joined(), to: "b.log")
        let reader = AuditLogReader(options: options)
        #expect(try reader.read(lost) { _ in }.log.rejects["too-long"] ?? 0 > 0)
        #expect(try reader.read(whole) { _ in }.log.requests == 2)
    }

    @Test("an event before what waits for its end counts once")
    func eventBeforeHalf() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let event = Self.event(1).replacing(#/"auditID":"[^"]*",/#, with: "")
        let (log, unfinished) = try AuditLogReader().read(try folder.write(#"x: \#(event) {"a":"#, to: "a.log")) { _ in }
        #expect(log.requests == 0 && unfinished > 0 || log.requests == 1 && unfinished == 0)
    }

    @Test("a time that Go writes for none is none")
    func noTime() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let event = Self.event(1) + "\n"
        let timeless = event.replacing(
            #/"requestReceivedTimestamp":"([^"]*)"/#,
            with: { #""requestReceivedTimestamp":"0001-01-01T00:00:00Z","stageTimestamp":"\#($0.output.1)""# })
        let (log, _) = try AuditLogReader().read(try folder.write(timeless, to: "a.log")) { _ in }
        #expect(log.requests == 1 && log.firstEvent ?? 0 > 0)
    }

    @Test("any number of values may stand on one line", arguments: ["", " "])
    func longRow(_ between: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let events = (1...2000).map { Self.event($0) }
        var options = AuditLogReader.Options()
        options.lineLimit = 1 << 16
        for end in ["\n\(Self.event(0))\n", ""] {
            let path = try folder.write(events.joined(separator: between) + end, to: "a.log")
            let (log, _) = try AuditLogReader(options: options).read(path) { _ in }
            #expect(log.rejects.isEmpty && log.requests == events.count + (end.isEmpty ? 0 : 1))
        }
    }

    @Test("what is compressed again is decompressed again, and what is wrong inside is damage")
    func packedTwice() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for number in 1...2 { _ = try folder.write(Self.event(number) + "\n", to: "\(number).log") }
        for (command, requests, damaged) in [
            ("(gzip -c 1.log; gzip -c 2.log) | gzip -c", 2, nil), ("(gzip -c 1.log; gzip -c 2.log) | zstd -q -c", 2, nil),
            ("(gzip -c 1.log; gzip -c 2.log | head -c 100) | gzip -c", 1, 1),
        ] {
            try folder.shell("cd \(folder.path) && \(command) > packed")
            let (log, _) = try AuditLogReader().read(folder.file("packed")) { _ in }
            #expect(log.requests == requests && log.rejects["damaged"] == damaged)
        }
    }

    @Test("a stream that is longer than what is kept at once counts once: read again, grown, or read to its middle before")
    func longStream() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        // Without audit IDs nothing else tells that an event was read.
        let lines = (0..<8_000).map { Self.event($0).replacing("\"auditID\":\"id-\($0)\",", with: "") + "\n" }
        func pack(_ count: Int) throws -> String {
            _ = try folder.write(lines[..<count].joined(), to: "a.log")
            try folder.shell("gzip -c \(folder.file("a.log")) > \(folder.file("a.log.gz"))")
            return folder.file("a.log.gz")
        }
        for (first, second) in [(5_000, 5_000), (5_000, 8_000), (8_000, 8_000)] {
            var options = AuditLogReader.Options()
            options.partSize = 1 << 18
            var (known, parts, requests): ([Int: Set<KnownLog>], Int, Int) = ([:], 0, 0)
            func keep(_ fold: UsageFold?) {
                for log in fold?.logs ?? [] {
                    known[log.byteCount, default: []].insert(KnownLog(digest: log.digest, lineCount: log.lineCount, head: log.head))
                    (parts, requests) = (parts + 1, requests + log.requests)
                }
            }
            struct Killed: Error {}
            let reader = AuditLogReader(options: options)
            do {
                _ = try reader.read(try pack(first)) { fold in
                    keep(fold)
                    // The last pair stands for a process that ended after some parts.
                    if first == 8_000, parts == 3 { throw Killed() }
                }
                keep(reader.take())
            } catch is Killed {}
            #expect(parts > 2)
            let other = AuditLogReader(options: options, known: known)
            _ = try other.read(try pack(second)) { keep($0) }
            keep(other.take())
            #expect(requests == second)
            // Another log of the same names is no part of it.
            let third = AuditLogReader(options: options, known: known)
            let log = try third.read(try folder.write(lines.reversed().joined(), to: "b.log")) { _ in }.log
            #expect(log.requests == 8_000)
        }
    }

    @Test("zstd, gzip of several members, and damage behind which nothing can be read", arguments: ["zstd -q -c", "gzip -c", "cat"])
    func compression(_ command: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let (first, second) = (folder.file("a"), folder.file("b"))
        try Data((0..<4_000).map { Self.event($0) + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: first))
        try Data((Self.event(4_000) + "\n").utf8).write(to: URL(fileURLWithPath: second))
        let path = folder.file("audit.log")
        try folder.shell("{ \(command) < \(first); \(command) < \(second); } > \(path)")
        #expect(try AuditLogReader.fold(path).logs[0].requests == 4_001)
        guard command != "cat" else { return }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        try bytes.prefix(bytes.count - 30).write(to: URL(fileURLWithPath: path))
        let cut = try AuditLogReader.fold(path)
        #expect(cut.logs[0].requests >= 3_000)
        #expect(cut.logs[0].rejects["damaged"] == 1)
    }

    @Test("a frame of zstd that is to be skipped comes first; what a wrong checksum of gzip follows counts")
    func oddlyCompressed() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write(Self.event(1) + "\n", to: "audit.log")
        try folder.shell("zstd -q -c \(path) > \(path).zst; gzip -c \(path) > \(path).gz")
        let skipped = Data([0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 0, 0, 0, 0])
        try (skipped + Data(contentsOf: URL(fileURLWithPath: path + ".zst"))).write(to: URL(fileURLWithPath: path))
        #expect(try AuditLogReader.fold(path).logs[0].requests == 1)
        var packed = try Data(contentsOf: URL(fileURLWithPath: path + ".gz"))
        packed[packed.count - 5] ^= 1
        try packed.write(to: URL(fileURLWithPath: path))
        let damaged = try AuditLogReader.fold(path).logs[0]
        #expect(damaged.requests == 1)
        #expect(damaged.rejects == ["damaged": 1])
        let known = [damaged.byteCount: Set([KnownLog(digest: damaged.digest, lineCount: damaged.lineCount, head: damaged.head)])]
        let (again, _) = try AuditLogReader(known: known).read(path) { _ in }
        #expect(again.events == 0 && again.rejected == 0 && again.extendedDigest != nil)
    }

    @Test("a table that grows keeps the names of its columns, also compressed", arguments: [10, 2_000])
    func grownCompressedTable(_ count: Int) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let rows = (0..<count).map { "kube-audit,\"\(Self.event($0).replacing("\"", with: "\"\""))\"\n" }
        let reader = AuditLogReader()
        let counted = try [rows[..<(count / 2)], rows[...]].map { rows in
            _ = try folder.write("Category,log_s\n" + rows.joined(), to: "a.csv")
            try folder.shell("gzip -f \(folder.file("a.csv"))")
            let (log, _) = try reader.read(folder.file("a.csv.gz")) { _ in }
            _ = reader.take()
            return [log.requests, log.rejected]
        }
        #expect(counted == [[count / 2, 0], [count / 2, 0]])
    }

    @Test("a table that grows keeps the names of its columns")
    func grownTable() throws {
        let rows = (1...3).map { "kube-audit,\"\(Self.event($0).replacing("\"", with: "\"\""))\"\n" }
        let header = "Category,log_s\n"
        let counted = try grow([header + rows[0], header + rows.joined()])
        #expect(counted.requests == 3 && counted.rejected == 0)
    }

    @Test(
        "a log that is handed out in parts, with half a line or blank lines behind the last, is known to who has read it",
        arguments: ["", "\n\n"])
    func halfLineBehindPart(_ blank: String) throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        // Without audit IDs nothing else tells that an event was read.
        func event(_ number: Int) -> String { Self.event(number).replacing("\"auditID\":\"id-\(number)\",", with: "") }
        let whole = (0..<4_000).map { event($0) + "\n" }.joined() + blank
        var options = AuditLogReader.Options()
        options.partSize = whole.utf8.count - 2_000
        let reader = AuditLogReader(options: options)
        var requests: [Int] = []
        for text in [whole + event(4_000).prefix(12), whole + event(4_000) + "\n"] {
            requests.append(try reader.read(try folder.write(text, to: "a.log")) { _ in }.log.requests)
        }
        #expect(requests == [4_000, 1])
    }

    @Test("what waits at the end is read once: a record with blank lines in a cell, and what stands before an event")
    func waitingEnds() throws {
        func event(_ number: Int) -> String { Self.event(number).replacing("\"auditID\":\"id-\(number)\",", with: "") }
        let header = "requestURI,verb,stage,user.username,responseStatus.code,userAgent,requestReceivedTimestamp\n"
        let rows = (0..<4).map { "/api/v1/pods,list,ResponseComplete,u\($0),200,\"a\n\n\r\n\nb\",2026-03-01T10:00:00Z\n" }
        let table = header + rows.joined()
        let lines = (0..<4).map { "2026-03-01T10:00:00.1Z stdout F \(event($0))\n" }
        for (whole, first) in [(table, header + rows[0]), (lines.joined(), lines[0])] {
            for more in 1...60 {
                let counted = try grow([String(whole.prefix(first.count + more)), whole])
                #expect(counted.requests == 4 && counted.rejected == 0, "\(more)")
            }
        }
    }

    @Test("a text that only begins with an object is a text; lines of the legacy format are kept with the rejects")
    func textsAsTheyAre() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let reader = AuditLogReader()
        var kept: [String] = []
        reader.onReject = { text, _ in kept.append(String(decoding: text, as: UTF8.self)) }
        let legacy = "2017-03-21T03:57:09.106841886-04:00 AUDIT: id=\"c939d2a7\" ip=\"127.0.0.1\" method=\"GET\" user=\"admin\"\n"
        let row =
            #"{"Stage":"ResponseComplete","RequestUri":"/version","Verb":"get","User":{"username":"u"},"UserAgent":"{} curl","#
            + #""RequestReceivedTime":"2026-11-20T09:00:00Z"}"# + "\n"
        _ = try reader.read(try folder.write(legacy + row, to: "a.log")) { _ in }
        let fold = try #require(reader.take())
        #expect(fold.facts.map { fold.key($0).userAgent } == ["{} curl"])
        #expect(kept == [legacy])
    }
}
