import Foundation
import WhittleModel

/// What holds of every log.
enum LogChecks {
    private static let file = LogFile()
    /// Small, so that the limit is met.
    private static let lineLimit = 2_048

    /// Every event and every byte is counted, in every way in which they are counted.
    static func checkCounts(of bytes: [UInt8]) -> Reading {
        let reading = Reading([bytes], in: file, lineLimit: lineLimit)
        let log = reading.log
        precondition(log.stages.values.reduce(0, +) == log.events, "every event has a stage")
        precondition(log.levels.values.reduce(0, +) == log.events, "every event has a level")
        let judged = log.events - log.repeated - log.receivedOnly
        precondition(log.decisions.values.reduce(0, +) == judged, "every event that is judged has a decision, if an empty one")
        let nothing = judged - log.requests - log.ignored - log.undecided
        precondition((0...log.rejected).contains(nothing), "every event that is judged counts as something or is rejected")
        precondition(log.envelopes.values.reduce(0, +) <= log.events, "what is in an envelope is an event")
        precondition(log.minutes.isEmpty == (log.events == 0))
        precondition(log.firstEvent ?? 0 <= log.lastEvent ?? 0)
        precondition(reading.usage.values.reduce(0) { $0 + $1.count } <= log.requests + log.undecided, "every fact is of a request")
        precondition(reading.diagnostics <= log.rejected)
        precondition(reading.unfinished >= 0)
        // Compressed logs and those in UTF-16 are counted as what they stand for.
        let starts: [[UInt8]] = [[0x1F, 0x8B], [0x28, 0xB5, 0x2F, 0xFD], [0xFF, 0xFE], [0xFE, 0xFF]]
        guard !starts.contains(where: { bytes.starts(with: $0) }) else { return reading }
        precondition(log.byteCount + reading.unfinished == bytes.count, "every byte is dealt with or waits")
        precondition(log.lineCount == bytes.prefix(log.byteCount).count { $0 == UInt8(ascii: "\n") }, "lines are counted")
        return reading
    }

    /// What was read is not read again.
    static func checkRepetition(of bytes: [UInt8], _ reading: Reading) {
        guard reading.unfinished == 0 else { return }
        let again = Reading([bytes, bytes], in: file, lineLimit: lineLimit)
        precondition(again.hasSameFacts(as: reading))
        // A compressed log is read to its end before anybody knows it.
        precondition(again.log.requests == reading.log.requests)
    }

    /// A log whose lines are values of their own is the same wherever it was cut when it was read first.
    static func checkGrowth(of bytes: [UInt8], cutAt place: UInt8) {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).filter(isValue)
        guard !lines.isEmpty else { return }
        let whole = lines.flatMap { Array($0) + [UInt8(ascii: "\n")] }
        let once = Reading([whole], in: file)
        let grown = Reading([Array(whole.prefix(whole.count * Int(place) / 256)), whole], in: file)
        precondition(once.unfinished == 0 && grown.unfinished == 0, "every line ends")
        precondition(once.log.requests == grown.log.requests, "every request counts once")
        precondition(once.log.rejects == grown.log.rejects)
        precondition(once.hasSameFacts(as: grown))
    }

    /// Whether a line is an object, and none whose meaning lines around it decide, or that is taken apart before it ends.
    private static func isValue(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.first == UInt8(ascii: "{"), line.last == UInt8(ascii: "}"),
            let object = (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any]
        else { return false }
        return !["log", "events", "logEvents", "records"].contains { object[$0] != nil }
    }

    /// Threads change nothing: the log is read twice, with so much between that each falls to a thread of its own.
    static func checkThreads(_ bytes: [UInt8]) {
        let log = bytes + [UInt8(ascii: "\n")] + between + bytes + [UInt8(ascii: "\n")]
        let one = Reading([log], in: file)
        let two = Reading([log], in: file, threads: 2)
        precondition(one.log == two.log, "threads change no count")
        precondition(one.unfinished == two.unfinished && one.rejected == two.rejected)
        precondition(one.hasSameFacts(as: two), "threads change no fact")
    }

    /// Events of which each is long and is read fast.
    private static let between: [UInt8] = (0..<9).flatMap { number in
        let body = String(repeating: "x", count: 1 << 16)
        return Array(
            """
            {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"between-\(number)","stage":"ResponseComplete",\
            "requestURI":"/api/v1/namespaces/shop/pods/cart-0","verb":"get","user":{"username":"alice"},"objectRef":{"resource":"pods",\
            "namespace":"shop","name":"cart-0","apiVersion":"v1"},"responseStatus":{"code":200},"responseObject":{"data":"\(body)"},\
            "requestReceivedTimestamp":"2026-03-01T10:00:00.000001Z","annotations":{"authorization.k8s.io/decision":"allow"}}

            """.utf8)
    }
}
