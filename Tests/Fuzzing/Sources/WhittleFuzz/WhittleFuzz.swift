import CLibFuzzer
import Foundation

/// Reads audit logs that libFuzzer makes up, in all the ways that must agree.
///
/// The first byte of an input says where the log is cut, and its last two bits what is checked beside the counts; the others are the
/// log.
@main
enum WhittleFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { start, count in
                let input = UnsafeBufferPointer(start: start, count: count)
                guard let control = input.first else { return 0 }
                let log = Array(input.dropFirst())
                let reading = LogChecks.checkCounts(of: log)
                switch control % 4 {
                case 0: LogChecks.checkThreads(log)
                case 1: LogChecks.checkRepetition(of: log, reading)
                default: LogChecks.checkGrowth(of: log, cutAt: control)
                }
                return 0
            })
    }
}
