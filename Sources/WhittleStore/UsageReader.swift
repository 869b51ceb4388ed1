import Foundation
import GRDB
import WhittleModel

extension WhittleDatabase {
    /// All usage as one fold, the inverse of `add`: facts in the order of their ids, the logs they came from, no window.
    public func usage() throws(StoreError) -> UsageFold {
        try attempt { database in
            var reader = UsageReader()
            try reader.read(database)
            return reader.fold
        }
    }
}

private struct UsageReader {
    var fold = UsageFold()
    private var places: [ByteString: Int32] = [ByteString(""): 0]

    private mutating func text(_ text: String) -> Int32 {
        if let place = places[ByteString(text)] { return place }
        let place = Int32(fold.texts.count)
        fold.texts.append(text)
        places[ByteString(text)] = place
        return place
    }

    private static func split(_ resource: String) -> (resource: String, subresource: String) {
        guard let slash = resource.utf8.firstIndex(of: UInt8(ascii: "/")) else { return (resource, "") }
        return (String(resource[..<slash]), String(resource[resource.utf8.index(after: slash)...]))
    }

    mutating func read(_ database: Database) throws {
        try readFacts(database)
        try readDays(database)
        try readOthers(database)
        for row in try Row.fetchAll(database, sql: "SELECT * FROM checkpoint ORDER BY checkpoint_id") { fold.logs.append(Self.log(row)) }
    }

    private mutating func target(_ fact: inout UsageFact, _ group: String?, _ resource: String?, _ url: String?) {
        if let url {
            fact.apiGroup = -1
            fact.resource = text(url)
        } else {
            let (resource, subresource) = Self.split(resource ?? "")
            fact.apiGroup = text(group ?? "")
            (fact.resource, fact.subresource) = (text(resource), text(subresource))
        }
    }

    private mutating func readFacts(_ database: Database) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT i.name, m.name, c.namespace, c.pod, c.pod_uid, g.user_agent, a.verb, a.api_group, a.resource, a.url, n.name, o.name,
                  r.reason, u.decision, u.code_class, u.count, u.started, u.first_seen, u.last_seen, c.address
                FROM usage AS u CROSS JOIN identity AS i ON i.identity_id = u.identity_id
                CROSS JOIN identity AS m ON m.identity_id = u.impersonator_id
                CROSS JOIN caller AS c ON c.caller_id = u.caller_id CROSS JOIN agent AS g ON g.agent_id = u.agent_id
                CROSS JOIN atom AS a ON a.atom_id = u.atom_id CROSS JOIN namespace AS n ON n.namespace_id = u.namespace_id
                CROSS JOIN object_name AS o ON o.object_name_id = u.object_name_id CROSS JOIN reason AS r ON r.reason_id = u.reason_id
                ORDER BY u.usage_id
                """)
        while let row = try rows.next() {
            var fact = UsageFact()
            fact.user = text(row[0])
            fact.impersonator = text(row[1])
            (fact.podNamespace, fact.pod, fact.podUID) = (text(row[2]), text(row[3]), text(row[4]))
            fact.address = text(row[19])
            fact.userAgent = text(row[5])
            fact.verb = text(row[6])
            target(&fact, row[7], row[8], row[9])
            (fact.namespace, fact.name, fact.reason) = (text(row[10]), text(row[11]), text(row[12]))
            fact.decision = Int32(UsageKey.Decision(rawValue: row[13]).flatMap(UsageKey.Decision.allCases.firstIndex) ?? 2)
            fact.codeClass = row[14]
            var count = UsageCount()
            (count.started, count.firstSeen, count.lastSeen) = (row[16], row[17], row[18])
            fold.facts.append(fact)
            fold.counts.append(count)
        }
    }

    private mutating func readDays(_ database: Database) throws {
        let ids = try Int64.fetchAll(database, sql: "SELECT usage_id FROM usage ORDER BY usage_id")
        let rows = try Row.fetchCursor(database, sql: "SELECT usage_id, day, count FROM usage_day ORDER BY usage_id, day")
        var place = 0
        while let row = try rows.next() {
            let id: Int64 = row[0]
            while place < ids.count, ids[place] < id { place += 1 }
            if place < ids.count, ids[place] == id { fold.counts[place].add(requests: row[2], ofDay: row[1]) }
        }
    }

    private static func count(_ row: Row, from column: Int) -> UsageCount {
        var count = UsageCount()
        count.add(requests: row[column], ofDay: 0)
        (count.firstSeen, count.lastSeen) = (row[column + 1], row[column + 2])
        return count
    }

    private mutating func readOthers(_ database: Database) throws {
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT i.name, a.verb, a.api_group, a.resource, a.url, n.name, o.name, d.cause, d.decision, d.count, d.first_seen, d.last_seen
                FROM implied_need AS d JOIN identity AS i ON i.identity_id = d.identity_id JOIN atom AS a ON a.atom_id = d.atom_id
                JOIN namespace AS n ON n.namespace_id = d.namespace_id JOIN object_name AS o ON o.object_name_id = d.object_name_id
                """)
        {
            let (resource, subresource) = Self.split(row[3] ?? "")
            let request =
                (row[4] as String?).map { Request(verb: row[1], path: $0) }
                ?? Request(
                    verb: row[1], apiGroup: row[2] ?? "", resource: resource, subresource: subresource, namespace: row[5], name: row[6])
            guard let cause = ImpliedNeed.Cause(rawValue: row[7]) else { continue }
            fold.implied[ImpliedNeed(user: row[0], request: request, cause: cause, isAllowed: row[8] == "allow")] = Self.count(row, from: 9)
        }
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT i.name, f.flag, f.count, f.first_seen, f.last_seen FROM usage_flag AS f JOIN identity AS i ON i.identity_id = f.identity_id
                """)
        {
            fold.flags[UsageFlag(user: row[0], flag: row[1])] = Self.count(row, from: 2)
        }
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT i.name, a.verb, a.api_group, a.resource, a.url FROM names_dropped AS d JOIN identity AS i ON i.identity_id = d.identity_id
                JOIN atom AS a ON a.atom_id = d.atom_id
                """)
        {
            var fact = UsageFact()
            fact.user = text(row[0])
            fact.verb = text(row[1])
            target(&fact, row[2], row[3], row[4])
            fold.withoutNames.insert(fact)
        }
    }

    private static func log(_ row: Row) -> UsageFold.Log {
        func counts(_ column: String) -> [String: Int] {
            let text: String = row[column]
            return (try? JSONDecoder().decode([String: Int].self, from: Data(text.utf8))) ?? [:]
        }
        var log = UsageFold.Log(path: row["path"])
        (log.byteCount, log.lineCount, log.digest) = (row["byte_count"], row["line_count"], row["sha256"])
        (log.head, log.skipped) = (row["head"], row["skipped"])
        (log.firstEvent, log.lastEvent) = (row["first_event"], row["last_event"])
        (log.events, log.requests, log.receivedOnly) = (row["events"], row["requests"], row["received_only"])
        (log.ignored, log.undecided, log.repeated) = (row["ignored"], row["undecided"], row["repeated"])
        (log.envelopes, log.rejects, log.levels) = (counts("envelopes"), counts("rejects"), counts("levels"))
        (log.stages, log.decisions) = (counts("stages"), counts("decisions"))
        let spans: String = row["spans"]
        for span in (try? JSONDecoder().decode([[Int64]].self, from: Data(spans.utf8))) ?? [] where span.count == 2 && span[0] <= span[1] {
            log.minutes.formUnion(span[0]...span[1])
        }
        return log
    }
}
