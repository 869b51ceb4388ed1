import ArgumentParser
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare what a service account is declared to need, granted, and seen to do.",
        discussion: """
            One line per atom with a verdict: used, unused, used but not granted, used but not declared, declared but never seen, \
            declared but not granted, or denied. Exit status: 0 all agree, 1 they differ, 2 could not judge: part of the declaration could \
            not be read, what is granted is not known whole, or there is neither usage nor a declaration.
            """)

    @Argument(help: "sa/NAME, sa/NS/NAME or NS:NAME.")
    var identity: IdentityArgument?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the service account (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "Every service account of the input and of the declaration.")
    var allNamespaces = false

    @Option(name: .long, help: "What is declared, in any form that `whittle declared` reads; may be repeated.")
    var declared: [String] = []

    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        guard allNamespaces != (identity != nil) else { throw ValidationError("needs sa/NAME, or -A") }
        if let identity, identity.kind != "ServiceAccount" || identity.name.isEmpty {
            throw ValidationError("compares service accounts: sa/NAME")
        }
    }

    func run() throws {
        let database = try input.open(namespace: namespace)
        let console = Console.current
        let space = identity?.namespace(or: namespace) ?? namespace ?? "default"
        let declaration =
            try declared.isEmpty ? nil : DeclaredUsage.read(declared, options: DeclaredUsage.Options(defaultNamespace: space))
        DiagnosticReport.write(declaration?.diagnostics.ofDeclaration ?? [], withNotes: true)
        let isUsageKnown = try database.hasUsage()
        guard isUsageKnown || declaration != nil else {
            throw CommandFailure(
                "could not judge: neither usage nor a declaration; read audit logs with `whittle usage load`, or give --declared")
        }
        var reasons: [String] = []
        if declaration?.isIncomplete ?? false { reasons.append("part of the declaration could not be read") }
        let needs = declaration?.items ?? []
        let accounts = try self.accounts(in: database, needs)
        guard !accounts.isEmpty else { throw CommandFailure("no service account is meant") }
        if let account = accounts.first, !allNamespaces, needs.isEmpty,
            try !database.knowsServiceAccount(namespace: account.namespace, name: account.name)
        {
            throw AnalysisError.unknown(kind: "ServiceAccount", namespace: account.namespace, name: account.name)
        }
        if allNamespaces {
            let homeless = needs.filter { $0.serviceAccount == nil }.count
            if homeless > 0 { reasons.append("\(homeless) declared needs name no service account; with -A they belong to nobody") }
        }
        let comparisons = try accounts.map { account in
            try UsageComparison(
                account,
                declared: declaration.map { _ in
                    needs.filter { allNamespaces ? $0.serviceAccount == account : $0.concerns(account) }
                }, isUsageKnown: isUsageKnown, in: database)
        }
        for comparison in comparisons where !allNamespaces { try tell(comparison, needs, isUsageKnown: isUsageKnown, in: database) }
        if isUsageKnown, let account = comparisons.first(where: { !$0.rows.isEmpty })?.account { try tellReads(account, in: database) }
        let renderer = ComparisonRenderer(comparisons)
        try format.write(renderer.table, renderer.document, from: database)
        if let missing = comparisons.first?.missingKinds, !missing.isEmpty {
            reasons.append("the input lacks \(missing.joined(separator: ", ")), so what is granted is not known whole")
        }
        guard reasons.isEmpty else {
            throw CommandFailure("could not judge: \(reasons.joined(separator: "; ")); the rest is written")
        }
        if comparisons.allSatisfy({ $0.rows.isEmpty }) {
            console.error("nothing is declared, granted or seen\n")
        }
        if !comparisons.allSatisfy(\.agrees) { throw CommandFailure("", code: .no) }
    }

    /// The account that was named, or all that the input and the declaration know.
    private func accounts(in database: WhittleDatabase, _ needs: [DeclaredNeed]) throws -> [DeclaredNeed.Account] {
        if let identity { return [DeclaredNeed.Account(namespace: identity.namespace(or: namespace), name: identity.name)] }
        let known = try database.serviceAccounts() + database.serviceAccountsWithUsage()
        let all = Set(known.map { DeclaredNeed.Account(namespace: $0.namespace, name: $0.name) } + needs.compactMap(\.serviceAccount))
        return all.filter { matching.matches(namespace: $0.namespace, name: $0.name) }.sorted {
            $0.namespace.isSameBytes(as: $1.namespace) ? bytesPrecede($0.name, $1.name) : bytesPrecede($0.namespace, $1.namespace)
        }
    }

    /// Says when the logs could not show what is only read, of whatever account: it looks unused then.
    private func tellReads(_ account: DeclaredNeed.Account, in database: WhittleDatabase) throws {
        guard try database.exists(kind: "ServiceAccount", namespace: account.namespace, name: account.name) else { return }
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        let shared = try Coverage.Shared(catalogue, policy: nil, in: database)
        let coverage = try Coverage(namespace: account.namespace, name: account.name, shared, in: database)
        for reason in CoverageRenderer(coverage).readReasons { Console.current.error("whittle: note: \(reason)\n") }
    }

    /// Says what a reader of the rows should know about where they come from.
    private func tell(
        _ comparison: UsageComparison, _ needs: [DeclaredNeed], isUsageKnown: Bool, in database: WhittleDatabase
    ) throws {
        let console = Console.current
        let account = comparison.account
        if try !database.exists(kind: "ServiceAccount", namespace: account.namespace, name: account.name) {
            console.error(
                "whittle: warning: \(AnalysisError.unknown(kind: "ServiceAccount", namespace: account.namespace, name: account.name))\n")
        }
        if !isUsageKnown {
            console.error("whittle: note: the database holds no usage; compared is what is declared with what is granted\n")
        } else if !comparison.hasUsage {
            console.error("whittle: note: no request of ServiceAccount \(account.namespace)/\(account.name) was seen in the logs\n")
        }
        let others = Set(needs.filter { !$0.concerns(account) }.compactMap(\.serviceAccount))
        if !others.isEmpty {
            let names = others.map { "\($0.namespace)/\($0.name)" }.sorted(by: bytesPrecede)
            console.error("whittle: note: also declared, for other accounts: \(names.joined(separator: ", "))\n")
        }
    }
}
