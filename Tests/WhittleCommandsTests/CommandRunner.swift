import Foundation
import Synchronization
import WhittleCommands
import WhittleTestSupport

/// What a command line wrote and ended with.
struct CommandResult {
    var output: String
    var errors: String
    var code: Int32
}

/// Runs a command line in this process, as a user would outside a terminal.
func whittle(_ arguments: String..., environment: [String: String] = [:]) -> CommandResult {
    whittle(arguments, environment: environment)
}

/// Runs a command line in this process, as a user would outside a terminal.
func whittle(_ arguments: [String], environment: [String: String] = [:]) -> CommandResult {
    final class Streams: Sendable {
        let output = Mutex("")
        let errors = Mutex("")
    }
    let streams = Streams()
    let code = WhittleCommand.run(
        arguments,
        console: Console(
            output: { text in streams.output.withLock { $0 += text } }, error: { text in streams.errors.withLock { $0 += text } },
            environment: environment))
    return CommandResult(output: streams.output.withLock { $0 }, errors: streams.errors.withLock { $0 }, code: code)
}

/// A folder with files that a test wrote.
struct Workspace: ~Copyable {
    let folder: Fixtures.TemporaryFolder

    init() throws { folder = try Fixtures.TemporaryFolder() }

    deinit { folder.remove() }

    func write(_ text: String, to name: String) throws -> String { try folder.write(text, to: name) }
    func file(_ name: String) -> String { folder.file(name) }
}

/// Runs the built binary in a shell, because limits, standard input and signals belong to a process.
enum Shell {
    struct Missing: Error { var path: String }

    /// Runs a script; `whittle` and `$WHITTLE` are the binary, `whittle.db` of the folder is the database.
    static func result(of script: String, in folder: String) throws -> CommandResult {
        let binaries = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path
        guard FileManager.default.isExecutableFile(atPath: "\(binaries)/whittle") else { throw Missing(path: "\(binaries)/whittle") }
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = URL(filePath: folder)
        process.environment = ["PATH": "\(binaries):/usr/bin:/bin", "WHITTLE": "\(binaries)/whittle"]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let more = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return CommandResult(output: text, errors: more, code: process.terminationStatus)
    }

    /// What a script prints, standard error included.
    static func run(_ script: String, in folder: String) throws -> String { try result(of: "{ \(script)\n} 2>&1", in: folder).output }
}
