import ArgumentParser
import Foundation
import Logging
import WhittleIngest
import WhittleModel
import WhittleStore

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Read manifests and dumps into a database.",
        discussion: """
            Reads YAML and JSON: manifests, `kubectl get … -o json|yaml` dumps, discovery documents. Replaces the inventory of \
            the database; usage in it is kept. Objects without a namespace go to --namespace.
            """)

    @Argument(help: "Files and directories (searched for .yaml, .yml, .json); - is standard input.")
    var paths: [String]

    @Option(name: [.short, .customLong("output")], help: "Database to write (default: $WHITTLE_DB, then ./whittle.db).")
    var output: String?

    @Option(name: .long, help: .hidden)
    var db: String?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of objects that name none.")
    var namespace = "default"

    @Option(help: "Name of the cluster; inputs of another cluster are refused as long as the file holds usage.")
    var cluster: String?

    @Flag(help: "Drop the usage in the file.")
    var fresh = false

    @Flag(help: "Exit with 2 when any document was bad.")
    var strict = false

    @Flag(help: "Do not assume the default ClusterRoles and bindings that the input refers to but does not contain.")
    var noDefaults = false

    @Flag(name: [.short, .long], help: "Say more: notes, and what is done.")
    var verbose = false

    func validate() throws {
        if namespace.isEmpty { throw ValidationError("--namespace needs a name") }
    }

    func run() throws {
        let console = Console.current
        var logger = Logger(label: "whittle", factory: ConsoleLogHandler.init)
        logger.logLevel = verbose ? .debug : .warning
        let path = output ?? db ?? console.environment["WHITTLE_DB"] ?? "whittle.db"
        let progress = Progress("reading", isShown: console.showsProgress)
        let loader = ManifestLoader(
            defaultNamespace: namespace, usesDefaults: !noDefaults, progress: { progress.update($0, of: $1) })
        let state = try loader.load(paths)
        progress.finish()
        logger.debug("read \(state.sources.count) inputs")
        DiagnosticReport.write(state.diagnostics, withNotes: verbose)
        guard state.objectCount > 0 else {
            throw CommandFailure("nothing loaded: no Kubernetes objects that RBAC needs in \(paths.joined(separator: ", "))")
        }
        var options = WhittleDatabase.LoadOptions()
        options.clusterName = cluster
        options.isFresh = fresh
        options.toolVersion = whittleVersion
        options.catalogueVersion = ResourceCatalogue.builtInVersion
        options.loadedAt = Int64(Date().timeIntervalSince1970 * 1_000_000)
        // What was read is left to the end of the process: taking it apart object by object would cost as much as a query.
        progress.say("writing \(path)")
        defer { progress.finish() }
        _ = Unmanaged.passRetained(Kept(state))
        try WhittleDatabase.load(state, to: path, options: options)
        progress.finish()
        logger.debug("wrote \(path)")
        console.error(summary(of: state, path: path))
        if strict, state.diagnostics.contains(where: { $0.severity == .error }) {
            throw CommandFailure("some documents were bad (--strict)")
        }
    }

    private func summary(of state: ClusterState, path: String) -> String {
        func count(_ number: Int, _ one: String, _ many: String? = nil) -> String { "\(number) \(number == 1 ? one : many ?? one + "s")" }
        let roles = state.roles.count { !$0.isAssumed }
        let bindings = state.bindings.count { !$0.isAssumed }
        let assumed = state.roles.count - roles + state.bindings.count - bindings
        var lines = [
            "loaded \(count(roles, "role")), \(count(bindings, "binding")), "
                + "\(count(state.serviceAccounts.count, "service account")), \(count(state.pods.count, "pod")), "
                + "\(count(state.workloads.count, "workload")) from \(count(state.sources.count, "input")) into \(path)"
        ]
        if assumed > 0 {
            lines.append(
                "assumed \(count(assumed, "default role or binding", "default roles and bindings")) of Kubernetes \(ResourceCatalogue.builtInVersion)"
            )
        }
        let skipped = state.skipped.values.reduce(0, +)
        if skipped > 0 || state.notObjects > 0 {
            let kinds = state.skipped.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .prefix(5).map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            lines.append(
                "skipped \(count(skipped, "object")) of other kinds\(kinds.isEmpty ? "" : " (\(kinds)\(state.skipped.count > 5 ? ", …" : ""))"), \(count(state.notObjects, "document that is no object", "documents that are no objects"))"
            )
        }
        let errors = state.diagnostics.filter { $0.severity == .error }.count
        let warnings = state.diagnostics.filter { $0.severity == .warning }.count
        if errors + warnings > 0 { lines.append("\(count(errors, "error")), \(count(warnings, "warning"))") }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// A value that is never freed.
private final class Kept<Value> {
    private let value: Value

    init(_ value: Value) { self.value = value }
}

/// Log messages on the console's standard error.
struct ConsoleLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    init(label: String) {}

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        Console.current.error("whittle: \(event.level): \(event.message)\n")
    }
}

/// A line on a terminal's standard error that tells how far long work is; nothing for work under a second.
final class Progress: @unchecked Sendable {
    private let title: String
    private let isShown: Bool
    private let console = Console.current
    private let start = Date()
    private var lastUpdate = Date.distantPast
    private var hasWritten = false

    init(_ title: String, isShown: Bool) {
        self.title = title
        self.isShown = isShown
    }

    func update(_ done: Int, of total: Int? = nil) {
        guard isShown else { return }
        let now = Date()
        guard now.timeIntervalSince(start) > 1, now.timeIntervalSince(lastUpdate) > 0.2 else { return }
        lastUpdate = now
        hasWritten = true
        let share = total.map { $0 > 0 ? " (\(done * 100 / $0) %)" : "" } ?? ""
        console.showStatus(["\(title): \(done / 1_000_000) MB\(share)"])
    }

    /// Says what is done now, if the work has taken long so far.
    func say(_ text: String) {
        guard isShown, Date().timeIntervalSince(start) > 1 else { return }
        hasWritten = true
        console.showStatus([text])
    }

    func finish() {
        if hasWritten { console.clearStatus() }
        hasWritten = false
    }
}
