import WhittleModel

/// The parts of an audit.k8s.io Event that tell who needed what.
struct AuditEvent {
    var stage = ""
    var verb = ""
    var requestURI = ""
    var caller = Caller()
    var userAgent = ""
    var objectRef: Request?
    var code = 0
    var message = ""
    /// `nil` = no annotation.
    var decision: String?
    var reason = ""
    /// Microseconds since 1970-01-01 UTC.
    var receivedAt: Int64?
    var body = AuditBody()

    /// Who asked, and as whom.
    struct Caller {
        var user = UserInfo(name: "", groups: [])
        /// The service account that the user is.
        var account: (namespace: String, name: String)?
        var pod: (name: String, uid: String)?
        var impersonatedUser: UserInfo?
        var impersonatedUID = ""
        var impersonatedExtra: [String: [String]] = [:]
        var impersonationConstraint: String?

        /// Whose rights are used.
        var subject: String { impersonatedUser?.name ?? user.name }

        init() {}

        /// Reads `user`, `impersonatedUser` and `authenticationMetadata` of an event.
        init(user value: DocumentValue?, impersonated: DocumentValue?, metadata: DocumentValue?) {
            user = Self.info(value)
            account = ServiceAccountName.split(user.name)
            if let extra = value?.value("extra"),
                let name = extra.value("authentication.kubernetes.io/pod-name")?.elements.first?.string
            {
                pod = (name, extra.value("authentication.kubernetes.io/pod-uid")?.elements.first?.string ?? "")
            }
            if let impersonated {
                impersonatedUser = Self.info(impersonated)
                impersonatedUID = impersonated.value("uid")?.string ?? ""
                for (key, values) in impersonated.value("extra").members {
                    if let key = key.string { impersonatedExtra[key] = values.elements.compactMap(\.string) }
                }
            }
            impersonationConstraint = metadata?.value("impersonationConstraint")?.string
        }

        private static func info(_ value: DocumentValue?) -> UserInfo {
            UserInfo(
                name: value?.value("username")?.string ?? "", groups: (value?.value("groups")).elements.compactMap(\.string))
        }
    }

    init() {}

    /// What some requests carry in their body, read only where it is a need of somebody.
    struct AuditBody {
        var reviewedUser: String?
        var reviewedRequest: Request?
        var reviewAllowed: Bool?
        var blockingOwners: [(apiGroup: String, kind: String, name: String)] = []
    }

    /// Reads an event; `nil` when the value is none.
    init?(_ value: DocumentValue) {
        guard value.kind == .object, let stage = value.value("stage")?.string else { return nil }
        self.stage = stage
        verb = value.value("verb")?.string ?? ""
        requestURI = value.value("requestURI")?.string ?? ""
        caller = Caller(
            user: value.value("user"), impersonated: value.value("impersonatedUser"), metadata: value.value("authenticationMetadata"))
        userAgent = value.value("userAgent")?.string ?? ""
        if let reference = value.value("objectRef") {
            objectRef = Request(
                verb: verb, apiGroup: reference.value("apiGroup")?.string ?? "",
                resource: reference.value("resource")?.string ?? "", subresource: reference.value("subresource")?.string ?? "",
                namespace: reference.value("namespace")?.string ?? "", name: reference.value("name")?.string ?? "")
        }
        let status = value.value("responseStatus")
        code = status?.value("code")?.integer ?? 0
        if code == 403 { message = status?.value("message")?.string ?? "" }
        let annotations = value.value("annotations")
        decision = annotations?.value("authorization.k8s.io/decision")?.string
        reason = annotations?.value("authorization.k8s.io/reason")?.string ?? ""
        receivedAt = (value.value("requestReceivedTimestamp") ?? value.value("stageTimestamp") ?? value.value("timestamp"))?
            .string.flatMap { Timestamp.microseconds($0) }
        if let object = value.value("requestObject") { readBody(object, response: value.value("responseObject")) }
    }

    private mutating func readBody(_ object: DocumentValue, response: DocumentValue?) {
        if let spec = object.value("spec"), objectRef?.apiGroup == "authorization.k8s.io" {
            body.reviewedUser = spec.value("user")?.string
            body.reviewAllowed = response?.value("status")?.value("allowed")?.bool
            if let attributes = spec.value("resourceAttributes") {
                body.reviewedRequest = Request(
                    verb: attributes.value("verb")?.string ?? "", apiGroup: attributes.value("group")?.string ?? "",
                    resource: attributes.value("resource")?.string ?? "",
                    subresource: attributes.value("subresource")?.string ?? "",
                    namespace: attributes.value("namespace")?.string ?? "", name: attributes.value("name")?.string ?? "")
            } else if let attributes = spec.value("nonResourceAttributes") {
                body.reviewedRequest = Request(
                    verb: attributes.value("verb")?.string ?? "", path: attributes.value("path")?.string ?? "")
            }
        }
        for owner in (object.value("metadata")?.value("ownerReferences")).elements {
            guard owner.value("blockOwnerDeletion")?.bool ?? false, let kind = owner.value("kind")?.string,
                let name = owner.value("name")?.string
            else { continue }
            let version = owner.value("apiVersion")?.string ?? ""
            body.blockingOwners.append((version.contains("/") ? String(version.prefix { $0 != "/" }) : "", kind, name))
        }
    }
}
