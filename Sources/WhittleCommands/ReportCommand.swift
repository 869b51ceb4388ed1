import ArgumentParser
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Tell everything about a service account: who runs as it, what it may do, what it does.",
        discussion: "With -A, every service account of the input. -o table|json|yaml|markdown|csv.")

    @Argument(help: "sa/NAME, sa/NS/NAME or NS:NAME; sa alone with -l.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @OptionGroup var selection: SelectionOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        guard selection.allNamespaces == (identity?.name ?? "").isEmpty || selection.selector != nil else {
            throw ValidationError("needs sa/NAME, or -A")
        }
        if let identity, identity.kind != "ServiceAccount" { throw ValidationError("reports are about service accounts: sa/NAME") }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        let shared = try PrivilegeReport.Shared(catalogue, in: database)
        let staying = try database.authorizer(onlyBootstrap: true)
        let accounts = try accounts(in: database).filter { matching.matches(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else { throw CommandFailure("the input has no such service accounts") }
        var reports: [ReportRenderer] = []
        for account in accounts {
            do {
                let report = try PrivilegeReport(namespace: account.namespace, name: account.name, shared, in: database)
                let needs = try ProposalInput.observed(account, in: database)
                let proposal =
                    needs.isEmpty
                    ? nil : RoleProposal(namespace: account.namespace, name: account.name, needs: needs, staying: staying)
                if reports.isEmpty { warnIncomplete(report.missingKinds) }
                reports.append(ReportRenderer(report, proposal: proposal))
            } catch let error as AnalysisError {
                throw CommandFailure("\(error)")
            }
        }
        try write(reports, from: database)
    }

    private func accounts(in database: WhittleDatabase) throws -> [ProposalInput.Account] {
        if let identity, !identity.name.isEmpty {
            return [ProposalInput.Account(namespace: identity.namespace(or: namespace), name: identity.name)]
        }
        guard selection.selector == nil else {
            return try selection.objects(of: "ServiceAccount", namespace: namespace, in: database)
                .map { ProposalInput.Account(namespace: $0.namespace, name: $0.name) }
        }
        return try database.serviceAccounts().map { ProposalInput.Account(namespace: $0.namespace, name: $0.name) }
    }

    private func write(_ reports: [ReportRenderer], from database: WhittleDatabase) throws {
        let console = Console.current
        switch format.output {
        case .table, .wide: console.output(reports.map(\.text).joined(separator: "\n"))
        case .markdown: console.output(reports.map(\.markdown).joined(separator: "\n"))
        case .csv: format.write(Table(columns: ["account", "section", "fact"], rows: reports.flatMap(\.table.rows)), .null)
        case .json, .yaml:
            let documents = reports.map(\.document)
            try format.write(
                Table(columns: [], rows: []), (identity?.name ?? "").isEmpty ? .array(documents) : documents.first ?? .null,
                from: database)
        }
    }
}
