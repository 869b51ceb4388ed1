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
        if selection.selector != nil, !(identity?.name ?? "").isEmpty {
            throw ValidationError("-l selects accounts: give sa without a name")
        }
        if let identity, identity.kind != "ServiceAccount" { throw ValidationError("reports are about service accounts: sa/NAME") }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        let shared = try PrivilegeReport.Shared(catalogue, in: database)
        let evidence = try Coverage.Shared(catalogue, policy: nil, in: database)
        let staying = try database.authorizer(onlyBootstrap: true)
        let accounts = try accounts(in: database).filter { matching.matches(namespace: $0.namespace, name: $0.name) }
        guard !accounts.isEmpty else { throw CommandFailure("the input has no such service accounts") }
        let writer = Writer(format, isList: (identity?.name ?? "").isEmpty)
        for (index, account) in accounts.enumerated() where !Console.isOutputClosed {
            do {
                let report = try PrivilegeReport(namespace: account.namespace, name: account.name, shared, in: database)
                let needs = try ProposalInput.observed(account, in: database)
                let proposal =
                    needs.isEmpty
                    ? nil : RoleProposal(namespace: account.namespace, name: account.name, needs: needs, staying: staying)
                if index == 0 { warnIncomplete(report.missingKinds) }
                let coverage = try Coverage(namespace: account.namespace, name: account.name, evidence, in: database)
                try writer.write(
                    ReportRenderer(report, proposal: proposal, coverage: coverage), isFirst: index == 0, from: database)
            } catch let error as AnalysisError {
                throw CommandFailure("\(error)")
            }
        }
        writer.finish()
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

    /// Writes report after report, so that the first is read while the others are made.
    private struct Writer {
        let format: OutputOptions
        /// Whether JSON and YAML are lists, even of one report.
        let isList: Bool

        init(_ format: OutputOptions, isList: Bool) {
            self.format = format
            self.isList = isList
        }

        func write(_ report: ReportRenderer, isFirst: Bool, from database: WhittleDatabase) throws {
            let output = Console.current.output
            switch format.output {
            case .table, .wide: output((isFirst ? "" : "\n") + report.text)
            case .markdown: output((isFirst ? "" : "\n") + report.markdown)
            case .csv:
                let table = Table(columns: ["account", "section", "fact"], rows: report.table.rows)
                output(Output.render(table, .null, as: .csv, hasHeader: isFirst && !format.noHeaders))
            case .json where isList:
                // The elements of `JSONValue.array`, one by one.
                let element = JSONValue.array([report.document]).indented.dropFirst(2).dropLast(3)
                output((isFirst ? "[\n" : ",\n") + element)
            case .yaml where isList: output(JSONValue.array([report.document]).yaml)
            case .json, .yaml: try format.write(Table(columns: [], rows: []), report.document, from: database)
            }
        }

        func finish() {
            if format.output == .json, isList { Console.current.output("\n]\n") }
        }
    }
}
