import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

/// What clouds and log shippers wrap around events changes no fact.
@Suite("Audit envelopes")
struct AuditEnvelopeTests {
    private static let event =
        #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/cart/scale?fieldManager=x","verb":"patch","user":{"username":"system:serviceaccount:shop:scaler","groups":["system:authenticated"],"extra":{"authentication.kubernetes.io/pod-name":["scaler-1"],"authentication.kubernetes.io/pod-uid":["p1"]}},"userAgent":"scaler/v1.2 (linux/arm64)","objectRef":{"resource":"deployments","namespace":"shop","name":"cart","apiGroup":"apps","subresource":"scale"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-03-01T10:00:00.000001Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"scaler/shop\" of Role \"scaler\" to ServiceAccount \"scaler/shop\""}}"#

    struct Envelope: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var events = 1
    }

    private static func quote(_ text: String) -> String { String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self) }

    /// The event as a JSON string.
    private static let quoted = quote(event)
    private static let twice = quote("\(event)\n\(event)\n")
    private static let base64 = Data(event.utf8).base64EncodedString()

    /// Members of the event as text, by their name.
    private static func member(_ name: String) -> String {
        let object = (try? JSONSerialization.jsonObject(with: Data(event.utf8))) as? [String: Any] ?? [:]
        let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .withoutEscapingSlashes]
        return String(
            decoding: (try? JSONSerialization.data(withJSONObject: object[name] ?? "", options: options)) ?? Data(), as: UTF8.self)
    }

    private static let columns = [
        ("AuditId", "auditID"), ("Level", "level"), ("Stage", "stage"), ("RequestUri", "requestURI"), ("Verb", "verb"), ("User", "user"),
        ("UserAgent", "userAgent"), ("ObjectRef", "objectRef"), ("ResponseStatus", "responseStatus"),
        ("RequestReceivedTime", "requestReceivedTimestamp"), ("Annotations", "annotations"),
    ]
    private static let tableRow =
        "{" + columns.map { "\"\($0)\":\(member($1))" }.joined(separator: ",") + #","PodName":"kube-apiserver-1","Type":"AKSAudit"}"#
    /// The same with every column as text.
    private static let tableRowOfTexts =
        "{"
        + columns.map { column, name in
            let text = member(name)
            return "\"\(column)\":\(text.hasPrefix("{") ? quote(text) : text)"
        }.joined(separator: ",") + #","PodName":"kube-apiserver-1"}"#

    /// The event with its objects as texts.
    private static let ofTexts = ["user", "objectRef", "responseStatus", "annotations"].reduce(event) { event, name in
        let text = String(event[event.range(of: "\"\(name)\":").map { $0.upperBound... } ?? event.startIndex...])
        var (depth, end) = (0, text.startIndex)
        for index in text.indices {
            depth += text[index] == "{" ? 1 : text[index] == "}" ? -1 : 0
            end = text.index(after: index)
            if depth == 0 { break }
        }
        return event.replacing("\"\(name)\":\(text[..<end])", with: "\"\(name)\":\(quote(String(text[..<end])))")
    }

    /// Annotations as the agent of Elastic renames them, and as an exporter that takes dots for objects writes them.
    private static let dedotted = event.replacing("authorization.k8s.io/", with: "authorization_k8s_io/")
    private static let nested = event.replacing(
        #""authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"#,
        with: #""authorization":{"k8s":{"io/decision":"allow","io/reason":"#
    ).appending("}}")
    /// As Datadog's pipeline moves what other logs have as well.
    private static let remapped = event.replacing(#""username":"system:serviceaccount:shop:scaler","#, with: "")
        .replacing(
            #""verb":"patch","#,
            with: #""usr":{"id":"u1","name":"system:serviceaccount:shop:scaler"},"http":{"method":"patch","status_code":200},"#
        )
        .replacing(#","code":200"#, with: "")

    /// The members of the event on one level, with their values as JSON.
    private static let flat: [(name: String, value: String)] = {
        func members(_ value: Any, _ name: String) -> [(String, String)] {
            if let object = value as? [String: Any] {
                return object.sorted { $0.key < $1.key }.flatMap { members($1, name.isEmpty ? $0 : "\(name).\($0)") }
            }
            let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .withoutEscapingSlashes]
            let text = try? JSONSerialization.data(withJSONObject: value, options: options)
            return [(name, String(decoding: text ?? Data(), as: UTF8.self))]
        }
        return members((try? JSONSerialization.jsonObject(with: Data(event.utf8))) ?? "", "")
    }()

    /// An object of these, with the name and value of each as told.
    private static func flatObject(_ member: (String, String) -> String) -> String { "{" + flat.map(member).joined(separator: ",") + "}" }
    /// As Splunk names lists, and VictoriaLogs writes them.
    private static let withMarks = flatObject { "\"\($0)\($1.hasPrefix("[") ? "{}" : "")\":\($1)" }
    private static let withListsAsTexts = flatObject { "\"\($0)\":\($1.hasPrefix("[") ? quote($1) : $1)" }
    private static let withIndexes = flatObject {
        $1.hasPrefix("[") ? "\"\($0)[0]\":\($1.dropFirst().dropLast())" : "\"\($0)\":\($1)"
    }
    private static let listsAsTexts = event.replacing(#"["scaler-1"]"#, with: quote(#"["scaler-1"]"#)).replacing(
        #"["p1"]"#, with: quote(#"["p1"]"#))

    static let envelopes = [
        Envelope(testDescription: "", text: withMarks),
        Envelope(testDescription: "", text: withListsAsTexts),
        Envelope(testDescription: "", text: listsAsTexts),
        Envelope(testDescription: "", text: withIndexes),
        Envelope(
            testDescription: "", text: withMarks.replacing("{\"", with: "{\"impersonatedUser.username\":\"NULL\",\"", maxReplacements: 1)),
        Envelope(testDescription: "", text: event.replacing(",\"userAgent\"", with: ",\"impersonatedUser\":\"\",\"userAgent\"")),
        Envelope(testDescription: "", text: event.replacing(",\"userAgent\"", with: ",\"impersonatedUser\":\"null\",\"userAgent\"")),
        Envelope(testDescription: "", text: event.replacing("000001Z", with: "000001")),
        Envelope(testDescription: "", text: event.replacing("T10:00:00.000001Z", with: "T12:00:00.000001+0200")),
        Envelope(
            testDescription: "aks",
            text: #"{"schema":["# + flat.map { #"{"name":"\#($0.name)","type":"text"}"# }.joined(separator: ",") + #"],"datarows":[["#
                + flat.map(\.value).joined(separator: ",") + #"]],"total":1}"#),
        Envelope(testDescription: "elastic", text: #"{"_source":{"aws":{"eks":{"audit":\#(event)}}}}"#),
        Envelope(testDescription: "eks", text: #"{"Stage":"ResponseComplete","Verb":"patch","User":"{}","RawEvent":\#(quoted)}"#),
        Envelope(testDescription: "text", text: #"{"@timestamp":"2026","message":"","structured":\#(event),"log_type":"audit"}"#),
        Envelope(
            testDescription: "", text: withListsAsTexts.replacing("requestReceivedTimestamp", with: "@timestamp")),
        Envelope(
            testDescription: "eks",
            text: #"{"results":[["#
                + flat.map { #"{"field":"\#($0)","value":\#($1.hasPrefix("\"") ? $1 : quote($1))}"# }.joined(separator: ",")
                + "]]}"),
        Envelope(
            testDescription: "aks",
            text: #"{"columns":["# + flat.map { #"{"name":"\#($0.name)","type":"keyword"}"# }.joined(separator: ",") + #"],"values":[["#
                + flat.map(\.value).joined(separator: ",") + "]]}"),
        Envelope(
            testDescription: "splunk", text: #"{"preview":false,"result":\#(withMarks)}"# + "\n" + #"{"preview":false,"lastrow":true}"#),
        Envelope(testDescription: "prefixed", text: "<14>1 2026-03-01T10:00:00Z host k 1 ID7 - \u{FEFF}\(event)"),
        Envelope(testDescription: "elastic", text: #"{"azure":{"platformlogs":{"category":"kube-audit","properties":{"log":\#(event)}}}}"#),
        Envelope(
            testDescription: "elastic", text: #"{"azure":{"platformlogs":{"category":"kube-audit","properties":{"log":\#(quoted)}}}}"#),
        Envelope(testDescription: "aks", text: #"{"ContainerName":"kube-apiserver","LogMessage":\#(event)}"#),
        Envelope(testDescription: "text", text: #"{"event_id":"1","details":{"native_api_server_event":\#(event)}}"#),
        Envelope(testDescription: "text", text: #"{"json_payload":{"details":{"nativeApiServerEvent":\#(event)}}}"#),
        Envelope(testDescription: "text", text: #"{"Response":{"ListOver":true,"Results":[{"TopicId":"t","LogJson":\#(quoted)}]}}"#),
        Envelope(testDescription: "text", text: #"{"messages":[{"message":{"source":"n","message":\#(quoted)},"index":"i"}]}"#),
        Envelope(testDescription: "text", text: #"{"messages":[{"map":{"_raw":\#(quoted)}}]}"#),
        Envelope(testDescription: "text", text: #"{"matches":[{"_time":"2026","data":\#(event)}]}"#),
        Envelope(testDescription: "text", text: #"{"Messages":[{"MessageId":"1","Body":\#(quoted)}]}"#),
        Envelope(testDescription: "", text: event),
        Envelope(testDescription: "list", text: #"{"kind":"EventList","metadata":{},"items":[\#(event),\#(event)]}"#, events: 2),
        Envelope(
            testDescription: "eks",
            text: #"{"events":[{"logStreamName":"kube-apiserver-audit-9f","timestamp":1,"message":\#(quoted)}],"nextToken":"x"}"#),
        Envelope(testDescription: "prefixed", text: "2026-01-01T00:00:00.000Z \(event)"),
        Envelope(testDescription: "prefixed", text: "2026-01-01T00:00:00.000Z kube-apiserver-audit-9f \(event)"),
        Envelope(testDescription: "prefixed", text: "master-0 \(event)"),
        Envelope(
            testDescription: "eks",
            text: #"{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1,"message":\#(quoted)}]}"#),
        Envelope(
            testDescription: "eks",
            text: #"{"results":[[{"field":"@timestamp","value":"2026"},{"field":"@message","value":\#(quoted)}]],"status":"Complete"}"#),
        Envelope(
            testDescription: "aks",
            text: #"{"records":[{"time":"2026","category":"kube-audit","properties":{"log":\#(quoted),"stream":"stdout","pod":"x"}}]}"#),
        Envelope(testDescription: "aks", text: #"{"time":"2026","category":"kube-audit","properties":{"log":\#(quoted),"pod":"x"}}"#),
        Envelope(testDescription: "aks", text: #"{"Category":"kube-audit","log_s":\#(quoted),"pod_s":"x"}"#),
        Envelope(testDescription: "cri", text: "2026-03-01T10:00:00.1Z stdout F \(event)"),
        Envelope(testDescription: "fluent-bit", text: #"{"log":\#(quoted),"stream":"stdout","time":"2026"}"#),
        Envelope(testDescription: "message", text: #"{"host":"n","message":\#(quoted)}"#),
        Envelope(testDescription: "fluent-bit", text: #"{"log":\#(twice),"kubernetes":{"pod_name":"x","labels":{"a":"b"}}}"#, events: 2),
        Envelope(testDescription: "prefixed", text: "Mar  1 10:00:00 master-0 kube-apiserver[17]: \(event)"),
        Envelope(testDescription: "prefixed", text: "2026-03-01T10:00:00+00:00\tkube.audit\t\(event)"),
        Envelope(testDescription: "prefixed", text: "key\t\(event)"),
        Envelope(testDescription: "list", text: #"{"kind":"List","apiVersion":"v1","items":[\#(event)]}"#),
        Envelope(testDescription: "list", text: #"{"kind":"EventList","items":null}"#, events: 0),
        Envelope(testDescription: "eks", text: #"{"events":[],"searchedLogStreams":[],"nextToken":"x"}"#, events: 0),
        Envelope(
            testDescription: "eks", text: #"{"records":[{"recordId":"1","data":"\#(base64)"},{"recordId":"2","data":"\#(base64)"}]}"#,
            events: 2),
        Envelope(testDescription: "eks", text: #"{"Records":[{"kinesis":{"partitionKey":"1","data":"\#(base64)"}}]}"#),
        Envelope(
            testDescription: "eks",
            text:
                #"{"logGroup":"g","events":[{"logStreamName":"authenticator-9f","message":"level=info"},{"logStreamName":"kube-apiserver-audit-9f","message":\#(quoted)}]}"#
        ),
        Envelope(testDescription: "aks", text: #"{"records":[{"category":"kube-audit","properties":\#(quote(#"{"log":\#(quoted)}"#))}]}"#),
        Envelope(
            testDescription: "aks-admin",
            text:
                #"{"records":[{"category":"kube-audit-admin","properties":{"log":\#(quoted)}},{"category":"kube-apiserver","properties":{"log":"I0301 text"}}]}"#
        ),
        Envelope(testDescription: "aks-table", text: tableRow),
        Envelope(testDescription: "aks-table", text: "[\(tableRowOfTexts)]"),
        Envelope(testDescription: "aks", text: tableRow.replacing("{\"", with: "{\"ImpersonatedUser\":null,\"", maxReplacements: 1)),
        Envelope(testDescription: "aks-admin", text: tableRow.replacing(#""Type":"AKSAudit""#, with: #""Type":"AKSAuditAdmin""#)),
        Envelope(
            testDescription: "aks",
            text:
                #"{"tables":[{"name":"PrimaryResult","columns":[{"name":"Category","type":"string"},{"name":"log_s","type":"string"}],"rows":[["kube-audit",\#(quoted)]]}]}"#
        ),
        Envelope(testDescription: "kafka", text: #"{"topic":"audit","partition":0,"offset":7,"value":\#(event)}"#),
        Envelope(testDescription: "kafka", text: #"{"topic":"audit","key":null,"payload":\#(quoted)}"#),
        Envelope(
            testDescription: "kafka", text: #"{"topic":"audit","value":{"kind":"EventList","items":[\#(event),\#(event)]}}"#, events: 2),
        Envelope(
            testDescription: "loki",
            text:
                #"{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1",\#(quote(#"{"log":\#(quoted),"stream":"stdout"}"#))],["2",\#(quote("2026-03-01T10:00:00.1Z stdout F \(event)"))]]}]}}"#,
            events: 2),
        Envelope(testDescription: "loki", text: #"{"streams":[{"stream":{"a":"b"},"values":[["1",\#(quoted),{"trace":"x"}]]}]}"#),
        Envelope(testDescription: "elastic", text: #"{"@timestamp":"2026","kubernetes":{"audit":\#(dedotted)}}"#),
        Envelope(testDescription: "elastic", text: #"{"@timestamp":"2026","kubernetes":{"audit":\#(nested)}}"#),
        Envelope(testDescription: "elastic", text: #"{"took":1,"hits":{"total":0,"hits":[]}}"#, events: 0),
        Envelope(
            testDescription: "splunk",
            text: #"{"result":{"_raw":\#(quoted),"stage":"ResponseComplete","verb":"get","auditID":"a1","user.username":"x"}}"#),
        Envelope(testDescription: "splunk", text: #"{"time":1,"sourcetype":"kube:audit","event":\#(event)}"#),
        Envelope(testDescription: "datadog", text: #"{"data":[{"id":"1","attributes":{"service":"k","attributes":\#(remapped)}}]}"#),
        Envelope(testDescription: "text", text: #"{"host":"n","audit_text":\#(quoted)}"#),
        Envelope(testDescription: "text", text: #"{"host":"n","note":"{no event}","audit_text":\#(quoted)}"#),
        Envelope(testDescription: "journald", text: #"{"MESSAGE":\#(quoted),"_PID":"1"}"#),
        Envelope(testDescription: "loki", text: #"{"labels":{"a":"b"},"line":\#(quoted),"timestamp":"2026"}"#),
        Envelope(
            testDescription: "loki",
            text:
                #"{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1767225600000000000",\#(quoted)]]}]}}"#
        ),
        Envelope(testDescription: "elastic", text: #"{"hits":{"total":1,"hits":[{"_source":{"kubernetes":{"audit":\#(event)}}}]}}"#),
        Envelope(testDescription: "filebeat", text: #"{"@timestamp":"2026","json":\#(event)}"#),
        Envelope(testDescription: "splunk", text: #"{"preview":false,"result":{"_raw":\#(quoted)}}"#),
        Envelope(testDescription: "datadog", text: #"{"id":"1","attributes":{"service":"k","attributes":\#(event)}}"#),
        Envelope(
            testDescription: "elastic",
            text: #"{"took":1,"responses":[{"hits":{"hits":[{"_source":{"message":\#(quoted)}}]}},{"hits":{"hits":[]}}]}"#),
        Envelope(testDescription: "loki", text: #"{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"2026","line":\#(quoted)}]}]}"#),
        Envelope(
            testDescription: "otlp",
            text:
                #"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1","body":{"stringValue":\#(quoted)}}]}]}]}"#
        ),
        Envelope(testDescription: "prefixed", text: "\"key\"\t\(event)"),
        Envelope(testDescription: "", text: "\u{1E}\(event)"),
        Envelope(testDescription: "journald", text: "\u{1E}{\"MESSAGE\":\(quoted)}\n\u{1E}{\"MESSAGE\":\(quoted)}", events: 2),
        Envelope(testDescription: "", text: "\u{FEFF}\(event)"),
        Envelope(testDescription: "", text: "\(event),"),
        Envelope(testDescription: "", text: dedotted),
        Envelope(testDescription: "", text: nested),
        Envelope(testDescription: "", text: event.replacing("authorization.k8s.io/", with: "authorization-k8s-io/")),
        Envelope(testDescription: "", text: event.replacing("authentication.kubernetes.io/", with: "authentication_kubernetes_io_slash_")),
        Envelope(testDescription: "", text: event.replacing("T10:00:00.000001Z", with: " 10:00:00.000001 UTC")),
        Envelope(testDescription: "", text: event.replacing("T10:00:00.000001Z", with: " 10:00:00.000001000")),
        Envelope(testDescription: "", text: ofTexts),
        Envelope(testDescription: "", text: quoted),
        Envelope(testDescription: "", text: #"{"create":{"_index":"i"}}"# + "\n\(event)\n" + #"{"index":{}}"#),
        Envelope(testDescription: "", text: "2026-03-01T10:00:00.1+00:00 kube-apiserver-audit-9f \n{\n\(event.dropFirst())"),
        Envelope(testDescription: "prefixed", text: "kube.audit: [1772359200.000000000, \(event)]"),
        Envelope(
            testDescription: "prefixed",
            text:
                "EVENTS\t37\t1772359200123\tkube-apiserver-audit-9f\t\(event)\t1772359200100\nSEARCHEDLOGSTREAMS\tTrue\tkube-apiserver-audit-9f"
        ),
        Envelope(testDescription: "text", text: #"{"logs":[{"content":\#(quoted),"line_num":"1"}],"isQueryComplete":true}"#),
        Envelope(testDescription: "text", text: #"{"version":"0","source":"x","detail":\#(event)}"#),
        Envelope(
            testDescription: "eks", text: #"{"Records":[{"EventSource":"aws:sns","Sns":{"Type":"Notification","Message":\#(quoted)}}]}"#),
        Envelope(testDescription: "text", text: #"{"Type":"Notification","MessageId":"1","Message":\#(quoted)}"#),
        Envelope(testDescription: "fluent-bit", text: #"{"log_processed":\#(event),"stream":"stdout"}"#),
        Envelope(testDescription: "aks-admin", text: tableRow.replacing(#""Type":"AKSAudit""#, with: #""Type":"ArcK8sAuditAdmin""#)),
        Envelope(
            testDescription: "aks",
            text:
                #"{"Tables":[{"TableName":"T","Columns":[{"ColumnName":"Records"}],"Rows":[[{"records":[{"category":"kube-audit","properties":{"log":\#(quoted)}}]}]]}]}"#
        ),
        Envelope(testDescription: "prefixed", text: #"2026-03-01T10:00:00Z {job="audit", pod="a"} \#(event)"#),
        Envelope(testDescription: "prefixed", text: #"<14>1 2026-03-01T10:00:00Z host k 1 ID7 [a@1 b="c"][d@1 e="f g"] \#(event)"#),
        Envelope(testDescription: "message", text: #"{"message":\#(quote("[pod/a/b] \(event)"))}"#),
        Envelope(testDescription: "message", text: #"{"message":\#(quote("\u{1B}[0m\(event)"))}"#),
        Envelope(testDescription: "prefixed", text: #"time="2026-03-01T10:00:00Z" stream=audit \#(event)"#),
        Envelope(testDescription: "prefixed", text: "\u{1B}[36;1mkube-apiserver\u{1B}[0m\(event)"),
        Envelope(
            testDescription: "pubsub", text: #"{"message":{"data":"\#(Data(event.utf8).base64EncodedString())","messageId":"1"}}"#),
    ]

    @Test("the facts are those of the bare event", arguments: envelopes)
    func unwraps(_ envelope: Envelope) throws {
        let bare = try fold(Self.event + "\n")
        let result = try fold(envelope.text + "\n")
        #expect(result.usage.keys == (envelope.events == 0 ? [:] : bare.usage).keys)
        // An event that is there twice counts once.
        #expect(result.logs[0].requests == min(envelope.events, 1))
        #expect(result.logs[0].events == envelope.events)
        #expect(result.logs[0].rejected == 0)
        #expect(
            result.logs[0].envelopes
                == (envelope.testDescription.isEmpty || envelope.events == 0 ? [:] : [envelope.testDescription: envelope.events]))
    }

    /// Events that are counted in different ways: usual ones, those that are read as a whole, those that prove nothing.
    private static let manyEvents: [String] = {
        func event(
            _ id: String, _ verb: String, _ uri: String, stage: String = "ResponseComplete", code: Int? = 200,
            decision: String? = "allow", user: String = "u", rest: String = ""
        ) -> String {
            let status = code.map { #","responseStatus":{"metadata":{},"code":\#($0)}"# } ?? ""
            let note = decision.map {
                #","annotations":{"authorization.k8s.io/decision":"\#($0)","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"b\" of ClusterRole \"r\" to User \"u\""}"#
            }
            return #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"\#(id)","stage":"\#(stage)","#
                + #""requestURI":"\#(uri)","verb":"\#(verb)","user":{"username":"\#(user)","groups":["system:authenticated"]},"#
                + #""sourceIPs":["10.0.0.9"],"userAgent":"agent/1 (é \"x\")"\#(rest)\#(status),"#
                + #""requestReceivedTimestamp":"2026-03-01T10:00:00.000001Z"\#(note ?? "")}"#
        }
        let pod = "/api/v1/namespaces/shop/pods/a"
        let review =
            #","requestObject":{"kind":"SubjectAccessReview","spec":{"user":"system:serviceaccount:shop:x","resourceAttributes":{"verb":"get","resource":"pods"}}},"responseObject":{"status":{"allowed":true}}"#
        let binding = #","requestObject":{"metadata":{"name":"new"},"roleRef":{"kind":"Role","name":"r"}},"responseObject":{"kind":"x"}"#
        return [
            event("1", "get", pod), event("1", "get", pod), event("2", "get", "/api/v1/namespaces/shop/pods/b?x=1\\u0026y=2"),
            event("3", "watch", "/api/v1/pods?watch=true\\u0026fieldSelector=metadata.name%3Dz", stage: "ResponseStarted"),
            event("3", "watch", "/api/v1/pods?watch=true\\u0026fieldSelector=metadata.name%3Dz"),
            event("4", "get", pod, stage: "RequestReceived", code: nil, decision: nil), event("5", "get", pod, stage: "Panic", code: 500),
            event("6", "list", "/apis/apps/v1/deployments", code: 403, decision: "forbid"),
            event("7", "list", "/apis/apps/v1/deployments", code: 403, decision: nil), event("8", "get", pod, code: 401, decision: nil),
            event("9", "get", pod, code: nil), event("10", "get", pod, user: ""), event("", "get", pod), event("11", "get", "/healthz"),
            event("12", "create", "/apis/authorization.k8s.io/v1/subjectaccessreviews", code: 201, rest: review),
            event("13", "create", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", code: 201, rest: binding),
            event("14", "get", pod, rest: #","impersonatedUser":{"username":"system:serviceaccount:shop:cart"}"#),
            event("15", "get", "/api/v1/namespaces/shop/configmaps/%C3%A9"),
            event("16", "patch", "/apis/apps/v1/namespaces/shop/deployments/c?fieldManager=m", code: 201),
        ]
    }()

    @Test(
        "whatever stands around them, many events come to the same",
        arguments: ["docker", "eks", "aks", "elastic", "datadog", "kafka", "text in text", "cri"])
    func wrapsMany(_ wrapper: String) throws {
        let events = Self.manyEvents
        func lines(_ wrap: (String) -> String) -> String { events.map(wrap).joined(separator: "\n") + "\n" }
        let text =
            switch wrapper {
            case "docker": lines { #"{"log":\#(Self.quote($0 + "\n")),"stream":"stdout","time":"2026-03-01T10:00:01Z"}"# }
            case "eks":
                #"{"events":["#
                    + events.map { #"{"logStreamName":"kube-apiserver-audit-1","message":\#(Self.quote($0))}"# }.joined(separator: ",\n")
                    + "]}\n"
            case "aks": lines { #"{"category":"kube-audit","properties":{"log":\#(Self.quote($0)),"stream":"stdout"}}"# }
            case "elastic": lines { #"{"_index":"i","_source":\#($0)}"# }
            case "datadog": #"{"data":["# + events.map { #"{"id":"1","attributes":{"attributes":\#($0)}}"# }.joined(separator: ",") + "]}\n"
            case "kafka": #"{"value":{"kind":"EventList","items":["# + events.joined(separator: ",") + "]}}\n"
            case "text in text": lines { #"{"message":\#(Self.quote(#"{"log":\#(Self.quote($0))}"#))}"# }
            default: lines { "2026-03-01T10:00:01.1Z stdout F \($0)" }
            }
        let (bare, wrapped) = (try fold(lines { $0 }), try fold(text))
        #expect(bare.logs[0].events == events.count)
        #expect(bare.logs[0].repeated == 1)
        #expect(bare.logs[0].rejects == ["no-user": 1])
        #expect(wrapped.usage == bare.usage)
        #expect(wrapped.implied == bare.implied && wrapped.flags == bare.flags)
        var log = wrapped.logs[0]
        #expect(log.envelopes.values.reduce(0, +) == events.count)
        (log.envelopes, log.path, log.byteCount, log.lineCount) = ([:], bare.logs[0].path, bare.logs[0].byteCount, bare.logs[0].lineCount)
        (log.digest, log.head) = (bare.logs[0].digest, bare.logs[0].head)
        #expect(log == bare.logs[0])
    }

    @Test("mixed records in one log, and records that hold no event")
    func mixed() throws {
        let control = #"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"1","message":"CWL CONTROL MESSAGE"}]}"#
        let cut = #"{"events":[{"message":"{\"kind\":\"Event\",\"audit"},{"message":\#(Self.quoted)}]}"#
        let text = Self.envelopes.map(\.text).joined(separator: "\n") + "\n" + control + "\n" + cut + "\n" + #"{"log":"plain text"}"# + "\n"
        let result = try fold(text)
        #expect(result.logs[0].events == Self.envelopes.reduce(0) { $0 + $1.events } + 1)
        #expect(result.logs[0].requests == 1)
        #expect(result.logs[0].rejected == 2)
        #expect(result.facts.count == 1)
    }

    /// The event with another auditID, and for another object.
    private static let second = event.replacing("\"a1\"", with: "\"a2\"").replacing("cart", with: "shelf")

    @Test(
        "however records are spread over lines",
        arguments: [
            ("[\n\(event),\n\(second)\n]\n", nil, 2), ("[\n{\"message\":\(quoted)},\n{\"message\":\(quote(second))}\n]\n", nil, 2),
            ("{\"hits\":{\"hits\":[\n{\"_source\":\(event)},\n{\"_source\":\(second)}\n]}}\n", nil, 2),
            ("{\n \"events\": [\n  {\n   \"message\": \(quoted)\n  }\n ]\n}", "eks", 1),
            (
                "{\n \"kind\": \"List\",\n \"items\": [\n  \(event.replacing(",\"verb\"", with: ",\n\"verb\"")),\n  \(second)\n ]\n}",
                "list", 2
            ),
            ("{\"results\":[{\"_raw\":\(quoted)}]}\n", "splunk", 1),
            ("[pod/kube-apiserver-1/kube-apiserver] \(event)\n[INFO] \(second)\n", nil, 2), ("MESSAGE=\(event)\n", nil, 1),
            (
                #"{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}"#
                    + #"{"messageType":"DATA_MESSAGE","logEvents":[{"message":\#(quoted)}]}"#, "eks", 1
            ),
            ("{\"MESSAGE\":\(Array(event.utf8))}\n", "journald", 1),
        ])
    func spread(_ text: String, _ format: String?, _ events: Int) throws {
        var options = AuditLogReader.Options()
        options.format = format
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let log = try AuditLogReader.fold(try folder.write(text, to: "audit.log"), options: options).logs[0]
        #expect(log.requests == events)
        #expect(log.rejects.isEmpty)
    }

    @Test("parts of a line that docker split, wherever", arguments: [",\"requestURI\"", "\"requestURI\"", "{\"username\"", "[\"system:"])
    func parts(_ place: String) throws {
        let range = try #require(Self.event.range(of: place))
        let (first, rest) = (Self.event[..<range.lowerBound], Self.event[range.lowerBound...])
        let lines = [String(first), rest + "\n"].map { #"{"log":\#(Self.quote($0)),"stream":"stdout"}"# + "\n" }
        let log = try fold(lines.joined()).logs[0]
        #expect(log.requests == 1 && log.rejects.isEmpty)
        // A line of another log without its end is no part of the event behind it.
        let other = try fold(#"{"log":"I0301 klog","stream":"stdout"}"# + "\n" + #"{"log":\#(Self.quoted),"stream":"stdout"}"# + "\n").logs[
            0]
        #expect(other.requests == 1 && other.rejects == ["not-an-event": 1])
        let others = try fold(String(repeating: #"{"log":"I0301 klog","stream":"stderr"}"# + "\n", count: 5)).logs[0]
        #expect(others.rejects == ["not-an-event": 5])
    }

    @Test("a split line whose last part comes later, or ends the file without a line end", arguments: ["cri", "docker", "fluent-bit"])
    func lateParts(_ wrapper: String) throws {
        let pieces = [Self.event.prefix(300), Self.event.dropFirst(300)]
        let records = zip(pieces, ["P", "F"]).map { text, tag in
            switch wrapper {
            case "cri": "2026-03-01T10:00:00.1Z stdout \(tag) \(text)"
            case "docker": #"{"log":\#(Self.quote(text + (tag == "F" ? "\n" : ""))),"stream":"stdout"}"#
            default: #"{"log":\#(Self.quote(String(text))),"stream":"stdout","logtag":"\#(tag)"}"#
            }
        }
        #expect(try fold(records.joined(separator: "\n")).logs[0].requests == 1)
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for end in ["\n", ""] {
            let reader = AuditLogReader()
            let (first, unfinished) = try reader.read(try folder.write(records[0] + end, to: "audit.log")) { _ in }
            #expect(first.rejected == 0 && unfinished == records[0].utf8.count + end.utf8.count)
            let (second, _) = try reader.read(try folder.write(records.joined(separator: "\n") + "\n", to: "audit.log")) { _ in }
            #expect(second.requests == 1 && second.rejected == 0)
        }
        // Half of the last part is no part.
        for rest in [1, 2, 30, 200] {
            let reader = AuditLogReader()
            let text = records.joined(separator: "\n")
            let (first, _) = try reader.read(try folder.write(String(text.dropLast(rest)), to: "audit.log")) { _ in }
            let (second, _) = try reader.read(try folder.write(text + "\n", to: "audit.log")) { _ in }
            #expect(first.requests + second.requests == 1 && first.rejected + second.rejected == 0, "\(rest)")
        }
        // Parts of two pods do not belong together.
        let pods = (0..<2).flatMap { part in
            ["a", "b"].map {
                #"{"log":\#(Self.quote(pieces[part] + (part == 1 ? "\n" : ""))),"stream":"stdout","kubernetes":{"pod_name":"\#($0)"}}"#
            }
        }
        let both = try fold(pods.joined(separator: "\n") + "\n").logs[0]
        #expect(both.requests == 1 && both.repeated == 1 && both.rejects.isEmpty)
    }

    @Test("no part of a split line is an event, whatever the body holds that was split", arguments: 0..<5)
    func partsOfBodies(_ form: Int) throws {
        let forged =
            #"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"z","stage":"ResponseComplete","requestURI":"/api/v1/nodes","verb":"list","user":{"username":"forged"},"requestReceivedTimestamp":"2026-03-01T10:00:00.000000Z"}"#
        func record(_ text: String, _ part: Int, of count: Int) -> String {
            let isLast = part == count - 1
            let log = Self.quote(text + (isLast ? "\n" : ""))
            let message = Self.quote(text)
            return switch form {
            case 0, 1: #"{"log":\#(log),"stream":"stdout"}"#
            case 2: #"{"log":\#(message),"stream":"stdout","logtag":"\#(isLast ? "F" : "P")"}"#
            case 3: #"{"message":\#(message),"stream":"stdout","logtag":"\#(isLast ? "F" : "P")"}"#
            default: #"{"message":\#(message)\#(isLast ? "" : #","_partial":true"#)}"#
            }
        }
        let before = Self.event.dropLast() + #","requestObject":{"pad":""#
        let behind = #"","a":"#
        func filling(_ count: Int) -> String { String(repeating: "x", count: count) }
        // Docker writes a mark for each byte of a character that it has cut.
        let (mark, length) = ("\u{FFFD}", 1 << 14 - 1)
        let parts =
            form == 1
            ? [
                before + filling(length - before.utf8.count) + mark, mark + filling(length - behind.utf8.count) + behind,
                forged + #","b":""#, #""}}"#,
            ] : [before + filling(99) + behind, forged + "}}"]
        let records = parts.enumerated().map { record($1, $0, of: parts.count) }
        let whole = record(Self.second, 0, of: 1)
        let result = try fold((records + [whole]).joined(separator: "\n") + "\n")
        #expect(result.logs[0].requests == 2 && result.logs[0].rejects.isEmpty, "\(result.logs[0].rejects)")
        #expect(!result.usage.keys.contains { $0.user == "forged" })
        // A whole event is no part of one whose last part is missing.
        let cut = try fold(records.dropLast().joined(separator: "\n") + "\n" + whole + "\n")
        #expect(cut.logs[0].requests == 1 && cut.logs[0].rejects == ["cut-off": 1], "\(cut.logs[0].rejects)")
        let open = records.dropLast().joined(separator: "\n") + "\n"
        let list = record(#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[\#(Self.second)]}"#, 0, of: 1)
        for text in [list, record(Self.second + Self.second.replacing("\"a2\"", with: "\"a3\""), 0, of: 1)] {
            #expect(try fold(open + text + "\n").logs[0].requests == (text == list ? 1 : 2))
        }
        // Behind what is no event a whole one stands for itself, and what was begun may go on behind that.
        for noise in [#"{"level":"info","msg":"x"#, "[core] starting"] {
            #expect(try fold(record(noise, 0, of: 2) + "\n" + whole + "\n").logs[0].requests == 1)
        }
        let between = try fold((records.dropLast() + [whole] + records.suffix(1)).joined(separator: "\n") + "\n").logs[0]
        #expect(between.requests == 2 && between.rejects.isEmpty, "\(between.rejects)")
    }

    @Test("a record of a table that is cut off is one bad record, and those behind it count")
    func cutRow() throws {
        let cell = { (text: String) in "\"\(text.replacing("\"", with: "\"\""))\"" }
        let rows = [
            "a,@message", "x,\(cell(Self.event))", "x,\(cell(Self.event).prefix(200))", "x,\(cell(Self.second))", "x,\(cell(Self.event))",
        ]
        let result = try fold(rows.joined(separator: "\n") + "\n")
        #expect(result.logs[0].events == 3 && result.logs[0].rejects == ["cut-off": 1])
        #expect(result.diagnostics.map(\.location?.line) == [3])
        // The end of a log in the middle of a record is no end of the record.
        let whole = rows[0...1].joined(separator: "\n") + "\n" + rows[3].replacing(",\"\"", with: ",\n\"\"") + "\n"
        for rest in stride(from: 1, to: rows[3].utf8.count, by: 41) {
            let folder = try Fixtures.TemporaryFolder()
            defer { folder.remove() }
            let reader = AuditLogReader()
            let (first, _) = try reader.read(try folder.write(String(whole.dropLast(rest)), to: "audit.log")) { _ in }
            let (second, _) = try reader.read(try folder.write(whole, to: "audit.log")) { _ in }
            #expect(first.requests + second.requests == 2 && first.rejected + second.rejected == 0, "\(rest)")
        }
        // Cells over many lines are read as they come: this took minutes when they were looked through again and again.
        let many = "a,@message\nx,\"\n" + repeatElement("x,y\n", count: 200_000).joined()
        #expect(try fold(many).logs[0].rejected <= 1)
    }

    @Test(
        "a document over many lines is read record by record, and one that is cut off loses its last record only",
        arguments: [
            (#"{"took":1,"hits":{"total":2,"hits":[RECORDS]}}"#, #"{"_source":EVENT}"#, "elastic"),
            (#"{"data":{"resultType":"streams","result":[RECORDS]}}"#, #"{"stream":{},"values":[["1",QUOTED]]}"#, "loki"),
            (#"{"status":"Complete","results":[RECORDS]}"#, #"[{"field":"@message","value":QUOTED}]"#, "eks"),
            (#"{"results":[RECORDS]}"#, #"{"_raw":QUOTED}"#, "splunk"),
            (#"{"data":[RECORDS],"meta":{}}"#, #"{"id":"1","attributes":{"attributes":EVENT}}"#, "datadog"),
            (#"{"resourceLogs":[RECORDS]}"#, #"{"scopeLogs":[{"logRecords":[{"body":{"stringValue":QUOTED}}]}]}"#, "otlp"),
            (#"{"records":[RECORDS]}"#, #"{"category":"kube-audit","properties":{"log":QUOTED}}"#, "aks"),
        ])
    func documents(_ document: String, _ record: String, _ envelope: String) throws {
        let records = [Self.event, Self.second].map {
            record.replacing("QUOTED", with: Self.quote($0)).replacing("EVENT", with: $0)
        }
        let ends = document.split(separator: "RECORDS").map(String.init)
        let text = "\(ends[0])\n\(records.joined(separator: ",\n"))\n\(ends[1])\n"
        let whole = try fold(text + text).logs[0]
        #expect(whole.envelopes == [envelope: 4] && whole.requests == 2 && whole.rejects.isEmpty)
        let cut = try fold("\(ends[0])\n\(records[0]),\n\(records[1].dropLast(20))").logs[0]
        #expect(cut.envelopes == [envelope: 1] && cut.requests == 1)
    }

    @Test("values on one line count up to the bad one; a bad text is kept once")
    func badEnd() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        for end in ["{", "garbage", ",x"] {
            let log = try fold("\(Self.event)\(Self.second)\(end)\n\(Self.event)\n").logs[0]
            #expect(log.events == 3 && log.rejected == 1, "\(end)")
        }
        let texts = [Self.event.prefix(200), Self.event[...], "text"].map { #"["1",\#(Self.quote(String($0)))]"# }
        let line = #"{"data":{"result":[{"stream":{},"values":[\#(texts.joined(separator: ","))]}]}}"# + "\n"
        let reader = AuditLogReader()
        var kept: [Int] = []
        reader.onReject = { text, _ in kept.append(text.count) }
        let (log, _) = try reader.read(try folder.write(line, to: "audit.log")) { _ in }
        #expect(log.rejects == ["cut-off": 1, "not-an-event": 1] && log.requests == 1)
        #expect(kept.filter { $0 > 0 } == [line.utf8.count - 1])
    }

    @Test("what is known to be of another log is counted apart")
    func skipped() throws {
        let control = #"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"1","message":"CWL CONTROL MESSAGE"}]}"# + "\n"
        let scheduler = #"{"category":"kube-scheduler","properties":{"log":"I0301 text","stream":"stderr"}}"#
        let others = "\(scheduler)\n{\"records\":[\(scheduler),\(scheduler)]}\n"
        let stream = #"{"messageType":"DATA_MESSAGE","logStream":"authenticator-9f","logEvents":[{"message":"level=info"}]}"# + "\n"
        let log = try fold(control + others + stream + Self.event + "\n").logs[0]
        #expect(log.skipped == 5 && log.rejects.isEmpty && log.requests == 1)
        // Firehose puts messages behind each other without line ends, or with some inside; `aws logs tail` writes the stream on each line.
        let held =
            #"{"messageType":"DATA_MESSAGE","logStream":"kube-scheduler-9f","logEvents":[{"message":"I0301 text"},{"message":\#(Self.quoted)}]}"#
        let tail =
            "2026-03-01T10:00:01+00:00 authenticator-9f time=\"…\" level=info {\"a\":1}\n2026-03-01T10:00:01+00:00 kube-apiserver-audit-9f {\n"
        for text in [held, held.replacing("Events\":[", with: "Events\":[\n")] {
            let joined = try fold(stream.dropLast() + control.dropLast() + text + "\n" + tail).logs[0]
            #expect(joined.skipped == 4 && joined.rejects == ["not-json": 1] && joined.requests == 1)
        }
    }

    @Test("records of other logs in answers of CloudWatch Logs Insights and of Google Cloud are counted apart; events in them count")
    func skippedRows() throws {
        let quoted = Self.quote(Self.event)
        func row(_ stream: String, _ message: String) -> String {
            #"[{"field":"@logStream","value":"\#(stream)"},{"field":"@message","value":\#(message)}]"#
        }
        let rows = [
            row("kube-scheduler-9f", #""I0301 text""#), row("kube-apiserver-9f", #""{\"a\":1}""#), row("kube-apiserver-audit-9f", quoted),
        ]
        let insights = #"{"results":[\#(rows.joined(separator: ","))]}"# + "\n"
        let csv = "@logStream,@message\nauthenticator-1,level=info\nkube-apiserver-audit-9f,broken\n"
        let others = [
            #"{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"serviceName":"container.googleapis.com","methodName":"google.container.v1.ClusterManager.UpdateCluster"}}"#,
            #"{"logName":"projects/p/logs/events","jsonPayload":{"reason":"Scheduled"}}"#,
            #"{"logName":"projects/p/logs/stdout","textPayload":"hello"}"#,
        ]
        let held = #"{"logName":"projects/p/logs/audit","jsonPayload":\#(Self.event)}"# + "\n"
        for (text, skipped, rejects, requests) in [
            (insights, 2, [:], 1), (csv, 1, ["not-an-event": 1], 0), (others.joined(separator: "\n") + "\n", 3, [:], 0),
            ("[\(others.joined(separator: ","))]", 3, [:], 0), (held, 0, [:], 1),
        ] {
            let log = try fold(text).logs[0]
            #expect(log.skipped == skipped && log.rejects == rejects && log.requests == requests, "\(text)")
        }
    }

    @Test("a format takes what it names, whatever is inside")
    func formatsInside() throws {
        let firehose = #"{"records":[{"recordId":"1","data":"\#(Self.base64)"}]}"#
        let entry =
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z","protoPayload":{"methodName":"io.k8s.core.v1.pods.get","resourceName":"core/v1/namespaces/shop/pods/a","authenticationInfo":{"principalEmail":"u"}}}"#
        let push = #"{"message":{"data":"\#(Data(entry.utf8).base64EncodedString())"}}"#
        for (text, format) in [(firehose, "eks"), ("[\n" + firehose + "\n]", "eks"), (push, "pubsub"), (push, "gke")] {
            var options = AuditLogReader.Options()
            options.format = format
            let folder = try Fixtures.TemporaryFolder()
            defer { folder.remove() }
            let log = try AuditLogReader.fold(try folder.write(text + "\n", to: "audit.log"), options: options).logs[0]
            #expect(log.requests == 1 && log.rejects.isEmpty, "\(format)")
        }
        // A record of Firehose whose list is taken apart as it comes.
        let spread = try fold("{\"records\":[\n{\"recordId\":\"1\",\"data\":\"\(Self.base64)\"}\n]}\n").logs[0]
        #expect(spread.envelopes == ["eks": 1])
    }

    @Test("without a label GKE does not tell whether the grant was of RBAC")
    func reasonOfGKE() throws {
        func flags(_ labels: String) throws -> [String] {
            let entry =
                #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z",\#(labels)"protoPayload":{"methodName":"io.k8s.core.v1.pods.get","resourceName":"core/v1/namespaces/shop/pods/a","authenticationInfo":{"principalEmail":"u"},"authorizationInfo":[{"granted":true}]}}"#
            return try fold(entry + "\n").flags.keys.map(\.flag)
        }
        #expect(try flags("") == [])
        #expect(try flags(#""labels":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""},"#) == ["not-rbac"])
    }

    @Test("a body that looks like an event is a body, wherever the event stands")
    func stageInBody() throws {
        let body =
            #""requestObject":{"stage":"ResponseComplete","auditID":"z","verb":"get","metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","blockOwnerDeletion":true}]}},"userAgent""#
        let event = Self.event.replacing("\"userAgent\"", with: body)
        let bare = try fold(event + "\n")
        #expect(bare.flags.keys.contains { $0.flag.hasPrefix("hidden:update apps ReplicaSet/finalizers r") })
        for text in [
            #"{"hits":{"hits":[{"_source":\#(event)}]}}"#, #"{"message":\#(Self.quote(event))}"#, #"{"value":{"items":[\#(event)]}}"#,
            #"{"result":{"_raw":\#(Self.quote(event)),"stage":"ResponseComplete","auditID":"y"}}"#, "[\(event)]",
        ] {
            let wrapped = try fold(text + "\n")
            #expect(wrapped.usage == bare.usage && wrapped.flags == bare.flags && wrapped.logs[0].rejects.isEmpty, "\(text.prefix(30))")
        }
    }

    @Test("a value with more values in it than any record has is refused, and what is behind it counts")
    func manyValues() throws {
        let many = "{" + repeatElement("\"\":1", count: 1_100_000).joined(separator: ",") + "}\n"
        let log = try fold(many + Self.event + "\n").logs[0]
        #expect(log.rejects == ["too-long": 1] && log.requests == 1)
    }

    @Test("a table whose only column holds the events")
    func oneColumn() throws {
        let cell = "\"\(Self.event.replacing("\"", with: "\"\""))\"\n"
        for header in ["@message", "\"@message\"", "log_s"] {
            let log = try fold("\(header)\n\(cell)").logs[0]
            #expect(log.requests == 1 && log.rejects.isEmpty, "\(header)")
        }
    }

    @Test("the address in a row of AKSAudit, as a list and as its text", arguments: [#"["10.0.0.7"]"#, #""[\"10.0.0.7\"]""#])
    func address(_ addresses: String) throws {
        let user = #"{"username":"system:serviceaccount:shop:cart"}"#
        let row =
            #"{"AuditId":"a1","Stage":"ResponseComplete","RequestUri":"/api/v1/pods","Verb":"list","User":\#(user),"SourceIps":\#(addresses),"ResponseStatus":{"code":200},"RequestReceivedTime":"2026-03-01T10:00:00Z","Type":"AKSAudit"}"#
        #expect(try fold(row + "\n").usage.keys.map(\.address) == ["10.0.0.7"])
    }

    @Test("impersonating nobody is no impersonation")
    func nobody() throws {
        let text = Self.event.replacing("\"userAgent\"", with: "\"impersonatedUser\":{},\"userAgent\"")
        #expect(try fold(text + "\n").usage.keys == fold(Self.event + "\n").usage.keys)
    }

    @Test("a subscription: gzip in base64")
    func subscription() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let message = #"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":\#(Self.quoted)}]}"#
        let path = try folder.write(message, to: "m.json")
        try folder.shell("gzip -c \(path) | base64 -w 0 > \(path).b64")
        let line = try String(contentsOfFile: path + ".b64", encoding: .utf8)
        let result = try fold(line + "\n" + line + "\n")
        #expect(result.logs[0].envelopes == ["eks": 2])
        #expect(result.facts.count == 1)
    }

    @Test(
        "GKE names verb and resource in its own way",
        arguments: [
            ("io.k8s.core.v1.pods.exec.create", "core/v1/namespaces/shop/pods/cart-0/exec", "create", "", "pods", "exec", "shop", "cart-0"),
            ("io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods/cart-0", "create", "", "pods", "", "shop", ""),
            (
                "io.k8s.authorization.rbac.v1.clusterrolebindings.create", "rbac.authorization.k8s.io/v1/clusterrolebindings/x", "create",
                "rbac.authorization.k8s.io", "clusterrolebindings", "", "", ""
            ),
            ("io.k8s.core.v1.namespaces.get", "core/v1/namespaces/shop", "get", "", "namespaces", "", "shop", "shop"),
            ("io.k8s.core.v1.namespaces.delete", "core/v1/namespaces/shop", "delete", "", "namespaces", "", "shop", "shop"),
            ("io.k8s.core.v1.namespaces.create", "core/v1/namespaces/shop", "create", "", "namespaces", "", "", ""),
            ("io.k8s.core.v1.namespaces.list", "core/v1/namespaces", "list", "", "namespaces", "", "", ""),
            (
                "io.k8s.core.v1.namespaces.finalize.update", "core/v1/namespaces/shop/finalize", "update", "", "namespaces", "finalize",
                "shop", "shop"
            ),
            (
                "io.k8s.core.v1.configmaps.deletecollection", "core/v1/namespaces/shop/configmaps", "deletecollection", "", "configmaps",
                "", "shop", ""
            ),
            (
                "io.k8s.authorization.rbac.v1.roles.get", "namespaces/shop/roles/a", "get", "rbac.authorization.k8s.io", "roles", "",
                "shop", "a"
            ),
            (
                "com.coreos.database.etcd.v1beta2.etcdbackups.get", "namespaces/shop/etcdbackups/a", "get", "etcd.database.coreos.com",
                "etcdbackups", "", "shop", "a"
            ),
            ("io.k8s.core.v1.pods.get", "namespaces/shop/pods/a", "get", "", "pods", "", "shop", "a"),
            ("io.k8s.apps.v1.deployments.list", "apps/v1/namespaces/shop/deployments", "list", "apps", "deployments", "", "shop", ""),
        ])
    func gke(
        _ method: String, _ resourceName: String, _ verb: String, _ apiGroup: String, _ resource: String, _ subresource: String,
        _ namespace: String, _ name: String
    ) throws {
        func entry(_ more: String) -> String {
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z","operation":{"id":"a1"},\#(more)"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"\#(method)","resourceName":"\#(resourceName)","authenticationInfo":{"principalEmail":"system:serviceaccount:shop:ops"},"authorizationInfo":[{"granted":true}],"requestMetadata":{"callerSuppliedUserAgent":"ops/1","callerIp":"10.0.0.7"},"status":{}}}"#
        }
        let allowed = try fold("[" + entry(#""labels":{"authorization.k8s.io/decision":"allow"},"#) + "]\n")
        let fact = try #require(allowed.usage.first?.key)
        #expect(
            fact.request
                == Request(
                    verb: verb, apiGroup: apiGroup, resource: resource, subresource: subresource, namespace: namespace, name: name))
        #expect(fact.user == "system:serviceaccount:shop:ops" && fact.userAgent == "ops/1" && fact.decision == .allow)
        #expect(fact.address == "10.0.0.7")
        #expect(allowed.logs[0].envelopes == ["gke": 1])
        let refused = try fold(entry(#""labels":{"authorization.k8s.io/decision":"forbid"},"#) + "\n")
        #expect(refused.usage.keys.map(\.decision) == [.forbid])
    }

    @Test(
        "every record that ought to be an event and is none counts; what stands beside records does not",
        arguments: [
            (
                #"{"results":[[{"field":"@timestamp","value":"1"},{"field":"@message","value":GOOD}],[{"field":"@message","value":CUT}],[{"field":"@message","value":"text"},{"field":"@ptr","value":"x"}]]}"#,
                1, 2
            ),
            (#"{"data":{"result":[{"stream":{},"values":[["1",GOOD],["2",CUT],["3","text"]]}]}}"#, 1, 2),
            (#"[GOOD,CUT,GOOD]"#, 2, 1),
            (#"[CUT,GOOD,7,null]"#, 1, 3),
            (#"{"events":[{"message":GOOD}],"records":[{"x":1},{"y":2}]}"#, 1, 2),
            (#"{"records":[{"x":1},{"y":2}],"events":[{"message":GOOD}]}"#, 1, 2),
            (#"{"events":[{"message":CUT},{"message":CUT}]}"#, 0, 2),
            (#"{"hits":{"hits":[{"_source":{"kubernetes":{"audit":{"verb":"get"}}}},{"_source":{"message":GOOD}}]}}"#, 1, 1),
            (#"{"kind":"EventList","items":[{"kind":"Pod"},{"metadata":{}}]}"#, 0, 2),
            (#"{"log":TWICE}"#, 2, 0),
            (#"{"log":GOODCUT}"#, 1, 1),
            (#"{"log":CUTGOOD}"#, 1, 1),
            (#"{"log":GOOD,"kubernetes":{"pod_name":"x"},"data":[1,2]}"#, 1, 0),
            (#"{"log":"plain text"}"#, 0, 1),
            (#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get","message":GOOD}"#, 0, 1),
            (#"{"kind":"Event","apiVersion":"v1","message":"Started container"}"#, 0, 1),
            (#"{"tables":[{"columns":[{"name":"log_s"}],"rows":[[GOOD],[CUT],[]]}]}"#, 1, 2),
            (#"{"records":[{"data":"!!"},{"data":"H4sIAAAA"}]}"#, 0, 2),
            (#"{"messageType":"DATA_MESSAGE","logStream":"kube-scheduler-9f","logEvents":[{"message":"I0301 text"}]}"#, 0, 0),
            (#"{"messageType":"DATA_MESSAGE","logStream":"kube-apiserver-audit-9f","logEvents":[{"message":"I0301 text"}]}"#, 0, 1),
            (#"7"#, 0, 1), (#""#, 0, 1), (#"{"#, 0, 1), (#"[]"#, 0, 0), (#"{}"#, 0, 1), (#"[[[[]]]]"#, 0, 0),
        ])
    func unknown(_ text: String, _ events: Int, _ unknown: Int) {
        let cut = String(Self.event.prefix(200))
        let text = text.replacing("GOODCUT", with: Self.quote("\(Self.event)\n\(cut)")).replacing(
            "CUTGOOD", with: Self.quote("\(cut)\n\(Self.event)\n")
        )
        .replacing("GOOD", with: Self.quoted).replacing("CUT", with: Self.quote(cut)).replacing("TWICE", with: Self.twice)
        let found = AuditEnvelope.contents(of: text)
        #expect(found.events.count == events)
        #expect(found.unknown == unknown)
    }

    @Test("what is deeply nested, or packed again and again, ends")
    func nesting() {
        for open in [#"{"data":"#, "[", #"{"message":{"log":"#] {
            let text = String(repeating: open, count: 400) + "1" + String(repeating: "]", count: 400)
            #expect(AuditEnvelope.contents(of: text).events.isEmpty)
        }
        let objects = String(repeating: #"{"message":"#, count: 200) + Self.event + String(repeating: "}", count: 200)
        #expect(AuditEnvelope.contents(of: objects).unknown == 1)
        var packed = Self.base64
        for _ in 0..<12 { packed = Data(#"{"data":"\#(packed)"}"#.utf8).base64EncodedString() }
        #expect(AuditEnvelope.contents(of: #"{"data":"\#(packed)"}"#).events.isEmpty)
        // Any bytes: nothing but a count.
        for length in stride(from: 0, to: Self.event.utf8.count, by: 7) {
            #expect(AuditEnvelope.contents(of: String(Self.event.prefix(length))).unknown == 1)
            let list = #"{"events":[{"message":\#(Self.quoted)}]}"#
            #expect(AuditEnvelope.contents(of: String(list.prefix(length))).unknown == 1)
        }
    }

    @Test("an event tells its id and level, and the message of what was refused or cut off")
    func fields() throws {
        let event = try #require(AuditEnvelope.contents(of: Self.event).events.first)
        #expect(event.auditID == "a1" && event.level == "Metadata" && event.pod == "scaler-1/p1" && event.code == 200)
        for (status, message) in [
            (#""code":200,"message":"Connection closed early""#, "Connection closed early"), (#""code":403,"message":"no""#, "no"),
            (#""code":404,"message":"no""#, ""), (#""code":200"#, ""),
        ] {
            let found = AuditEnvelope.contents(of: Self.event.replacing(#""code":200"#, with: status))
            #expect(found.events.map(\.message) == [message])
        }
        let old =
            #"{"kind":"Event","apiVersion":"audit.k8s.io/v1alpha1","timestamp":"2017-09-11T19:55:05Z","auditID":"1","stage":"ResponseComplete","verb":"get","user":{"username":"a"},"objectRef":{"resource":"roles","namespace":"shop","name":"r","apiVersion":"rbac.authorization.k8s.io/v1"},"responseStatus":{"code":200}}"#
        let request = Request(verb: "get", apiGroup: "rbac.authorization.k8s.io", resource: "roles", namespace: "shop", name: "r")
        #expect(AuditEnvelope.contents(of: old).events.map(\.request) == [request])
    }

    @Test(
        "every wrapper gives the event that is in it, field by field",
        arguments: envelopes.filter { $0.events > 0 && $0.text.hasPrefix("{") })
    func sameEvent(_ envelope: Envelope) throws {
        var bare = try #require(AuditEnvelope.contents(of: Self.event).events.first)
        bare.envelope = envelope.testDescription
        #expect(AuditEnvelope.contents(of: envelope.text).events == Array(repeating: bare, count: envelope.events))
    }

    @Test("a format that is asked for leaves the others out")
    func formats() {
        for envelope in Self.envelopes where !envelope.testDescription.isEmpty && envelope.text.hasPrefix("{") {
            let name = envelope.testDescription
            #expect(AuditEnvelope.formats.contains(name))
            #expect(AuditEnvelope.contents(of: envelope.text, as: name).events.count == envelope.events)
            #expect(AuditEnvelope.contents(of: envelope.text, as: "auto").events.count == envelope.events)
            let other = AuditEnvelope.contents(of: envelope.text, as: name == "gke" ? "eks" : "gke")
            #expect(other.events.isEmpty && other.unknown == envelope.events)
        }
        let list = #"{"items":[\#(Self.event)]}"#
        #expect(AuditEnvelope.contents(of: Self.event, as: "json").events.count == 1)
        #expect(AuditEnvelope.contents(of: list, as: "upstream").events.count == 1)
        #expect(AuditEnvelope.contents(of: Self.event, as: "aks").unknown == 1)
        for text in [Self.event, #"[{"timestamp":1,"message":\#(Self.quote(Self.event))}]"#] {
            #expect(AuditEnvelope.contents(of: text, as: "eks").events.count == 1)
        }
        #expect(AuditEnvelope.contents(of: list, as: "openshift").events.count == 1)
        for text in [Self.event, list, "key\t\(Self.event)"] {
            #expect(AuditEnvelope.contents(of: text, as: "kafka").events.count == 1)
        }
        for name in ["loki", "fluent-bit"] { #expect(AuditEnvelope.contents(of: Self.event, as: name).events.count == 1) }
        #expect(AuditEnvelope.contents(of: Self.tableRow.replacing("AKSAudit\"", with: "AKSAuditAdmin\""), as: "aks").events.count == 1)
        #expect(AuditEnvelope.cannotCarry.keys.allSatisfy { AuditEnvelope.formats.contains($0) })
    }

    @Test(
        "GKE says in its own words whether a request was allowed",
        arguments: [
            (#""authorizationInfo":[{"granted":true}],"status":{}"#, "", "allow", 200),
            (#""authorizationInfo":[{"granted":false}],"status":{}"#, "", "forbid", 200),
            (#""authorizationInfo":[{"permission":"x"}],"status":{}"#, "", "forbid", 200),
            (#""authorizationInfo":[{"granted":true},{"permission":"x"}],"status":{}"#, "", "forbid", 200),
            (#""authorizationInfo":[{"granted":true}],"status":{"code":7,"message":"no"}"#, "", "forbid", 403),
            (#""authorizationInfo":[{"granted":true}],"status":{"code":5}"#, "", "allow", 404),
            (#""authorizationInfo":[{"granted":"true"}],"status":{}"#, "", "allow", 200),
            (#""status":{"code":6}"#, "", "allow", 409), (#""status":{"code":10}"#, "", "allow", 409),
            (#""authorizationInfo":[{"permission":"x"}],"status":{"code":16}"#, "", "", 401),
            (#""authorizationInfo":[{"granted":true}],"status":{"code":16}"#, "", "", 401),
            (#""authorizationInfo":[{"permission":"x"}],"status":{"code":8}"#, "", "", 429),
            (#""authorizationInfo":[{"granted":true}],"status":{"code":8}"#, "", "allow", 429),
            (#""status":{"code":7}"#, "", "forbid", 403), (#""status":{"code":16}"#, "", "", 401), (#""status":{}"#, "", "allow", 200),
            (
                #""authorizationInfo":[{"granted":true}],"status":{}"#, #""labels":{"authorization.k8s.io/decision":"forbid"},"#, "forbid",
                200
            ),
            (#""authorizationInfo":[{"granted":true}]"#, #""labels":{"authorization":{"k8s":{"io/decision":"forbid"}}},"#, "forbid", 200),
            (#""authorizationInfo":[{"granted":true}]"#, #""labels":{"authorization_k8s_io/decision":"forbid"},"#, "forbid", 200),
            (#""authorizationInfo":[{}]"#, #""labels":{"authorization.k8s.io/decision":"allow"},"#, "allow", 200),
        ])
    func gkeDecision(_ payload: String, _ labels: String, _ decision: String, _ code: Int) {
        let text =
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z",\#(labels)"protoPayload":{"methodName":"io.k8s.core.v1.pods.get","resourceName":"core/v1/namespaces/shop/pods/a","authenticationInfo":{"principalEmail":"x"},\#(payload)}}"#
        let found = AuditEnvelope.contents(of: text)
        #expect(found.events.map { $0.decision ?? "" } == [decision])
        #expect(found.events.map(\.code) == [code])
        #expect(found.events.map(\.auditID) == ["i1"])
    }

    @Test("a URL of GKE is the path alone")
    func gkePath() {
        let text =
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z","protoPayload":{"methodName":"io.k8s.get","resourceName":"healthz/ready?timeout=1s","authenticationInfo":{"principalEmail":"x"}}}"#
        #expect(AuditEnvelope.contents(of: text).events.map(\.request) == [Request(verb: "get", path: "/healthz/ready")])
    }

    @Test("what Datadog moves to names that logs share")
    func datadogNames() throws {
        let whole = Self.event.replacing(#""userAgent""#, with: #""sourceIPs":["10.0.0.7"],"userAgent""#)
            .replacing(#/,"extra":\{[^}]*\}/#, with: "")
        let want = try fold(whole + "\n").usage
        let moved = whole.replacing(#/"userAgent":("[^"]*")/#) { #""http":{"useragent":\#($0.output.1)}"# }
            .replacing(#""sourceIPs":["10.0.0.7"]"#, with: #""network":{"client":{"ip":"10.0.0.7"}}"#)
        #expect(try fold(#"{"id":"1","attributes":{"service":"k","attributes":\#(moved)}}"# + "\n").usage == want)
        #expect(want.keys.first?.address == "10.0.0.7")
    }

    @Test("GKE through Pub/Sub, with the id of its operation; what names no resource is no event")
    func gkeRecords() {
        let payload =
            #""protoPayload":{"methodName":"io.k8s.core.v1.pods.exec.create","resourceName":"core/v1/namespaces/shop/pods/a/exec","authorizationInfo":[{"granted":true}]}"#
        let entry = #"{"insertId":"i1","operation":{"id":"o1","first":true,"last":true},"timestamp":"2026-03-01T10:00:00Z",\#(payload)}"#
        let pulled = #"[{"ackId":"1","message":{"data":"\#(Data(entry.utf8).base64EncodedString())"}}]"#
        for text in [entry, "[\(entry)]", pulled, #"{"receivedMessages":\#(pulled)}"#, #"{"message":\#(Self.quote(entry))}"#] {
            let found = AuditEnvelope.contents(of: text)
            #expect(found.events.map(\.envelope) == ["gke"] && found.unknown == 0)
            #expect(found.events.map(\.auditID) == ["o1"])
            #expect(found.events.map(\.request?.name) == ["a"])
        }
        // As Elasticsearch renames it, and of an API server elsewhere.
        let renamed = entry.replacing(#""timestamp":"#, with: #""stageTimestamp":"#).replacing(
            #""protoPayload":"#,
            with: #""annotations":{"authorization_k8s_io/decision":"forbid"},"responseStatus":{"code":7},"protoPayload":"#)
        let found = AuditEnvelope.contents(of: #"{"_source":{"kubernetes":{"audit":\#(renamed)}}}"#)
        #expect(found.events.map(\.envelope) == ["gke"] && found.events.map(\.receivedAt) == [1_772_359_200_000_000])
        #expect(found.events.map(\.decision) == ["forbid"] && found.events.map(\.code) == [403])
        let services = ["anthosgke.googleapis.com": 1, "container.googleapis.com": 0]
        for (service, count) in services {
            let served = entry.replacing(#""methodName":"#, with: #""serviceName":"\#(service)","methodName":"#)
            #expect(AuditEnvelope.contents(of: served).events.count == count)
        }
        let begun = entry.replacing(#","last":true"#, with: "")
        #expect(AuditEnvelope.contents(of: begun).events.map(\.stage) == ["ResponseStarted"])
        for name in ["", "a/b", "core/v1/", "namespaces/shop"] {
            let bad = entry.replacing("core/v1/namespaces/shop/pods/a/exec", with: name).replacing(
                "io.k8s.core.v1.pods.exec.create", with: "x.create")
            let found = AuditEnvelope.contents(of: bad)
            #expect(found.unknown == 0 && found.events.map(\.request) == [nil])
        }
    }

    @Test("GKE: paths of URLs, bodies of reviews, and operations that several requests share; the same in the names of BigQuery")
    func gkeRequests() throws {
        func entry(_ method: String, _ name: String, _ more: String = "") -> String {
            #"{"insertId":"i\#(name)","operation":{"id":"o1"},"timestamp":"2026-03-01T10:00:00Z","labels":{"authorization.k8s.io/decision":"allow"},"#
                + #""protoPayload":{"serviceName":"k8s.io","methodName":"\#(method)","resourceName":"\#(name)","authenticationInfo":{"principalEmail":"u"}\#(more)}}"#
        }
        let spec =
            #"{"spec":{"user":"system:serviceaccount:shop:x","resourceAttributes":{"verb":"get","resource":"pods","namespace":"shop"}}}"#
        let review = #","request":\#(spec),"response":{"status":{"allowed":false}}"#
        let entries = [
            entry("io.k8s.get", "readyz"), entry("io.k8s.get", "api/v1"),
            entry("io.k8s.core.v1.secrets.get", "core/v1/namespaces/prod/secrets/db"),
            entry("io.k8s.authorization.v1.subjectaccessreviews.create", "authorization.k8s.io/v1/subjectaccessreviews", review),
        ]
        func inBigQuery(_ entry: String) -> String {
            entry.replacing("protoPayload", with: "protopayload_auditlog").replacing(
                "authorization.k8s.io/decision", with: "authorization_k8s_io_decision"
            )
            .replacing("T10:00:00Z", with: " 10:00:00 UTC").replacing("\"request\":\(spec)", with: "\"requestJson\":\(Self.quote(spec))")
            .replacing(#""response":{"status":{"allowed":false}}"#, with: #""responseJson":"{\"status\":{\"allowed\":false}}""#)
        }
        // A column for each member, as Google's pages offer it.
        let names =
            ["insertId", "timestamp", "labels.authorization.k8s.io/decision"]
            + [
                "serviceName", "methodName", "resourceName", "authenticationInfo.principalEmail", "authorizationInfo[0].granted", "request",
                "response",
            ].map { "protoPayload.\($0)" }
        let rows = zip(["1", "2", "3", "4"], try entries.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] })
            .map { id, entry in
                let payload = entry?["protoPayload"] as? [String: Any] ?? [:]
                let isReview = payload["request"] != nil
                let texts = ["serviceName", "methodName", "resourceName"].map { payload[$0] as? String ?? "" } + ["u", "true"]
                let bodies = isReview ? [spec, #"{"status":{"allowed":false}}"#] : ["", ""]
                return [id, "2026-03-01T10:00:00Z", "allow"] + texts + bodies
            }
        let objects = rows.map { "{" + zip(names, $0).map { "\"\($0)\":\(Self.quote($1))" }.joined(separator: ",") + "}" }
        let table =
            [names.joined(separator: ",")] + rows.map { $0.map { "\"\($0.replacing("\"", with: "\"\""))\"" }.joined(separator: ",") }
        let inWazuh = entries.map { #"{"rule":{"level":3},"data":{"integration":"gcp","gcp":\#($0)},"location":"x"}"# }
        for entries in [entries, entries.map(inBigQuery), inWazuh, objects, table] {
            let result = try fold(entries.joined(separator: "\n") + "\n")
            #expect(result.logs[0].requests == 4 && result.logs[0].rejects.isEmpty)
            #expect(Set(result.usage.keys.compactMap(\.request.path)) == ["/readyz", "/api/v1"])
            #expect(Set(result.usage.keys.map(\.request.name)) == ["", "db"])
            let need = try #require(result.implied.keys.first)
            #expect(need.user == "system:serviceaccount:shop:x" && need.request.namespace == "shop" && !need.isAllowed)
        }
    }

    @Test(
        "without annotations the answer tells whether the request was authorized",
        arguments: [
            (404, "roles \"x\" not found", "allow"), (409, "", "allow"), (422, "", "allow"), (400, "", "unknown"), (500, "", "unknown"),
            (504, "", "unknown"), (403, #"pods is forbidden: User "u" cannot list pods in the namespace "shop"."#, "forbid"),
            (403, #"pods is forbidden: User "u" cannot list pods in the namespace "shop": no binding"#, "forbid"),
            (403, #"deployments.apps "d" is forbidden: User "u" cannot get deployments.apps/scale at the cluster scope"#, "forbid"),
            (403, "pods \"a\" is forbidden: exceeded quota", "unknown"),
        ])
    func unannotated(_ code: Int, _ message: String, _ decision: String) throws {
        let range = try #require(Self.event.range(of: ",\"annotations\""))
        let status = "\"code\":\(code),\"message\":\(Self.quote(message))"
        let event = String(Self.event[..<range.lowerBound]).replacing(#""code":200"#, with: status) + "}\n"
        #expect(try fold(event).usage.keys.map(\.decision.rawValue) == [decision])
    }

    @Test("a table ends where JSON begins, on one line or many")
    func endOfTable() throws {
        func event(_ id: Int) -> String { Self.event.replacing("\"a1\"", with: "\"a\(id)\"") }
        func row(_ id: Int) -> String { "x,\"" + event(id).replacing("\"", with: "\"\"") + "\"" }
        let text = [
            "a,message", row(1), #"{"message":\#(Self.quote(event(2)))}"#, event(3), "a,message", row(4), "{\n\(event(5).dropFirst())",
        ]
        let log = try fold(text.joined(separator: "\n") + "\n").logs[0]
        #expect(log.requests == 5 && log.rejects.isEmpty)
    }

    @Test("a row whose first cell begins with a bracket is a row", arguments: [",", ";", "\t"])
    func bracketRows(_ delimiter: String) throws {
        let rows = ["{{[z", "[", "{}", "[1", "{", "[]"].enumerated().map { id, cell in
            cell + delimiter + "\"" + Self.event.replacing("\"a1\"", with: "\"a\(id)\"").replacing("\"", with: "\"\"") + "\""
        }
        let log = try fold((["a\(delimiter)message"] + rows).joined(separator: "\n") + "\n").logs[0]
        #expect(log.requests == rows.count && log.rejects.isEmpty)
    }

    @Test("a cell of more than 1 MiB is read as a short one, whatever stands between its tokens", arguments: [10, 1 << 21])
    func longCell(_ size: Int) throws {
        let padding = String(repeating: "\t\n\r ", count: size / 4)
        let body = "\"requestObject\":{\"a\":[\(String(repeating: "1,\n", count: size / 6))1]},\"stage\""
        let event = Self.event.replacing("\"stage\"", with: body).replacing(",\"verb\"", with: ",\(padding)\"verb\"")
        for text in [event, Self.event.replacing("\"a1\"", with: "\"a2\"") + "\n" + event] {
            let log = try fold("a,message\n1,\"\(text.replacing("\"", with: "\"\""))\"\n").logs[0]
            #expect(log.requests == text.matches(of: #/"auditID"/#).count && log.rejects.isEmpty)
        }
    }

    @Test("half an object in the column of a user is no name")
    func halfUser() throws {
        let row = try #require(JSONSerialization.jsonObject(with: Data(Self.tableRowOfTexts.utf8)) as? [String: String])
        for (column, text, requests) in [
            ("User", "{\"username\":\"ali", 0), ("ImpersonatedUser", "{\"username\":\"bob\"", 0), ("User", "alice", 1),
            ("ImpersonatedUser", "", 1),
        ] {
            let changed = row.merging([column: text]) { $1 }
            let record = String(decoding: try JSONSerialization.data(withJSONObject: changed), as: UTF8.self)
            let log = try fold(record + "\n").logs[0]
            #expect(log.requests == requests && log.rejects == (requests == 0 ? ["wrong-type": 1] : [:]), "\(column) \(text)")
        }
    }

    @Test(
        "a line of text with commas is no header, wherever it stands",
        arguments: [
            "W1123 a.go:10] invalid key, value, or operator", "listening; data; ok", "x,value", "content", "a, message", "k:{,log,raw",
        ])
    func prose(_ line: String) throws {
        let events = (0..<4).map { Self.event.replacing("\"a1\"", with: "\"a\($0)\"") }
        let prefixed = events.map { "Nov 23 06:34:42 host audit: \($0)" }
        let noise = "read \" of a pipe"
        #expect(try fold(([line] + prefixed).joined(separator: "\n") + "\n").logs[0].requests == 4)
        let inside = [prefixed[0], line, noise] + prefixed[1...]
        let log = try fold(inside.joined(separator: "\n") + "\n").logs[0]
        #expect(log.requests == 4 && log.rejected == 2)
    }

    @Test(
        "the first line is a header whatever the names are, if the first record says so; also behind what spreadsheets write before it",
        arguments: ["", "sep=,\r\n", "#TYPE System.Management.Automation.PSCustomObject\n"])
    func headers(_ before: String) throws {
        func cell(_ text: String) -> String { "\"" + text.replacing("\"", with: "\"\"") + "\"" }
        let events = (0..<3).map { Self.event.replacing("\"a1\"", with: "\"a\($0)\"") }
        let rows = events.map { "2026,h,,,\(cell($0))\n" }
        let header = "\(before)_time,host name,user.groups{},\(cell(#"k: {"a"}"#)),_raw\n"
        let log = try fold(header + rows.joined()).logs[0]
        #expect(log.requests == 3 && log.rejects.isEmpty)
        // What the portal of Azure calls its columns is known, whatever the first record holds.
        let portal = "\(before)\(cell("TimeGenerated [UTC]")),log_s\n"
        for first in ["2026,\"{\n", "2026,\n", "2026,\(cell(events[0] + "\n"))\n"] {
            let closed = first.hasSuffix("{\n") ? first + "\"\n" : first
            let log = try fold(portal + closed + events[1...].map { "2026,\(cell($0))\n" }.joined()).logs[0]
            #expect(log.requests + log.rejected == 3 && log.requests >= 2, "\(first)")
        }
        // What is no record of a table is looked at for itself.
        let behind = "2026-03-01T10:00:00Z stdout F "
        let mixed = portal + "2026,\(cell(events[0]))\n\(behind)\(events[1])\nt,_raw\nx,\(cell(events[2]))\n"
        #expect(try fold(mixed).logs[0].requests == 3)
        #expect(try fold(portal + events.map { "\(behind)\($0)\n" }.joined()).logs[0].requests == 3)
        // No record of it: each line stands for itself.
        let lines = "x \" y\n\nz \(Self.event)\n\" w\n"
        let other = try fold(header + lines).logs[0]
        #expect(other.requests == 1 && other.rejected == 3)
    }

    @Test("what tools write behind an event is no bad line; parts that journald and Docker split; a part whose end is missing")
    func behindEvents() throws {
        let events = (0..<2).map { Self.event.replacing("\"a1\"", with: "\"a\($0)\"") }
        let tails = ["\t1772359200000", "\tkube-apiserver-audit-0123abcdef", "\u{1B}[0m"]
        for tail in tails {
            for before in ["", "1772359200000\t", "kube-apiserver-audit-0a\t"] {
                let log = try fold(events.map { "\(before)\($0)\(tail)\n" }.joined()).logs[0]
                #expect(log.requests == 2 && log.rejects.isEmpty, "\(before) \(tail)")
            }
        }
        let heading = "\u{1B}[32m2026-03-01T10:00:00.004000+00:00\u{1B}[0m \u{1B}[36mkube-apiserver-audit-9f0a\u{1B}[0m \n"
        let tailed = try fold(events.map { heading + $0 + "\n" }.joined()).logs[0]
        #expect(tailed.requests == 2 && tailed.rejects.isEmpty)
        #expect(try fold("\(events[0])\tx\n").logs[0].rejected == 1)
        let (first, rest) = (events[0].prefix(200), events[0].dropFirst(200))
        func journal(_ text: some StringProtocol, _ more: String = "") -> String {
            #"{"MESSAGE":\#(Self.quote(String(text))),"_STREAM_ID":"s1"\#(more)}"# + "\n"
        }
        func fluentd(_ text: some StringProtocol, isLast: Bool) -> String {
            #"{"log":\#(Self.quote(String(text))),"source":"stdout","partial_message":"true","partial_id":"p1","partial_last":"\#(isLast)"}"#
                + "\n"
        }
        let split = [
            (journal(first, #","_LINE_BREAK":"line-max""#) + journal(rest), "journald"),
            (fluentd(first, isLast: false) + fluentd(rest, isLast: true), "fluent-bit"),
        ]
        for (parts, envelope) in split {
            let log = try fold(parts + "\(events[1])\n").logs[0]
            #expect(log.requests == 2 && log.rejects.isEmpty && log.envelopes == [envelope: 1], "\(envelope)")
        }
        let gap = try fold("2026-03-01T10:00:00Z stdout P \(first)\n2026-03-01T10:00:01Z stdout F \(events[1])\n").logs[0]
        #expect(gap.requests == 1 && gap.rejects == ["cut-off": 1])
        // What a client sends may begin like an event where a line is split, and what a program writes may end like one.
        let braced = events[0].replacing(#/"userAgent":"[^"]*"/#, with: #""userAgent":"pad {\"app\":\"x\"}""#)
        let place = try #require(braced.range(of: #"{\"app"#)).lowerBound
        let inside = "2026-03-01T10:00:00Z stdout P \(braced[..<place])\n2026-03-01T10:00:01Z stdout F \(braced[place...])\n"
        #expect(try fold(inside).logs[0].requests == 1)
        // The beginning of a line whose end is missing takes no other with it, and waits no longer than a line may be.
        let (head, tail) = (events[1].prefix(200), events[1].dropFirst(200))
        let missing =
            "2026-03-01T10:00:00Z stdout P \(first)\n2026-03-01T10:00:01Z stdout P \(head)\n2026-03-01T10:00:01Z stdout F \(tail)\n"
        let ended = try fold(missing).logs[0]
        #expect(ended.requests == 1 && ended.rejects == ["cut-off": 1])
        // Only behind the beginning of an event; what a program writes may end like one, and what stands whole before it counts.
        let said = missing.replacing(first, with: "\"POST\" 200 body=")
        #expect(try fold(said).logs[0].requests == 0)
        let two =
            "2026-03-01T10:00:00Z stdout P \(events[0])\n2026-03-01T10:00:01Z stdout P \(head)\n2026-03-01T10:00:01Z stdout F \(tail)\n"
        #expect(try fold(two).logs[0].requests == 2)
        let waiting = (0..<40).map { fluentd(String(repeating: "[", count: 1 << 20), isLast: false).replacing("p1", with: "p\($0 + 2)") }
        let waited = try fold(waiting.joined() + fluentd(head, isLast: false) + fluentd(tail, isLast: true)).logs[0]
        #expect(waited.requests == 1 && waited.rejects == ["cut-off": 40])
        // Of a line that was given up the rest is no event, however it looks.
        let part = String(repeating: "[", count: 1 << 14)
        let parts = (1..<4_300).map { fluentd(part, isLast: false).replacing("p1", with: "p\($0)") }
        let behindGivenUp = try fold(parts.joined() + fluentd(events[0], isLast: true)).logs[0]
        #expect(behindGivenUp.requests == 0)
        #expect(try fold("2026-03-01T10:00:00Z stdout P said\n2026-03-01T10:00:01Z stdout F \(events[1])\n").logs[0].requests == 0)
        for glued in ["x \(events[0]) kube-apiserver-audit-\(events[1])", "x \(events[0])\u{1B}[\(events[1])m", "#TYPE \(events[0])"] {
            let log = try fold(glued + "\n").logs[0]
            #expect(log.rejected + log.requests >= (glued.hasPrefix("#") ? 1 : 2), "\(glued)")
        }
        let open = try fold("[pod/x/y] \(events[0])\n[pod/x/y] \(events[1])").logs[0]
        #expect(open.requests == 2 && open.rejects.isEmpty)
        #expect(try fold("[\(events[0])").logs[0].requests == 1)
        let base64 = events.map { Data($0.utf8).base64EncodedString() }
        #expect(try fold(base64.joined(separator: "\n") + "\n").logs[0].requests == 2)
    }

    @Test("events on one line with commas between them; half an object before them proves nothing")
    func commas() throws {
        let events = (0..<3).map { Self.event.replacing("\"a1\"", with: "\"a\($0)\"") }
        for line in [
            events.joined(separator: ","), events.joined(separator: " , ") + ",",
            #"{"message":\#(Self.quote(events.joined(separator: ",")))}"#,
        ] {
            let log = try fold(line + "\n").logs[0]
            #expect(log.requests == 3 && log.rejects.isEmpty, "\(line)")
        }
        // Longer than what is held until a line ends.
        let many = (0..<9_000).map { Self.event.replacing("\"a1\"", with: "\"b\($0)\"") }.joined(separator: ",")
        #expect(many.utf8.count > 4 << 20)
        let long = try fold(many + "\n").logs[0]
        #expect(long.requests == 9_000 && long.rejects.isEmpty)
        // One of them that is damaged or cut off spoils nothing else.
        for (line, reason) in [
            (events.joined(separator: ",") + ",\(events[0].dropLast(40))", "cut-off"),
            ("\(events[0]),\(events[1].replacing(":200}", with: ":2 0}")),\(events[2]),\(events[1])", "not-json"),
        ] {
            let log = try fold(line + "\n").logs[0]
            #expect(log.requests == 3 && log.rejects == [reason: 1], "\(line)")
        }
        let table = "t,_raw\n1,\"\(events[0].replacing("\"", with: "\"\""))\"\n"
        let behind = try fold("\(table)\(events[1]),\(events[2])\n").logs[0]
        #expect(behind.requests == 3 && behind.rejects.isEmpty)
        for half in ["{\"x\":1},\(events[0]),\(events[1])]}", "{\"x\":1},\(events[0])"] {
            let log = try fold(half + "\n").logs[0]
            #expect(log.requests == 0 && log.rejected == 2)
            #expect(try fold(#"{"message":\#(Self.quote(half))}"# + "\n").logs[0].requests == 0)
        }
    }

    @Test("what stands beside the columns that hold events is no event, and no name is made of another")
    func columnsBeside() throws {
        func cell(_ text: String) -> String { "\"" + text.replacing("\"", with: "\"\"") + "\"" }
        let beside = "TimeGenerated,stage,user,verb,log_s\n2026,x,me,get,\(cell(Self.event))\n"
        #expect(try fold(beside).logs[0].requests == 1)
        #expect(try fold("time,message,value\n2026,hello,\(cell(Self.event))\n").logs[0].requests == 0)
        let agent = #"{"columns":[{"name":"Category"},{"name":"userAgent_s"}],"rows":[["kube-audit",\#(Self.quoted)]]}"#
        let field = #"{"results":[[{"field":"userAgent","value":\#(Self.quoted)}]]}"#
        for text in [agent, field] { #expect(try fold(text + "\n").logs[0].requests == 0) }
        let head =
            #"{"auditID":"x","stage":"ResponseComplete","verb":"get","responseStatus.code":200,"requestReceivedTimestamp":"2026-03-01T10:00:00Z","annotations.authorization.k8s.io/decision":"allow","user.username":"system:serviceaccount:d:a""#
        let addresses = #","requestURI":"/api/v1/pods","sourceIPs[0]":"6.6.6.6","sourceIPs[1]":"10.0.0.1"}"#
        #expect(try fold(head + addresses + "\n").usage.keys.map(\.address) == ["10.0.0.1"])
        let impersonating = #","requestURI":"/api/v1/pods","impersonatedUser.username":"nil","impersonatedUser.groups":["[\"g\",\"h\"]"]}"#
        let impersonated = try fold(head + impersonating + "\n")
        #expect(impersonated.usage.keys.map(\.user) == ["nil"])
        #expect(impersonated.implied.keys.contains { $0.request.name == #"["g","h"]"# })
        // Members of a body have names that end like those of the event.
        let body = head.replacing(
            "{\"auditID\"", with: #"{"requestObject.spec.user.username":"victim","requestObject.spec.stage":"ResponseComplete","auditID""#)
        #expect(try fold(body + #","requestURI":"/x"}"# + "\n").usage.keys.map(\.user) == ["system:serviceaccount:d:a"])
        let bodyOnly = body.replacing(#","user.username":"system:serviceaccount:d:a""#, with: "")
        #expect(try fold(bodyOnly + #","requestURI":"/x"}"# + "\n").usage.isEmpty)
        let behind = head.replacing(#/"([a-z][A-Za-z.\/0-9]*)":/#) { "\"audit.\($0.output.1)\":" }
            .replacing("{", with: #"{"host.user.username":"root","#, maxReplacements: 1)
        #expect(try fold(behind + #","audit.requestURI":"/x"}"# + "\n").usage.keys.map(\.user) == ["system:serviceaccount:d:a"])
        let scopes =
            #","requestURI":"/x","impersonatedUser.username":"bob","impersonatedUser.extra.scopes":["role:read-secret:shop","Bearer abcdefgh","{\"token\":\"x\"}","a-token=x","bearer:offline_access","Authorization: Basic cGxhbnRlZA==","--token planted1","x-api-key: planted2","basic:authenticated","ASIA-PACIFIC-platform-admins","AKIAIOSFODNN7EXAMPLE-x","Basic Administrators","cattle:authorization:cluster-viewer","bearer:aB3456789012"]}"#
        #expect(
            Set(try fold(head + scopes + "\n").implied.keys.map(\.request.name)).isSuperset(of: [
                "role:read-secret:shop", "Bearer REDACTED", #"{"token":"REDACTED"}"#, "a-token=REDACTED", "bearer:offline_access",
                "Authorization: Basic REDACTED", "--token REDACTED", "x-api-key: REDACTED", "basic:authenticated",
                "ASIA-PACIFIC-platform-admins", "REDACTED-x", "Basic Administrators", "cattle:authorization:cluster-viewer",
                "bearer:REDACTED",
            ]))
        let named = #","objectRef.resource":"secrets","objectRef.name":"nil","objectRef.namespace":"null"}"#
        #expect(try fold(head + named + "\n").usage.keys.map(\.request.name) == ["nil"])
        let user = try fold(
            "stage,requestURI,verb,user.username,requestReceivedTimestamp\nResponseComplete,/x,get,\(cell("\"u\"")),2026-03-01T10:00:00Z\n")
        #expect(user.usage.keys.map(\.user) == ["\"u\""])
        let wrong = Self.event.replacing(#/"user":{.*?}},/#, with: #""user":"-","#)
        #expect(try fold(wrong + "\n").logs[0].rejects == ["wrong-type": 1])
    }

    @Test("CSV: one column with events, and the tables of AKS")
    func csv() throws {
        func cell(_ text: String) -> String { "\"" + text.replacing("\"", with: "\"\"") + "\"" }
        var bare = try #require(AuditEnvelope.contents(of: Self.event).events.first)
        func expectEvent(_ text: String, _ envelope: String, unknown: Int = 0, sourceLocation: Testing.SourceLocation = #_sourceLocation)
            throws
        {
            let found = try #require(AuditEnvelope.contents(ofCSV: text), sourceLocation: sourceLocation)
            bare.envelope = envelope
            #expect(found.events == [bare], sourceLocation: sourceLocation)
            #expect(found.unknown == unknown, sourceLocation: sourceLocation)
        }
        let log = cell(Self.event)
        try expectEvent("TenantId,Category,log_s,pod_s\n1,kube-audit,\(log),x\n", "aks")
        try expectEvent("\u{FEFF}\"TimeGenerated [UTC]\",Category,log_s\r\n1,kube-audit-admin,\(log)\r\n\r\n", "aks-admin")
        try expectEvent("Category;log_s\nkube-audit;\(log)\nkube-audit;\(cell(String(Self.event.prefix(99))))\nx\n", "aks", unknown: 2)
        try expectEvent("time,category,properties\n1,kube-audit,\(cell(#"{"log":\#(Self.quoted)}"#))\n", "aks")
        try expectEvent("@timestamp,@message\n2026,\(log)\n", "eks")
        try expectEvent("_time,_raw\n2026,\(cell(Self.event.replacing(",\"verb\"", with: ",\n\"verb\"")))\n", "splunk")
        try expectEvent("_time,sourceIPs{},\"user.groups{}\",_raw\n2026,,,\(log)\n", "splunk")
        try expectEvent("Date,Host,Content\n2026,n,\(log)\n", "text")
        try expectEvent("content\n\(log)\n", "text")
        try expectEvent(
            "Log group, message ,\"k:{\"\"a\"\"=\"\"b\"\"}\",containers{}.image\n1,\(log),,\n2,x\n", "message", unknown: 1)
        try expectEvent(",message,tags\n0,\(log)\n", "message")
        try expectEvent("RAW\n\(log)\n", "text")
        try expectEvent("INGEST_TS,SRC\n1,\(log)\n", "text")
        try expectEvent("offset,value\n7,\(log)\n", "kafka")
        // A column for each member: whole values, their parts, and JSON for every one of these.
        let names = ["auditID", "stage", "level", "verb", "requestURI", "user", "userAgent", "objectRef", "responseStatus", "annotations"]
        let values = (names + ["requestReceivedTimestamp"]).map { name in
            let text = Self.member(name)
            return cell(text.hasPrefix("\"") ? String(text.dropFirst().dropLast()) : text)
        }
        try expectEvent("\(names.joined(separator: ",")),requestReceivedTimestamp\n\(values.joined(separator: ","))\n", "")
        let members = Self.flat.map(\.name)
        // Words for nothing, and lists as other tools write them.
        for (word, open, close, quote) in [("null", "[", "]", "'"), ("\\N", "{", "}", ""), ("(null)", "", "", ""), ("-", "[", "]", "")] {
            let cells = Self.flat.map { name, value in
                let text = (try? JSONDecoder().decode(String.self, from: Data(value.utf8))) ?? value
                return cell(value.hasPrefix("[") ? open + quote + value.dropFirst(2).dropLast(2) + quote + close : text)
            }
            try expectEvent(
                "\(members.joined(separator: ",")),impersonatedUser.username\n\(cells.joined(separator: ",")),\(word)\n", "")
        }
        let texts = Self.flat.map {
            cell($0.value.hasPrefix("\"") ? String((try? JSONDecoder().decode(String.self, from: Data($0.value.utf8))) ?? "") : $0.value)
        }
        try expectEvent("\(members.map { "\($0){}" }.joined(separator: ","))\n\(texts.joined(separator: ","))\n", "")
        let quoted = Self.flat.map { cell($0.value) }.joined(separator: ",")
        try expectEvent("Date,\(members.map { "@\($0)" }.joined(separator: ",")),Message\n2026,\(quoted),\"\"\n", "")
        let stored = members.map { $0 == "requestReceivedTimestamp" ? "@timestamp" : "kubernetes.audit.\($0)" }.joined(separator: ",")
        try expectEvent("\(stored)\n\(texts.joined(separator: ","))\n", "")
        let header = Self.columns.map(\.0).joined(separator: ",")
        let row = Self.columns.map { _, name in
            let text = Self.member(name)
            return text.hasPrefix("\"") ? String(text.dropFirst().dropLast()) : cell(text)
        }.joined(separator: ",")
        try expectEvent("\(header),PodName\n\(row),kube-apiserver-1\n", "aks-table")
        try expectEvent("\(header),ImpersonatedUser\n\(row),\n", "aks")
        try expectEvent("\(header),Type\n\(row),AKSAuditAdmin\n", "aks-admin")
        let portal = row.replacing("2026-03-01T10:00:00.000001Z", with: "\"3/1/2026, 10:00:00.000001 AM\"")
        try expectEvent("\(header.replacing("RequestReceivedTime", with: "RequestReceivedTime [UTC]"))\n\(portal)\n", "aks-table")
        for text in ["", "text", "value", "user,stage", Self.event, "a,b,c", "{\"log\":1,\"a\":2}", "\"log_s,x", "key=1,log"] {
            #expect(AuditEnvelope.contents(ofCSV: text) == nil)
        }
    }

    @Test("lines that the container runtime split are told from whole ones")
    func prefixes() {
        func prefix(_ line: String) -> (rest: String, envelope: String, isPartial: Bool, stream: String)? {
            Array(line.utf8).withUnsafeBufferPointer { bytes in
                AuditEnvelope.prefix(of: bytes).map { (String(decoding: $0.rest, as: UTF8.self), $0.envelope, $0.isPartial, $0.stream) }
            }
        }
        let first = prefix("2026-03-01T10:00:00.1Z stdout P {\"kind\":")
        #expect(first?.rest == "{\"kind\":" && first?.isPartial == true && first?.envelope == "cri")
        let last = prefix("2026-03-01T10:00:00.1Z stderr F \"Event\"} ")
        #expect(last?.rest == "\"Event\"} " && last?.isPartial == false && last?.stream == "stderr")
        #expect(prefix("2026-03-01T10:00:00.1Z stdout F:x ")?.rest == "")
        #expect(prefix("master-0 {\"a\":1}")?.envelope == "prefixed")
        for line in ["", "{", "{\"a\":{}}", "text", "\"x\": {}", "2026-03-01T10:00:00.1Z stdout", "a b c d e f g h i {}"] {
            #expect(prefix(line) == nil)
        }
    }

    @Test("a line of JSON that the container runtime split")
    func logParts() {
        func part(_ more: String) -> Bool? { AuditEnvelope.logPart(ofText: #"{"stream":"stdout","time":"2026",\#(more)}"#)?.isPartial }
        #expect(part(#""log":"{\"kind\":""#) == true)
        #expect(part(#""log":"\"Event\"}\n""#) == false)
        #expect(part(#""log":"{\"kind\":","logtag":"P""#) == true)
        #expect(part(#""log":"\"Event\"}","logtag":"F""#) == false)
        #expect(part(#""log":1"#) == nil)
        #expect(part(#""message":"{\"kind\":","logtag":"P""#) == true)
        #expect(part(#""message":"{\"kind\":","_partial":true"#) == true)
        #expect(part(#""message":"{\"kind\":""#) == false)
        #expect(AuditEnvelope.logPart(ofText: #"{"log":"text"}"#) == nil)
    }

    @Test("damage to any byte loses no more than what it stands in, and ends nothing")
    func damage() throws {
        var state: UInt64 = 7
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let bytes = Array("{}[]\",:\\n0 é\u{0}HP".utf8)
        for envelope in Self.envelopes {
            var lines: [UInt8] = []
            for _ in 0..<40 {
                var text = Array(envelope.text.utf8)
                for _ in 0...random(3) { text[random(text.count)] = bytes[random(bytes.count)] }
                if random(4) == 0 { text.removeSubrange(random(text.count)...) }
                _ = AuditEnvelope.contents(of: String(decoding: text, as: UTF8.self))
                _ = AuditEnvelope.contents(ofCSV: String(decoding: text, as: UTF8.self) + "\n1,2\n")
                lines += text + [0x0A]
            }
            let folder = try Fixtures.TemporaryFolder()
            defer { folder.remove() }
            let path = try folder.write("", to: "audit.log")
            try Data(lines).write(to: URL(fileURLWithPath: path))
            let fold = try AuditLogReader.fold(path)
            #expect(fold.logs.count == 1)
        }
    }

    @Test("the text format of old releases is told apart")
    func legacy() {
        func isLegacy(_ line: String) -> Bool { Array(line.utf8).withUnsafeBufferPointer { AuditEnvelope.isLegacy($0) } }
        #expect(isLegacy(#"2017-03-21T03:57:09.106841886-04:00 AUDIT: id="c939d2a7" ip="127.0.0.1" method="GET" user="admin""#))
        #expect(isLegacy(#"2017-06-15T21:50:50.259470834Z AUDIT: id="591e9fde" stage="RequestReceived" ip="::1""#))
        #expect(!isLegacy(Self.event) && !isLegacy("") && !isLegacy("AUDIT") && !isLegacy(#"{"a":" AUDIT: id=\"x"}"#))
    }

    @Test("gzip of several members; one that is cut loses only itself")
    func members() throws {
        let lines = ["\(Self.event)\n", "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"message\":\(Self.quoted)}]}\n"]
        let packed = try lines.map { try Self.gzip($0) }
        let whole = packed.joined()
        #expect(AuditEnvelope.contents(of: #"{"data":"\#(Data(whole).base64EncodedString())"}"#).events.count == 2)
        #expect(AuditEnvelope.contents(of: Data(whole).base64EncodedString()).events.count == 2)
        let cut = AuditEnvelope.contents(of: Data(whole.dropLast(20)).base64EncodedString())
        #expect(cut.events.count == 1 && cut.unknown == 1)
        #expect(AuditEnvelope.contents(of: Data(packed[0].dropLast(20)).base64EncodedString()).unknown == 1)
        let firehose = packed.map { #"{"recordId":"1","data":"\#($0.base64EncodedString())"}"# }.joined(separator: ",")
        #expect(AuditEnvelope.contents(of: #"{"records":[\#(firehose)]}"#).events.map(\.envelope) == ["eks", "eks"])
        let line = Array(Data(whole).base64EncodedString().utf8)
        let unpacked = line.withUnsafeBufferPointer { AuditEnvelope.unpacked($0) }
        #expect(unpacked == Array(lines.joined().utf8))
        #expect(line.withUnsafeBufferPointer { AuditEnvelope.unpacked($0, limit: 100) } == nil)
    }

    private static func gzip(_ text: String) throws -> Data {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write(text, to: "m.json")
        try folder.shell("gzip -c \(path) > \(path).gz")
        return try Data(contentsOf: URL(fileURLWithPath: path + ".gz"))
    }
}
