import Foundation
import GRDB
import WhittleModel

/// Finds or makes the row of a fact and adds to its counts.
final class FactWriter {
    private let dictionaries: Dictionaries
    private let fold: UsageFold
    private let order: Promise<FoldOrder>
    private let insertUsage: BulkStatement
    private let insertDay: BulkStatement
    private let spreadDays: BulkStatement
    private let updateUsage: BulkStatement
    private let upsertDay: BulkStatement
    private let upsertImplied: BulkStatement
    private let upsertFlag: BulkStatement
    private let insertCaller: BulkStatement
    private let insertAgent: BulkStatement
    private let insertReason: BulkStatement
    private let insertDropped: BulkStatement
    private var lastUsage: Int64

    /// Rows that were there before, with their days (`nil` = several), by what makes them distinct.
    private var rows: [RowKey: (id: Int64, day: Int64?)] = [:]
    private var dropped: Set<Group> = []
    /// Rows with a name, of usage and of implied needs, which bounds the names; not counted where no verb can have more than were kept in the fold.
    private var named: [Group: Int] = [:]
    private let countsNames: Bool
    private var callers: [ByteString: Int64] = [:]
    private var agents: [ByteString: Int64] = [:]
    private var reasons: [ByteString: Int64] = [:]

    /// Ids of the texts of the fold in each role that they play; -1 = not asked for.
    private struct TextIDs {
        var user: Int64 = -1
        var namespace: Int64 = -1
        var name: Int64 = -1
        var agent: Int64 = -1
        var reason: Int64 = -1
        var part: Dictionaries.Part = -1
    }
    private var ids: ContiguousArray<TextIDs>
    /// Ids of groups of texts, by their numbers.
    private var callerIDs: ContiguousArray<Int64> = []
    private var atomIDs: ContiguousArray<Int64> = []
    private var groupsOfFacts: ContiguousArray<(caller: Int32, atom: Int32)> = []

    private static let decisions = UsageKey.Decision.allCases.map(\.rawValue)

    private struct Group: Hashable {
        var identity: Int64
        var atom: Int64
    }

    /// What makes a row distinct, in the order of the index: pairs of ids, which are below 2³².
    private struct RowKey: Hashable, Comparable {
        var identityAndDecision: UInt64
        var atomAndNamespace: UInt64
        var nameAndImpersonator: UInt64
        var callerAndAgent: UInt64
        var codeAndReason: UInt64

        init(
            _ group: Group, decision: Int64, namespace: Int64, name: Int64, impersonator: Int64, caller: Int64, agent: Int64,
            codeClass: Int64, reason: Int64
        ) {
            func pair(_ left: Int64, _ right: Int64) -> UInt64 { UInt64(bitPattern: left) << 32 | UInt64(bitPattern: right) & 0xFFFF_FFFF }
            identityAndDecision = pair(group.identity, decision)
            atomAndNamespace = pair(group.atom, namespace)
            nameAndImpersonator = pair(name, impersonator)
            callerAndAgent = pair(caller, agent)
            codeAndReason = pair(codeClass, reason)
        }

        var group: Group { Group(identity: Self.first(identityAndDecision), atom: Self.first(atomAndNamespace)) }
        var name: Int64 { Self.first(nameAndImpersonator) }

        static func first(_ pair: UInt64) -> Int64 { Int64(pair >> 32) }
        static func second(_ pair: UInt64) -> Int64 { Int64(pair & 0xFFFF_FFFF) }

        static func < (left: RowKey, right: RowKey) -> Bool {
            if left.identityAndDecision != right.identityAndDecision { return left.identityAndDecision < right.identityAndDecision }
            if left.atomAndNamespace != right.atomAndNamespace { return left.atomAndNamespace < right.atomAndNamespace }
            if left.nameAndImpersonator != right.nameAndImpersonator { return left.nameAndImpersonator < right.nameAndImpersonator }
            if left.callerAndAgent != right.callerAndAgent { return left.callerAndAgent < right.callerAndAgent }
            return left.codeAndReason < right.codeAndReason
        }
    }

