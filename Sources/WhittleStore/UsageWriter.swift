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
                INSERT INTO caller VALUES (0, '', '', '', NULL);
                INSERT INTO agent VALUES (0, '');
                INSERT INTO reason VALUES (0, '', NULL, NULL, NULL);
                """)
    }

    /// Adds a fold; facts in a fixed order, so that equal logs give equal files.
    func write(_ fold: UsageFold) throws {
        // Another load of the same log may have won since it was read: a log is counted once.
        for log in fold.logs
        where try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM checkpoint WHERE sha256 = ?)", arguments: [log.sha256])
            ?? false
        {
            return
        }
        // Rows for a file without usage need no look for an earlier one. (A resource with a slash, which only a forged event
        // has, may be the same row as a subresource.)
        let isFirst =
            try !(Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM usage)") ?? false)
            && !fold.facts.keys.contains { $0.request.resource.utf8.contains(UInt8(ascii: "/")) }
        let facts = FactWriter(writer, dictionaries, isFirst: isFirst)
        let known = dictionaries.identityCount
        try writer.pipelined {
            for (key, count) in Self.sorted(fold.facts, by: \.sortText) { try facts.write(key, count) }
            for (need, count) in Self.sorted(fold.implied, by: \.sortText) { try facts.write(need, count) }
            for (flag, count) in Self.sorted(fold.flags, by: { [$0.user, $0.flag] }) { try facts.write(flag, count) }
            try writeMemberships(from: known)
        }
        for log in fold.logs where log.events > 0 || log.rejected > 0 {
            try database.execute(
                sql: """
                    INSERT INTO checkpoint SELECT coalesce(max(checkpoint_id), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM checkpoint WHERE true
                    ON CONFLICT (sha256) DO NOTHING
                    """,
                arguments: [
                    log.path, log.byteCount, log.sha256, log.firstEvent, log.lastEvent, log.events, log.requests, log.receivedOnly,
                    log.ignored, log.undecided, log.rejected, Self.json(log.envelopes),
                ])
        }
        try Self.resolveWorkloads(database)
        try database.execute(sql: "ANALYZE usage; ANALYZE usage_day; ANALYZE caller; ANALYZE implied_need")
    }

    private static func json(_ counts: [String: Int]) -> String {
        "{" + counts.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)):\($0.value)" }.joined(separator: ",") + "}"
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
                WHERE workload IS NULL AND caller_id > 0
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
            _ = try dictionaries.identity(Identity(row[0] == "Group" ? .group : .user, row[1]))
        }
        try writeMemberships(from: known)
        for row in try Row.fetchAll(
            database,
            sql: "SELECT verb, api_group, coalesce(resource, url) FROM old.atom WHERE atom_id IN (\(Self.used("atom_id"))) ORDER BY 1, 2, 3"
        ) {
            let verb: String = row[0]
            _ = try dictionaries.atom(verb: verb, apiGroup: row[1], target: row[2])
        }
        for row in try Row.fetchAll(
            database, sql: "SELECT name FROM old.namespace WHERE namespace_id IN (\(Self.used("namespace_id"))) ORDER BY 1")
        {
            _ = try dictionaries.namespace(row[0])
        }
        for row in try Row.fetchAll(
            database, sql: "SELECT name FROM old.object_name WHERE object_name_id IN (\(Self.used("object_name_id"))) ORDER BY 1")
        {
            _ = try dictionaries.objectName(row[0])
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
                INSERT INTO usage_day SELECT * FROM old.usage_day;
                INSERT INTO implied_need SELECT i.new_id, a.new_id, n.new_id, o.new_id, u.cause, u.decision, u.count, u.first_seen, u.last_seen
                  FROM old.implied_need AS u JOIN new_identity AS i ON i.old_id = u.identity_id JOIN new_atom AS a ON a.old_id = u.atom_id
                  JOIN new_namespace AS n ON n.old_id = u.namespace_id JOIN new_name AS o ON o.old_id = u.object_name_id;
                INSERT INTO usage_flag SELECT i.new_id, u.flag, u.count, u.first_seen, u.last_seen
                  FROM old.usage_flag AS u JOIN new_identity AS i ON i.old_id = u.identity_id;
                INSERT INTO declared_need SELECT i.new_id, a.new_id, n.new_id, o.new_id, u.origin
                  FROM old.declared_need AS u JOIN new_identity AS i ON i.old_id = u.identity_id JOIN new_atom AS a ON a.old_id = u.atom_id
                  JOIN new_namespace AS n ON n.old_id = u.namespace_id JOIN new_name AS o ON o.old_id = u.object_name_id;
                INSERT INTO checkpoint SELECT * FROM old.checkpoint;
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
            left.text.withUnsafeBytes { left in
                right.text.withUnsafeBytes { right in
                    guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return left.count < right.count }
                    let order = memcmp(leftBase, rightBase, min(left.count, right.count))
                    return order < 0 || order == 0 && left.count < right.count
                }
            }
        }
        return entries.map { ($0.key, $0.count) }
    }
}

extension Request {
    fileprivate var sortText: [String] { [path ?? "", apiGroup, resource, subresource, namespace, name, verb] }
}

extension UsageKey {
    fileprivate var sortText: [String] {
        [user] + request.sortText
            + [decision.rawValue, impersonator, podNamespace, pod, podUID, userAgent, String(codeClass), reason]
    }
}

extension ImpliedNeed {
    fileprivate var sortText: [String] { [user] + request.sortText + [cause.rawValue, isAllowed ? "allow" : "forbid"] }
}

/// Finds or makes the row of a fact and adds to its counts.
private final class FactWriter {
    private let dictionaries: Dictionaries
    private let upsertUsage: BulkStatement
    private let upsertDay: BulkStatement
    private let upsertImplied: BulkStatement
    private let upsertFlag: BulkStatement
    private let upsertCaller: BulkStatement
    private let upsertAgent: BulkStatement
    private let upsertReason: BulkStatement
    private let insertUsage: BulkStatement
    private let insertDay: BulkStatement
    /// The id of the fact written last, where facts are only added.
    private var lastUsage: Int64?
    private var callers: [[String]: Int64] = [:]
    private var agents: [String: Int64] = [:]
    private var reasons: [String: Int64] = [:]

    /// - Parameter isFirst: whether there is no usage yet.
    init(_ writer: BulkWriter, _ dictionaries: Dictionaries, isFirst: Bool) {
        self.dictionaries = dictionaries
        lastUsage = isFirst ? 0 : nil
        insertUsage = writer.insert(into: "usage", columns: 15)
        insertDay = writer.insert(into: "usage_day", columns: 3)
        upsertUsage = writer.statement(
            """
            INSERT INTO usage (identity_id, impersonator_id, caller_id, agent_id, atom_id, namespace_id, object_name_id, decision,
                               code_class, reason_id, count, started, first_seen, last_seen)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (identity_id, decision, atom_id, namespace_id, object_name_id, impersonator_id, caller_id, agent_id, code_class, reason_id)
            DO UPDATE SET count = count + excluded.count, started = started + excluded.started,
              first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)
            RETURNING usage_id
            """)
        upsertDay = writer.statement("INSERT INTO usage_day VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count")
        upsertImplied = writer.statement(
            """
            INSERT INTO implied_need VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
              first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)
            """)
        upsertFlag = writer.statement(
            """
            INSERT INTO usage_flag VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
              first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)
            """)
        // A conflict that changes nothing still returns the row's id.
        upsertCaller = writer.statement(
            "INSERT INTO caller (namespace, pod, pod_uid) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET pod = pod RETURNING caller_id")
        upsertAgent = writer.statement(
            "INSERT INTO agent (user_agent) VALUES (?) ON CONFLICT DO UPDATE SET user_agent = user_agent RETURNING agent_id")
        upsertReason = writer.statement(
            """
            INSERT INTO reason (reason, binding_kind, binding_namespace, binding_name) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET reason = reason RETURNING reason_id
            """)
    }

    private func user(_ name: String) throws -> Int64 { try dictionaries.identity(Identity(.user, name)) }

    private func id(_ row: [Int64]?) throws(StoreError) -> Int64 {
        guard let id = row?.first else { throw .sql(code: 0, message: "a row was not written") }
        return id
    }

    /// The id of a value, asked for once.
    private func cached<Value: Hashable>(
        _ value: Value, in ids: ReferenceWritableKeyPath<FactWriter, [Value: Int64]>, _ write: () throws -> [Int64]?
    ) throws -> Int64 {
        if let id = self[keyPath: ids][value] { return id }
        let id = try id(try write())
        self[keyPath: ids][value] = id
        return id
    }

    func write(_ key: UsageKey, _ count: UsageCount) throws {
        let caller =
            key.pod.isEmpty && key.podNamespace.isEmpty && key.podUID.isEmpty
            ? 0
            : try cached([key.podNamespace, key.pod, key.podUID], in: \.callers) {
                try upsertCaller.integers(key.podNamespace, key.pod, key.podUID)
            }
        let agent = try cached(key.userAgent, in: \.agents) { try upsertAgent.integers(key.userAgent) }
        let reason = try cached(key.reason, in: \.reasons) {
            let grant = GrantReason(key.reason)
            return try upsertReason.integers(key.reason, grant?.bindingKind, grant?.bindingNamespace, grant?.bindingName)
        }
        let user = try user(key.user)
        let impersonator = key.impersonator.isEmpty ? 0 : try self.user(key.impersonator)
        let atom = try dictionaries.atom(key.request)
        let namespace = try dictionaries.namespace(key.request.namespace)
        let name = try dictionaries.objectName(key.request.name)
        if let last = lastUsage {
            lastUsage = last + 1
            try insertUsage.run(
                last + 1, user, impersonator, caller, agent, atom, namespace, name, key.decision.rawValue, key.codeClass, reason,
                count.count, count.started, count.firstSeen, count.lastSeen)
            for (day, requests) in count.days.sorted(by: { $0.key < $1.key }) { try insertDay.run(last + 1, day, requests) }
            return
        }
        let usage = try id(
            upsertUsage.integers(
                user, impersonator, caller, agent, atom, namespace, name, key.decision.rawValue, Int64(key.codeClass), reason,
                Int64(count.count), Int64(count.started), count.firstSeen, count.lastSeen))
        for (day, requests) in count.days.sorted(by: { $0.key < $1.key }) {
            try upsertDay.run(usage, day, Int64(requests))
        }
    }

    func write(_ need: ImpliedNeed, _ count: UsageCount) throws {
        try upsertImplied.run(
            try user(need.user), try dictionaries.atom(need.request),
            try dictionaries.namespace(need.request.namespace), try dictionaries.objectName(need.request.name),
            need.cause.rawValue, need.isAllowed ? "allow" : "forbid", Int64(max(count.count, 0)),
            count.firstSeen, count.lastSeen)
    }

    func write(_ flag: UsageFlag, _ count: UsageCount) throws {
        try upsertFlag.run(
            try user(flag.user), flag.flag, Int64(count.count), count.firstSeen,
            count.lastSeen)
    }
}
