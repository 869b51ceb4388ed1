import Foundation
import GRDB
import WhittleModel

/// Writes what was read of a log: a row of its own, or more of an earlier part's row.
struct CheckpointWriter {
    /// Minutes without events that are no gap.
    private static let silence: Int64 = 10
    /// States of a log that are remembered beside the latest.
    private static let earlierStates = 64
    private let database: Database

    init(_ database: Database) { self.database = database }

    func write(_ log: UsageFold.Log) throws {
        // Another format may be right.
        if log.events == 0, log.isFormatForced { return }
        var row = Row(log)
        if let earlier = log.extendedDigest,
            let known = try GRDB.Row.fetchOne(database, sql: "SELECT * FROM checkpoint WHERE sha256 = ?", arguments: [earlier])
        {
            try row.extend(known)
            try remember(row.id)
            try database.execute(sql: "DELETE FROM checkpoint WHERE checkpoint_id = ?", arguments: [row.id])
        } else if log.events == 0, log.rejected == 0, log.skipped == 0 {
            return
        } else {
            row.id = try Int64.fetchOne(database, sql: "SELECT coalesce(max(checkpoint_id), 0) + 1 FROM checkpoint") ?? 1
        }
        try database.execute(
            sql:
                "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
            arguments: [
                row.id, log.path, log.byteCount, log.digest, row.firstEvent, row.lastEvent, row.counts[0], row.counts[1], row.counts[2],
                row.counts[3], row.counts[4], row.counts[5], Self.json(row.envelopes), log.lineCount, row.counts[6], Self.json(row.rejects),
                Self.json(row.levels), Self.json(row.stages), Self.json(row.decisions), Self.json(row.spans),
                log.head, row.counts[7], log.isEnded,
            ])
        try remember(log.earlier, of: log)
    }

    /// Remembers a log as it was before it grew.
    private func remember(_ id: Int64) throws {
        try database.execute(
            sql: """
                INSERT OR REPLACE INTO earlier_checkpoint
                SELECT sha256, checkpoint_id, byte_count, line_count, head FROM checkpoint WHERE checkpoint_id = ? AND ended
                """, arguments: [id])
        try forgetShortest(id)
    }

    /// Remembers what others remember of a log.
    private func remember(_ states: [UsageFold.Log.State], of log: UsageFold.Log) throws {
        guard !states.isEmpty,
            let id = try Int64.fetchOne(database, sql: "SELECT checkpoint_id FROM checkpoint WHERE sha256 = ?", arguments: [log.digest])
        else { return }
        for state in states {
            try database.execute(
                sql: "INSERT OR IGNORE INTO earlier_checkpoint VALUES (?, ?, ?, ?, ?)",
                arguments: [state.digest, id, state.byteCount, state.lineCount, log.head])
        }
        try forgetShortest(id)
    }

    private func forgetShortest(_ id: Int64) throws {
        try database.execute(
            sql: """
                DELETE FROM earlier_checkpoint WHERE sha256 IN (
                  SELECT sha256 FROM earlier_checkpoint WHERE checkpoint_id = ? ORDER BY byte_count DESC LIMIT -1 OFFSET ?)
                """, arguments: [id, Self.earlierStates])
    }

    private struct Row {
        var id: Int64 = 0
        var firstEvent: Int64?
        var lastEvent: Int64?
        /// events, requests, received_only, ignored, undecided, rejected, repeated, skipped
        var counts: [Int]
        var envelopes: [String: Int]
        var rejects: [String: Int]
        var levels: [String: Int]
        var stages: [String: Int]
        var decisions: [String: Int]
        var spans: [[Int64]]

        init(_ log: UsageFold.Log) {
            (firstEvent, lastEvent) = (log.firstEvent, log.lastEvent)
            counts = [log.events, log.requests, log.receivedOnly, log.ignored, log.undecided, log.rejected, log.repeated, log.skipped]
            (envelopes, rejects, levels) = (log.envelopes, log.rejects, log.levels)
            (stages, decisions) = (log.stages, log.decisions)
            spans = CheckpointWriter.joined(log.minutes.map { [$0, $0] })
        }

        mutating func extend(_ row: GRDB.Row) throws {
            id = try row.at("checkpoint_id")
            firstEvent = try [firstEvent, row.at("first_event")].compactMap { $0 }.min()
            lastEvent = try [lastEvent, row.at("last_event")].compactMap { $0 }.max()
            let names = ["events", "requests", "received_only", "ignored", "undecided", "rejected", "repeated", "skipped"]
            for (place, name) in names.enumerated() { counts[place] += try row.at(name) ?? 0 }
            func counted(_ column: String) throws -> [String: Int] {
                let text: String = try row.at(column)
                return (try? JSONDecoder().decode([String: Int].self, from: Data(text.utf8))) ?? [:]
            }
            func merge(_ counts: inout [String: Int], _ column: String) throws {
                counts.merge(try counted(column), uniquingKeysWith: +)
            }
            let earlierRejects = try counted("rejects")
            try merge(&envelopes, "envelopes")
            try merge(&rejects, "rejects")
            try merge(&levels, "levels")
            try merge(&stages, "stages")
            try merge(&decisions, "decisions")
            // What goes on behind damage was a copy that was not finished.
            if let damaged = earlierRejects["damaged"] {
                counts[5] -= damaged
                rejects["damaged"] = rejects["damaged"].flatMap { $0 > damaged ? $0 - damaged : nil }
            }
            let text: String = try row.at("spans")
            spans = CheckpointWriter.joined(spans + ((try? JSONDecoder().decode([[Int64]].self, from: Data(text.utf8))) ?? []))
        }
    }

    /// Spans in order, those joined that no gap divides.
    private static func joined(_ spans: [[Int64]]) -> [[Int64]] {
        var result: [[Int64]] = []
        for span in spans.filter({ $0.count == 2 }).sorted(by: { $0[0] < $1[0] }) {
            if let last = result.last, span[0] - last[1] <= silence {
                result[result.count - 1][1] = max(last[1], span[1])
            } else {
                result.append(span)
            }
        }
        return result
    }

    private static func json(_ counts: [String: Int]) -> String {
        "{" + counts.sorted { bytesPrecede($0.key, $1.key) }.map { "\(jsonQuoted($0.key)):\($0.value)" }.joined(separator: ",") + "}"
    }

    private static func json(_ spans: [[Int64]]) -> String {
        "[" + spans.map { "[\($0[0]),\($0[1])]" }.joined(separator: ",") + "]"
    }
}
