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
        try readDays(database, of: try readFacts(database))
        try readOthers(database)
        var earlier: [Int64: [UsageFold.Log.State]] = [:]
        for row in try Row.fetchAll(
            database, sql: "SELECT checkpoint_id, sha256, byte_count, line_count FROM earlier_checkpoint ORDER BY byte_count, sha256")
        {
            try earlier[row.at(0), default: []].append(
                UsageFold.Log.State(digest: row.at(1), byteCount: row.at(2), lineCount: row.at(3)))
        }
        for row in try Row.fetchAll(database, sql: "SELECT * FROM checkpoint ORDER BY checkpoint_id") {
            var log = try Self.log(row)
            log.earlier = try earlier[row.at("checkpoint_id")] ?? []
            fold.logs.append(log)
        }
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

    /// - Returns: the ids of the facts.
    private mutating func readFacts(_ database: Database) throws -> [Int64] {
        var ids: [Int64] = []
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT i.name, m.name, c.namespace, c.pod, c.pod_uid, g.user_agent, a.verb, a.api_group, a.resource, a.url, n.name, o.name,
                  r.reason, u.decision, u.code_class, u.usage_id, u.started, u.first_seen, u.last_seen, c.address
                FROM usage AS u CROSS JOIN identity AS i ON i.identity_id = u.identity_id
                CROSS JOIN identity AS m ON m.identity_id = u.impersonator_id
                CROSS JOIN caller AS c ON c.caller_id = u.caller_id CROSS JOIN agent AS g ON g.agent_id = u.agent_id
                CROSS JOIN atom AS a ON a.atom_id = u.atom_id CROSS JOIN namespace AS n ON n.namespace_id = u.namespace_id
                CROSS JOIN object_name AS o ON o.object_name_id = u.object_name_id CROSS JOIN reason AS r ON r.reason_id = u.reason_id
                ORDER BY u.usage_id
                """)
        while let row = try rows.next() {
            var fact = UsageFact()
            fact.user = try text(row.at(0))
            fact.impersonator = try text(row.at(1))
            (fact.podNamespace, fact.pod, fact.podUID) = try (text(row.at(2)), text(row.at(3)), text(row.at(4)))
            fact.address = try text(row.at(19))
            fact.userAgent = try text(row.at(5))
            fact.verb = try text(row.at(6))
            try target(&fact, row.at(7), row.at(8), row.at(9))
            (fact.namespace, fact.name, fact.reason) = try (text(row.at(10)), text(row.at(11)), text(row.at(12)))
            fact.decision = try Int32(UsageKey.Decision(rawValue: row.at(13)).flatMap(UsageKey.Decision.allCases.firstIndex) ?? 2)
            fact.codeClass = try row.at(14)
            var count = UsageCount()
            (count.started, count.firstSeen, count.lastSeen) = try (row.at(16), row.at(17), row.at(18))
            fold.facts.append(fact)
            fold.counts.append(count)
            ids.append(try row.at(15))
        }
        // Without the texts of some of them.
        guard try Int.fetchOne(database, sql: "SELECT count(*) FROM usage") == ids.count else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT)
        }
        return ids
    }

    private mutating func readDays(_ database: Database, of ids: [Int64]) throws {
        let rows = try Row.fetchCursor(database, sql: "SELECT usage_id, day, count FROM usage_day ORDER BY usage_id, day")
        var place = 0
        while let row = try rows.next() {
            let id: Int64 = try row.at(0)
            while place < ids.count, ids[place] < id { place += 1 }
            if place < ids.count, ids[place] == id {
                try fold.counts[place].add(requests: row.at(2), ofDay: row.at(1))
            }
        }
    }

    private static func count(_ row: Row, from column: Int) throws -> UsageCount {
        var count = UsageCount()
        try count.add(requests: row.at(column), ofDay: 0)
        (count.firstSeen, count.lastSeen) = try (row.at(column + 1), row.at(column + 2))
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
            let (resource, subresource) = try Self.split(row.at(3) ?? "")
            let path: String? = try row.at(4)
            let request =
                try path.map { Request(verb: try row.at(1), path: $0) }
                ?? Request(
                    verb: row.at(1), apiGroup: row.at(2) ?? "", resource: resource, subresource: subresource, namespace: row.at(5),
                    name: row.at(6))
            guard let cause = try ImpliedNeed.Cause(rawValue: row.at(7)) else { continue }
            let need = try ImpliedNeed(user: row.at(0), request: request, cause: cause, isAllowed: row.at(8) == "allow")
            fold.implied[need] = try Self.count(row, from: 9)
        }
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT i.name, f.flag, f.count, f.first_seen, f.last_seen FROM usage_flag AS f JOIN identity AS i ON i.identity_id = f.identity_id
                """)
        {
            try fold.flags[UsageFlag(user: row.at(0), flag: row.at(1))] = Self.count(row, from: 2)
        }
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT i.name, a.verb, a.api_group, a.resource, a.url FROM names_dropped AS d JOIN identity AS i ON i.identity_id = d.identity_id
                JOIN atom AS a ON a.atom_id = d.atom_id
                """)
        {
            var fact = UsageFact()
            fact.user = try text(row.at(0))
            fact.verb = try text(row.at(1))
            try target(&fact, row.at(2), row.at(3), row.at(4))
            fold.withoutNames.insert(fact)
        }
    }

    private static func log(_ row: Row) throws -> UsageFold.Log {
        func counts(_ column: String) throws -> [String: Int] {
            let text: String = try row.at(column)
            return (try? JSONDecoder().decode([String: Int].self, from: Data(text.utf8))) ?? [:]
        }
        var log = try UsageFold.Log(path: row.at("path"))
        (log.byteCount, log.lineCount, log.digest) = try (row.at("byte_count"), row.at("line_count"), row.at("sha256"))
        (log.head, log.skipped) = try (row.at("head"), row.at("skipped"))
        (log.firstEvent, log.lastEvent) = try (row.at("first_event"), row.at("last_event"))
        (log.events, log.requests, log.receivedOnly) = try (row.at("events"), row.at("requests"), row.at("received_only"))
        (log.ignored, log.undecided, log.repeated) = try (row.at("ignored"), row.at("undecided"), row.at("repeated"))
        (log.envelopes, log.rejects, log.levels) = try (counts("envelopes"), counts("rejects"), counts("levels"))
        (log.stages, log.decisions) = try (counts("stages"), counts("decisions"))
        let spans: String = try row.at("spans")
        for span in (try? JSONDecoder().decode([[Int64]].self, from: Data(spans.utf8))) ?? [] where span.count == 2 && span[0] <= span[1] {
            log.minutes.formUnion(span[0]...span[1])
        }
        return log
    }
}
