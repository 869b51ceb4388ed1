import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

@Suite("Upstream vectors: requests, audit events and pods")
struct IngestVectorTests {
    @Test("request-info", arguments: Vector.cases("request-info"))
    func requestInfo(_ vector: Vector) {
        let info = RequestURI(method: vector.when["method"].string ?? "", uri: vector.when["url"].string ?? "")
        let values: [String: JSON] = [
            "isResourceRequest": .bool(info.request.isResourceRequest), "verb": .text(info.request.verb),
            "apiGroup": .text(info.request.apiGroup), "apiVersion": .text(info.apiVersion), "resource": .text(info.request.resource),
            "subresource": .text(info.request.subresource), "namespace": .text(info.request.namespace), "name": .text(info.request.name),
            "path": .text(info.request.path ?? ""), "parts": .list(info.parts.map(JSON.text)),
            "fieldSelector": .text(info.fieldSelector), "labelSelector": .text(info.labelSelector), "error": .bool(info.isError),
        ]
        for key in vector.expect.keys { #expect(values[key] == vector.expect[key], "\(key)") }
    }

    @Test("audit-needs", arguments: Vector.cases("audit-needs"))
    func auditNeeds(_ vector: Vector) throws {
        let needs = try #require(AuditNeeds.judge(stages: vector.given["events"].array.map(\.text)))
        #expect(needs.use.rawValue == vector.expect["use"].string)
        #expect(needs.subject == vector.expect["subject"].string)
        struct Item: Hashable {
            var request: Request
            var subject: String?
        }
        let found =
            (needs.primary.map { [Item(request: $0)] } ?? [])
            + needs.implied.map { Item(request: $0.request, subject: $0.user == needs.subject ? nil : $0.user) }
        #expect(found == vector.expect["needs"].array.map { Item(request: $0.request, subject: $0["subject"].string) })
        #expect(needs.flags == vector.expect["flags"].strings)
    }

    @Test("pod-identity", arguments: Vector.cases("pod-identity"))
    func podIdentity(_ vector: Vector) throws {
        let state = ManifestLoader(usesDefaults: false).load(text: vector.given["object"].text)
        let pod = state.pods.first
        let workload = state.workloads.first
        let spec = try #require(pod?.spec ?? workload?.spec)
        let namespace = try #require(pod?.meta.namespace ?? workload?.meta.namespace)
        let accounts = vector.given["serviceAccounts"].array
        let identity = PodIdentity(spec: spec, isMirror: pod?.isMirror ?? false, isAccountRequired: true) { name in
            accounts.first { $0["name"].string == name && $0["namespace"].string == namespace }.map {
                ServiceAccount(
                    meta: ObjectMeta(namespace: namespace, name: name), automount: $0["automountServiceAccountToken"].bool,
                    imagePullSecrets: $0["imagePullSecrets"].strings)
            }
        }
        #expect(identity.isRejected == vector.expect["rejected"].bool)
        guard !identity.isRejected else { return }
        #expect(identity.serviceAccountName ?? "" == vector.expect["serviceAccountName"].string)
        #expect(identity.injectedInto.isEmpty == !(vector.expect["injectedVolume"].bool ?? false))
        let places = identity.injectedInto.map { place in
            let list = spec.containers[place].list
            return "\(list.rawValue)/\(spec.containers[..<place].count { $0.list == list })"
        }
        #expect(places == vector.expect["injectedInto"].strings)
        #expect(identity.imagePullSecrets == vector.expect["imagePullSecrets"].strings)
        let explicit = identity.tokens.filter { $0.exposure == .projected }.map { $0.audience ?? "" }
        #expect(explicit == vector.expect["explicitTokens"].array.map { $0["audience"].string ?? "" })
    }

    @Test("subject-convert", arguments: Vector.cases("subject-convert"))
    func subjectConvert(_ vector: Vector) {
        let version = vector.when["from"].string ?? ""
        let text = """
            {"apiVersion":"rbac.authorization.k8s.io/\(version)","kind":"RoleBinding","metadata":{"name":"b","namespace":"n"},
            "roleRef":{"kind":"Role","name":"r"},"subjects":\(vector.given["subjects"].text)}
            """
        let subjects = ManifestLoader(usesDefaults: false).load(text: text).bindings.flatMap(\.subjects).map(\.subject)
        // The group of a subject is never looked at, so it is kept as it was written.
        func name(_ kind: String?, _ namespace: String?, _ name: String?) -> String { "\(kind ?? "")/\(namespace ?? "")/\(name ?? "")" }
        #expect(
            subjects.map { name($0.kind, $0.namespace, $0.name) }
                == vector.expect["subjects"].array.map { name($0["kind"].string, $0["namespace"].string, $0["name"].string) })
    }

    /// Kinds of cases that describe nothing Whittle does, with the reason; docs/contributing.md lists the same.
    private static let unused = [
        "audit2rbac-attributes": "how a peer reads events; the events themselves are in audit-needs",
        "impersonate-legacy": "the HTTP side of impersonation; its checks are in impersonation-checks",
        "always-allow-paths": "paths that delegating servers allow before they ask; kube-apiserver's RBAC has none (SCP-9)",
        "reconcile-binding": "how the API server repairs its default bindings when it starts; Whittle repairs nothing",
        "reconcile-role": "how the API server repairs its default roles when it starts; Whittle repairs nothing",
        "simple-rule": "an inner step of upstream's merging of rules; proposals are proven minimal instead",
    ]

    @Test("every kind of case is run by a test or listed with the reason")
    func everyKind() throws {
        var run: Set<String> = []
        let folder = Fixtures.root.appending(path: "Tests").path
        for file in try FileManager.default.subpathsOfDirectory(atPath: folder) where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            for call in text.matches(of: #/Vector\.cases\(([^)]*)\)/#) {
                for name in call.output.1.matches(of: #/"([a-z0-9-]+)"/#) { run.insert(String(name.output.1)) }
            }
        }
        #expect(Set(Vector.all.map(\.kind)).subtracting(run) == Set(Self.unused.keys))
        let documented = try String(contentsOf: Fixtures.root.appending(path: "docs/contributing.md"), encoding: .utf8)
        for kind in Self.unused.keys { #expect(documented.contains("`\(kind)`")) }
    }
}