    init(
        _ database: Database, _ writer: BulkWriter, _ dictionaries: Dictionaries, _ fold: UsageFold, _ order: Promise<FoldOrder>
    ) throws {
        self.dictionaries = dictionaries
        self.fold = fold
        self.order = order
        ids = ContiguousArray(repeating: TextIDs(), count: fold.texts.count)
        // Nobody.
        ids[0].user = 0
        insertCaller = writer.insert(into: "caller (caller_id, namespace, pod, pod_uid, address)", columns: 5)
        insertAgent = writer.insert(into: "agent", columns: 2)
        insertReason = writer.insert(into: "reason", columns: 5)
        // As names, which see, without its id.
        insertUsage = writer.insert(
            into: """
                usage (identity_id, impersonator_id, caller_id, agent_id, atom_id, namespace_id, object_name_id, decision, code_class, \
                reason_id, count, started, first_seen, last_seen)
                """, columns: 14)
        insertDay = writer.insert(into: "usage_day_count", columns: 3)
        // What was of one day is of several from now on.
        spreadDays = writer.statement(
            "INSERT INTO usage_day_count SELECT usage_id, day, count FROM usage WHERE usage_id = ? AND count > 0")
        updateUsage = writer.statement(
            """
            UPDATE usage SET count = count + ?, started = started + ?, first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)
            WHERE usage_id = ?
            """)
        upsertDay = writer.statement(
            "INSERT INTO usage_day_count VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count")
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
        insertDropped = writer.statement("INSERT OR IGNORE INTO names_dropped VALUES (?, ?)")

        lastUsage = try Int64.fetchOne(database, sql: "SELECT coalesce(max(usage_id), 0) FROM usage") ?? 0
        for row in try Row.fetchAll(database, sql: "SELECT namespace, pod, pod_uid, address, caller_id FROM caller") {
            try callers[Self.callerKey(row.at(0), row.at(1), row.at(2), row.at(3))] = row.at(4)
        }
        for row in try Row.fetchAll(database, sql: "SELECT user_agent, agent_id FROM agent") {
            try agents[ByteString(row.at(0))] = row.at(1)
        }
        for row in try Row.fetchAll(database, sql: "SELECT reason, reason_id FROM reason") {
            try reasons[ByteString(row.at(0))] = row.at(1)
        }
        for ids in [callers, agents, reasons] where !ids.values.allSatisfy((0..<Int64(ids.count)).contains) {
            throw Dictionaries.changedByHand
        }
        guard lastUsage < Int64.max / 2 else { throw Dictionaries.changedByHand }
        for row in try Row.fetchAll(database, sql: "SELECT identity_id, atom_id FROM names_dropped") {
            try dropped.insert(Group(identity: row.at(0), atom: row.at(1)))
        }
        // A resource with a slash, which only a forged event has, may be the same atom as a subresource, and what was folded
        // elsewhere may have been edited since.
        let hasNeeds = try Bool.fetchOne(database, sql: "SELECT EXISTS (SELECT 1 FROM implied_need)") ?? false
        countsNames = lastUsage > 0 || hasNeeds || !dropped.isEmpty || fold.window == nil || Self.hasSlash(fold)
        if hasNeeds { named = try Self.namedNeeds(database) }
        guard lastUsage > 0 else { return }
        // What was seen of others need not be known; of many users all rows are read, which is quicker than to look for theirs.
        let names = Set(fold.facts.map(\.user)).map { fold.texts[Int($0)] } + fold.implied.keys.map(\.user)
        let users = Set(names.compactMap { dictionaries.knownIdentity(Identity(.user, $0)) })
        let isOfFew = users.count * 4 < dictionaries.identityCount
        let cursor = try Row.fetchCursor(
            database,
            sql: """
                SELECT identity_id, atom_id, impersonator_id, caller_id, agent_id, namespace_id, object_name_id, decision, code_class,
                  reason_id, usage_id, day FROM usage \(isOfFew ? "WHERE identity_id IN (SELECT value FROM json_each(?))" : "")
                """, arguments: isOfFew ? ["[\(users.map(String.init).joined(separator: ","))]"] : [])
        while let row = try cursor.next() {
            let decision: String = try row.at(7)
            let key = try RowKey(
                Group(identity: row.at(0), atom: row.at(1)), decision: decision == "allow" ? 0 : decision == "forbid" ? 1 : 2,
                namespace: row.at(5), name: row.at(6), impersonator: row.at(2), caller: row.at(3), agent: row.at(4), codeClass: row.at(8),
                reason: row.at(9))
            rows[key] = try (row.at(10), row.at(11))
            if key.name != 0 { named[key.group, default: 0] += 1 }
        }
    }

