import Dispatch
import Foundation
import WhittleStore

/// Ends the process cleanly when it is interrupted: no half-written file, no half-written progress line.
package enum Interruption {
    /// Handles SIGINT and SIGTERM from now on; the exit status is 128 + the signal, as the shell expects.
    package static func handle() {
        // A file that grows beyond its limit is an error of the write, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler {
                UnfinishedFiles.deleteAll()
                if isatty(2) == 1 { write(2, "\r\u{1B}[K", 4) }
                _exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Kept for the life of the process; written once, before anything else runs.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []
}
