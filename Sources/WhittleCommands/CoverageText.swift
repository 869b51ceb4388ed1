import WhittleIngest
import WhittleModel
import WhittleRender

/// What logs could show, in words.
enum CoverageText {
    static func summary(_ log: UsageFold.Log) -> String {
        let window = [log.firstEvent, log.lastEvent].compactMap { $0.map(TimeText.rfc3339) }.joined(separator: " to ")
        var parts = [
            "\(counted(log.requests, "request")) from \(counted(log.events, "event"))\(window.isEmpty ? "" : ", \(window)")",
            "\(log.undecided) undecided, \(log.ignored) refused before authorization, \(log.rejected) unreadable"
                + (log.rejects.isEmpty ? "" : " (\(counts(log.rejects)))"),
        ]
        if log.skipped > 0 { parts.append("\(log.skipped) of other logs") }
        if log.repeated > 0 { parts.append("\(log.repeated) read before") }
        if !log.envelopes.isEmpty { parts.append("wrapped: \(counts(log.envelopes))") }
        return parts.joined(separator: "; ")
    }

    /// Window, gaps, stages, levels, decisions, and what the wrappers cannot carry.
    ///
    /// - Parameters:
    ///   - isWhole: whether no part of the logs was read before; what lies between the parts is not known else.
    ///   - now: microseconds since 1970-01-01 UTC.
    static func lines(_ log: UsageFold.Log, logs: Int, isWhole: Bool, now: Int64) -> [String] {
        let gaps = isWhole ? gaps(log) : "what is new of them; `whittle coverage` tells the gaps of all"
        var lines = ["coverage: \(counted(logs, "log")), \(gaps)"]
        // Of what was read before the decisions were counted then.
        let decisions = log.repeated == log.events && log.decisions.isEmpty ? "" : "; decisions: \(counts(log.decisions))"
        lines.append("stages: \(counts(log.stages)); levels: \(counts(log.levels))\(decisions)")
        if log.stages.keys.allSatisfy({ $0 == "RequestReceived" }) {
            lines.append("no event tells an answer: only stage RequestReceived was logged, which proves nothing")
        }
        if let last = log.lastEvent, last > now + 86_400_000_000 {
            lines.append("the last event is of \(TimeText.rfc3339(last)), which is to come: a clock is wrong, there or here")
        }
        for envelope in log.envelopes.keys.sorted() {
            guard let missing = AuditFormats.cannotCarry[envelope] else { continue }
            lines.append("\(envelope) cannot carry: \(missing.joined(separator: ", "))")
        }
        return lines
    }

    private static func counts(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "none"
            : counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key.isEmpty ? "without" : $0.key)" }
                .joined(separator: ", ")
    }

    private static func gaps(_ log: UsageFold.Log) -> String {
        let sorted = log.minutes.sorted()
        let gaps = zip(sorted, sorted.dropFirst()).filter { $1 - $0 > 10 }
        guard !gaps.isEmpty else { return "no gap of more than 10 minutes" }
        // A minute begins before its first event.
        let first = log.firstEvent ?? .min
        let shown = gaps.prefix(3).map { "\(TimeText.rfc3339(max($0 * 60_000_000, first))) to \(TimeText.rfc3339($1 * 60_000_000))" }
        let more = gaps.count > 3 ? " and \(gaps.count - 3) more" : ""
        return "\(counted(gaps.count, "gap")) of more than 10 minutes: \(shown.joined(separator: ", "))\(more)"
    }
}
