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

    /// The event as a JSON string.
    private static let quoted = String(decoding: (try? JSONEncoder().encode(event)) ?? Data(), as: UTF8.self)

    static let envelopes = [
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
            testDescription: "pubsub", text: #"{"message":{"data":"\#(Data(event.utf8).base64EncodedString())","messageId":"1"}}"#),
    ]

    @Test("the facts are those of the bare event", arguments: envelopes)
    func unwraps(_ envelope: Envelope) throws {
        let bare = try fold(Self.event + "\n")
        let result = try fold(envelope.text + "\n")
        #expect(result.facts.keys == bare.facts.keys)
        #expect(result.logs[0].requests == envelope.events)
        #expect(result.logs[0].rejected == 0)
        #expect(result.logs[0].envelopes == (envelope.testDescription.isEmpty ? [:] : [envelope.testDescription: envelope.events]))
    }

    @Test("mixed records in one log, and records that hold no event")
    func mixed() throws {
        let control = #"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"1","message":"CWL CONTROL MESSAGE"}]}"#
        let cut = #"{"events":[{"message":"{\"kind\":\"Event\",\"audit"},{"message":\#(Self.quoted)}]}"#
        let text = Self.envelopes.map(\.text).joined(separator: "\n") + "\n" + control + "\n" + cut + "\n" + #"{"log":"plain text"}"# + "\n"
        let result = try fold(text)
        #expect(result.logs[0].requests == Self.envelopes.reduce(0) { $0 + $1.events } + 1)
        #expect(result.logs[0].rejected == 2)
        #expect(result.facts.count == 1)
    }

    @Test("a subscription: gzip in base64")
    func subscription() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        let message = #"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":\#(Self.quoted)}]}"#
        let path = try folder.write(message, to: "m.json")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "gzip -c \(path) | base64 -w 0 > \(path).b64"]
        try process.run()
        process.waitUntilExit()
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
            ("io.k8s.apps.v1.deployments.list", "apps/v1/namespaces/shop/deployments", "list", "apps", "deployments", "", "shop", ""),
        ])
    func gke(
        _ method: String, _ resourceName: String, _ verb: String, _ apiGroup: String, _ resource: String, _ subresource: String,
        _ namespace: String, _ name: String
    ) throws {
        func entry(_ more: String) -> String {
            #"{"insertId":"i1","timestamp":"2026-03-01T10:00:00Z","operation":{"id":"a1"},\#(more)"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"\#(method)","resourceName":"\#(resourceName)","authenticationInfo":{"principalEmail":"system:serviceaccount:shop:ops"},"authorizationInfo":[{"granted":true}],"requestMetadata":{"callerSuppliedUserAgent":"ops/1"},"status":{}}}"#
        }
        let allowed = try fold("[" + entry(#""labels":{"authorization.k8s.io/decision":"allow"},"#) + "]\n")
        let fact = try #require(allowed.facts.first?.key)
        #expect(
            fact.request
                == Request(
                    verb: verb, apiGroup: apiGroup, resource: resource, subresource: subresource, namespace: namespace, name: name))
        #expect(fact.user == "system:serviceaccount:shop:ops" && fact.userAgent == "ops/1" && fact.decision == .allow)
        #expect(allowed.logs[0].envelopes == ["gke": 1])
        let refused = try fold(entry(#""labels":{"authorization.k8s.io/decision":"forbid"},"#) + "\n")
        #expect(refused.facts.keys.map(\.decision) == [.forbid])
    }
}
