import ArgumentParser
import Dispatch
import Foundation
import Synchronization
import WhittleIngest
import WhittleStore

/// Ends the process cleanly when it is interrupted: no half-written file, no half-written progress line.
package enum Interruption {
    /// Handles SIGINT, SIGTERM and SIGHUP from now on; the exit status is 128 + the signal, as the shell expects.
    package static func handle() {
        // A file that grows beyond its limit is an error of the write, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        // Whoever is told to outlive its terminal does.
        var hangup = sigaction()
        sigaction(SIGHUP, nil, &hangup)
        let outlives = unsafeBitCast(hangup.__sigaction_handler.sa_handler, to: Int.self) == 1
        for number in outlives ? [SIGINT, SIGTERM] : [SIGINT, SIGTERM, SIGHUP] {
            // Not ignored, as elsewhere with sources: on Linux the source sets a handler, and until then a signal ends the process.
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler {
                if EndOfInput.isAwaited, EndOfInput.signal == nil {
                    EndOfInput.set(number)
                    return
                }
                UnfinishedFiles.deleteAll()
                if isatty(2) == 1 { write(2, "\r\u{1B}[K", 4) }
                if let text = explanation.withLock({ $0 }) { Console.standard.error("whittle: interrupted; \(text)\n") }
                _exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Gives closed standard streams their places back, so that no other file gets them; to use them is an error as before.
    package static func keepStandardStreams() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
        }
    }

    /// From now on the first signal ends standard input, so that what was read is kept; the second ends the process.
    static func endInput() { EndOfInput.isAwaited = true }

    /// What an interruption means for the work at hand; `nil` = nothing that needs words.
    static func explain(_ text: String?) { explanation.withLock { $0 = text } }

    private static let explanation = Mutex<String?>(nil)

    /// Ends the command, everything being kept, when a signal has ended its input.
    static func end() throws { if let signal = EndOfInput.signal { throw ExitCode(128 + signal) } }

    /// Kept for the life of the process; written once, before anything else runs.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []
}
