import ArgumentParser
import WhittleAnalysis
import WhittleModel
import WhittleRender
import WhittleStore

struct CoverageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coverage", abstract: "Tell what the audit logs could show of a service account, and what they could not.",
        discussion: """
            Window, gaps, levels and stages, what the audit policy cannot have logged, whether pods were seen to start, and what no \
            log shows. Exit status 1 when the evidence is too thin for taking rights away, 2 when there is none.
            """)

    @OptionGroup var account: AccountOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var evidence: EvidenceOptions
    @OptionGroup var format: OutputOptions

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func run() throws {
        let database = try WhittleDatabase.open(db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db")
        let shared = try evidence.shared(in: database)
        let coverages: [Coverage]
        do {
            coverages = try account.accounts(in: database).filter { matching.matches(namespace: $0.namespace, name: $0.name) }
                .map { try Coverage(namespace: $0.namespace, name: $0.name, shared, in: database) }
        } catch let error as AnalysisError {
            throw CommandFailure("\(error)")
        }
        guard !coverages.isEmpty else { throw CommandFailure("the input has no such service accounts") }
        let renderers = coverages.map { CoverageRenderer($0, evidence.requirement) }
        if account.allNamespaces {
            let table = CoverageRenderer.summaryTable(renderers.map(\.summary))
            format.write(table, .array(renderers.map(\.document)))
        } else if let renderer = renderers.first {
            try format.write(renderer.table, renderer.document, from: database)
        }
        guard coverages.contains(where: { $0.window != nil && $0.seen != nil }) else {
            throw CommandFailure(
                "could not judge: no usage\(account.allNamespaces ? "" : " of it") was seen; read audit logs with `whittle usage load`")
        }
        if coverages.contains(where: { $0.isThin(evidence.requirement) }) { throw CommandFailure("", code: .no) }
    }
}
