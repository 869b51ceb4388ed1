import ArgumentParser
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleStore

/// How evidence is judged, the same for every command that takes rights away or says that they could be.
struct EvidenceOptions: ParsableArguments {
    @Option(help: "The audit policy of the API server, to tell what it cannot have logged.")
    var auditPolicy: String?

    @Option(help: "Days that the logs must span; with less the evidence is thin.")
    var minimumDays = 7

    @Option(help: "Allowed requests of the account that must have been seen; with less the evidence is thin.")
    var minimumRequests = 100

    func validate() throws {
        guard (0...36_500).contains(minimumDays) else { throw ValidationError("--minimum-days must be 0 to 36500") }
        guard minimumRequests >= 0 else { throw ValidationError("--minimum-requests must not be negative") }
    }

    /// What is enough.
    var requirement: EvidenceRequirement { EvidenceRequirement(minimumDays: minimumDays, minimumRequests: minimumRequests) }

    /// Reads the policy and what the logs of a database hold, for `Coverage` of any number of accounts.
    ///
    /// - Throws: `CommandFailure` after diagnostics when the policy is none.
    func shared(in database: WhittleDatabase) throws -> Coverage.Shared {
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        return try Coverage.Shared(catalogue, policy: try policy(), in: database)
    }

    private func policy() throws -> AuditPolicy? {
        guard let auditPolicy else { return nil }
        let (policy, diagnostics) = try AuditPolicyReader.read(auditPolicy)
        DiagnosticReport.write(diagnostics)
        guard let policy else { throw CommandFailure("`\(auditPolicy)` is no audit policy that an API server takes") }
        return policy
    }
}

/// Which service accounts a statement is about.
struct AccountOptions: ParsableArguments {
    @Argument(help: "sa/NAME, sa/NS/NAME or NS:NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account.")
    var allNamespaces = false

    func validate() throws {
        guard allNamespaces == (identity == nil) else { throw ValidationError("needs sa/NAME, or -A") }
        if let identity, identity.kind != "ServiceAccount" || identity.name.isEmpty {
            throw ValidationError("evidence is about service accounts: sa/NAME")
        }
    }

    /// The account that was named, or every one that the input or the usage knows, by namespace and name.
    func accounts(in database: WhittleDatabase) throws -> [ProposalInput.Account] {
        if let identity { return [ProposalInput.Account(namespace: identity.namespace(or: namespace), name: identity.name)] }
        let known = try database.serviceAccounts() + database.serviceAccountsWithUsage()
        let accounts = Set(known.map { ProposalInput.Account(namespace: $0.namespace, name: $0.name) })
        return accounts.sorted { left, right in
            left.namespace == right.namespace ? bytesPrecede(left.name, right.name) : bytesPrecede(left.namespace, right.namespace)
        }
    }
}
