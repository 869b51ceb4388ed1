import WhittleModel
import WhittleStore

/// Who may make a request.
public struct WhoCan: Sendable {
    /// One subject and the way it may.
    public struct Answer: Hashable, Sendable {
        /// The grant, with its subject.
        public var grant: Grant
        /// Service accounts behind the subject.
        public var serviceAccounts: Int
        /// Pods that hold an API token of one of them.
        public var pods: Int
        /// Members of a group, when they were asked for.
        public var members: [Member] = []
    }

    /// A service account behind a subject.
    public struct Member: Hashable, Sendable {
        /// Its namespace.
        public var namespace: String
        /// Its name.
        public var name: String
        /// Its pods and pod-less workloads, when they were asked for.
        public var pods: [Runner] = []
    }

    /// A pod, or a workload without pods, that runs as a service account.
    public struct Runner: Hashable, Sendable {
        /// `nil` = a workload without pods.
        public var pod: String?
        /// `nil` = a bare pod.
        public var workload: String?
        /// `nil` = not scheduled.
        public var node: String?
        /// How it gets the token.
        public var exposure: String
    }

    /// What is asked.
    public enum Question: Hashable, Sendable {
        /// A resource; `name` `nil` = any or no name, `namespace` `nil` = in some namespace or cluster-wide.
        case resource(verb: String, apiGroup: String, resource: String, subresource: String, name: String?, namespace: String?)
        /// A URL.
        case url(verb: String, path: String)
    }

    /// Subjects in order of kind, namespace, name; empty = nobody, unless kinds are missing.
    public var answers: [Answer]
    /// Kinds the input did not hold although "nobody" needs them.
    public var missingKinds: [String]

    /// Asks a database.
    ///
    /// - Parameters:
    ///   - expandsGroups: whether groups are resolved to service accounts.
    ///   - listsPods: whether service accounts are resolved to pods and workloads (groups too).
    public init(
        _ question: Question, in database: WhittleDatabase, expandsGroups: Bool = false, listsPods: Bool = false
    ) throws(StoreError) {
        let result: QueryResult
        let completeness = try database.completeness()
        switch question {
        case .resource(let verb, let apiGroup, let resource, let subresource, let name, let namespace):
            result = try database.run(
                "who-can",
                [
                    "verb": .text(verb), "api_group": .text(apiGroup), "resource": .text(resource), "subresource": .text(subresource),
                    "resource_name": .optional(name), "namespace": .optional(namespace),
                ])
            missingKinds = completeness.missingKinds(forNamespace: namespace)
        case .url(let verb, let path):
            result = try database.run("who-can-url", ["verb": .text(verb), "path": .text(path)])
            missingKinds = completeness.missingKinds(forNamespace: "")
        }
        answers = result.named.map {
            Answer(grant: Grant($0), serviceAccounts: $0["service_accounts"].integer ?? 0, pods: $0["pods"].integer ?? 0)
        }
        guard expandsGroups || listsPods else { return }
        var groups: [String: [Member]] = [:]
        var runners: [Member: [Runner]] = [:]
        for index in answers.indices {
            let subject = answers[index].grant.subject
            if subject.kind == "Group" {
                if groups[subject.name] == nil { groups[subject.name] = try Self.members(of: subject.name, in: database) }
                answers[index].members = groups[subject.name] ?? []
            } else if let namespace = subject.namespace, listsPods {
                answers[index].members = [Member(namespace: namespace, name: subject.name)]
            }
            guard listsPods else { continue }
            for member in answers[index].members.indices {
                let key = answers[index].members[member]
                if runners[key] == nil { runners[key] = try Self.runners(of: key, in: database) }
                answers[index].members[member].pods = runners[key] ?? []
            }
        }
    }

    private static func members(of group: String, in database: WhittleDatabase) throws(StoreError) -> [Member] {
        try database.run("group-members", ["group": .text(group)]).named.map {
            Member(namespace: $0["namespace"].string ?? "", name: $0["service_account"].string ?? "")
        }
    }

    private static func runners(of member: Member, in database: WhittleDatabase) throws(StoreError) -> [Runner] {
        try database.run("service-account-pods", ["namespace": .text(member.namespace), "service_account": .text(member.name)])
            .named.map {
                Runner(
                    pod: $0["pod"].string, workload: $0["workload"].string, node: $0["node"].string,
                    exposure: $0["exposure"].string ?? "")
            }
    }
}
