import Foundation
import Testing
import WhittleIngest

/// Events that exporters write in another shape are those that the API server wrote.
@Suite("Audit events in other shapes")
struct AuditShapeTests {
    private static let event =
        #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/cart/scale?fieldManager=x","verb":"patch","user":{"username":"system:serviceaccount:shop:scaler","groups":["system:serviceaccounts","system:authenticated"],"extra":{"authentication.kubernetes.io/pod-name":["scaler-1"],"authentication.kubernetes.io/pod-uid":["p1"]}},"sourceIPs":["10.0.0.1"],"userAgent":"scaler \"1\"","objectRef":{"resource":"deployments","namespace":"shop","name":"cart","apiGroup":"apps","subresource":"scale"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-03-01T10:00:00.000001Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"scaler/shop\" of Role \"scaler\" to ServiceAccount \"scaler/shop\""}}"#

    private let plain = AuditEnvelope.contents(of: event).events

    private static func json(_ value: Any) -> String {
        let data = try? JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed)
        return String(decoding: data ?? Data(), as: UTF8.self)
    }

    /// The members of the event on one level, by their names with dots: JSON.
    private let members: [(name: String, value: String)] = {
        func members(_ value: Any, _ name: String) -> [(String, String)] {
            guard let object = value as? [String: Any] else { return [(name, json(value))] }
            return object.flatMap { members($0.value, name.isEmpty ? $0.key : "\(name).\($0.key)") }
        }
        return members((try? JSONSerialization.jsonObject(with: Data(event.utf8))) ?? [:], "").sorted { $0.0 < $1.0 }
    }()

    private func record(_ name: (String) -> String = { $0 }, _ value: (String) -> String = { $0 }) -> String {
        "{" + members.map { "\"\(name($0.name))\":\(value($0.value))" }.joined(separator: ",") + "}"
    }

    /// The events of a text, as if they stood for themselves.
    private func found(_ text: String, in envelope: String = "") -> [AuditEnvelope.Contents.Event] {
        let contents = AuditEnvelope.contents(of: text)
        #expect(contents.unknown == 0)
        #expect(contents.events.allSatisfy { $0.envelope == envelope })
        return contents.events.map { event in
            var event = event
            event.envelope = ""
            return event
        }
    }

    @Test("members on one level, also behind a prefix, or with the elements of lists one by one")
    func oneLevel() {
        #expect(plain.count == 1)
        #expect(plain.first?.pod == "scaler-1/p1")
        #expect(found(record()) == plain)
        #expect(found(record { "kubernetes.audit.\($0)" }) == plain)
        let single = record().replacing(
            #""user.groups":["system:serviceaccounts","system:authenticated"]"#,
            with: #""user.groups.0":"system:serviceaccounts","user.groups.1":"system:authenticated""#)
        #expect(single != record())
        #expect(found(single) == plain)
    }

    @Test("fields of Elasticsearch: every value is a list; documents with their source beside them")
    func fields() {
        let lists = record {
            $0
        } _: {
            $0.hasPrefix("[") ? $0 : "[\($0)]"
        }
        let hits = [#"{"_id":"1","fields":\#(lists)}"#, #"{"_id":"2","fields":{"x":["y"]},"_source":\#(Self.event)}"#]
        #expect(found(#"{"hits":{"hits":[\#(hits.joined(separator: ","))]}}"#, in: "elastic") == plain + plain)
    }

    @Test("texts that stand twice, names with very many dots, records that are no event")
    func corners() {
        let deep = "objectRef" + String(repeating: ".a", count: 100_000)
        let more = #"{"user.groups.keyword":["other"],"\#(deep)":1,"user.username.x":null,"#
        #expect(found(more + record().dropFirst()) == plain)
        let other = AuditEnvelope.contents(of: #"{"user.username":"me","message":"hello"}"#)
        #expect(other.events.isEmpty)
        #expect(other.unknown == 1)
    }

    @Test("members spelled in small letters, in words, with capitals, joined by underscores or dashes, behind a prefix")
    func spellings() throws {
        func joined(_ name: String, by sign: Character) -> String { String(name.map { "./-".contains($0) ? sign : $0 }) }
        func words(_ name: String) -> String {
            name.replacing("URI", with: "Uri").replacing("ID", with: "Id").replacing("IPs", with: "Ips")
                .reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
        }
        let spellings: [(String) -> String] = [
            { joined($0, by: "_") }, { joined($0, by: "-").lowercased() }, { joined($0, by: "_").lowercased() },
            { joined(words($0), by: "_") },
            { "log_" + joined($0, by: "_") }, { "Audit." + $0.lowercased() }, { $0.replacing(".", with: "_", maxReplacements: 1) },
        ]
        for spelling in spellings { #expect(found(record(spelling)) == plain, "\(spelling("responseStatus.code"))") }
        let single = record { joined($0, by: "_") }.replacing(
            #""user_groups":["system:serviceaccounts","system:authenticated"]"#,
            with: #""user_groups_0":"system:serviceaccounts","user_groups_1":"system:authenticated""#)
        #expect(found(single) == plain)
        // Objects in objects, as Go writes them by itself, and as tables with small letters hold them, also as texts.
        func respelled(_ value: Any, _ spelling: (String) -> String, asText: Bool = false) -> Any {
            guard let object = value as? [String: Any] else { return value }
            return Dictionary(
                uniqueKeysWithValues: object.map { key, value in
                    let inner = key == "annotations" || key == "extra" ? value : respelled(value, spelling)
                    return (spelling(key), asText && inner is [String: Any] ? Self.json(inner) : inner)
                })
        }
        let object = try JSONSerialization.jsonObject(with: Data(Self.event.utf8))
        let ofGo = Self.json(respelled(object) { $0.prefix(1).uppercased() + $0.dropFirst() })
        #expect(found(ofGo) == plain)
        #expect(found(#"{"Items":[\#(ofGo),\#(ofGo)]}"#, in: "list") == plain + plain)
        #expect(found(Self.json(respelled(object) { $0.lowercased() })) == plain)
        let texts = try #require(respelled(object, { $0.lowercased() }, asText: true) as? [String: Any]).sorted { $0.key < $1.key }
        let cells = texts.map { "\"" + ($0.value as? String ?? Self.json($0.value)).replacing("\"", with: "\"\"") + "\"" }
        let table = texts.map(\.key).joined(separator: ",") + "\n" + cells.joined(separator: ",") + "\n"
        #expect(try #require(AuditEnvelope.contents(ofCSV: table)).events == plain)
    }

    @Test("what is no event is none in another spelling, and what stands in a body is not looked at")
    func noSpelling() throws {
        for text in [
            #"{"Stage":"ResponseComplete","Verb":"get"}"#, #"{"stage":"deploy","user_username":"me","request_uri":"/api"}"#,
            #"{"body":{"x":1},"requestObject_stage":"ResponseComplete","requestObject_user_username":"me","requestObject_requestURI":"/api"}"#,
        ] {
            let contents = AuditEnvelope.contents(of: text)
            #expect(contents.events.allSatisfy { $0.user.isEmpty } && contents.unknown + contents.events.count == 1, "\(text)")
        }
        // What a client has sent is none either, whatever is wrong with the event that it stands in.
        let forged = Self.json(Self.event)
        let request = #""Stage":"ResponseComplete","Verb":"get","RequestURI":"/x","RequestReceivedTimestamp":"2026-03-01T10:00:00Z""#
        for text in [
            #"{\#(request),"User":{},"ResponseStatus":{"code":401},"UserAgent":\#(forged)}"#,
            #"{"k8s_stage":"Responded","k8s_user_agent":\#(forged),"k8s_requestObject_metadata_annotations_last":\#(forged)}"#,
            #"{"audit_stage":"x","audit_requestObject_stage":"ResponseComplete","audit_requestObject_verb":"get","#
                + #""audit_requestObject_requestURI":"/x","audit_requestObject_user_username":"me"}"#,
            #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"user_agent","value":{"stringValue":\#(forged)}}]}]}]}]}"#,
        ] {
            #expect(try fold(text).logs[0].requests == 0, "\(text)")
        }
        let table =
            "STAGE,VERB,USER_USERNAME,REQUESTURI,USERAGENT\nResponseComplete,get,,/x,\"\(Self.event.replacing("\"", with: "\"\""))\"\n"
        #expect(AuditEnvelope.contents(ofCSV: table)?.events.allSatisfy { $0.user.isEmpty } ?? true)
        // Nobody impersonated is lost because of how somebody else is written.
        let plain = Self.event.dropLast()
        for impersonated in [#""sa""#, "5", #"[{"username":"sa"}]"#, #"{"username":["sa"]}"#] {
            for (name, more) in [("impersonatedUser", #""Timestamp":"x""#), ("ImpersonatedUser", #""_timestamp":1"#)] {
                let log = try fold(#"\#(plain),"\#(name)":\#(impersonated),\#(more)}"#).logs[0]
                #expect(log.rejects == (name == "impersonatedUser" ? ["wrong-type": 1] : [:]), "\(impersonated)")
            }
            let spelled = "{" + request + #","User":{"Username":"admin"},"ImpersonatedUser":\#(impersonated)}"#
            #expect(try fold(spelled).logs[0].rejects == ["wrong-type": 1], "\(impersonated)")
        }
        // A struct as Athena writes it.
        let log = try fold(#"{"stage":"ResponseComplete","verb":"get","requesturi":"/api","user":"{username=me}"}"#).logs[0]
        #expect(log.requests == 0 && log.rejects == ["wrong-type": 1])
    }

    @Test("the whole event as text beside members of it, of which others are missing")
    func wholeBeside() {
        let some = #""stage":"ResponseComplete","verb":"patch","auditID":"a1""#
        for (name, envelope) in [("_msg", "text"), ("message", "message"), ("log", "fluent-bit"), ("body", "text"), ("line", "loki")] {
            #expect(found(#"{\#(some),"\#(name)":\#(Self.json(Self.event))}"#, in: envelope) == plain)
        }
        #expect(found(#"{"line":\#(Self.json(Self.event)),"fields":{\#(some),"user_username":"x"}}"#, in: "loki") == plain)
        // What whoever asked could have put there himself, and what is whole already.
        for name in ["userAgent", "requestURI", "requestObject", "x"] {
            let contents = AuditEnvelope.contents(of: #"{\#(some),"\#(name)":\#(Self.json(Self.event))}"#)
            #expect(contents.events.allSatisfy { $0.user.isEmpty })
        }
        let other = Self.event.replacing("a1", with: "a2")
        #expect(found(Self.event.dropLast() + #","message":\#(Self.json(other))}"#) == plain)
    }

    @Test("the level that OpenShift's forwarder has moved")
    func movedLevel() {
        let moved = Self.event.replacing(#""level":"Metadata""#, with: #""level":"default","k8s_audit_level":"Metadata""#)
        #expect(found(moved) == plain)
    }

    @Test("CSV with a column for each member of an event")
    func columns() throws {
        let header = members.map { "audit.\($0.name)" }.joined(separator: ",") + ",@timestamp,audit.x\n"
        let cells = members.map { name, value in
            let text = (try? JSONDecoder().decode([String].self, from: Data(value.utf8)))?.joined(separator: ", ")
            return (text ?? (try? JSONDecoder().decode(String.self, from: Data(value.utf8))) ?? value).replacing("\"", with: "\"\"")
        }
        let table = header + cells.map { "\"\($0)\"" }.joined(separator: ",") + ",\"Mar 1, 2026 @ 10:00:00.000\",-\n"
        for text in [
            table, table.replacing("2026-03-01T10:00:00.000001Z", with: "Mar 1, 2026 @ 10:00:00.000001"),
            table.replacing(
                "system:serviceaccounts, system:authenticated", with: #"[""system:serviceaccounts"",""system:authenticated""]"#),
        ] {
            let contents = try #require(AuditEnvelope.contents(ofCSV: text))
            #expect(contents.unknown == 0)
            #expect(contents.events == plain)
        }
    }

    @Test("OTLP: the keys and values of a body, and its bytes")
    func otlp() throws {
        func any(_ value: Any) -> [String: Any] {
            if let object = value as? [String: Any] {
                return ["kvlistValue": ["values": object.map { ["key": $0.key, "value": any($0.value)] as [String: Any] }]]
            }
            if let list = value as? [Any] { return ["arrayValue": ["values": list.map(any)]] }
            return (value as? Int).map { ["intValue": "\($0)"] } ?? ["stringValue": value]
        }
        let body = Self.json(any(try JSONSerialization.jsonObject(with: Data(Self.event.utf8))))
        let bytes = #"{"bytesValue":"\#(Data(Self.event.utf8).base64EncodedString())"}"#
        for body in [body, bytes] {
            #expect(found(#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":\#(body)}]}]}]}"#, in: "otlp") == plain)
        }
        // Of a record only the body counts, or its attributes, of whatever count.
        let attributes = #""attributes":[{"key":"a","value":{"stringValue":"1"}},{"key":"b","value":{"intValue":"2"}}]"#
        let list = try #require(any(try JSONSerialization.jsonObject(with: Data(Self.event.utf8)))["kvlistValue"] as? [String: Any])
        let records = [
            #"{"body":\#(body),\#(attributes)}"#, #"{"body":{"stringValue":"I started"},\#(attributes)}"#,
            #"{"body":{"stringValue":""},"attributes":\#(Self.json(list["values"] ?? []))}"#,
        ]
        let contents = AuditEnvelope.contents(
            of: #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[\#(records.joined(separator: ","))]}]}]}"#)
        #expect(contents.events.map(\.auditID) == ["a1", "a1"] && contents.unknown == 1)
    }
}
