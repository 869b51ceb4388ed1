import Foundation
import GRDB
import WhittleModel

/// What a database holds of audit logs when somebody begins to read more of them.
public struct KnownUsage: Sendable {
    /// Logs that were folded, by their decompressed bytes.
    public var logs: [Int: Set<KnownLog>]
    /// The latest events of these logs; `nil` = none are known.
    public var window: EventWindowState?
}

/// What a reader knows of the usage of a database that others may add to as well.
struct UsageView {
    /// Digests of the logs that were there, or that the reader has added.
    var digests: Set<String>
    /// Those of them that had grown since they were folded.
    var grown: Set<String> = []
    /// The latest events as the reader knew them when he added something last.
    var window: EventWindowState?
    /// Changes by others change it (`PRAGMA data_version`).
    var version: Int64
    /// Whether others have added something at all.
    var hasOthers = false

    static func version(_ database: Database) throws -> Int64 { try Int64.fetchOne(database, sql: "PRAGMA data_version") ?? 0 }
}

/// What others have added since a reader looked.
struct OtherUsage {
    /// What the logs begin with, see `UsageFold.Log.head`.
    private let heads: Set<String>
    private let window: EventWindowState?
    private let known: EventWindowState?

    /// `nil` when nothing was.
    init?(_ database: Database, since view: UsageView) throws {
        guard try view.hasOthers || UsageView.version(database) != view.version else { return nil }
        let rows = try Row.fetchAll(database, sql: "SELECT sha256, head FROM checkpoint")
        heads = try Set(rows.filter { !view.digests.contains(try $0.at(0)) }.map { try $0.at(1) }).subtracting([""])
        window = try EventWindowState.read(database)
        known = view.window
    }

    /// Events that only others have added; the older first.
    private var added: [UInt64] {
        guard let window else { return [] }
        let before = known?.seed == window.seed ? Set(known?.all ?? []) : []
        return window.all.filter { !before.contains($0) }
    }

    /// The path of a log of the fold that others have added another state of, or of whose events they have added some.
    func meeting(_ fold: UsageFold) -> String? {
        if let log = fold.logs.first(where: { heads.contains($0.head) }) { return log.path }
        guard let own = fold.window, let window, let log = fold.logs.first else { return nil }
        // Of hashes that start elsewhere nobody can tell.
        guard own.seed == window.seed else { return log.path }
        let before = Set(known?.all ?? [])
        let new = Set(own.all.filter { !before.contains($0) })
        return added.contains(where: new.contains) ? log.path : nil
    }

    /// The latest events of the reader and of the others.
    func joined(with own: EventWindowState?) -> EventWindowState? {
        guard var joined = own, let window else { return own ?? window }
        guard joined.seed == window.seed else { return window }
        let own = Set(joined.all)
        joined.previous = Array((added.filter { !own.contains($0) } + joined.previous).suffix(1 << 20))
        return joined
    }
}

extension EventWindowState {
    fileprivate var all: [UInt64] { previous + current }
}
