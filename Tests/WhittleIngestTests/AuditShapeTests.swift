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
    }
}
