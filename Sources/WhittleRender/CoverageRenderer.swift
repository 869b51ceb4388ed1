import WhittleAnalysis
import WhittleModel

/// The coverage statement of one service account, in words; the only place that words it.
public struct CoverageRenderer: Sendable {
    private let coverage: Coverage
    private let requirement: EvidenceRequirement

    /// - Parameter requirement: what "thin" is measured by.
    public init(_ coverage: Coverage, _ requirement: EvidenceRequirement = EvidenceRequirement()) {
        self.coverage = coverage
        self.requirement = requirement
    }

    private var account: String { "\(coverage.namespace)/\(coverage.name)" }

    /// Why the evidence is thin, one sentence each; empty = it is not.
    public var thinReasons: [String] { reasons { _ in true } }

    /// The same about reads, which is true of all accounts.
    public var readReasons: [String] { reasons(where: \.isAboutReads) }

    private func reasons(where isWanted: (Coverage.Thinness) -> Bool) -> [String] {
        coverage.thinness(requirement).filter(isWanted).map { reason in
            switch reason {
            case .noLogs: "no audit log was read"
            case .noRequests: "nothing of the account was seen"
            case .noAnswers: "only stage RequestReceived was logged, which proves nothing"
            case .noReads: "the logs hold no reads (get, list) of anybody, so what is only read seems unused"
            case .shortReads(let seconds, let days):
                "reads (get, list) of anybody were seen over \(Self.duration(seconds)), less than \(counted(days, "day")), so what is only read may seem unused"
            case .shortWindow(let seconds, let days): "the logs span \(Self.duration(seconds)), less than \(counted(days, "day"))"
            case .fewRequests(let count, let minimum):
                "\(counted(count, "allowed request")) of the account \(count == 1 ? "was" : "were") seen, less than \(minimum)"
            }
        }
    }

    /// What the statement says, by what it is about.
    private var facts: [(about: String, fact: String)] {
        var facts: [(String, String)] = []
        func add(_ about: String, _ fact: String) { facts.append((about, fact)) }
        let reasons = thinReasons
        if reasons.isEmpty { add("evidence", "enough") }
        for reason in reasons { add("evidence", "thin: \(reason)") }
        add("window", windowText)
        add("requests", requestsText)
        for gap in gapTexts { add("gaps", gap) }
        add("logs", logsText)
        for limit in limitTexts { add("logs", limit) }
        for fact in policyTexts { add("audit policy", fact) }
        for fact in startTexts { add("starts", fact) }
        for fact in coverage.invisible { add("no log shows", fact) }
        for hint in coverage.hints { add("hints", "\(hint.flag), \(counted(hint.count, "request"))") }
        if !coverage.droppedNames.isEmpty { add("names", "not kept of \(coverage.droppedNames.joined(separator: ", "))") }
        if !coverage.missingKinds.isEmpty { add("input", "lacks \(coverage.missingKinds.joined(separator: ", "))") }
        return facts
    }

    /// One row per fact.
    public var table: Table { Table(columns: ["about", "fact"], rows: facts.map { [$0.about, $0.fact] }) }

    /// One line per account, see `columns`.
    public var summary: [String] {
        [
            account, thinReasons.isEmpty ? "enough" : "thin", coverage.window.map { Self.duration($0.length / 1_000_000) } ?? "",
            coverage.window == nil ? "" : "\(coverage.gapPercent) %", "\(coverage.days)/\(coverage.windowDays)",
            String(coverage.requests.allowed), String(coverage.requests.refused),
            coverage.hasPolicy ? String(coverage.hiddenGrants.count) : "",
            startSummary, thinReasons.joined(separator: "; "),
        ]
    }

    /// A table of summaries.
    public static func summaryTable(_ summaries: [[String]]) -> Table {
        Table(
            columns: ["account", "evidence", "window", "gaps", "days", "allowed", "refused", "hiddenGrants", "starts", "why"],
            rows: summaries, wideColumns: ["gaps", "refused", "starts"])
    }

    /// Whether any log with an event was read.
    var hasEvents: Bool { coverage.window != nil }

    /// Window, gaps and whether it is thin, for a report; empty = no log was read.
    var report: [String] {
        guard coverage.window != nil else { return [] }
        let gaps = coverage.gaps.isEmpty ? gapTexts.map { "gaps: \($0)" } : ["gaps: \(coverage.gapPercent) % of the window"]
        return ["window: \(windowText)"] + gaps + (thinReasons.isEmpty ? ["enough"] : thinReasons.map { "thin: \($0)" })
    }

