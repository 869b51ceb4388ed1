import Foundation
import WhittleModel
import WhittleStore

/// All audit logs that were folded into a database, together.
public struct LogTotals: Hashable, Sendable {
    /// Logs.
    public var count = 0
    /// First to last event; `nil` = no event.
    public var window: Coverage.Span?
    /// Where no log has an event for more than ten minutes, in order; to the minute, within the window.
    public var gaps: [Coverage.Span] = []
    /// Whether every log tells where it has events; one that an older version read does not.
    public var knowsGaps = true
    /// Events read.
    public var events = 0
    /// Lines and records that are no event.
    public var rejected = 0
    /// Events by what was wrapped around them.
    public var envelopes: [String: Int] = [:]
    /// Events by audit level; `""` = not told.
    public var levels: [String: Int] = [:]
    /// Events by stage.
    public var stages: [String: Int] = [:]
    /// When reads were seen, of whomever; `nil` = no `get` or `list`. Its days are also those with watches: who logs reads before and
    /// after logs them then, too, but in AKS's `kube-audit-admin`.
    public var reads: Sighting?
    /// The same of watches.
    public var watches: Sighting?
    /// Whether some access review told what another server asked.
    public var hasAccessReviews = false

    /// When requests of some kind were seen.
    public struct Sighting: Hashable, Sendable {
        /// First to last.
        public var span: Coverage.Span
        /// Days since 1970-01-01 UTC with one.
        public var days: Set<Int64>

        fileprivate init?(_ row: QueryResult.Row, _ kind: String) {
            guard let first = row["first_\(kind)"].integer, let last = row["last_\(kind)"].integer else { return nil }
            span = Coverage.Span(from: Int64(first), to: Int64(last))
            let list = row["\(kind)_days"].string ?? ""
            days = Set((try? JSONDecoder().decode([Int64].self, from: Data(list.utf8))) ?? [])
        }
    }

    /// Minutes without event that are no gap yet, as the spans of the logs have it.
    private static let shortGap: Int64 = 10

    init(of database: WhittleDatabase) throws {
        var spans: [(from: Int64, to: Int64)] = []
        for row in try database.run("log-coverage").named {
            count += 1
            events += row["events"].integer ?? 0
            rejected += row["rejected"].integer ?? 0
            envelopes.merge(Self.counts(row["envelopes"]), uniquingKeysWith: +)
            levels.merge(Self.counts(row["levels"]), uniquingKeysWith: +)
            stages.merge(Self.counts(row["stages"]), uniquingKeysWith: +)
            let own = Self.spans(row["spans"])
            if own.isEmpty, row["first_event"].integer != nil { knowsGaps = false }
            spans += own
            if let first = row["first_event"].integer, let last = row["last_event"].integer {
                let own = Coverage.Span(from: Int64(first), to: Int64(last))
                window = window.map { Coverage.Span(from: min($0.from, own.from), to: max($0.to, own.to)) } ?? own
            }
        }
        if let window {
            gaps = Self.gaps(between: spans).map { Coverage.Span(from: max($0.from, window.from), to: min($0.to, window.to)) }
        }
        let flags = try database.run("evidence-kinds").named.first
        (reads, watches) = (flags.flatMap { Sighting($0, "read") }, flags.flatMap { Sighting($0, "watch") })
        if let watches, envelopes["aks-admin"] == nil { reads?.days.formUnion(watches.days) }
        hasAccessReviews = flags?["access_reviews"].isTrue ?? false
    }

    /// Where the union of spans of minutes has holes.
    static func gaps(between spans: [(from: Int64, to: Int64)]) -> [Coverage.Span] {
        var gaps: [Coverage.Span] = []
        var end: Int64?
        for span in spans.sorted(by: { ($0.from, $0.to) < ($1.from, $1.to) }) {
            if let last = end, span.from - last > shortGap {
                gaps.append(Coverage.Span(from: last * 60_000_000, to: span.from * 60_000_000))
            }
            end = max(end ?? span.to, span.to)
        }
        return gaps
    }

    private static func counts(_ value: SQLValue) -> [String: Int] {
        value.string.flatMap { try? JSONDecoder().decode([String: Int].self, from: Data($0.utf8)) } ?? [:]
    }

    private static func spans(_ value: SQLValue) -> [(from: Int64, to: Int64)] {
        let lists = value.string.flatMap { try? JSONDecoder().decode([[Int64]].self, from: Data($0.utf8)) } ?? []
        return lists.compactMap { $0.count == 2 && $0[0] <= $0[1] ? ($0[0], $0[1]) : nil }
    }
}
