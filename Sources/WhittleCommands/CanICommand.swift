import ArgumentParser
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

struct CanICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "can-i", abstract: "Tell whether an identity may make a request, with all reasons.",
        usage: """
            whittle can-i VERB TYPE[/X]|/PATH --as sa/NS/NAME|pod/NS/NAME|user/NAME [--as-group GROUP] [-n NS]
            whittle can-i --requests FILE|-
            """,
        discussion: """
            With --requests, each line is a JSON object: user, groups (exactly as authenticated), verb, then namespace, apiGroup, \
            resource, subresource, name, or path; or a SubjectAccessReview. One JSON line is written for each.
            """)

    @Argument(help: "VERB and TYPE[/X] or /PATH.")
    var words: [String] = []

    @Option(help: "Who asks: sa/NS/NAME, pod/NS/NAME, a workload, user/NAME.")
    var `as`: IdentityArgument?

    @Option(name: .long, help: "A group beside those that authentication adds; may be repeated.")
    var asGroup: [String] = []

    @Option(help: "File of requests, one JSON object per line; - is standard input.")
    var requests: String?

    @OptionGroup var options: RequestOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        if requests != nil {
            guard words.isEmpty, self.as == nil, asGroup.isEmpty else {
                throw ValidationError("--requests names verb, object and identity in the file")
            }
        } else {
            guard words.count == 2 || (words.count > 2 && !input.filename.isEmpty) else {
                throw ValidationError("needs VERB and TYPE[/X] or /PATH, or --requests FILE")
            }
            guard self.as != nil || !asGroup.isEmpty else { throw ValidationError("needs --as or --as-group") }
            if let identity = self.as, identity.name.isEmpty { throw ValidationError("--as needs a name: sa/NAME, pod/NAME, user/NAME") }
        }
    }

    func run() throws {
        let database = try input.open(namespace: options.namespace, more: words.dropFirst(2))
        if let requests { return try BatchJudge(database).judge(requests) }
        let users = try self.users(in: database)
        let request = try self.request(in: database)
        let answers = try users.map { try CanI(request, by: $0, in: database) }
        guard let answer = answers.first(where: \.isAllowed) ?? answers.first else {
            Console.current.output("no\n")
            throw CommandFailure("it holds no API token", code: .no)
        }
        if !answer.isAllowed, !answer.missingKinds.isEmpty { throw couldNotJudge(answer.missingKinds) }
        if format.output == .table || format.output == .wide { Console.current.output(answer.isAllowed ? "yes\n" : "no\n") }
        if let bypass = answer.bypass {
            Console.current.error("whittle: note: allowed by membership of \(bypass) before RBAC is asked\n")
        }
        try format.write(answer.table, answer.document, from: database)
        if !answer.isAllowed { throw CommandFailure("", code: .no) }
    }

    private func users(in database: WhittleDatabase) throws -> [UserInfo] {
        guard let identity = self.as else { return [UserInfo(name: "", groups: asGroup)] }
        let space = identity.namespace(or: options.namespace)
        switch identity.kind {
        case "User": return [UserInfo(name: identity.name, groups: ImplicitGroup.groups(ofUser: identity.name, explicit: asGroup))]
        case "Group": return [UserInfo(name: "", groups: [identity.name] + asGroup)]
        case "ServiceAccount":
            let user = ServiceAccountName.user(namespace: space, name: identity.name)
            if try !database.exists(kind: identity.kind, namespace: space, name: identity.name) {
                Console.current.error(
                    "whittle: warning: \(AnalysisError.unknown(kind: identity.kind, namespace: space, name: identity.name))\n")
            }
            return [UserInfo(name: user.name, groups: asGroup.isEmpty ? user.groups : (asGroup + user.groups).uniqued())]
        default:
            let rows = try database.run(
                "acting-identities",
                ["kind": .text(identity.kind), "namespace": .text(identity.kind == "Node" ? "" : space), "name": .text(identity.name)])
            guard !rows.rows.isEmpty else {
                throw CommandFailure("\(AnalysisError.unknown(kind: identity.kind, namespace: space, name: identity.name))")
            }
            return rows.named.compactMap { $0["user"].string }.map {
                UserInfo(name: $0, groups: ImplicitGroup.groups(ofUser: $0, explicit: asGroup))
            }
        }
    }

    private func request(in database: WhittleDatabase) throws -> Request {
        switch try options.meaning(of: words[0], words[1], in: database) {
        case .url(let path): return Request(verb: words[0], path: path)
        case .resource(let apiGroup, let resource, let subresource, let name, let namespace):
            // Like kubectl: without a name the question is about a request that carries none; -A is a cluster-wide request.
            return Request(
                verb: words[0], apiGroup: apiGroup, resource: resource, subresource: subresource, namespace: namespace ?? "",
                name: name ?? "")
        }
    }
}

/// Judges requests in bulk: the tables are read once and matched in memory.
private struct BatchJudge {
    let authorizer: Authorizer
    let completeness: Completeness

    init(_ database: WhittleDatabase) throws {
        authorizer = try database.authorizer()
        completeness = try database.completeness()
    }

    func judge(_ path: String) throws {
        let console = Console.current
        var isComplete = true
        var buffer = ""
        try RequestLines.read(path) { number, line in
            switch line {
            case .bad(let message):
                isComplete = false
                buffer += "{\"line\":\(number),\"error\":\(jsonQuoted(message))}\n"
            case .request(let id, let user, let request):
                if let answer = answer(id: id, user: user, request: request) {
                    buffer += answer
                } else {
                    isComplete = false
                    buffer += "{\"line\":\(number),\"id\":\(id),\"error\":\"could not judge: the input lacks roles or bindings\"}\n"
                }
            }
            if buffer.utf8.count > 1 << 16 {
                console.output(buffer)
                buffer = ""
            }
        }
        console.output(buffer)
        if !isComplete { throw CommandFailure("some lines could not be judged") }
    }

    private func answer(id: String, user: UserInfo, request: Request) -> String? {
        if user.groups.containsBytes(ImplicitGroup.masters) {
            return "{\"id\":\(id),\"allowed\":true,\"by\":\"\(ImplicitGroup.masters)\",\"grants\":[]}\n"
        }
        let grants = authorizer.grants(for: request, by: user)
        if grants.isEmpty, !completeness.missingKinds(forNamespace: request.isResourceRequest ? request.namespace : "").isEmpty {
            return nil
        }
        let list = grants.map { grant -> String in
            let binding = authorizer.bindings[grant.binding]
            let role = authorizer.roles[grant.role]
            let subject = binding.subjects[grant.subject].subject
            let own = subject.namespace ?? ""
            let namespace = subject.kind == "ServiceAccount" ? (own.isEmpty ? binding.meta.namespace : own) : ""
            return "{\"binding\":\(object(binding.kind, binding.meta.namespace, binding.meta.name)),"
                + "\"role\":\(object(role.kind, role.meta.namespace, role.meta.name)),"
                + "\"subject\":\(object(subject.kind, namespace, subject.name))}"
        }
        return "{\"id\":\(id),\"allowed\":\(!grants.isEmpty),\"grants\":[\(list.joined(separator: ","))]}\n"
    }

    private func object(_ kind: String, _ namespace: String, _ name: String) -> String {
        "{\"kind\":\(jsonQuoted(kind)),\"namespace\":\(jsonQuoted(namespace)),\"name\":\(jsonQuoted(name))}"
    }
}