    /// Short lines for the comments of a proposal, without `#`; no line holds a line end.
    public var comments: [String] {
        var lines = ["evidence: \(windowText); \(requestsText)"]
        lines += thinReasons.map { "thin evidence: \($0)" }
        if !coverage.gaps.isEmpty { lines.append("gaps: \(coverage.gapPercent) % of the window") }
        lines += limitTexts
        if !coverage.hasPolicy {
            lines.append("audit policy not given: what it does not log looks unused")
        } else if !coverage.hiddenGrants.isEmpty {
            lines.append("the audit policy hides something of \(counted(coverage.hiddenGrants.count, "grant"))")
        }
        lines += startTexts.filter { !$0.hasSuffix("was seen") }.prefix(5)
        if !coverage.invisible.isEmpty { lines.append("rights that no log shows: see `whittle coverage sa/\(account)`") }
        // Whatever YAML takes for a line end would end the comment.
        return lines.map { line in
            String(
                String.UnicodeScalarView(
                    line.unicodeScalars.map { scalar in
                        switch scalar.properties.generalCategory {
                        case .control, .lineSeparator, .paragraphSeparator: " "
                        default: scalar
                        }
                    }))
        }
    }

    // MARK: Sentences

    private var windowText: String {
        guard let window = coverage.window else { return "no events" }
        return "\(TimeText.rfc3339(window.from)) to \(TimeText.rfc3339(window.to)), \(Self.duration(window.length / 1_000_000))"
    }

    private var requestsText: String {
        let requests = coverage.requests
        guard let seen = coverage.seen else { return "none of the account" }
        var parts = ["\(requests.allowed) allowed, \(requests.refused) refused, \(requests.undecided) undecided"]
        if requests.impersonated > 0 { parts.append("\(requests.impersonated) of these by somebody who impersonated it") }
        parts.append("on \(coverage.days) of \(counted(coverage.windowDays, "day"))")
        parts.append("\(TimeText.rfc3339(seen.from)) to \(TimeText.rfc3339(seen.to))")
        return parts.joined(separator: ", ")
    }

    private var gapTexts: [String] {
        guard coverage.window != nil else { return [] }
        guard coverage.logs.knowsGaps else { return ["not known: a log was read by an older version"] }
        guard !coverage.gaps.isEmpty else { return ["none of more than 10 minutes"] }
        let shown = coverage.gaps.prefix(5).map { "\(TimeText.rfc3339($0.from)) to \(TimeText.rfc3339($0.to))" }
        let more = coverage.gaps.count > 5 ? ["and \(coverage.gaps.count - 5) more"] : []
        return ["\(coverage.gapPercent) % of the window"] + shown + more
    }

    private var logsText: String {
        let logs = coverage.logs
        return
            "\(counted(logs.count, "log")), \(counted(logs.events, "event")), \(logs.rejected) unreadable; levels: \(Self.counts(logs.levels)); stages: \(Self.counts(logs.stages))"
            + (logs.envelopes.isEmpty ? "" : "; wrapped: \(Self.counts(logs.envelopes))")
    }

    private var limitTexts: [String] {
        coverage.logs.envelopes.keys.sorted().compactMap { envelope in
            AuditLimits.cannotCarry[envelope].map { "\(envelope) cannot carry: \($0.joined(separator: ", "))" }
        }
    }

    private var policyTexts: [String] {
        guard coverage.hasPolicy else { return ["not given: what it does not log looks unused"] }
        let hidden = coverage.hiddenGrants.filter { $0.visibility == .hidden }.map { "logs no request of `\($0.grant.text)`" }
        let partly = coverage.hiddenGrants.compactMap { item -> String? in
            guard case .partly(let examples, let count) = item.visibility else { return nil }
            let more = count > examples.count ? " and \(count - examples.count) more" : ""
            return "does not log all of `\(item.grant.text)`: not \(examples.joined(separator: ", "))\(more)"
        }
        let bodiless = coverage.bodilessGrants.map { "keeps no bodies of `\($0.text)`, which tell what more it needs" }
        let texts = Self.shortened(hidden) + Self.shortened(partly) + Self.shortened(bodiless)
        return texts.isEmpty ? ["logs every request that its grants allow"] : texts
    }

    /// Each once, the first ten and how many more; the document has all.
    private static func shortened(_ texts: [String]) -> [String] {
        let distinct = texts.uniqued()
        return distinct.prefix(10) + (distinct.count > 10 ? ["… and the same of \(distinct.count - 10) more grants"] : [])
    }

