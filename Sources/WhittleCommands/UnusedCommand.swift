import ArgumentParser
import WhittleAnalysis
import WhittleModel
import WhittleRender
import WhittleStore

extension UnusedGrants.Grade: ExpressibleByArgument {
    /// `too-young` beside `too young`, for a shell.
    public init?(argument: String) { self.init(rawValue: argument.replacing("-", with: " ")) }
    /// As a shell takes them.
    public static var allValueStrings: [String] { allCases.map { $0.rawValue.replacing(" ", with: "-") } }
}

struct UnusedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unused", abstract: "List what a service account is granted and no evidence needed, with how much that proves.",
        discussion: """
            Grants of bindings that name the account. Grades: strong; weak (short or gappy logs, evidence in doubt); too young \
            (granted while the logs ran); not visible (no use would have been logged). A rule counts as needed when it allows some request \
            that was made, whichever binding the server named. Exit status 1 when there are some.
            """)

    @OptionGroup var account: AccountOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var evidence: EvidenceOptions
    @OptionGroup var format: OutputOptions

    @Option(help: "Only this grade; may be given several times.")
    var grade: [UnusedGrants.Grade] = []

    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func run() throws {
        let database = try WhittleDatabase.open(db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db")
        let shared = try evidence.shared(in: database)
        guard shared.logs.window != nil else {
            throw CommandFailure("could not judge: the database holds no audit log; read some with `whittle usage load`")
        }
        if shared.isPolicyMissing {
            Console.current.error("whittle: note: no --audit-policy was given; what the policy does not log looks unused\n")
        }
        var found: [UnusedGrants] = []
        do {
            for account in try account.accounts(in: database) where matching.matches(namespace: account.namespace, name: account.name) {
                let coverage = try Coverage(namespace: account.namespace, name: account.name, shared, in: database)
                var unused = try UnusedGrants(coverage, shared, evidence.requirement, in: database)
                if !grade.isEmpty { unused.items.removeAll { !grade.contains($0.grade) } }
                found.append(unused)
            }
        } catch let error as AnalysisError {
            throw CommandFailure("\(error)")
        }
        guard !found.isEmpty else { throw CommandFailure("the input has no such service accounts") }
        let missing = try database.completeness().missingKinds(forNamespace: nil)
        let holds = found.contains { !$0.items.isEmpty }
        if !holds, !missing.isEmpty { throw couldNotJudge(missing) }
        warnIncomplete(missing)
        let renderer = UnusedGrantsRenderer(found.filter { !account.allNamespaces || !$0.items.isEmpty })
        format.write(renderer.table, renderer.document)
        if holds { throw CommandFailure("", code: .no) }
    }
}
