import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleStore

/// Where needs come from.
enum ProposalInput {
    /// A service account.
    struct Account: Hashable {
        var namespace: String
        var name: String

        /// As people read it.
        var text: String { "ServiceAccount \(namespace)/\(name)" }
    }

    /// The account that was named, or every one that usage was seen of.
    static func accounts(_ identity: IdentityArgument?, namespace: String?, in database: WhittleDatabase) throws -> [Account] {
        if let identity { return [Account(namespace: identity.namespace(or: namespace), name: identity.name)] }
        return try database.serviceAccountsWithUsage().map { Account(namespace: $0.namespace, name: $0.name) }
    }

    /// What the usage proves that an account needs.
    static func observed(_ account: Account, in database: WhittleDatabase) throws -> [Need] {
        try needs(AccountEvidence(namespace: account.namespace, name: account.name, in: database).facts.filter { $0.decision == .allow })
            .map(\.need)
    }

    /// Facts as needs, each once.
    ///
    /// - Parameter attribution: gives the workload of a fact; `nil` = as the inventory tells.
    static func needs(_ facts: [AccountEvidence.Fact], attribution: WorkloadAttribution? = nil) -> [EvidencedNeed] {
        EvidencedNeed.merged(
            facts.map { fact in
                var evidence = Evidence()
                evidence.count = fact.count
                evidence.isRefused = fact.decision == .forbid
                (evidence.firstSeen, evidence.lastSeen) = (fact.firstSeen, fact.lastSeen)
                if let pod = fact.pod { evidence.pods = [pod] }
                if let workload = attribution?.workload(of: fact)?.workload ?? fact.workload { evidence.workloads = [workload] }
                if !fact.userAgent.isEmpty { evidence.userAgents = [fact.userAgent] }
                evidence.causes = [fact.cause]
                return EvidencedNeed(Need(fact.request), evidence)
            })
    }

    /// The workloads that run as an account.
    static func workloads(of account: Account, in database: WhittleDatabase) throws -> [WorkloadAttribution.Workload] {
        try database.run("account-workloads", ["namespace": .text(account.namespace), "service_account": .text(account.name)]).named
            .map { WorkloadAttribution.Workload(kind: $0["kind"].string ?? "", name: $0["name"].string ?? "") }
    }

    /// What declarations state for an account, with the places.
    static func needs(_ items: [DeclaredNeed], of account: Account) -> [EvidencedNeed] {
        let wanted = DeclaredNeed.Account(namespace: account.namespace, name: account.name)
        return items.filter { $0.concerns(wanted) }.map { item in
            var evidence = Evidence()
            evidence.causes = ["declared"]
            evidence.places = item.location.map { ["\($0)"] } ?? []
            return EvidencedNeed(Need(item.atom, namespace: item.namespace), evidence)
        }
    }

    /// Reads declarations; diagnostics go to standard error.
    static func declared(_ paths: [String], namespace: String?) throws -> DeclaredUsage.Declaration {
        guard !paths.isEmpty else { return DeclaredUsage.Declaration() }
        let declaration = try DeclaredUsage.read(paths, options: DeclaredUsage.Options(defaultNamespace: namespace ?? "default"))
        DiagnosticReport.write(declaration.diagnostics)
        return declaration
    }

    /// What many proposals have in common.
    struct Shared {
        let staying: Authorizer
        /// `nil` = the input holds no bindings at all.
        let current: Authorizer?
        let resources: [APIResource]
        let universe: ReferenceUniverse
        let policyChecks: [PolicyCheck]
        /// Roles and bindings of others that have a name as proposals have, by `key`.
        private let takenNames: [ByteString: ObjectMeta]
        /// ClusterRoles of the input with an aggregationRule.
        let aggregatingRoles: [AggregatingRole]
        /// SHA-256 of the manifests and dumps; `""` = none were loaded.
        let inputSHA256: String

        /// Objects of others that applying these would replace: `Role shop/cart` and where each is written.
        func taken(by roles: [Role], _ bindings: [Binding]) -> [(object: String, place: SourceLocation?)] {
            (roles.map { ($0.kind, $0.meta) } + bindings.map { ($0.kind, $0.meta) }).compactMap { kind, meta in
                takenNames[Self.key(kind, meta)].map { other in
                    ("\(kind) \(meta.namespace.isEmpty ? "" : meta.namespace + "/")\(meta.name)", other.location)
                }
            }
        }

        /// What tells an object from others.
        private static func key(_ kind: String, _ meta: ObjectMeta) -> ByteString { ByteString("\(kind)\0\(meta.namespace)\0\(meta.name)") }

        init(_ database: WhittleDatabase) throws {
            staying = try database.authorizer(onlyBootstrap: true)
            let all = try database.authorizer()
            current = all.bindings.contains { !$0.isAssumed } ? all : nil
            resources = ResourceCatalogue.builtIn(extendedBy: try database.apiResources()).resources
            var universe = ReferenceUniverse(resources: resources)
            for row in try database.run("object-names").named {
                let namespace = row["namespace"].string ?? ""
                if !namespace.isEmpty { universe.namespaces.insert(namespace) }
                universe.add(
                    row["name"].string ?? "",
                    of: ReferenceUniverse.Target(apiGroup: row["api_group"].string ?? "", resource: row["resource"].string ?? ""),
                    namespace: namespace, owner: row["owner"].string)
            }
            for row in try database.run("labelled-objects", ["kind": .text("Namespace")]).named {
                universe.namespaceLabels[ByteString(row["name"].string ?? "")] = Labels(json: row["labels"].string ?? "{}")
            }
            self.universe = universe
            let objects = all.roles.map { ($0.kind, $0.meta) } + all.bindings.map { ($0.kind, $0.meta) }
            takenNames = Dictionary(
                objects.filter { _, meta in
                    meta.name.hasBytePrefix(RoleProposal.namePrefix) && meta.labels[RoleProposal.managedByLabel] != RoleProposal.manager
                }
                .map { (Self.key($0, $1), $1) }, uniquingKeysWith: { first, _ in first })
            policyChecks = try database.policyChecks()
            aggregatingRoles = try AggregatingRole.all(in: database)
            inputSHA256 = try database.inputSHA256()
        }
    }
}

extension RoleProposal {
    /// SHA-256 over everything that the proposal was made of: needs with their evidence, steps, refusals and the loaded state.
    ///
    /// It does not depend on the order of events or files.
    func digest(inputSHA256: String) -> String {
        var parts = [inputSHA256, namespace, name]
        for item in needs + attempts {
            let evidence = item.evidence
            parts += [
                "\(item.need.request)", item.need.name ?? "", "\(item.need.isDeclared)", "\(evidence.count)", "\(evidence.firstSeen ?? -1)",
                "\(evidence.lastSeen ?? -1)",
            ]
            parts += evidence.causes + evidence.places
        }
        for step in generalisations { parts += [step.step.rawValue, step.namespace] + step.atoms.map { "\($0)" } }
        return sha256(of: jsonArray(parts))
    }
}
