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