    /// Reads how many names needs have; they count with those of facts.
    private static func namedNeeds(_ database: Database) throws -> [Group: Int] {
        var named: [Group: Int] = [:]
        let cursor = try Row.fetchCursor(
            database,
            sql: "SELECT identity_id, atom_id, count(*) FROM implied_need WHERE object_name_id > 0 GROUP BY identity_id, atom_id")
        while let row = try cursor.next() { try named[Group(identity: row.at(0), atom: row.at(1))] = row.at(2) }
        return named
    }

    private static func hasSlash(_ fold: UsageFold) -> Bool {
        // Few texts are resources, and each is of many facts.
        var isLookedAt = ContiguousArray(repeating: false, count: fold.texts.count)
        for fact in fold.facts where fact.apiGroup >= 0 && !isLookedAt[Int(fact.resource)] {
            if fold.texts[Int(fact.resource)].utf8.contains(UInt8(ascii: "/")) { return true }
            isLookedAt[Int(fact.resource)] = true
        }
        return false
    }

    private static func callerKey(_ namespace: String, _ pod: String, _ uid: String, _ address: String) -> ByteString {
        ByteString("\(namespace)\0\(pod)\0\(uid)\0\(address)")
    }

    /// Whether some verb on some resource may have more names than `limit`, or lost them in this fold.
    func mayExceedNames(_ limit: Int) -> Bool { countsNames && (!fold.withoutNames.isEmpty || named.values.contains { $0 > limit }) }

    /// Gives ids to all texts, in the order of their bytes, and notes what lost its names in the fold.
    func writeTexts() throws {
        let (texts, groups) = (order.value.texts, order.value.groups)
        dictionaries.reserve(names: texts.names.count)
        // Names first: they are most of the rows, and SQLite is busy with them while the others are worked out.
        for place in texts.names { _ = try name(place) }
        for (place, roles) in texts.others {
            if roles.contains(.user) { _ = try user(place) }
            if roles.contains(.namespace) { _ = try namespace(place) }
            if roles.contains(.agent) { _ = try agent(place) }
            if roles.contains(.reason) { _ = try reason(place) }
        }
        groupsOfFacts = groups.ofFacts
        atomIDs = try ids(of: groups.atoms, in: groups.atomOrder, atom)
        callerIDs = try ids(of: groups.callers, in: groups.callerOrder, caller)
        let dropping = zip(fold.withoutNames, groups.ofFacts.suffix(fold.withoutNames.count)).map { fact, groups in
            Group(identity: ids[Int(fact.user)].user, atom: atomIDs[Int(groups.atom)])
        }
        for group in dropping.sorted(by: { ($0.identity, $0.atom) < ($1.identity, $1.atom) }) where dropped.insert(group).inserted {
            try insertDropped.run(group.identity, group.atom)
        }
    }