    private var startTexts: [String] {
        guard !coverage.starts.isEmpty else { return ["no pod of it is known"] }
        return coverage.starts.map { item in
            let pods = counted(item.pods, "pod")
            return switch item.start {
            case .seen: "a start of \(item.workload) (\(pods)) was seen"
            case .notSeen: "no start of \(item.workload) (\(pods)) was seen: what it needs only then is missing"
            case .unknown: "whether \(item.workload) (\(pods)) started in the window is not known"
            }
        }
    }

    private var startSummary: String {
        let counts = Dictionary(grouping: coverage.starts, by: \.start).mapValues(\.count)
        return [Coverage.Start.seen, .notSeen, .unknown].compactMap { start in counts[start].map { "\($0) \(start.rawValue)" } }
            .joined(separator: ", ")
    }

    private static func counts(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "not known"
            : counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key.isEmpty ? "not told" : $0.key)" }
                .joined(separator: ", ")
    }

    /// `11 days 3 hours`, in the two largest units.
    static func duration(_ seconds: Int64) -> String {
        let units: [(size: Int64, name: String)] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")]
        guard let first = units.firstIndex(where: { seconds >= $0.size }) else { return "0 seconds" }
        var parts = [counted(Int(seconds / units[first].size), units[first].name)]
        if first + 1 < units.count {
            let rest = seconds % units[first].size / units[first + 1].size
            if rest > 0 { parts.append(counted(Int(rest), units[first + 1].name)) }
        }
        return parts.joined(separator: " ")
    }

    // MARK: Document

    /// The statement as a document, see docs/json-output.md.
    public var document: JSONValue {
        let logs = coverage.logs
        let requests = coverage.requests
        return .members([
            "namespace": .string(coverage.namespace), "name": .string(coverage.name),
            "thin": .bool(!thinReasons.isEmpty), "thinBecause": .strings(thinReasons),
            "window": Self.span(coverage.window), "windowDays": .integer(coverage.windowDays),
            "gaps": .array(coverage.gaps.map { Self.span($0) }), "gapPercent": .integer(coverage.gapPercent),
            "gapsKnown": .bool(logs.knowsGaps),
            "seen": Self.span(coverage.seen), "days": .integer(coverage.days),
            "requests": .members([
                "allowed": .integer(requests.allowed), "refused": .integer(requests.refused), "undecided": .integer(requests.undecided),
                "impersonated": .integer(requests.impersonated),
            ]),
            "logs": .members([
                "count": .integer(logs.count), "events": .integer(logs.events), "rejected": .integer(logs.rejected),
                "levels": Self.object(logs.levels), "stages": Self.object(logs.stages), "envelopes": Self.object(logs.envelopes),
                "cannotCarry": .strings(limitTexts),
            ]),
            "auditPolicy": .bool(coverage.hasPolicy),
            "hiddenGrants": .array(coverage.hiddenGrants.map(Self.document)),
            "withoutBodies": .strings(coverage.bodilessGrants.map(\.text).uniqued()),
            "starts": .array(
                coverage.starts.map {
                    .members(["workload": .string($0.workload), "pods": .integer($0.pods), "start": .string($0.start.rawValue)])
                }),
            "invisible": .strings(coverage.invisible),
            "hints": .array(coverage.hints.map { .members(["flag": .string($0.flag), "count": .integer($0.count)]) }),
            "namesDropped": .strings(coverage.droppedNames),
            "complete": .bool(coverage.missingKinds.isEmpty), "missingKinds": .strings(coverage.missingKinds),
        ])
    }

    private static func document(_ item: Coverage.HiddenGrant) -> JSONValue {
        switch item.visibility {
        case .partly(let hidden, let count):
            .members([
                "request": .string(item.grant.text), "grant": item.grant.grant.document, "hidden": .string("partly"),
                "examples": .strings(hidden), "count": .integer(count),
            ])
        case .hidden, .visible:
            .members(["request": .string(item.grant.text), "grant": item.grant.grant.document, "hidden": .string("all")])
        }
    }

    private static func span(_ span: Coverage.Span?) -> JSONValue {
        guard let span else { return .null }
        return .members(["from": .string(TimeText.rfc3339(span.from)), "to": .string(TimeText.rfc3339(span.to))])
    }

    private static func object(_ counts: [String: Int]) -> JSONValue {
        .object(counts.sorted { bytesPrecede($0.key, $1.key) }.map { JSONValue.Member(key: $0.key, value: .integer($0.value)) })
    }
}
