import WhittleModel

extension AuditEvent {
    /// Reads a LogEntry of GKE; `nil` when it names no method.
    ///
    /// The record tells neither the groups nor the pod of the caller, and codes are those of gRPC. BigQuery holds the same under names
    /// in which all that is no letter or digit is `_`, Elasticsearch some of it under the names of the API server.
    init?(logEntry entry: DocumentValue, _ payload: DocumentValue) {
        guard let method = payload.value("methodName")?.string else { return nil }
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        let permissions = payload.value("authorizationInfo").map { ParsedText.unpacked($0, &parsed) }.elements
        let name = (payload.value("resourceName") ?? permissions.first?.value("resource"))?.string ?? ""
        self.init()
        verb = Self.parts(method, ".").last ?? ""
        if var request = Self.request(verb: verb, resourceName: name, method: method) {
            // The authorizer saw no name of what was to be created; a namespace is also its own name.
            if request.subresource.isEmpty, verb == "create" || verb == "deletecollection" {
                if !request.name.isEmpty { body.name = request.name }
                request.name = ""
                if request.resource == "namespaces", request.apiGroup.isEmpty { request.namespace = "" }
            }
            objectRef = request
        }
        let operation = entry.value("operation")
        auditID = (operation?.value("id") ?? entry.value("insertId"))?.string ?? ""
        // Of a request that takes long the begin is a record of its own.
        let isOpen = operation?.value("first")?.isTrue ?? false && !(operation?.value("last")?.isTrue ?? false)
        stage = isOpen ? "ResponseStarted" : "ResponseComplete"
        caller.user = UserInfo(name: payload.value("authenticationInfo")?.value("principalEmail")?.string ?? "", groups: [])
        caller.account = ServiceAccountName.split(caller.user.name)
        caller.peer = AuditEvent.Caller.address(payload.value("requestMetadata")?.value("callerIp")?.string)
        userAgent = payload.value("requestMetadata")?.value("callerSuppliedUserAgent")?.string ?? ""
        let times: [StaticString] = ["timestamp", "stageTimestamp", "receiveTimestamp", "requestReceivedTimestamp"]
        receivedAt = times.compactMap { entry.value($0)?.string.flatMap { Timestamp.microseconds($0) } }.first
        let status = payload.value("status")
        // There are 17 codes of gRPC.
        let moved = entry.value("responseStatus")?.value("code")?.number.flatMap { (0...16).contains($0) ? $0 : nil }
        let statusCode = status?.value("code")?.number ?? moved ?? 0
        code = Self.httpCode(ofStatus: statusCode)
        if code == 403 { message = status?.value("message")?.string ?? "" }
        if let body = payload.value("request") ?? payload.value("requestJson") {
            let answer = payload.value("response") ?? payload.value("responseJson")
            readBody(ParsedText.unpacked(body, &parsed), response: answer.map { ParsedText.unpacked($0, &parsed) })
        }
        let labels = entry.value("labels") ?? entry.value("annotations")
        let told = labels?.dotted("authorization.k8s.io/reason")?.string
        (reason, tellsReason) = (told ?? "", told != nil)
        let isGranted = permissions.first != nil && permissions.allSatisfy { $0.value("granted")?.isTrue ?? false }
        // What is answered so before authorization, unless that is told.
        let isBefore = code == 401 || !isGranted && (code == 429 || code == 503)
        if let label = labels?.dotted("authorization.k8s.io/decision")?.string {
            decision = label
        } else if !isBefore {
            decision = statusCode == 7 || permissions.first != nil && !isGranted ? "forbid" : "allow"
        }
    }

    /// The code of HTTP that stands for one of gRPC.
    private static func httpCode(ofStatus code: Int) -> Int {
        [
            0: 200, 1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401,
        ][code] ?? 500
    }

    /// `GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE]]`, with `core` for the core group; of a method that names no resource,
    /// `io.k8s.VERB`, the path of the URL without its first slash.
    private static func request(verb: String, resourceName: String, method: String) -> Request? {
        if method.hasPrefix("io.k8s."), method.utf8.count(where: { $0 == UInt8(ascii: ".") }) == 2 {
            let path = resourceName.splitBytes(at: "?").before
            return Request(verb: verb, path: Credentials.masked(path.hasPrefix("/") ? path : "/\(path)"))
        }
        var parts = Self.parts(resourceName, "/")
        var apiGroup = ""
        if parts.count >= 3, isVersion(parts[1]) {
            apiGroup = parts[0] == "core" ? "" : parts[0]
            parts.removeFirst(2)
        } else if parts.first == "namespaces", parts.count > 1, let group = group(ofMethod: method) {
            apiGroup = group
        } else {
            return nil
        }
        // As the API server reads the path (semantics URL-5).
        var namespace = ""
        if parts.count > 1, parts[0] == "namespaces" {
            namespace = parts[1]
            if parts.count > 2, parts[2] != "status", parts[2] != "finalize" { parts.removeFirst(2) }
        }
        guard let resource = parts.first, !resource.isEmpty else { return nil }
        return Request(
            verb: verb, apiGroup: apiGroup, resource: resource, subresource: parts.count > 2 ? parts[2] : "", namespace: namespace,
            name: parts.count > 1 ? parts[1] : "")
    }

    /// The parts of a text between bytes, which is quicker than between characters.
    private static func parts(_ text: String, _ separator: Unicode.Scalar) -> [String] {
        text.utf8.split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false).map { String(Substring($0)) }
    }

    private static func isVersion(_ text: some StringProtocol) -> Bool {
        text.utf8.first == UInt8(ascii: "v") && (text.utf8.dropFirst().first.map { $0 &- UInt8(ascii: "0") < 10 } ?? false)
    }

    /// The group in the name of a method, whose words stand in reverse: `io.k8s.authorization.rbac.v1.roles.create`.
    private static func group(ofMethod method: String) -> String? {
        let words = parts(method, ".")
        guard let version = words.lastIndex(where: { isVersion($0) }), version > 0 else { return nil }
        let group = words[..<version].reversed().joined(separator: ".")
        let plain = [
            "core": "", "apps": "apps", "batch": "batch", "autoscaling": "autoscaling", "policy": "policy", "extensions": "extensions",
        ]
        return group.hasSuffix(".k8s.io") ? plain[String(group.dropLast(".k8s.io".count))] ?? group : group
    }
}

extension DocumentValue {
    /// Whether it is true, which BigQuery's tool writes as a text.
    fileprivate var isTrue: Bool { bool ?? isText("true") }
}
