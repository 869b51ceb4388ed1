import WhittleModel

/// The parts of an audit.k8s.io Event that tell who needed what.
struct AuditEvent {
    /// Chosen by the server or the client, and shared by an aggregated server; `""` when not told.
    var auditID = ""
    /// How much the audit policy had written: `Metadata`, `Request`, `RequestResponse`; `""` when not told.
    var level = ""
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
    /// Whether no reason means that there was none.
    var tellsReason = true
    /// Microseconds since 1970-01-01 UTC.
    var receivedAt: Int64?
    var body = AuditBody()
    /// The member that has another type than those of events have, so that nobody can tell who asked for what.
    var mistyped: String?
    /// The member that is longer than any that the API server writes.
    var overlong: String?

    /// Bytes of a member that is kept: what is asked for and by whom comes in the header of a request, which the API server limits to
    /// as many.
    static let memberLimit = 1 << 20
    /// Bytes of a user agent; the API server cuts it at half of that.
    private static let agentLimit = 2_048
    private static let kept: [StaticString] = [
        "auditID", "level", "verb", "requestURI", "userAgent", "user", "usr", "http", "impersonatedUser", "authenticationMetadata",
        "sourceIPs", "objectRef", "requestReceivedTimestamp", "stageTimestamp", "timestamp",
    ]

    /// A user agent as it is kept: without credentials, and not longer than clients may make it.
    static func agent(_ text: String) -> String {
        let text = Credentials.masked(text)
        guard text.utf8.count > agentLimit else { return text }
        return String(decoding: text.utf8.prefix(agentLimit), as: UTF8.self) + "...TRUNCATED"
    }

    /// Who asked, and as whom.
    struct Caller {
        var user = UserInfo(name: "", groups: [])
        /// The service account that the user is.
        var account: (namespace: String, name: String)?
        var pod: (name: String, uid: String)?
        /// The address that the API server saw the request come from; `""` = not told.
        var peer = ""
        var impersonatedUser: UserInfo?
        var impersonatedUID = ""
        var impersonatedExtra: [String: [String]] = [:]
        var impersonationConstraint: String?

        /// The address of a service account whose credential names no pod: it may be that of the pod. `""` for all others.
        var address: String { account != nil && pod == nil ? peer : "" }

        /// Whose rights are used.
        var subject: String { impersonatedUser?.name ?? user.name }

        init() {}

        /// Reads `user`, `impersonatedUser`, `authenticationMetadata` and `sourceIPs` of an event.
        init(user value: DocumentValue?, impersonated: DocumentValue?, metadata: DocumentValue?, sourceIPs: DocumentValue?) {
            user = Self.info(value)
            // Those before it are what the client or a proxy said.
            peer = Self.address(sourceIPs?.texts.last)
            account = ServiceAccountName.split(user.name)
            if let extra = value?.value("extra"), let name = extra.dotted("authentication.kubernetes.io/pod-name")?.texts.first {
                // Another authenticator than that of the API server may put anything there.
                let uid = extra.dotted("authentication.kubernetes.io/pod-uid")?.texts.first ?? ""
                pod = (Credentials.withoutKey(name), Credentials.withoutKey(uid))
            }
            // Nobody's name is that of nobody.
            if let impersonated, !AuditEvent.isNothing(impersonated), !Self.info(impersonated).name.isEmpty {
                impersonatedUser = Self.info(impersonated)
                impersonatedUID = impersonated.value("uid")?.string ?? ""
                Self.addExtra(impersonated.value("extra"), to: &impersonatedExtra)
            }
            impersonationConstraint = metadata?.value("impersonationConstraint")?.string
        }

        /// Adds lists of texts by their keys, also where an exporter took the dots in these for objects in objects.
        private static func addExtra(_ value: DocumentValue?, behind prefix: String = "", to extra: inout [String: [String]]) {
            for (key, values) in value.members {
                guard let key = key.string.map({ prefix + $0 }) else { continue }
                if values.kind == .object { addExtra(values, behind: "\(key).", to: &extra) } else { extra[key] = values.texts }
            }
        }

        /// Takes what is missing from the same user as told elsewhere.
        mutating func complete(with other: Caller) {
            user.name = other.user.name
            account = other.account
            if user.groups.isEmpty { user.groups = other.user.groups }
            pod = pod ?? other.pod
        }

