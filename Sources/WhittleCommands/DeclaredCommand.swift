import ArgumentParser
import WhittleIngest
import WhittleModel
import WhittleRender

extension ControllerGen: ExpressibleByArgument {}

struct DeclaredCommand: ParsableCommand {
    /// How declarations are written.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case yaml, json, table, wide, csv, markdown
    }

    static let configuration = CommandConfiguration(
        commandName: "declared", abstract: "List what authors declare that service accounts need.",
        discussion: """
            Reads Go source with +kubebuilder:rbac markers (a .go file, a folder with all below it, DIR/...), ClusterServiceVersions, \
            Roles with their bindings, Needs lists, and requests as JSON lines. -o yaml writes for markers what controller-gen \
            writes. Exit status: 1 when nothing is declared, 2 when part of the input could not be read.
            """)

    @Argument(help: "Files and folders; - is standard input.")
    var paths: [String]

    @Option(name: .long, help: "Name of roles whose markers name none.")
    var roleName = "manager-role"

    @Option(name: .long, help: "Merge markers as controller-gen of v0.16 and later (current) or before (legacy).")
    var controllerGen: ControllerGen = .current

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of objects and accounts without one.")
    var namespace = "default"

    @Option(name: [.short, .customLong("output")], help: "yaml, json, table, wide, csv or markdown.")
    var output: Format = .table

    @Flag(help: "Leave out the header of tables.")
    var noHeaders = false

    func run() throws {
        let console = Console.current
        let declaration = try DeclaredUsage.read(
            paths,
            options: DeclaredUsage.Options(defaultNamespace: namespace, roleName: roleName, controllerGen: controllerGen))
        DiagnosticReport.write(declaration.diagnostics.ofDeclaration, withNotes: true)
        let isEmpty = declaration.items.isEmpty && declaration.markerRoles.isEmpty
        switch output {
        case .yaml:
            // Markers are written as the roles they make, everything else as roles with bindings.
            let others = declaration.items.filter { $0.origin != .marker }
            console.output(
                DeclaredRenderer.controllerGenYAML(declaration.markerRoles)
                    + DeclaredRenderer.manifests(others, roleName: roleName).map { "---\n" + $0.yaml }.joined())
        default:
            console.output(
                Output.render(
                    DeclaredRenderer.table(declaration.items),
                    DeclaredRenderer.document(
                        declaration.items, roles: declaration.markerRoles, isComplete: !declaration.isIncomplete,
                        declaration.diagnostics),
                    as: OutputFormat(rawValue: output.rawValue) ?? .table, hasHeader: !noHeaders, isColoured: console.isColoured))
        }
        if declaration.isIncomplete {
            throw CommandFailure("could not judge: part of the declaration could not be read; the rest is written")
        }
        if isEmpty { throw CommandFailure("nothing is declared in \(paths.joined(separator: ", "))", code: .no) }
    }
}

extension [Diagnostic] {
    /// Without notes about how rules are spelled, which `whittle load` gives.
    var ofDeclaration: [Diagnostic] {
        filter { $0.severity != .note || ["marker-ignored", "manifests-not-read", "declared-for-others"].contains($0.id) }
    }
}
