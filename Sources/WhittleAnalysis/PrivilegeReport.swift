import WhittleModel
import WhittleStore

/// Everything about one service account: who runs as it, what it may do, what it does.
public struct PrivilegeReport: Sendable {
    /// A binding that names the account or a group it is in.
    public struct BindingLine: Hashable, Sendable {
        /// The subject that is named.
        public var subject: SubjectName
        /// `nil` = in every namespace.
        public var scopeNamespace: String?
        /// `RoleBinding cart`.
        public var binding: String
        /// `ClusterRole edit`.
        public var role: String
        /// Whether the role does not exist.
        public var isDangling: Bool
        /// Whether it comes from the built-in defaults.
        public var isAssumed: Bool
        /// Rules of the role with a wildcard, and how many served resources each matches.
        public var wildcards: [String]
        /// Resources that its rules name and the catalogue does not know, with the rule.
        public var unknownResources: [String]
    }

    /// A rule of its roles of which some part can never match.
    public struct DeadRule: Hashable, Sendable {
        /// `Role shop/cart rule 0`.
        public var rule: String
        /// What, and why.
        public var reason: String
    }

    /// A kind of request that was seen.
    public struct Use: Hashable, Sendable {
        /// `get secrets/cart-tls in shop`.
        public var request: String
        /// Whether it was refused.
        public var isRefused: Bool
        /// Completed requests.
        public var count: Int
        /// Microseconds since 1970-01-01 UTC.
        public var firstSeen: Int
        /// Microseconds since 1970-01-01 UTC.
        public var lastSeen: Int
    }

    /// Namespace of the account.
    public var namespace: String
    /// Name of the account.
    public var name: String
    /// Pods, and workloads without pods, that hold its token.
    public var runners: [WhoCan.Runner]
    /// Bindings, own ones first.
    public var bindings: [BindingLine]
    /// Rules that can never match.
    public var deadRules: [DeadRule]
    /// What was seen, refused requests too.
    public var uses: [Use]
    /// Grants of own bindings that no request needed: `list,watch secrets in shop through RoleBinding cart`; `nil` = no usage was seen.
    public var unused: [String]?
    /// Kinds the input did not hold although the report needs them.
    public var missingKinds: [String]

    /// Workloads that share the account.
    public var workloads: [String] { runners.compactMap(\.workload).uniqued().sorted() }

    /// What the reports of all accounts of a database share, read once.
    public struct Shared {
        let catalogue: ResourceCatalogue
        let roles: [String: Role]
        let deadRules: [(role: String, rule: DeadRule)]
        let missingKinds: [String]

        /// Reads roles, rules that never match, and what the input lacks.
        public init(_ catalogue: ResourceCatalogue, in database: WhittleDatabase) throws {
            self.catalogue = catalogue
            roles = Dictionary(
                try database.authorizer().roles.map { ("\($0.kind) \($0.meta.namespace)/\($0.meta.name)", $0) },
                uniquingKeysWith: { first, _ in first })
            deadRules = try database.run("rules-that-never-match").named.map { row in
                let kind = row["role_kind"].string ?? ""
                let (space, role) = (row["namespace"].string ?? "", row["role"].string ?? "")
                let name = "\(kind) \(space.isEmpty ? "" : space + "/")\(role) rule \(row["rule"].integer ?? 0)"
                return ("\(kind) \(role) \(space)", DeadRule(rule: name, reason: row["reason"].string ?? ""))
            }
            missingKinds = try database.completeness().missingKinds(forNamespace: nil)
        }
    }

