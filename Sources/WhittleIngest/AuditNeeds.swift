import WhittleModel

/// What one audit event proves (semantics §12).
package struct AuditNeeds {
    /// How much an event proves.
    package enum Use: String {
        /// The request was allowed: its attributes are needed.
        case evidence
        /// It was refused: not held, never granted by default.
        case attempt
        /// It was refused in words that are not the authorizer's, and no annotation tells.
        case unknown
        /// It never reached authorization.
        case ignore
    }

    package var use: Use
    /// Whether the event tells nothing that was asked for.
    package var isAimless = false
    /// Whose rights were asked for.
    package var subject: String
    /// The attributes the authorizer saw; `nil` when there are none of the subject itself.
    package var primary: Request?
    /// Further checks that must have been made.
    package var implied: [ImpliedNeed] = []
    /// Hints, see `UsageFlag`.
    package var flags: [String] = []
    /// Flags for roles and bindings that were created: `written:` and a JSON array of resource, namespace, name and, of a binding
    /// whose body is told, kind and name of its role. The authorizer saw no name.
    package var written: [String] = []

    /// Judges the stages of one request as JSON objects; `nil` when none of them tells anything (semantics AUD-2, AUD-3).
    package static func judge(stages: [String]) -> AuditNeeds? {
        let events = stages.compactMap { text -> AuditEvent? in
            var text = text
            return text.withUTF8 { bytes in
                guard let base = bytes.baseAddress, var json = try? JSONText(bytes) else { return nil }
                let tree = DocumentTree(file: "", base: base)
                defer { withExtendedLifetime(tree) {} }
                guard (try? json.parseValue(into: tree)) != nil else { return nil }
                return AuditEvent(tree.root)
            }
        }
        let last = ["Panic", "ResponseComplete", "ResponseStarted"].lazy.compactMap { stage in events.last { $0.stage == stage } }.first
        return last.map { AuditNeeds($0) }
    }

    /// Judges one event of stage ResponseStarted, ResponseComplete or Panic.
    init(_ event: AuditEvent) {
        subject = event.caller.subject
        defer { implied = implied.map(Self.withoutCredentials) }
        let forbidden = event.code == 403 ? ForbiddenMessage(event.message).map(Self.withoutCredentials) : nil
        switch event.decision {
        case "allow": use = .evidence
        case "forbid": use = .attempt
        case _ where event.code == 401 || event.code == 429 || event.code == 503:
            use = .ignore
            return
        case _ where event.code == 403:
            use = forbidden == nil ? .unknown : .attempt
            if event.caller.impersonatedUser == nil, let forbidden, forbidden.request.verb.hasPrefix("impersonate") {
                // Refused impersonation: no evidence about the inner request, nobody was asked about it.
                subject = event.caller.user.name
                implied = [ImpliedNeed(user: subject, request: forbidden.request, cause: .impersonation, isAllowed: false)]
                return
            }
        // The handler never answered, the status was put in afterwards (semantics AUD-26).
        case _ where event.code == 200 && event.message == "Connection closed early": use = .unknown
        case _ where (100..<400).contains(event.code) || Self.codesOfHandlers.contains(event.code): use = .evidence
        default: use = .unknown
        }
        guard let request = Self.request(of: event).map(Credentials.withoutKeys) else {
            use = .ignore
            isAimless = true
            return
        }
        primary = request
        addImpersonation(event, request)
        guard use == .evidence else { return }
        addImplied(event, request)
        addFlags(event, request, forbidden)
    }

    /// What is told of somebody impersonated may be a credential that a proxy has passed on.
    static func withoutCredentials(_ need: ImpliedNeed) -> ImpliedNeed {
        var need = need
        need.request = Credentials.withoutKeys(need.request)
        guard need.request.isOfImpersonation else { return need }
        need.request.name = Credentials.masked(need.request.name, isName: true)
        need.request.subresource = Credentials.masked(need.request.subresource, isName: true)
        return need
    }

    private static func withoutCredentials(_ message: ForbiddenMessage) -> ForbiddenMessage {
        var message = message
        message.request = Credentials.withoutKeys(message.request)
        if let path = message.request.path { message.request.path = Credentials.masked(path) }
        return message
    }

    /// Errors that only what stands behind authorization answers with; others may come from before it.
    private static let codesOfHandlers: Set<Int> = [404, 405, 406, 409, 410, 412, 415, 422]

    /// The attributes as the authorizer saw them (semantics AUD-7 to AUD-9, AUD-17); `nil` with neither URI nor object.
    static func request(of event: AuditEvent) -> Request? {
        if !event.requestURI.isEmpty { return RequestURI(verb: event.verb, uri: event.requestURI).request }
        guard var request = event.objectRef, request.path != nil || !request.resource.isEmpty else { return nil }
        // Back-filled from the body, the authorizer saw no name; of a collection there is none.
        if request.verb == "create" && request.subresource.isEmpty || request.verb == "deletecollection" { request.name = "" }
        return request
    }

    /// Whether an allowed request for a resource may prove more than its own attributes: `addImplied` and `addFlags` look closer.
    static func mayProveMore(verb: ByteSlice, _ attributes: URLAttributes, code: Int) -> Bool {
        let created = code == 201 && (verb.isText("patch") || verb.isText("update"))
        let group = attributes.apiGroup
        let subresource = attributes.subresource
        return created || group.isText("authorization.k8s.io") || group.isText("rbac.authorization.k8s.io")
            || subresource.isText("exec") || subresource.isText("attach") || subresource.isText("portforward")
    }

    private mutating func addImpersonation(_ event: AuditEvent, _ request: Request) {
        guard var wanted = event.caller.impersonatedUser else { return }
        let constraint = event.caller.impersonationConstraint.flatMap { $0.hasPrefix("impersonate:") ? $0 : nil }
        wanted.groups = Impersonation.explicitGroups(of: wanted, isLegacy: constraint == nil)
        let checks: [Request]
        if let constraint {
            checks = Impersonation.constrainedChecks(
                mode: String(constraint.dropFirst("impersonate:".count)), request: request, wanted: wanted,
                uid: event.caller.impersonatedUID, extra: event.caller.impersonatedExtra)
        } else {
            checks = Impersonation.legacyChecks(wanted: wanted, uid: event.caller.impersonatedUID, extra: event.caller.impersonatedExtra)
        }
        // A value that is there twice is asked for once.
        var seen: Set<Request> = []
        for check in checks where seen.insert(check).inserted {
            implied.append(ImpliedNeed(user: event.caller.user.name, request: check, cause: .impersonation, isAllowed: true))
        }
    }

    private mutating func addImplied(_ event: AuditEvent, _ request: Request) {
        guard request.isResourceRequest else { return }
        if event.code == 201, request.verb == "patch" || request.verb == "update", request.subresource.isEmpty {
            var create = request
            create.verb = "create"
            implied.append(ImpliedNeed(user: subject, request: create, cause: .applyCreated, isAllowed: true))
        }
        let isStream = ["exec", "attach", "portforward"].contains(request.subresource)
        if request.apiGroup.isEmpty, request.resource == "pods", isStream, request.verb == "get", event.code != 403 {
            var create = request
            create.verb = "create"
            implied.append(ImpliedNeed(user: subject, request: create, cause: .webSocket, isAllowed: true))
        }
        if request.verb == "delete", event.code < 400, event.body.ignoresReadErrors || Self.ignoresReadErrors(event.requestURI) {
            var unsafe = request
            unsafe.verb = "unsafe-delete-ignore-read-errors"
            implied.append(ImpliedNeed(user: subject, request: unsafe, cause: .unsafeDelete, isAllowed: true))
        }
        // A review that failed says nothing.
        if request.apiGroup == "authorization.k8s.io", request.verb == "create", event.code < 400,
            let reviewed = event.body.reviewedRequest,
            let user = event.body.reviewedUser, !user.isEmpty, request.resource.hasSuffix("subjectaccessreviews")
        {
            implied.append(
                ImpliedNeed(user: user, request: reviewed, cause: .accessReview, isAllowed: event.body.reviewAllowed ?? true))
        }
    }

    /// The option of a deletion that is a right of its own (semantics HID-8).
    static let unsafeDeleteOption: StaticString = "ignoreStoreReadErrorWithClusterBreakingPotential"

    private static func ignoresReadErrors(_ uri: String) -> Bool {
        guard let query = uri.splitBytes(at: "?").after else { return false }
        // What else stands there is true to the API server, even nothing.
        return RequestURI.parameter(unsafeDeleteOption.description, in: query[...]).map { $0 != "0" && $0.lowercased() != "false" } ?? false
    }

    private mutating func addFlags(_ event: AuditEvent, _ request: Request, _ forbidden: ForbiddenMessage?) {
        if event.code == 403 {
            flags.append(forbidden.map { "later-denial:\(Self.short($0.request))" } ?? "later-denial")
        }
        if event.decision == "allow", event.reason.isEmpty, event.tellsReason { flags.append("not-rbac") }
        if let pod = event.caller.pod, let account = event.caller.account {
            flags.append("pod:\(account.namespace)/\(pod.name)")
        }
        guard request.isResourceRequest else { return }
        if request.apiGroup == "authorization.k8s.io", request.resource == "selfsubjectaccessreviews",
            let question = event.body.reviewedRequest.map(Credentials.withoutKeys)
        {
            flags.append("self-check:\(Self.short(question))")
        }
        if request.apiGroup == "authorization.k8s.io", request.resource == "selfsubjectrulesreviews",
            let namespace = event.body.reviewedNamespace
        {
            flags.append("self-check:rules \(Credentials.withoutKey(namespace))".trimmed)
        }
        let isWrite = ["create", "update", "patch"].contains(request.verb)
        // The status of a pod is exempt (semantics HID-5).
        if isWrite, request.resource != "pods" || !request.apiGroup.isEmpty || request.subresource != "status" {
            for owner in event.body.blockingOwners {
                // Words are divided by spaces.
                let group = owner.apiGroup.isEmpty ? "" : "\(owner.apiGroup.asWord) "
                let name = Credentials.withoutKey(owner.name).asWord
                flags.append("hidden:update \(group)\(owner.kind.asWord)/finalizers \(name) \(request.namespace)".trimmed)
            }
        }
        if isWrite, request.apiGroup == "rbac.authorization.k8s.io" {
            switch request.resource {
            case "roles", "clusterroles": flags.append("hidden:escalate-or-hold \(request.resource) \(request.namespace)".trimmed)
            case "rolebindings", "clusterrolebindings":
                flags.append("hidden:bind-or-hold \(request.resource) \(request.namespace)".trimmed)
            default: break
            }
            let names = [event.objectRef?.name, event.body.name]
            if request.verb == "create", request.subresource.isEmpty, let name = names.lazy.compactMap({ $0 }).first(where: { !$0.isEmpty })
            {
                let role = event.body.roleRef.map { [$0.kind, $0.name].map(Credentials.withoutKey) } ?? []
                written.append("written:" + jsonArray([request.resource, request.namespace, Credentials.withoutKey(name)] + role))
            }
        }
        if request.verb == "watch", let query = event.requestURI.splitBytes(at: "?").after,
            RequestURI.parameter("sendInitialEvents", in: query[...]) == "true"
        {
            flags.append("fallback:list \(Self.resource(request)) \(request.namespace)".trimmed)
        }
    }

    private static func resource(_ request: Request) -> String {
        request.apiGroup.isEmpty ? request.combinedResource : "\(request.apiGroup)/\(request.combinedResource)"
    }

    private static func short(_ request: Request) -> String {
        if let path = request.path { return "\(request.verb) \(path)" }
        return "\(request.verb) \(resource(request)) \(request.namespace)".trimmed
    }
}

extension String {
    fileprivate var asWord: String { contains(" ") ? replacing(" ", with: "%20") : self }
    fileprivate var trimmed: String { hasSuffix(" ") ? String(dropLast()) : self }
}
