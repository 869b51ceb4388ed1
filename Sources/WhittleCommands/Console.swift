import Foundation
import Synchronization
import WhittleRender

/// Where a command writes and what it is told by its surroundings; tests put their own in its place.
package struct Console: Sendable {
    /// Standard output.
    package var output: @Sendable (String) -> Void
    /// Standard error; what names of the input could do to a terminal is spelled out.
    package var error: @Sendable (String) -> Void
    private let status: @Sendable (String) -> Void
    /// Environment variables.
    package var environment: [String: String]
    /// Whether standard output is a terminal that shows colours.
    package var isColoured: Bool
    /// Whether standard error is a terminal on which a line can be written over, so that progress may be shown.
    package var showsProgress: Bool

    /// Characters in a line of the terminal that standard error is, as far as it tells.
    private var columns: Int {
        var size = winsize()
        if ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return environment["COLUMNS"].flatMap { Int($0) } ?? 80
    }

    /// Creates a console.
    package init(
        output: @escaping @Sendable (String) -> Void, error: @escaping @Sendable (String) -> Void,
        environment: [String: String] = [:], isColoured: Bool = false, showsProgress: Bool = false
    ) {
        self.output = output
        self.error = { error($0.printable(keepsLines: true)) }
        status = error
        self.environment = environment
        self.isColoured = isColoured
        self.showsProgress = showsProgress
    }

    /// Shows what goes on in the last line of the terminal, in place of what was shown there: the first parts that fit.
    func showStatus(_ parts: [String]) {
        var text = ""
        for part in parts {
            let longer = text.isEmpty ? part : "\(text), \(part)"
            // A line that is wrapped could not be written over.
            guard longer.count < columns else { break }
            text = longer
        }
        if text.isEmpty { text = String((parts.first ?? "").prefix(max(columns - 1, 1))) }
        status("\r\(text.printable())\u{1B}[K")
    }

    /// Takes away what `showStatus` has shown.
    func clearStatus() { status("\r\u{1B}[K") }

    /// The console of the running command.
    @TaskLocal package static var current = Console.standard

    /// The process's own streams.
    package static let standard: Console = {
        signal(SIGPIPE, SIG_IGN)
        return Console(
            output: { write($0, to: 1) }, error: { write($0, to: 2) }, environment: ProcessInfo.processInfo.environment,
            isColoured: isatty(1) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil,
            showsProgress: isatty(2) == 1 && !["", "dumb"].contains(ProcessInfo.processInfo.environment["TERM"] ?? ""))
    }()

    /// Streams whose reader has gone: nobody is left to tell, but the work goes on and its exit status is the true one.
    private static let closed = Mutex<Set<Int32>>([])

    /// Whether the reader of standard output has gone, so that long answers may end early.
    package static var isOutputClosed: Bool { closed.withLock { $0.contains(1) } }

    private static func write(_ text: String, to descriptor: Int32) {
        guard !closed.withLock({ $0.contains(descriptor) }) else { return }
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let written = Foundation.write(descriptor, bytes.baseAddress.map { $0 + start }, bytes.count - start)
                if written < 0, errno == EINTR { continue }
                // What is said beside the answer must not end the work.
                if written < 0, errno == EPIPE || descriptor == 2 {
                    _ = closed.withLock { $0.insert(descriptor) }
                    return
                }
                guard written > 0 else {
                    write("whittle: error: cannot write the answer: \(String(cString: strerror(errno)))\n", to: 2)
                    exit(WhittleExitCode.couldNotJudge.rawValue)
                }
                start += written
            }
        }
    }
}

/// Exit statuses, the same for every command.
package enum WhittleExitCode: Int32 {
    /// Yes, clean, done.
    case yes = 0
    /// No, nobody, findings, not proven.
    case no = 1
    /// Bad or missing input: no answer.
    case couldNotJudge = 2
    /// The command line was not understood.
    case usage = 64
}

/// A message for standard error and the status to end with.
struct CommandFailure: Error {
    var message: String
    var code: WhittleExitCode

    init(_ message: String, code: WhittleExitCode = .couldNotJudge) {
        self.message = message
        self.code = code
    }
}
