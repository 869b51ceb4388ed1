import ArgumentParser
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

extension OutputFormat: ExpressibleByArgument {}

/// How the answer is written.
struct OutputOptions: ParsableArguments {
    @Option(name: [.short, .customLong("output")], help: "table, wide, json, yaml, csv or markdown.")
    var output: OutputFormat = .table

    @Flag(help: "Leave out the header of tables.")
    var noHeaders = false

    /// Writes the answer that `databases` gave; JSON and YAML objects carry the diagnostics of their inputs.
    func write(_ table: Table, _ document: JSONValue, from databases: WhittleDatabase...) throws {
        let carries = output == .json || output == .yaml
        write(table, carries ? try document.with(databases.flatMap { try $0.diagnostics() }) : document)
    }

    func write(_ table: Table, _ document: JSONValue) {
        let console = Console.current
        console.output(
            Output.render(table, document, as: output, hasHeader: !noHeaders, isColoured: console.isColoured))
    }
}

/// What the question is asked of: a database, or inputs that are read for it.
struct InputOptions: ParsableArguments {
    @Option(name: .long, help: "Database made by `whittle load` (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    @Option(
        name: [.short, .customLong("filename")],
        help: "Manifests, dumps or directories to ask instead of a database; - is standard input.")
    var filename: [String] = []

    @Flag(help: "Do not assume the default ClusterRoles and bindings that the input refers to but does not contain.")
    var noDefaults = false

    /// The path of the database that is meant when no inputs are given.
    var databasePath: String { db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db" }

    func validate() throws {
        if db != nil, !filename.isEmpty { throw ValidationError("give either --db or -f, not both") }
    }

    /// Opens the database, or loads the inputs into one in memory; diagnostics go to standard error.
    ///
    /// - Parameter more: words that follow the question: with `-f a b` the shell's expansion of a pattern lands here.
    func open(namespace: String?, more: some Sequence<String> = []) throws -> WhittleDatabase {
        guard !filename.isEmpty else { return try WhittleDatabase.open(databasePath) }
        let state = try ManifestLoader(
            defaultNamespace: namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default", usesDefaults: !noDefaults
        ).load(filename + more)
        DiagnosticReport.write(state.diagnostics)
        guard state.objectCount > 0 else {
            throw CommandFailure("no Kubernetes objects that RBAC needs in \(filename.joined(separator: ", "))")
        }
        return try WhittleDatabase.inMemory(state)
    }
}

/// Diagnostics on standard error.
enum DiagnosticReport {
    /// Writes errors and warnings; notes too when asked for.
    static func write(_ diagnostics: [Diagnostic], withNotes: Bool = false) {
        for diagnostic in diagnostics where withNotes || diagnostic.severity != .note {
            Console.current.error(diagnostic.rendered)
        }
    }
}

/// The sentence for an answer that the input does not allow.
func couldNotJudge(_ missingKinds: [String]) -> CommandFailure {
    CommandFailure(
        "could not judge: the input lacks \(missingKinds.joined(separator: ", ")); the answer needs them")
}

/// Says what was found although the list may not be whole.
func warnIncomplete(_ missingKinds: [String]) {
    guard !missingKinds.isEmpty else { return }
    Console.current.error(
        "whittle: warning: the input lacks \(missingKinds.joined(separator: ", ")); there may be more\n")
}
