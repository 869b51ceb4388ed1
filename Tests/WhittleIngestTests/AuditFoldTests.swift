import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

/// What a log of this text folds to.
func fold(_ text: String) throws -> UsageFold {
    let folder = try Fixtures.TemporaryFolder()
    defer { folder.remove() }
    return try AuditLogReader.fold(try folder.write(text, to: "audit.log"))
}

/// The quick way over a line and the general reader give the same facts.
@Suite("Audit fold")
struct AuditFoldTests {
    private static func event(
        _ number: Int, stage: String = "ResponseComplete", uri: String = "/api/v1/namespaces/shop/pods/cart", verb: String = "get",
        more: String = ""
    ) -> String {
        """
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"\(number)","stage":"\(stage)","requestURI":"\(uri)",\
        "verb":"\(verb)","user":{"username":"system:serviceaccount:shop:cart","groups":["system:authenticated"]},\
        "userAgent":"cart/1 \\"x\\"",\(more)"responseStatus":{"metadata":{},"code":200},\
        "requestReceivedTimestamp":"2026-11-2\(number % 10)T09:00:0\(number % 10).000001Z",\
        "annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}

        """
    }

    /// The same events as they stand in no log, so that the general reader must take them: the quick one knows no escapes in keys.
    private func escaped(_ lines: String) -> String { lines.replacing("\"stage\":", with: "\"st\\u0061ge\":") }

    private func expectSame(_ lines: String, sourceLocation: Testing.SourceLocation = #_sourceLocation) throws {
        let quick = try fold(lines)
        let general = try fold(escaped(lines))
        #expect(quick.usage == general.usage, sourceLocation: sourceLocation)
        #expect(quick.implied == general.implied, sourceLocation: sourceLocation)
        #expect(quick.flags == general.flags, sourceLocation: sourceLocation)
        #expect(quick.logs[0].requests == general.logs[0].requests, sourceLocation: sourceLocation)
        #expect(quick.logs[0].events == general.logs[0].events, sourceLocation: sourceLocation)
        #expect(!quick.facts.isEmpty, sourceLocation: sourceLocation)
    }

