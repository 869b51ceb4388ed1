import ArgumentParser
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleStore

/// The version that `whittle --version` and load runs tell.
package let whittleVersion = "0.1.0"

/// The root command.
package struct WhittleCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "whittle",
        abstract: "Who can do what in a Kubernetes cluster, what is used of it, and the Role that is enough.",
        discussion: """
            Exit status: 0 yes, clean or done; 1 no, nobody, findings or not proven; 2 could not judge (bad or missing input); \
            64 usage.
            """,
        version:
            "whittle \(whittleVersion) (schema \(WhittleDatabase.schemaVersion), catalogue Kubernetes \(ResourceCatalogue.builtInVersion))",
        groupedSubcommands: [
            CommandGroup(name: "Load:", subcommands: [LoadCommand.self]),
            CommandGroup(
                name: "Ask:",
                subcommands: [
                    WhoCanCommand.self, CanICommand.self, PermissionsCommand.self, BindingsCommand.self, ReportCommand.self,
                    DiffCommand.self, QueryCommand.self,
                ]),
            CommandGroup(
                name: "Least privilege:",
                subcommands: [
                    UsageCommand.self, CoverageCommand.self, UnusedCommand.self, DeclaredCommand.self, CompareCommand.self,
                    ProposeCommand.self, VerifyCommand.self,
                ]),
        ])

    package init() {}

    /// Runs a command line and tells the exit status.
    package static func run(_ arguments: [String], console: Console = .standard) -> Int32 {
        Console.$current.withValue(console) {
            do {
                var command = try parseAsRoot(arguments)
                try command.run()
                return WhittleExitCode.yes.rawValue
            } catch let failure as CommandFailure {
                if !failure.message.isEmpty { console.error("whittle: error: \(failure.message)\n") }
                return failure.code.rawValue
            } catch let error as IngestError {
                console.error("whittle: error: \(error)\n")
                return WhittleExitCode.couldNotJudge.rawValue
            } catch let error as AnalysisError {
                console.error("whittle: error: \(error)\n")
                return WhittleExitCode.couldNotJudge.rawValue
            } catch let error as StoreError {
                console.error("whittle: error: \(error)\n")
                switch error {
                case .unknownQuery, .parameter: return WhittleExitCode.usage.rawValue
                default: return WhittleExitCode.couldNotJudge.rawValue
                }
            } catch {
                let text = fullMessage(for: error)
                let code = exitCode(for: error)
                if !text.isEmpty { (code.isSuccess ? console.output : console.error)(text + "\n") }
                return code.rawValue
            }
        }
    }
}