    /// Reads the report of an account.
    ///
    /// - Throws: `AnalysisError.unknown` when neither the input nor the usage knows it.
    public init(namespace: String, name: String, _ shared: Shared, in database: WhittleDatabase) throws {
        self.namespace = namespace
        self.name = name
        let user = ServiceAccountName.user(namespace: namespace, name: name)
        missingKinds = shared.missingKinds
        uses = try database.run("usage", ["user": .text(user.name)]).named.map { row in
            Use(
                request: Self.request(row), isRefused: row["decision"].string != "allow", count: row["count"].integer ?? 0,
                firstSeen: row["first_seen"].integer ?? 0, lastSeen: row["last_seen"].integer ?? 0)
        }
        guard try !uses.isEmpty || database.knowsServiceAccount(namespace: namespace, name: name) else {
            throw AnalysisError.unknown(kind: "ServiceAccount", namespace: namespace, name: name)
        }
        runners = try database.run("service-account-pods", ["namespace": .text(namespace), "service_account": .text(name)]).named.map {
            WhoCan.Runner(
                pod: $0["pod"].string, workload: $0["workload"].string, node: $0["node"].string, exposure: $0["exposure"].string ?? "")
        }
        bindings = try database.run("subject-bindings", ["user": .text(user.name), "groups": .list(user.groups)]).named.map { row in
            let kind = row["role_kind"].string ?? ""
            let scope = row["scope_namespace"].string
            let role = shared.roles["\(kind) \(kind == "Role" ? scope ?? "" : "")/\(row["role"].string ?? "")"]
            return BindingLine(
                subject: SubjectName(
                    kind: row["subject_kind"].string ?? "", namespace: row["subject_namespace"].string,
                    name: row["subject_name"].string ?? ""),
                scopeNamespace: scope, binding: "\(row["binding_kind"].string ?? "") \(row["binding"].string ?? "")",
                role: "\(kind) \(row["role"].string ?? "")", isDangling: row["dangling"].isTrue, isAssumed: row["assumed"].isTrue,
                wildcards: role.map { Self.wildcards(of: $0, shared.catalogue) } ?? [],
                unknownResources: role.map { Self.unknownResources(of: $0, shared.catalogue) } ?? [])
        }
        let own = Set(bindings.map { "\($0.role) \($0.role.hasPrefix("Role ") ? $0.scopeNamespace ?? "" : "")" })
        deadRules = shared.deadRules.filter { own.contains($0.role) }.map(\.rule)
        unused =
            try uses.contains { !$0.isRefused }
            ? Self.unused(database.run("unused-permissions", ["user": .text(user.name)])) : nil
    }

    /// One line per resource or URL, scope and binding.
    private static func unused(_ result: QueryResult) -> [String] {
        var verbs: [String: [String]] = [:]
        var order: [String] = []
        for row in result.named {
            let target = targetText(resource: row["resource"].string, apiGroup: row["api_group"].string, url: row["url"].string)
            let scope = row["scope_namespace"].string.map { " in \($0)" } ?? " in all namespaces"
            let line =
                "\(target)\(row["url"].string == nil ? scope : "") through \(row["binding_kind"].string ?? "") \(row["binding"].string ?? "")"
            if verbs[line] == nil { order.append(line) }
            verbs[line, default: []].append(row["verb"].string ?? "")
        }
        return order.map { line in "\((verbs[line] ?? []).uniqued().joined(separator: ",")) \(line)" }
    }

    private static func unknownResources(of role: Role, _ catalogue: ResourceCatalogue) -> [String] {
        role.effectiveRules.enumerated().compactMap { index, written in
            let unknown = catalogue.unknownResources(of: written.rule)
            return unknown.isEmpty ? nil : "rule \(index): \(unknown.joined(separator: ", "))"
        }
    }

    private static func request(_ row: QueryResult.Row) -> String {
        if let path = row["path"].string { return "\(row["verb"].string ?? "") \(path)" }
        let group = row["api_group"].string.map { $0.isEmpty ? "" : ".\($0)" } ?? ""
        let subresource = row["subresource"].string.map { $0.isEmpty ? "" : "/\($0)" } ?? ""
        let name = row["name"].string.map { $0.isEmpty ? "" : " \($0)" } ?? ""
        let scope = row["namespace"].string.map { $0.isEmpty ? "" : " in \($0)" } ?? ""
        return "\(row["verb"].string ?? "") \(row["resource"].string ?? "")\(group)\(subresource)\(name)\(scope)"
    }

    /// What the wildcards of a role mean against the resources that are known.
    private static func wildcards(of role: Role, _ catalogue: ResourceCatalogue) -> [String] {
        role.effectiveRules.enumerated().compactMap { index, written in
            let rule = written.rule
            let entries = (rule.verbs ?? []) + (rule.apiGroups ?? []) + (rule.resources ?? []) + (rule.nonResourceURLs ?? [])
            guard entries.contains(where: { $0 == "*" || $0.hasPrefix("*/") }) else { return nil }
            let verbs = (rule.verbs ?? []).joined(separator: ",")
            guard let resources = rule.resources, !resources.isEmpty else {
                return "rule \(index): \(verbs) on URLs \((rule.nonResourceURLs ?? []).joined(separator: ", "))"
            }
            let matched = catalogue.resources.filter { resource in
                let subresource = resource.resource.splitBytes(at: "/").after ?? ""
                return RuleMatcher.apiGroup(resource.apiGroup, isIn: rule.apiGroups)
                    && RuleMatcher.resource(resource.resource, subresource: subresource, isIn: resources)
            }
            let names = matched.map { $0.resource + ($0.apiGroup.isEmpty ? "" : ".\($0.apiGroup)") }.uniqued().sorted()
            let shown = names.prefix(6).joined(separator: ", ") + (names.count > 6 ? ", …" : "")
            return "rule \(index): \(verbs) on \(names.count) known resources (\(shown)) and any added later"
        }
    }
}