    @Test("the address counts when the credential names no pod, and only then")
    func addresses() throws {
        let user = #"{"username":"system:serviceaccount:shop:cart","groups":["system:authenticated"]}"#
        let podded = #"{"username":"system:serviceaccount:shop:cart","extra":{"authentication.kubernetes.io/pod-name":["a"]}}"#
        func from(_ number: Int, _ addresses: String, as other: String? = nil) -> String {
            let line = Self.event(number, more: #""sourceIPs":\#(addresses),"#)
            return other.map { line.replacingOccurrences(of: user, with: $0) } ?? line
        }
        let lines =
            from(1, #"["10.0.0.1"]"#) + from(2, #"["10.0.0.2"]"#) + from(3, #"["203.0.113.1", "10.0.0.1"]"#) + from(4, "[]")
            + from(5, "null")
            + from(6, #"["no address"]"#) + from(7, #"["10.0.0.3"]"#, as: podded) + from(8, #"["10.0.0.4"]"#, as: #"{"username":"jane"}"#)
            + Self.event(9)
        try expectSame(lines)
        let counts = try fold(lines).usage.map { "\($0.user.split(separator: ":").last ?? "") \($0.pod) \($0.address) \($1.count)" }
        #expect(Set(counts) == ["cart  10.0.0.1 2", "cart  10.0.0.2 1", "cart   4", "cart a  1", "jane   1"])
    }

    @Test("the recorded log, and the demo's")
    func recorded() throws {
        for path in ["clusters/recorded/audit.log.gz", "demo/audit.log"] {
            try expectSame(String(decoding: try Fixtures.contents(Fixtures.path(path)), as: UTF8.self))
        }
    }

    @Test("events over many lines, on one level, and in the rows of tables prove the same")
    func shapes() throws {
        let lines = String(decoding: try Fixtures.contents(Fixtures.path("demo/audit.log")), as: UTF8.self)
        let general = try fold(escaped(lines))
        let events = lines.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
        #expect(general.logs[0].events == events.count)
        let columns = [
            "AuditId": "auditID", "Level": "level", "Stage": "stage", "RequestUri": "requestURI", "Verb": "verb", "User": "user",
            "UserAgent": "userAgent", "ObjectRef": "objectRef", "ResponseStatus": "responseStatus", "SourceIps": "sourceIPs",
            "RequestReceivedTime": "requestReceivedTimestamp", "Annotations": "annotations", "ImpersonatedUser": "impersonatedUser",
            "AuthenticationMetadata": "authenticationMetadata", "RequestObject": "requestObject", "ResponseObject": "responseObject",
        ].sorted { $0.key < $1.key }
        let rows = events.map { event in columns.map { event[$0.value] } }
        func row(_ cells: [Any?]) -> [String: Any] {
            Dictionary(uniqueKeysWithValues: zip(columns, cells).compactMap { column, cell in cell.map { (column.key, $0) } })
        }
        let texts = rows.map { $0.map { cell in cell.map { $0 as? String ?? Self.json($0) } } }
        let header = columns.map(\.key).joined(separator: ",")
        let table = texts.map { row in row.map { "\"\(($0 ?? "").replacing("\"", with: "\"\""))\"" }.joined(separator: ",") }
        let forms = [
            events.map { Self.json($0, .prettyPrinted) }, [Self.json(events, .prettyPrinted)],
            events.map { Self.json(Dictionary(Self.members($0, "audit")) { $1 }) }, rows.map { Self.json(row($0)) },
            [Self.json(rows.map(row), .prettyPrinted)], texts.map { Self.json(row($0)) }, [header] + table,
            ["log_s"] + events.map { "\"\(Self.json($0).replacing("\"", with: "\"\""))\"" },
        ]
        for (number, form) in forms.enumerated() {
            let found = try fold(form.joined(separator: "\n") + "\n")
            #expect(found.usage == general.usage, "\(number)")
            #expect(found.implied == general.implied && found.flags == general.flags, "\(number)")
            #expect(found.logs[0].events == events.count && found.logs[0].rejects.isEmpty, "\(number)")
        }
    }

    @Test("the last element of a list counts once, though it stands on a line of its own as if it were none")
    func lastElements() throws {
        let lines = String(decoding: try Fixtures.contents(Fixtures.path("demo/audit.log")), as: UTF8.self)
        // What a new binding is called only the general reader can tell.
        let binding = Self.event(2, uri: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", verb: "create").dropLast()
        for event in [binding] + Set(lines.split(separator: "\n").suffix(100)) {
            let alone = try fold(event + "\n").logs[0]
            for opening in ["[", "{\"items\":["] {
                let list = try fold("\(opening)\n\(Self.event(1).dropLast()),\n\(event)\n]\(opening.first == "{" ? "}" : "")\n").logs[0]
                #expect(list.requests == alone.requests + 1 && list.repeated == 0 && list.rejects.isEmpty, "\(event)")
            }
        }
    }

    private static func json(_ value: Any, _ options: JSONSerialization.WritingOptions = []) -> String {
        String(decoding: (try? JSONSerialization.data(withJSONObject: value, options: options)) ?? Data(), as: UTF8.self)
    }

    /// The members of an event on one level, by their names with dots.
    private static func members(_ value: Any, _ name: String) -> [(String, Any)] {
        guard let object = value as? [String: Any], !object.isEmpty else { return [(name, value)] }
        return object.flatMap { members($0.value, "\(name).\($0.key)") }
    }

    @Test(
        "what facts depend on is told apart, what they do not depend on is not",
        arguments: [
            ["?resourceVersion=1", "?resourceVersion=2\\u0026timeoutSeconds=5"],
            ["?fieldSelector=metadata.name%3Dcart", "?fieldSelector=metadata.name%3Dtills", "?fieldSel\\u0065ctor=metadata.name%3Dother"],
            ["?watch=true\\u0026sendInitialEvents=true", "?watch=true\\u0026sendInitialEvents=false", "?watch=true"],
            ["?labelSelector=a%3Db", "?limit=x\\u0026fieldSelector=metadata.name%3Dcart"],
        ])
    func essentials(_ queries: [String]) throws {
        for verb in ["list", "watch", "get"] {
            try expectSame(
                queries.enumerated().map { number, query in
                    Self.event(number, uri: "/api/v1/namespaces/shop/pods" + query, verb: verb)
                        + Self.event(number, stage: "ResponseStarted", uri: "/api/v1/namespaces/shop/pods" + query, verb: verb)
                }.joined())
        }
    }

    @Test("bodies are needs where they hold one")
    func bodies() throws {
        let owner =
            "\"requestObject\":{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"d\",\"blockOwnerDeletion\":true}]}},"
        let other = "\"requestObject\":{\"metadata\":{\"name\":\"}]\\\"{\"},\"data\":{\"a\":\"\\\\\"}},"
        let lines = [owner, other, owner].enumerated().map { Self.event($0, verb: "update", more: $1) }.joined()
        try expectSame(lines)
        #expect(try fold(lines).flags.keys.contains { $0.flag.hasPrefix("hidden:update apps Deployment/finalizers d") })
    }

    @Test("deleting what cannot be read is a right of its own")
    func unsafeDeletes() throws {
        let (uri, option) = ("/api/v1/namespaces/shop/secrets/broken", AuditFoldTests.option)
        let lines =
            Self.event(1, uri: uri, verb: "delete", more: #""requestObject":{"kind":"DeleteOptions","\#(option)":true},"#)
            + Self.event(2, uri: uri + "?gracePeriodSeconds=0\\u0026\(option)=true", verb: "delete")
            + Self.event(3, uri: uri + "?\(option)=false", verb: "delete", more: #""requestObject":{"kind":"DeleteOptions"},"#)
            + Self.event(4, uri: uri, verb: "get", more: #""requestObject":{"\#(option)":true},"#)
        try expectSame(lines)
        let implied = try fold(lines).implied
        #expect(implied.count == 1)
        let request = Request(verb: "unsafe-delete-ignore-read-errors", resource: "secrets", namespace: "shop", name: "broken")
        #expect(implied.first?.key.request == request && implied.first?.value.count == 2)
    }

    private static let option = "ignoreStoreReadErrorWithClusterBreakingPotential"

    @Test(
        "a bad line is counted and loses nothing else",
        arguments: [
            "{\"kind\":\"Event\",\"user\":{\n", "{\"kind\":\"Event\",\n", "{\"kind\":0}\n", "\u{0}\u{0}text\n", "text\n", "{]\n",
            event(5).replacing("\"cart/1", with: "\"cart/1\u{1}"), event(5).replacing("cart\",\"groups", with: "cart\u{0}\",\"groups"),
            String(event(5).prefix(200)) + "\n", "{\"kind\":\"EventList\",\"items\":[\n" + String(event(5).prefix(100)) + "\n",
        ])
    func badLines(_ bad: String) throws {
        let good = (0..<4).map { Self.event($0) }
        let result = try fold(good[0] + good[1] + bad + good[2] + good[3])
        #expect(result.logs[0].requests == 4)
        #expect(result.logs[0].rejected >= 1)
        #expect(result.counts.map(\.count) == [4])
        #expect(!result.diagnostics.isEmpty)
        // Of the list the line with the cut element is bad.
        #expect(result.diagnostics.first?.location?.line == (bad.contains("EventList") ? 4 : 3))
    }

    @Test("zeros that a truncated log begins with are no part of a line")
    func zeros() throws {
        let result = try fold(String(repeating: "\0", count: 5_000) + Self.event(0) + Self.event(1))
        #expect(result.logs[0].requests == 2)
        #expect(result.logs[0].rejected == 0)
    }

    @Test("a gap of NUL bytes is told, and what stands behind it in the same line counts")
    func gaps() throws {
        let (gap, events) = (String(repeating: "\0", count: 700_000), (0..<4).map { Self.event($0) })
        let list = "{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"items\":[\n" + events[1]
        for (before, reasons) in [
            (events[1].prefix(300), ["cut-off": 1, "nul-bytes": 1]), (events[1][...], ["nul-bytes": 1]),
            ("{\n\"kind\":\"Event\",\n", ["cut-off": 1, "nul-bytes": 1]), (list[...], ["cut-off": 1, "nul-bytes": 1]),
            ("2026-01-05T08:00:00Z stdout P {\"kind\":\"Event\",\n", ["cut-off": 1, "nul-bytes": 1]),
        ] {
            let result = try fold(events[0] + before + gap + events[2] + gap + "\n" + events[3])
            let isWhole = before.hasSuffix(events[1])
            #expect(result.logs[0].requests == (isWhole ? 4 : 3))
            #expect(result.logs[0].rejects == reasons.merging(["nul-bytes": 2]) { $1 }, "behind \(before.prefix(40))")
            #expect(result.diagnostics.allSatisfy { $0.location.map { (2...5).contains($0.line) } ?? false })
        }
        #expect(try fold(events[0] + gap + "\n").logs[0].rejects == ["nul-bytes": 1])
        // What may go on waits.
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for text in [gap, events[0] + gap] {
            let (log, unfinished) = try AuditLogReader().read(try folder.write(text, to: "a.log")) { _ in }
            #expect(log.rejects.isEmpty && unfinished == gap.utf8.count)
        }
        // Inside of an event, the ends of two are not one.
        let body = events[1].replacing(#""annotations""#, with: #""requestObject":{"x":"\#(gap.prefix(4_096))"},"annotations""#)
        #expect(try fold(body + events[2]).logs[0].requests == 1)
        #expect(try fold("\0\0\0\n").logs[0].rejects == ["not-json": 1])
    }

    @Test("bytes that are not UTF-8 are counted where a fact needs them")
    func invalidUTF8() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var bytes = Array(Self.event(0).utf8)
        let place = try #require(bytes.firstRange(of: Array("pods/cart".utf8))).lowerBound
        bytes[place + 6] = 0xFF
        let path = folder.file("audit.log")
        try Data(Array(Self.event(1).utf8) + bytes + Array(Self.event(2).utf8)).write(to: URL(filePath: path))
        let fold = try AuditLogReader.fold(path)
        #expect(fold.logs[0].requests == 2)
        #expect(fold.logs[0].rejected == 1)
        #expect(fold.facts.count == 1)
    }

    @Test(
        "names that selectors require",
        arguments: [
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da", "a"),
            ("watch", "/api/v1/watch/namespaces/n/pods?fieldSelector=metadata.name%3Da", ""),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Db,metadata.name%3Da", "a"),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=(", ""),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a,", ""),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a+in+(b,c),!d", "a"),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da&limit=", ""),
            ("list", "/api/v1/pods?fieldSelector=metadata.name%3Da&limit=5", "a"),
        ])
    func selectors(_ verb: String, _ uri: String, _ name: String) {
        #expect(RequestURI(verb: verb, uri: uri).request.name == name)
    }

    private static func event(_ verb: String, _ uri: String, _ more: String, code: Int = 201) -> String {
        #"{"kind":"Event","level":"Request","auditID":"x","stage":"ResponseComplete","requestReceivedTimestamp":"2026-01-01T00:00:00Z","#
            + #""annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"r"},"responseStatus":{"code":\#(code)},"#
            + #""user":{"username":"u"},"verb":"\#(verb)","requestURI":"\#(uri)",\#(more)}"# + "\n"
    }

    @Test("an access review proves a need without a reference to its object")
    func review() throws {
        let body = #""requestObject":{"spec":{"user":"x","resourceAttributes":{"verb":"get","resource":"pods"}}}"#
        let needs = try fold(Self.event("create", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)).implied.keys
        #expect(needs.map(\.user) == ["x"] && needs.map(\.cause) == [.accessReview])
    }

    @Test("groups of a node are asked for where nobody adds them, and each once")
    func impersonatedNode() throws {
        let user = #""impersonatedUser":{"username":"system:node:n1","groups":["system:nodes","dev","dev","system:authenticated"]}"#
        func groups(_ more: String) throws -> [String: Int] {
            let needs = try fold(Self.event("get", "/api/v1/pods/p", user + more, code: 200)).implied.filter {
                $0.key.request.resource == "groups"
            }
            return Dictionary(uniqueKeysWithValues: needs.map { ($0.key.request.name, $0.value.count) })
        }
        #expect(try groups("") == ["system:nodes": 1, "dev": 1])
        #expect(try groups(#","authenticationMetadata":{"impersonationConstraint":"impersonate:user-info"}"#) == ["dev": 1])
    }

    @Test("extra of somebody impersonated has its keys, also where an exporter took their dots for objects in objects")
    func nestedExtra() throws {
        let extras = [#"{"example.com/team.a":["x"],"b":["y"]}"#, #"{"example":{"com/team":{"a":["x"]}},"b":["y"]}"#]
        let needs = try extras.map { extra in
            Set(try fold(Self.event(1, more: #""impersonatedUser":{"username":"bob","extra":\#(extra)},"#)).implied.keys.map(\.request))
        }
        #expect(needs[0] == needs[1] && needs[0].contains { $0.subresource == "example.com/team.a" && $0.name == "x" })
    }

    @Test("a value of extra that stands there twice is asked for once; a collection has no name, and nobody no rights")
    func oncePerRequest() throws {
        let impersonating = #""impersonatedUser":{"username":"bob","extra":{"scopes":["a","a"]}},"#
        let lines = Self.event(1, more: impersonating)
        try expectSame(lines)
        #expect(try fold(lines).implied.values.allSatisfy { $0.count == 1 })
        #expect(try fold(lines).implied.count == 2)
        let collection = Self.event(2, verb: "deletecollection", more: #""objectRef":{"resource":"pods","namespace":"shop","name":"x"},"#)
            .replacing(#/"requestURI":"[^"]*",/#, with: "")
        #expect(try fold(collection).usage.keys.map(\.request.name) == [""])
        let review = Self.event(
            "create", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            #""requestObject":{"spec":{"user":"","groups":["g"],"resourceAttributes":{"verb":"get","resource":"pods"}}}"#)
        #expect(try fold(review).implied.isEmpty && fold(review).logs[0].requests == 1)
    }

    @Test("owners in the status of a pod are not checked", arguments: [("/status", true), ("", false)])
    func exemptStatus(_ subresource: String, _ isExempt: Bool) throws {
        let body =
            #""requestObject":{"metadata":{"name":"x","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"d","uid":"1","blockOwnerDeletion":true}]}}"#
        let flags = try fold(Self.event("update", "/api/v1/namespaces/n/pods/x\(subresource)", body, code: 200)).flags.keys
        #expect(flags.contains { $0.flag.hasPrefix("hidden:") } != isExempt)
    }

    @Test(
        "owners that a JSON patch sets",
        arguments: [
            (#"{"op":"add","path":"/metadata/ownerReferences","value":[OWNER]}"#, true),
            (#"{"op":"add","path":"/metadata/ownerReferences/-","value":OWNER}"#, true),
            (#"{"op":"replace","path":"/metadata","value":{"ownerReferences":[OWNER]}}"#, true),
            (#"{"op":"test","path":"/metadata/ownerReferences","value":[OWNER]}"#, false),
            (#"{"op":"add","path":"/spec/ownerReferences","value":[OWNER]}"#, false),
            (#"{"op":"replace","path":"/metadata/ownerReferences/0/blockOwnerDeletion","value":true}"#, false),
        ])
    func patchedOwners(_ operation: String, _ isChecked: Bool) throws {
        let owner = #"{"apiVersion":"apps/v1","kind":"Deployment","name":"d","uid":"1","blockOwnerDeletion":true}"#
        let body = #""requestObject":[{"op":"remove","path":"/x"},\#(operation.replacing("OWNER", with: owner))]"#
        let flags = try fold(Self.event("patch", "/api/v1/namespaces/n/configmaps/x", body, code: 200)).flags.keys.map(\.flag)
        #expect(flags.contains { $0.hasPrefix("hidden:update apps Deployment/finalizers d") } == isChecked)
    }

    @Test(
        "parameters that are malformed count as not there, as in Go",
        arguments: [
            ("?limit=%zz&fieldSelector=metadata.name%3Da", "a"), ("?fieldSelector=metadata.name%3Da%2", ""),
            ("?fieldSelector=metadata.name%3Da;b", ""), ("?%zz=1&fieldSelector=metadata.name%3Da", "a"),
            ("?fieldSelector=%&fieldSelector=metadata.name%3Db", "b"),
        ])
    func malformedParameters(_ query: String, _ name: String) {
        #expect(RequestURI(verb: "list", uri: "/api/v1/pods\(query)").request.name == name)
    }
}