        /// `text` if it can be an address.
        static func address(_ text: String?) -> String {
            guard let text, text.utf8.count <= 45 else { return "" }
            let isAddress = text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "."), UInt8(ascii: ":"):
                    true
                default: false
                }
            }
            return isAddress ? text : ""
        }

        private static func info(_ value: DocumentValue?) -> UserInfo {
            // Datadog calls the user name its own name.
            let name = value?.value("username") ?? value?.value("name") ?? value?.value("id")
            return UserInfo(name: (name ?? value)?.string ?? "", groups: value?.value("groups")?.texts ?? [])
        }
    }

    init() {}

    /// What some requests carry in their body, read only where it is a need of somebody.
    struct AuditBody {
        var reviewedUser: String?
        var reviewedRequest: Request?
        /// The namespace whose rules were asked for.
        var reviewedNamespace: String?
        var reviewAllowed: Bool?
        /// Of the options of a deletion.
        var ignoresReadErrors = false
        var blockingOwners: [(apiGroup: String, kind: String, name: String)] = []
        /// Of a binding.
        var roleRef: (kind: String, name: String)?
        /// Of a role or binding: the name that a creation told, or that was made for it.
        var name: String?
    }

    /// Members that hold objects or lists.
    static let objects: Set<String> = [
        "user", "impersonatedUser", "authenticationMetadata", "sourceIPs", "objectRef", "responseStatus", "requestObject", "responseObject",
        "annotations",
    ]

    /// Reads an event; `nil` when the value is none.
    init?(_ value: DocumentValue) {
        guard value.kind == .object, value.value("kind")?.isText("Event") ?? true else { return nil }
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        // Some services write objects as their texts.
        let field = { (key: StaticString) -> DocumentValue? in
            guard let member = value.value(key) else { return nil }
            return Self.objects.contains(key.description) ? ParsedText.unpacked(member, &parsed) : member
        }
        self.init(field: field)
        let wanted: [(StaticString, DocumentTree.Kind)] = [
            ("verb", .string), ("requestURI", .string), ("user", .object), ("impersonatedUser", .object),
        ]
        func isWrong(_ value: DocumentValue?, _ kind: DocumentTree.Kind) -> Bool {
            value.map { !$0.isNull && $0.kind != kind } ?? false
        }
        mistyped = wanted.first { key, kind in isWrong(field(key), kind) }?.0.description
        // Nobody, as some write it.
        if mistyped == "impersonatedUser", field("impersonatedUser").map(Self.isNothing) ?? false { mistyped = nil }
        if let name = field("impersonatedUser")?.value("username"), name.kind != .string { mistyped = "impersonatedUser" }
        // It counts only where no URI tells what was asked for.
        guard requestURI.isEmpty, let reference = field("objectRef") else { return }
        let texts: [StaticString] = ["apiGroup", "resource", "subresource", "namespace", "name"]
        if isWrong(reference, .object) || texts.contains(where: { isWrong(reference.value($0), .string) }) { mistyped = "objectRef" }
    }

    /// Reads an event of its fields; `nil` when they are none of one.
    init?(field: (StaticString) -> DocumentValue?) {
        guard let stage = field("stage")?.short else { return nil }
        self.stage = stage
        overlong = Self.kept.first { field($0)?.isOverlong ?? false }?.description
        guard overlong == nil else { return }
        auditID = field("auditID")?.string ?? ""
        level = (field("k8s_audit_level") ?? field("level"))?.string ?? ""
        // Datadog moves what other logs have as well to names that they share.
        let http = field("http")
        verb = (field("verb") ?? http?.value("method"))?.string ?? ""
        requestURI = (field("requestURI") ?? http?.value("url"))?.string ?? ""
        userAgent = (field("userAgent") ?? http?.value("useragent"))?.string ?? ""
        caller = Caller(
            user: field("user"), impersonated: field("impersonatedUser"), metadata: field("authenticationMetadata"),
            sourceIPs: field("sourceIPs"))
        if caller.user.name.isEmpty, let user = field("usr") {
            caller.complete(with: Caller(user: user, impersonated: nil, metadata: nil, sourceIPs: nil))
        }
        if caller.peer.isEmpty { caller.peer = Caller.address(field("network")?.value("client")?.value("ip")?.string) }
        if let reference = field("objectRef") {
            var apiGroup = reference.value("apiGroup")?.string
            // In v1alpha1 the version tells the group too.
            if apiGroup == nil, let version = reference.value("apiVersion")?.string, version.contains("/") {
                apiGroup = String(version.prefix { $0 != "/" })
            }
            objectRef = Request(
                verb: verb, apiGroup: apiGroup ?? "", resource: reference.value("resource")?.string ?? "",
                subresource: reference.value("subresource")?.string ?? "", namespace: reference.value("namespace")?.string ?? "",
                name: reference.value("name")?.string ?? "")
        }
        let status = field("responseStatus")
        code = (status?.value("code") ?? http?.value("status_code"))?.number ?? 0
        let answer = status?.value("message")
        if code == 403 || answer?.isText("Connection closed early") ?? false { message = answer?.short ?? "" }
        let annotations = field("annotations")
        decision = annotations?.dotted("authorization.k8s.io/decision")?.short
        let reason = annotations?.dotted("authorization.k8s.io/reason")
        if reason?.isOverlong ?? false { overlong = "annotations" }
        self.reason = reason?.short ?? ""
        let times: [StaticString] = ["requestReceivedTimestamp", "stageTimestamp", "timestamp"]
        let told = times.compactMap { field($0)?.string.flatMap { Timestamp.microseconds($0) } }
        // What has no time in Go is written as the year 1.
        receivedAt = told.first { $0 > 0 } ?? told.first
        if let object = field("requestObject") { readBody(object, response: field("responseObject")) }
    }

    /// Whether it tells when who asked for what, so that it counts.
    var isWhole: Bool {
        overlong == nil && mistyped == nil && receivedAt != nil && AuditTally.place(ofStage: stage) != nil && !caller.user.name.isEmpty
            && (!requestURI.isEmpty || objectRef != nil)
    }

    /// Whether it says anything but its stage.
    var isTold: Bool { overlong != nil || !auditID.isEmpty || !requestURI.isEmpty || !verb.isEmpty }

    mutating func readBody(_ object: DocumentValue, response: DocumentValue?) {
        body.ignoresReadErrors = object.dotted(AuditNeeds.unsafeDeleteOption)?.bool ?? false
        // The reference to the object may be missing.
        let group = AuditNeeds.request(of: self)?.apiGroup
        if let spec = object.value("spec"), group == "authorization.k8s.io" {
            body.reviewedUser = spec.value("user")?.short
            body.reviewedNamespace = spec.value("namespace")?.short
            body.reviewAllowed = response?.value("status")?.value("allowed")?.bool
            if let attributes = spec.value("resourceAttributes") {
                body.reviewedRequest = Request(
                    verb: attributes.value("verb")?.short ?? "", apiGroup: attributes.value("group")?.short ?? "",
                    resource: attributes.value("resource")?.short ?? "",
                    subresource: attributes.value("subresource")?.short ?? "",
                    namespace: attributes.value("namespace")?.short ?? "", name: attributes.value("name")?.short ?? "")
            } else if let attributes = spec.value("nonResourceAttributes") {
                body.reviewedRequest = Request(
                    verb: attributes.value("verb")?.short ?? "", path: Credentials.masked(attributes.value("path")?.short ?? ""))
            }
        }
        if group == "rbac.authorization.k8s.io" {
            if let reference = object.value("roleRef"), let kind = reference.value("kind")?.short, let name = reference.value("name")?.short
            {
                body.roleRef = (kind, name)
            }
            body.name = [object, response].compactMap { $0?.value("metadata")?.value("name")?.short }.last ?? body.name
        }
        for owner in Self.owners(in: object) {
            guard owner.value("blockOwnerDeletion")?.bool ?? false, let kind = owner.value("kind")?.short,
                let name = owner.value("name")?.short
            else { continue }
            let version = owner.value("apiVersion")?.short ?? ""
            body.blockingOwners.append((version.contains("/") ? String(version.prefix { $0 != "/" }) : "", kind, name))
        }
    }

    /// The owner references that a body sets: those of an object or a merge patch, or what the operations of a JSON patch write there.
    private static func owners(in body: DocumentValue) -> [DocumentValue] {
        let place = "/metadata/ownerReferences"
        let patched = body.elements.flatMap { operation -> [DocumentValue] in
            guard let kind = operation.value("op")?.short, kind == "add" || kind == "replace", let path = operation.value("path")?.short,
                let value = operation.value("value")
            else { return [] }
            if path == "/metadata" { return Array(value.value("ownerReferences").elements) }
            if path == place { return Array(value.elements) }
            return path.hasPrefix("\(place)/") && !path.dropFirst(place.count + 1).contains("/") ? [value] : []
        }
        return Array((body.value("metadata")?.value("ownerReferences")).elements) + patched
    }
}

