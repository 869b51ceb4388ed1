import Foundation
import WhittleIngest
import WhittleModel

/// What reading a log, or the states of one that grows, came to.
struct Reading {
    var log = UsageFold.Log(path: "")
    var usage: [UsageKey: UsageCount] = [:]
    var implied: [ImpliedNeed: UsageCount] = [:]
    var flags: [UsageFlag: UsageCount] = [:]
    var diagnostics = 0
    var rejected = 0
    /// Of the last state.
    var unfinished = 0

    /// - Parameter states: contents of the file, one after the other.
    init(_ states: [[UInt8]], in file: LogFile, threads: Int = 1, lineLimit: Int = 32 << 20) {
        var options = AuditLogReader.Options()
        options.threads = threads
        options.lineLimit = lineLimit
        let reader = AuditLogReader(options: options)
        var shown = 0
        reader.onReject = { _, _ in shown += 1 }
        for state in states {
            file.write(state)
            do {
                let (log, unfinished) = try reader.read("audit.log", descriptor: file.descriptor) { _ in }
                self.unfinished = unfinished
                add(log)
            } catch {
                // Damage before the first byte.
                guard error is IngestError else { preconditionFailure("an error of another kind: \(error)") }
            }
            if let fold = reader.take() { add(fold) }
        }
        rejected = shown
    }

    private mutating func add(_ part: UsageFold.Log) {
        log.byteCount = part.byteCount
        log.lineCount = part.lineCount
        log.events += part.events
        log.requests += part.requests
        log.receivedOnly += part.receivedOnly
        log.ignored += part.ignored
        log.undecided += part.undecided
        log.repeated += part.repeated
        log.firstEvent = [log.firstEvent, part.firstEvent].compactMap { $0 }.min()
        log.lastEvent = [log.lastEvent, part.lastEvent].compactMap { $0 }.max()
        log.minutes.formUnion(part.minutes)
        log.rejects.merge(part.rejects, uniquingKeysWith: +)
        log.envelopes.merge(part.envelopes, uniquingKeysWith: +)
        log.levels.merge(part.levels, uniquingKeysWith: +)
        log.stages.merge(part.stages, uniquingKeysWith: +)
        log.decisions.merge(part.decisions, uniquingKeysWith: +)
    }

    private mutating func add(_ fold: UsageFold) {
        func sum(_ left: UsageCount, _ right: UsageCount) -> UsageCount {
            var sum = left
            sum.add(right)
            return sum
        }
        usage.merge(fold.usage, uniquingKeysWith: sum)
        implied.merge(fold.implied, uniquingKeysWith: sum)
        flags.merge(fold.flags, uniquingKeysWith: sum)
        diagnostics += fold.diagnostics.count
    }

    /// Whether the same facts were found as often and at the same times.
    func hasSameFacts(as other: Reading) -> Bool { usage == other.usage && implied == other.implied && flags == other.flags }
}