    private func ids(
        of groups: TextGroups, in order: ContiguousArray<Int32>, _ id: (SIMD4<Int32>) throws -> Int64
    ) rethrows -> ContiguousArray<Int64> {
        var ids = ContiguousArray<Int64>(repeating: 0, count: groups.all.count)
        for number in order { ids[Int(number)] = try id(groups.all[Int(number)]) }
        return ids
    }

    // MARK: Ids

    private func text(_ place: Int32) -> String { fold.texts[Int(place)] }

    private func user(_ place: Int32) throws -> Int64 {
        if ids[Int(place)].user < 0 { ids[Int(place)].user = try user(text(place)) }
        return ids[Int(place)].user
    }

    private func user(_ name: String) throws -> Int64 { try dictionaries.identity(Identity(.user, name)) }

    private func namespace(_ place: Int32) throws -> Int64 {
        if ids[Int(place)].namespace < 0 { ids[Int(place)].namespace = try dictionaries.namespace(text(place)) }
        return ids[Int(place)].namespace
    }

    private func name(_ place: Int32) throws -> Int64 {
        if ids[Int(place)].name < 0 { ids[Int(place)].name = try dictionaries.objectName(text(place)) }
        return ids[Int(place)].name
    }

    private func part(_ place: Int32) -> Dictionaries.Part {
        if ids[Int(place)].part < 0 { ids[Int(place)].part = dictionaries.part(text(place)) }
        return ids[Int(place)].part
    }

    private func agent(_ place: Int32) throws -> Int64 {
        if ids[Int(place)].agent < 0 {
            ids[Int(place)].agent = try Self.id(text(place), in: &agents) { try insertAgent.run($0, text(place)) }
        }
        return ids[Int(place)].agent
    }

    private func reason(_ place: Int32) throws -> Int64 {
        if ids[Int(place)].reason < 0 {
            ids[Int(place)].reason = try Self.id(text(place), in: &reasons) { id in
                let grant = GrantReason(text(place))
                try insertReason.run(id, text(place), grant?.bindingKind, grant?.bindingNamespace, grant?.bindingName)
            }
        }
        return ids[Int(place)].reason
    }

    /// The id of a text; a new one is written. Ids are dense and begin with 0.
    private static func id(_ text: String, in ids: inout [ByteString: Int64], _ write: (Int64) throws -> Void) rethrows -> Int64 {
        if let id = ids[ByteString(text)] { return id }
        let id = Int64(ids.count)
        try write(id)
        ids[ByteString(text)] = id
        return id
    }

    private func caller(_ key: SIMD4<Int32>) throws -> Int64 {
        let (namespace, pod, uid, address) = (text(key[0]), text(key[1]), text(key[2]), text(key[3]))
        let place = Self.callerKey(namespace, pod, uid, address)
        if let id = callers[place] { return id }
        let id = Int64(callers.count)
        try insertCaller.run(id, namespace, pod, uid, address)
        callers[place] = id
        return id
    }

    private func atom(_ key: SIMD4<Int32>) throws -> Int64 {
        let resource = key[2] == 0 ? part(key[1]) : dictionaries.part("\(text(key[1]))/\(text(key[2]))")
        return try dictionaries.atom(verb: part(key[3]), apiGroup: key[0] < 0 ? nil : part(key[0]), target: resource)
    }

    // MARK: Rows

