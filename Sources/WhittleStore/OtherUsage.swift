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
    var digests: Set<String> = []
    /// Those of them that had grown since they were folded.
    var grown: Set<String> = []
    /// The latest events as the reader knew them when he added something last.
    var window: EventWindowState?
    /// The latest events as the database holds them; `nil` = none, or nobody knows.
    var stored: EventWindowState?
    /// Changes by others change it (`PRAGMA data_version`); `nil` = they may have changed anything.
    var version: Int64?
    /// What others had added by then.
    var others: OtherUsage?

    static func version(_ database: Database) throws -> Int64 { try Int64.fetchOne(database, sql: "PRAGMA data_version") ?? 0 }
}

/// What others have added since a reader looked.
struct OtherUsage {
    /// What the logs begin with, see `UsageFold.Log.head`.
    private let heads: Set<String>
    /// The latest events as the database held them.
    private let window: EventWindowState?
    /// Those of them that only others have added; the older first.
    private let added: [UInt64]
    private let isAdded: Set<UInt64>

    /// `nil` when nothing was.
    init?(_ database: Database, since view: UsageView) throws {
        let rows = try Row.fetchAll(database, sql: "SELECT sha256, head FROM checkpoint")
        let others = try rows.filter { !view.digests.contains(try $0.at(0)) }
        heads = try Set(others.map { try $0.at(1) }).subtracting([""])
        window = try EventWindowState.read(database)
        let before = view.window?.seed == window?.seed ? Set(view.window?.all ?? []) : []
        added = window?.all.filter { !before.contains($0) } ?? []
        isAdded = Set(added)
        if others.isEmpty, added.isEmpty { return nil }
    }

    /// The path of a log of the fold that others have added another state of, or of whose events they have added some.
    ///
    /// - Parameter known: the latest events as the reader knew them before.
    func meeting(_ fold: UsageFold, since known: EventWindowState?) -> String? {
        if let log = fold.logs.first(where: { heads.contains($0.head) }) { return log.path }
        guard let own = fold.window, let window, let log = fold.logs.first else { return nil }
        // Of hashes that start elsewhere nobody can tell.
        guard own.seed == window.seed else { return log.path }
        return own.hashes(since: known).contains(where: isAdded.contains) ? log.path : nil
    }

    /// The latest events of the reader and of the others.
    func joined(with own: EventWindowState) -> EventWindowState {
        guard let window else { return own }
        var joined = own
        guard joined.seed == window.seed else { return window }
        joined.previous = Array((added + joined.previous).suffix(1 << 20))
        return joined
    }
}

extension EventWindowState {
    fileprivate var all: [UInt64] { previous + current }

    /// What is new since it was `earlier`.
    fileprivate func hashes(since earlier: EventWindowState?) -> [UInt64] {
        guard let earlier, earlier.seed == seed else { return all }
        // It mostly grows at its end.
        if previous == earlier.previous, current.starts(with: earlier.current) { return Array(current.dropFirst(earlier.current.count)) }
        let before = Set(earlier.all)
        return all.filter { !before.contains($0) }
    }
}
