import WhittleModel

/// Usage as NDJSON, see docs/audit-logs.md: one record a line, the last one says how many there are.
public enum UsageExport {
    /// The version of the format.
    public static let version = 1

    /// Hands out the lines one by one, each with its line feed; records of a kind in the order of their bytes.
    public static func write(_ fold: UsageFold, _ line: (String) throws -> Void) rethrows {
        try line("{\"whittle\":\"usage\",\"version\":\(version)}\n")
        var count = 0
        func records(_ texts: [String]) throws {
            for text in texts.sorted(by: bytesPrecede) {
                try line(text + "\n")
                count += 1
            }
        }
        try records(fold.logs.map { object([("log", log($0))]) })
        try records(fold.withoutNames.map { object([("namesDropped", request(fold.key($0).request, user: fold.key($0).user))]) })
        try records(zip(fold.facts, fold.counts).map { object([("fact", fact(fold.key($0), $1))]) })
        try records(fold.implied.map { object([("implied", need($0.key, $0.value))]) })
        try records(fold.flags.map { object([("flag", flag($0.key, $0.value))]) })
        try line("{\"end\":\(count)}\n")
    }

    private static func object(_ members: [(String, String)]) -> String {
        "{" + members.map { "\(jsonQuoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
    }

    /// Texts; those that are empty are left out.
    private static func texts(_ members: [(String, String)]) -> [(String, String)] {
        members.filter { !$0.1.isEmpty }.map { ($0.0, jsonQuoted($0.1)) }
    }

    private static func object(_ counts: [String: Int]) -> String {
        object(counts.sorted { bytesPrecede($0.key, $1.key) }.map { ($0.key, String($0.value)) })
    }

    private static func request(_ request: Request, user: String) -> String {
        if let path = request.path { return object(texts([("user", user), ("verb", request.verb)]) + [("path", jsonQuoted(path))]) }
        return object(
            texts([("user", user), ("verb", request.verb), ("apiGroup", request.apiGroup)]) + [("resource", jsonQuoted(request.resource))]
                + texts([("subresource", request.subresource), ("namespace", request.namespace), ("name", request.name)]))
    }

    private static func fact(_ key: UsageKey, _ count: UsageCount) -> String {
        var days: [(String, String)] = []
        count.forEachDay { days.append((String($0), String($1))) }
        let members =
            [("request", request(key.request, user: key.user))]
            + texts([
                ("impersonator", key.impersonator), ("podNamespace", key.podNamespace), ("pod", key.pod), ("podUID", key.podUID),
                ("address", key.address),
                ("userAgent", key.userAgent), ("reason", key.reason), ("decision", key.decision.rawValue),
            ]) + [
                ("codeClass", String(key.codeClass)), ("started", String(count.started)), ("firstSeen", String(count.firstSeen)),
                ("lastSeen", String(count.lastSeen)), ("days", object(days)),
            ]
        return object(members)
    }

    private static func totals(_ count: UsageCount) -> [(String, String)] {
        [("count", String(count.count)), ("firstSeen", String(count.firstSeen)), ("lastSeen", String(count.lastSeen))]
    }

    private static func need(_ need: ImpliedNeed, _ count: UsageCount) -> String {
        object(
            [
                ("request", request(need.request, user: need.user)), ("cause", jsonQuoted(need.cause.rawValue)),
                ("allowed", String(need.isAllowed)),
            ]
                + totals(count))
    }

    private static func flag(_ flag: UsageFlag, _ count: UsageCount) -> String {
        object(texts([("user", flag.user), ("flag", flag.flag)]) + totals(count))
    }

    private static func state(_ state: UsageFold.Log.State) -> String {
        object([
            ("digest", jsonQuoted(state.digest)), ("byteCount", String(state.byteCount)), ("lineCount", String(state.lineCount)),
        ])
    }

    private static func log(_ log: UsageFold.Log) -> String {
        var spans: [(Int64, Int64)] = []
        for minute in log.minutes.sorted() {
            if let last = spans.last, minute - last.1 <= 10 { spans[spans.count - 1].1 = minute } else { spans.append((minute, minute)) }
        }
        return object(
            texts([("path", log.path), ("digest", log.digest), ("head", log.head)]) + [
                ("byteCount", String(log.byteCount)), ("lineCount", String(log.lineCount)), ("events", String(log.events)),
                ("requests", String(log.requests)), ("receivedOnly", String(log.receivedOnly)), ("ignored", String(log.ignored)),
                ("undecided", String(log.undecided)), ("repeated", String(log.repeated)), ("skipped", String(log.skipped)),
                ("rejects", object(log.rejects)),
                ("envelopes", object(log.envelopes)), ("levels", object(log.levels)), ("stages", object(log.stages)),
                ("decisions", object(log.decisions)),
                ("spans", "[" + spans.map { "[\($0.0),\($0.1)]" }.joined(separator: ",") + "]"),
            ] + (log.earlier.isEmpty ? [] : [("earlier", "[" + log.earlier.map(state).joined(separator: ",") + "]")])
                + [("firstEvent", log.firstEvent), ("lastEvent", log.lastEvent)].compactMap { name, time in time.map { (name, String($0)) }
                })
    }
}
