import Foundation
import PackagePlugin

/// Embeds text files into the target that uses it, so that the installed binary needs no files beside it.
///
/// `Queries/*.sql` go to WhittleQueries, `SQL/*.sql` to WhittleStore, `BuiltIn/*` to WhittleIngest.
@main
struct EmbedPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let folder: URL
        let enumName: String
        switch target.name {
        case "WhittleQueries":
            folder = context.package.directoryURL.appending(path: "Queries")
            enumName = "EmbeddedQueries"
        case "WhittleStore":
            folder = target.directoryURL.appending(path: "SQL")
            enumName = "EmbeddedSQL"
        case "WhittleIngest":
            folder = target.directoryURL.appending(path: "BuiltIn")
            enumName = "EmbeddedBuiltIn"
        default:
            return []
        }
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { !$0.lastPathComponent.hasPrefix(".") }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
        let output = context.pluginWorkDirectoryURL.appending(path: "\(enumName).swift")
        return [
            .buildCommand(
                displayName: "Embedding \(files.count) files into \(target.name)",
                executable: try context.tool(named: "WhittleEmbed").url,
                arguments: [output.path(), enumName] + files.map { $0.path() },
                inputFiles: files,
                outputFiles: [output]
            )
        ]
    }
}
