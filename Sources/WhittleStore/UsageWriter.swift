import Foundation
import GRDB
import WhittleModel

/// Adds usage facts to a database and carries them from an old one to a new one.
struct UsageWriter {
    private let database: Database
    private let writer: BulkWriter
    private let dictionaries: Dictionaries

    init(_ database: Database, _ writer: BulkWriter, _ dictionaries: Dictionaries) {
        self.database = database
        self.writer = writer
        self.dictionaries = dictionaries
    }

    /// The rows with id 0 of a new database.
    static func writeEmptyRows(_ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO caller VALUES (0, '', '', '', NULL, '');
                INSERT INTO agent VALUES (0, '');
                INSERT INTO reason VALUES (0, '', NULL, NULL, NULL);
                """)
    }

    /// Adds a fold; facts in a fixed order, so that equal logs give equal files.
    ///
    /// - Parameters:
    ///   - own: logs that were added through this connection, and those that are parts of longer ones now.
    ///   - view: what the reader of the logs knows, and what others have added since.
    ///   - window: the latest events, also of others.
    ///   - mayCountTwice: whether everything is added nevertheless.
    /// - Returns: `false` when another load has added all of these logs since they were read: there is nothing to do then.
    /// - Throws: `StoreError.overtaken` when it has added some of them: a log is counted once, and what a fold counts cannot be taken apart.
    func write(
        _ fold: UsageFold, _ order: Promise<FoldOrder>, maxNames: Int, own: Set<String>, view: UsageView, window: EventWindowState?,
        mayCountTwice: Bool
    ) throws -> Bool {
        var own = own
        var repeated = 0
        var overtaken: String?
        for log in fold.logs {
            if try isKnown(log.digest) {
                repeated += 1
                overtaken = log.path
            } else if let earlier = log.extendedDigest, !view.grown.contains(earlier),
                try !own.contains(earlier) && !isKnown(earlier)
            {
                overtaken = log.path
            }
            own.insert(log.digest)
        }
        if repeated > 0, repeated == fold.logs.count { return false }
        if !mayCountTwice, let log = overtaken ?? view.others?.meeting(fold, since: view.window) { throw StoreError.overtaken(log: log) }
        let facts = try FactWriter(database, writer, dictionaries, fold, order)
        let known = dictionaries.identityCount
        let windowWriter = try window.map { try EventWindowWriter(database, $0, replacing: view.stored) }
        try writer.pipelined {
            // First, because it is there at once.
            try windowWriter?.write(writer)
            try facts.writeTexts()
            try facts.writeFacts()
            for (need, count) in Self.sorted(fold.implied, by: \.sortText) { try facts.write(need, count) }
            for (flag, count) in Self.sorted(fold.flags, by: { [$0.user, $0.flag] }) { try facts.write(flag, count) }
            try writeMemberships(from: known)
        }
        let mayExceed = facts.mayExceedNames(maxNames)
        if mayExceed { try dropNames(beyond: maxNames) }
        if mayExceed || fold.flags.keys.contains(where: { $0.withoutName != nil }) { try dropFlagNames(beyond: maxNames) }
        for log in fold.logs { try CheckpointWriter(database).write(log) }
        try Self.resolveWorkloads(database)
        // Dictionaries too: a name table that counts as nearly empty is scanned once for each fact.
        try database.analyze()
        return true
    }

    private func isKnown(_ digest: String) throws -> Bool {
        try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE sha256 = ?)", arguments: [digest]) ?? false
    }

    /// Merges the facts of verbs and resources that have more names than are kept, or that some part had too many of.
    private func dropNames(beyond limit: Int) throws {
        try database.execute(
            sql: """
                INSERT OR IGNORE INTO names_dropped SELECT identity_id, atom_id FROM (
                  SELECT identity_id, atom_id, object_name_id FROM usage WHERE object_name_id > 0
                  UNION SELECT identity_id, atom_id, object_name_id FROM implied_need WHERE object_name_id > 0)
                  GROUP BY identity_id, atom_id HAVING count(*) > ?
                """, arguments: [limit])
        try database.execute(
            sql: """
                CREATE TEMP TABLE moved AS
                  SELECT u.usage_id, min(u.usage_id) OVER (PARTITION BY u.identity_id, u.decision, u.atom_id, u.namespace_id,
                    u.impersonator_id, u.caller_id, u.agent_id, u.code_class, u.reason_id) AS target
                  FROM usage AS u JOIN names_dropped AS d ON d.identity_id = u.identity_id AND d.atom_id = u.atom_id;
                CREATE TEMP TABLE moved_sum AS SELECT m.target, sum(u.count) AS count, sum(u.started) AS started,
                  min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
                  FROM moved AS m JOIN usage AS u ON u.usage_id = m.usage_id GROUP BY m.target;
                CREATE TEMP TABLE moved_day AS SELECT m.target, d.day, sum(d.count) AS count
                  FROM moved AS m JOIN usage_day AS d ON d.usage_id = m.usage_id GROUP BY m.target, d.day;
                DELETE FROM usage_day_count WHERE usage_id IN (SELECT usage_id FROM moved);
                DELETE FROM usage WHERE usage_id IN (SELECT usage_id FROM moved WHERE usage_id <> target);
                UPDATE usage SET object_name_id = 0, count = s.count, started = s.started, first_seen = s.first_seen,
                  last_seen = s.last_seen FROM moved_sum AS s WHERE usage.usage_id = s.target;
                INSERT INTO usage_day_count SELECT m.target, m.day, m.count
                  FROM moved_day AS m JOIN usage AS u ON u.usage_id = m.target WHERE u.day IS NULL;
                CREATE TEMP TABLE moved_need AS SELECT n.identity_id, n.atom_id, n.namespace_id, 0 AS object_name_id, n.cause, n.decision,
                  sum(n.count) AS count, min(n.first_seen) AS first_seen, max(n.last_seen) AS last_seen
                  FROM implied_need AS n JOIN names_dropped AS d ON d.identity_id = n.identity_id AND d.atom_id = n.atom_id
                  GROUP BY n.identity_id, n.atom_id, n.namespace_id, n.cause, n.decision;
                DELETE FROM implied_need WHERE (identity_id, atom_id) IN (SELECT identity_id, atom_id FROM names_dropped);
                INSERT INTO implied_need SELECT * FROM moved_need;
                DROP TABLE temp.moved; DROP TABLE temp.moved_sum; DROP TABLE temp.moved_day; DROP TABLE temp.moved_need;
                """)
    }

    /// Merges the flags that differ only in the name of an object, where more names were seen than are kept.
    private func dropFlagNames(beyond limit: Int) throws {
        var flags: [Int64: [UsageFlag: UsageCount]] = [:]
        for row in try Row.fetchAll(
            database,
            sql: """
                SELECT identity_id, flag, count, first_seen, last_seen FROM usage_flag
                WHERE flag GLOB 'hidden:update *' OR flag GLOB 'written:*'
                """)
        {
            var count = UsageCount()
            try count.add(requests: row.at(2), ofDay: 0)
            (count.firstSeen, count.lastSeen) = try (row.at(3), row.at(4))
            try flags[row.at(0), default: [:]][UsageFlag(user: "", flag: row.at(1))] = count
        }
        for (identity, all) in flags {
            var kept = all
            kept.dropNames(beyond: limit)
            guard kept != all else { continue }
            for flag in all.keys where kept[flag] == nil {
                try database.execute(sql: "DELETE FROM usage_flag WHERE identity_id = ? AND flag = ?", arguments: [identity, flag.flag])
            }
            for (flag, count) in kept where all[flag] != count {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO usage_flag VALUES (?, ?, ?, ?, ?)",
                    arguments: [identity, flag.flag, count.count, count.firstSeen, count.lastSeen])
            }
        }
    }

    /// Gives the users that usage has brought the groups that authentication adds by itself.
    private func writeMemberships(from first: Int) throws {
        let insert = writer.insert(into: "group_membership", columns: 2)
        for (name, id) in dictionaries.users(from: first) {
            for group in try ImplicitGroup.groups(ofUser: name).map({ try dictionaries.identity(Identity(.group, $0)) }).sorted() {
                try insert.run(id, group)
            }
        }
    }

    /// Gives callers the workload at the top of their pod's owner chain; a known one is never lost again.
    private static func resolveWorkloads(_ database: Database) throws {
        try database.execute(
            sql: """
                UPDATE caller SET workload = (
                  SELECT r.kind || '/' || r.name FROM pod AS p JOIN workload AS w ON w.workload_id = p.workload_id
                  JOIN workload AS r ON r.workload_id = w.root_id
                  WHERE p.namespace = caller.namespace AND p.name = caller.pod
                    AND (caller.pod_uid = '' OR p.uid IS NULL OR p.uid = caller.pod_uid))
                WHERE workload IS NULL AND pod <> ''
                """)
    }

    /// Copies usage, checkpoints and earlier load runs of the attached database `old`; ids are given anew by text.
    func carryOver() throws {
        try database.execute(sql: "INSERT INTO load_run SELECT * FROM old.load_run")
        try database.execute(
            sql: """
                UPDATE cluster SET uid = coalesce(uid, (SELECT uid FROM old.cluster)), name = coalesce(name, (SELECT name FROM old.cluster))
                """)
        let known = dictionaries.identityCount
        for row in try Row.fetchAll(
            database,
            sql:
                "SELECT DISTINCT i.kind, i.name FROM old.identity AS i WHERE i.identity_id IN (\(Self.used("identity_id")))  ORDER BY i.kind, i.name"
        ) {
            _ = try dictionaries.identity(Identity(row.at(0) == "Group" ? .group : .user, row.at(1)))
        }
        try writeMemberships(from: known)
        for row in try Row.fetchAll(
            database,
            sql: "SELECT verb, api_group, coalesce(resource, url) FROM old.atom WHERE atom_id IN (\(Self.used("atom_id"))) ORDER BY 1, 2, 3"
        ) {
            let verb: String = try row.at(0)
            _ = try dictionaries.atom(verb: verb, apiGroup: row.at(1), target: row.at(2))
        }
        for row in try Row.fetchAll(
            database, sql: "SELECT name FROM old.namespace WHERE namespace_id IN (\(Self.used("namespace_id"))) ORDER BY 1")
        {
            _ = try dictionaries.namespace(row.at(0))
        }
        for row in try Row.fetchAll(
            database, sql: "SELECT name FROM old.object_name WHERE object_name_id IN (\(Self.used("object_name_id"))) ORDER BY 1")
        {
            _ = try dictionaries.objectName(row.at(0))
        }
        try database.execute(
            sql: """
                CREATE TEMP TABLE new_identity AS SELECT o.identity_id AS old_id, n.identity_id AS new_id FROM old.identity AS o JOIN main.identity AS n USING (kind, name);
                CREATE TEMP TABLE new_namespace AS SELECT o.namespace_id AS old_id, n.namespace_id AS new_id FROM old.namespace AS o JOIN main.namespace AS n USING (name);
                CREATE TEMP TABLE new_name AS SELECT o.object_name_id AS old_id, n.object_name_id AS new_id FROM old.object_name AS o JOIN main.object_name AS n USING (name);
                CREATE TEMP TABLE new_atom AS SELECT o.atom_id AS old_id, n.atom_id AS new_id FROM old.atom AS o JOIN main.atom AS n
                  ON n.verb = o.verb AND n.api_group IS o.api_group AND n.resource IS o.resource AND n.url IS o.url;
                CREATE INDEX temp.new_identity_old ON new_identity (old_id, new_id);
                CREATE INDEX temp.new_namespace_old ON new_namespace (old_id, new_id);
                CREATE INDEX temp.new_name_old ON new_name (old_id, new_id);
                CREATE INDEX temp.new_atom_old ON new_atom (old_id, new_id);
                INSERT INTO caller SELECT * FROM old.caller WHERE caller_id > 0;
                INSERT INTO agent SELECT * FROM old.agent WHERE agent_id > 0;
                INSERT INTO reason SELECT * FROM old.reason WHERE reason_id > 0;
                INSERT INTO usage SELECT u.usage_id, i.new_id, m.new_id, u.caller_id, u.agent_id, a.new_id, n.new_id, o.new_id, u.decision,
                    u.code_class, u.reason_id, u.count, u.started, u.first_seen, u.last_seen
                  FROM old.usage AS u JOIN new_identity AS i ON i.old_id = u.identity_id JOIN new_identity AS m ON m.old_id = u.impersonator_id
                  JOIN new_atom AS a ON a.old_id = u.atom_id JOIN new_namespace AS n ON n.old_id = u.namespace_id
                  JOIN new_name AS o ON o.old_id = u.object_name_id ORDER BY u.usage_id;
                INSERT INTO usage_day_count SELECT * FROM old.usage_day_count;
                INSERT INTO implied_need SELECT i.new_id, a.new_id, n.new_id, o.new_id, u.cause, u.decision, u.count, u.first_seen, u.last_seen
                  FROM old.implied_need AS u JOIN new_identity AS i ON i.old_id = u.identity_id JOIN new_atom AS a ON a.old_id = u.atom_id
                  JOIN new_namespace AS n ON n.old_id = u.namespace_id JOIN new_name AS o ON o.old_id = u.object_name_id;
                INSERT INTO usage_flag SELECT i.new_id, u.flag, u.count, u.first_seen, u.last_seen
                  FROM old.usage_flag AS u JOIN new_identity AS i ON i.old_id = u.identity_id;
                INSERT INTO declared_need SELECT i.new_id, a.new_id, n.new_id, o.new_id, u.origin
                  FROM old.declared_need AS u JOIN new_identity AS i ON i.old_id = u.identity_id JOIN new_atom AS a ON a.old_id = u.atom_id
                  JOIN new_namespace AS n ON n.old_id = u.namespace_id JOIN new_name AS o ON o.old_id = u.object_name_id;
                INSERT INTO names_dropped SELECT i.new_id, a.new_id FROM old.names_dropped AS u JOIN new_identity AS i ON i.old_id = u.identity_id
                  JOIN new_atom AS a ON a.old_id = u.atom_id;
                INSERT INTO checkpoint SELECT * FROM old.checkpoint;
                INSERT INTO earlier_checkpoint SELECT * FROM old.earlier_checkpoint;
                INSERT INTO event_window SELECT * FROM old.event_window;
                DROP TABLE temp.new_identity; DROP TABLE temp.new_namespace; DROP TABLE temp.new_name; DROP TABLE temp.new_atom;
                """)
        try Self.resolveWorkloads(database)
    }

    /// A subquery over every use that the old file's usage makes of a dictionary.
    private static func used(_ column: String) -> String {
        var parts = [
            "SELECT \(column) FROM old.usage", "SELECT \(column) FROM old.implied_need", "SELECT \(column) FROM old.declared_need",
        ]
        if column == "identity_id" { parts += ["SELECT impersonator_id FROM old.usage", "SELECT identity_id FROM old.usage_flag"] }
        return parts.joined(separator: " UNION ")
    }

    /// In the order of the bytes of their texts, one after the other.
    private static func sorted<Key>(_ counts: [Key: UsageCount], by texts: (Key) -> [String]) -> [(key: Key, count: UsageCount)] {
        var entries: [(text: ContiguousArray<UInt8>, key: Key, count: UsageCount)] = []
        entries.reserveCapacity(counts.count)
        for (key, count) in counts {
            var text = ContiguousArray<UInt8>()
            for part in texts(key) {
                text += part.utf8
                text.append(0)
            }
            entries.append((text, key, count))
        }
        entries.sort { left, right in
            left.text.withUnsafeBytes { left in right.text.withUnsafeBytes { bytesPrecede(left, $0) } }
        }
        return entries.map { ($0.key, $0.count) }
    }
}

extension Request {
    fileprivate var sortText: [String] { [path ?? "", apiGroup, resource, subresource, namespace, name, verb] }
}

extension ImpliedNeed {
    fileprivate var sortText: [String] { [user] + request.sortText + [cause.rawValue, isAllowed ? "allow" : "forbid"] }
}