    /// Writes every fact; rows follow each other as in the index that makes them distinct, so that SQLite only appends to it.
    func writeFacts() throws {
        // What does not change meanwhile need not be asked of the object, which costs a check each time.
        let (facts, groups, ids, atomIDs, callerIDs, dropped) = (fold.facts, groupsOfFacts, ids, atomIDs, callerIDs, dropped)
        // One identity after the other, so that SQLite can begin before all are sorted.
        let (places, ends) = placesByIdentity()
        var keys: ContiguousArray<(key: RowKey, place: Int32)> = []
        var start = 0
        for end in ends {
            for place in places[start..<end] {
                let (fact, groups) = (facts[Int(place)], groups[Int(place)])
                let group = Group(identity: ids[Int(fact.user)].user, atom: atomIDs[Int(groups.atom)])
                let key = RowKey(
                    group, decision: Int64(fact.decision), namespace: ids[Int(fact.namespace)].namespace,
                    name: !dropped.isEmpty && dropped.contains(group) ? 0 : ids[Int(fact.name)].name,
                    impersonator: ids[Int(fact.impersonator)].user,
                    caller: callerIDs[Int(groups.caller)], agent: ids[Int(fact.userAgent)].agent, codeClass: Int64(fact.codeClass),
                    reason: ids[Int(fact.reason)].reason)
                keys.append((key, place))
            }
            keys.sort { $0.key < $1.key }
            var next = 0
            while next < keys.count {
                let key = keys[next].key
                var count = fold.counts[Int(keys[next].place)]
                next += 1
                while next < keys.count, keys[next].key == key {
                    count.add(fold.counts[Int(keys[next].place)])
                    next += 1
                }
                try write(key, count)
            }
            keys.removeAll(keepingCapacity: true)
            start = end
        }
    }

    /// The places of all facts by their identities, and where those of each identity end.
    private func placesByIdentity() -> (places: ContiguousArray<Int32>, ends: ContiguousArray<Int>) {
        // Begins as where the facts of each identity begin.
        var ends = ContiguousArray(repeating: 0, count: dictionaries.identityCount + 1)
        for fact in fold.facts { ends[Int(ids[Int(fact.user)].user) + 1] += 1 }
        for identity in 1..<ends.count { ends[identity] += ends[identity - 1] }
        var places = ContiguousArray<Int32>(repeating: 0, count: fold.facts.count)
        for (place, fact) in fold.facts.enumerated() {
            let identity = Int(ids[Int(fact.user)].user)
            places[ends[identity]] = Int32(place)
            ends[identity] += 1
        }
        return (places, ends)
    }

    private func write(_ key: RowKey, _ count: UsageCount) throws {
        let day = count.onlyDay
        if let known = rows[key] {
            let isSpread = known.day == nil || known.day != day
            if known.day != nil, isSpread { try spreadDays.run(known.id) }
            try updateUsage.run(count.count, count.started, count.firstSeen, count.lastSeen, known.id)
            if isSpread { try count.forEachDay { try upsertDay.run(known.id, $0, $1) } }
            return
        }
        if countsNames, key.name != 0 { named[key.group, default: 0] += 1 }
        lastUsage += 1
        try insertUsage.run(
            key.group.identity, RowKey.second(key.nameAndImpersonator), RowKey.first(key.callerAndAgent),
            RowKey.second(key.callerAndAgent), key.group.atom, RowKey.second(key.atomAndNamespace), key.name,
            Self.decisions[Int(RowKey.second(key.identityAndDecision))], RowKey.first(key.codeAndReason), RowKey.second(key.codeAndReason),
            count.count, count.started, count.firstSeen, count.lastSeen)
        if day == nil { try count.forEachDay { try insertDay.run(lastUsage, $0, $1) } }
    }

    func write(_ need: ImpliedNeed, _ count: UsageCount) throws {
        let group = Group(identity: try user(need.user), atom: try dictionaries.atom(need.request))
        if countsNames, !need.request.name.isEmpty { named[group, default: 0] += 1 }
        try upsertImplied.run(
            group.identity, group.atom, try dictionaries.namespace(need.request.namespace),
            dropped.contains(group) ? 0 : try dictionaries.objectName(need.request.name), need.cause.rawValue,
            need.isAllowed ? "allow" : "forbid", count.count, count.firstSeen, count.lastSeen)
    }

    func write(_ flag: UsageFlag, _ count: UsageCount) throws {
        try upsertFlag.run(try user(flag.user), flag.flag, count.count, count.firstSeen, count.lastSeen)
    }
}
