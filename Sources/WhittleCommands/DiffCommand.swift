import ArgumentParser
import Foundation
import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two inputs or databases by what each subject may do.",
        discussion: "Exit status: 0 the same (also when rules were only rewritten), 1 different, 2 could not judge.")

    @Argument(help: "The earlier state: a file, directory or database.")
    var old: String

    @Argument(help: "The later state.")
    var new: String

    @Flag(help: "Do not assume the default ClusterRoles and bindings that an input refers to but does not contain.")
    var noDefaults = false

    @OptionGroup var format: OutputOptions

    func run() throws {
        let (before, after) = (try open(old), try open(new))
        for database in [before, after] {
            let missing = try database.completeness().missingKinds(forNamespace: nil)
            if !missing.isEmpty { throw couldNotJudge(missing) }
        }
        let difference = GrantDifference(old: try before.authorizer(), new: try after.authorizer())
        try format.write(difference.table, difference.document, from: before, after)
        if difference.isDifferent { throw CommandFailure("", code: .no) }
    }

    private func open(_ path: String) throws -> WhittleDatabase {
        if let handle = FileHandle(forReadingAtPath: path), let head = try? handle.read(upToCount: 15),
            head == Data("SQLite format 3".utf8)
        {
            return try WhittleDatabase.open(path)
        }
        let state = try ManifestLoader(usesDefaults: !noDefaults).load([path])
        DiagnosticReport.write(state.diagnostics)
        guard state.objectCount > 0 else { throw CommandFailure("no Kubernetes objects that RBAC needs in \(path)") }
        return try WhittleDatabase.inMemory(state)
    }
}
