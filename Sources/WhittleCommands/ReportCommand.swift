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

    @Argument(help: "sa/NAME or sa/NS/NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account of the input.")
    var allNamespaces = false

    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        guard allNamespaces == (identity == nil) else { throw ValidationError("needs sa/NAME, or -A") }
        if let identity, identity.kind != "ServiceAccount" { throw ValidationError("reports are about service accounts: sa/NAME") }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        let staying = try database.authorizer(onlyBootstrap: true)
        let accounts =
            try identity.map { [ProposalInput.Account(namespace: $0.namespace(or: namespace), name: $0.name)] }
            ?? database.serviceAccounts().map { ProposalInput.Account(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else { throw CommandFailure("the input has no service accounts") }
        var reports: [ReportRenderer] = []
        for account in accounts {
            do {
                let report = try PrivilegeReport(namespace: account.namespace, name: account.name, catalogue: catalogue, in: database)
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
        let console = Console.current
        switch format.output {
        case .table, .wide: console.output(reports.map(\.text).joined(separator: "\n"))
        case .markdown: console.output(reports.map(\.markdown).joined(separator: "\n"))
        case .csv: format.write(Table(columns: ["account", "section", "fact"], rows: reports.flatMap(\.table.rows)), .null)
        case .json, .yaml:
            let documents = reports.map(\.document)
            format.write(Table(columns: [], rows: []), identity == nil ? .array(documents) : documents.first ?? .null)
        }
    }
}