extension DocumentValue {
    /// Whether it is longer than what is kept.
    fileprivate var isOverlong: Bool { bytes.count > AuditEvent.memberLimit }

    /// The text of a string that can be kept; `nil` for anything else.
    fileprivate var short: String? { isOverlong ? nil : string }

    /// The member of a name with dots; also where an exporter wrote another sign for them, or took them for objects in objects.
    func dotted(_ key: StaticString) -> DocumentValue? { value(key) ?? dotted(key.description[...]) }

    private func dotted(_ key: Substring) -> DocumentValue? {
        let flat = Self.flat(key)
        for (name, member) in members where !member.isNull {
            guard let name = name.string, !name.isEmpty else { continue }
            if key == name || flat == Self.flat(name[...]) { return member }
            if key.hasPrefix(name + "."), let found = member.dotted(key.dropFirst(name.count + 1)) { return found }
        }
        return nil
    }

    /// A name in which all signs that exporters replace are the same.
    private static func flat(_ name: Substring) -> String {
        let flat = String(name.map { "./-".contains($0) ? "_" : $0 })
        return flat.contains("_slash_") ? flat.replacing("_slash_", with: "_") : flat
    }

    /// The texts of a list of them, which may be written as a text itself; one that stands alone is a list of one.
    var texts: [String] {
        guard let text = string else { return elements.compactMap(\.string) }
        var parsed: [ParsedText] = []
        defer { withExtendedLifetime(parsed) {} }
        let list = ParsedText.unpacked(self, &parsed)
        return list.kind == .array ? list.elements.compactMap(\.string) : [text]
    }

    /// A whole number, also where it is written as text or as `2e2`.
    var number: Int? {
        if let integer { return integer }
        guard kind == .number || kind == .string, bytes.count < 32 else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
    }
}
