import Foundation
import GRDB
import WhittleModel

extension EventWindowState {
    /// Hashes in a row.
    fileprivate static let partSize = 2_048

    /// The window that a database holds; `nil` = none.
    static func read(_ database: Database) throws -> EventWindowState? {
        guard let row = try Row.fetchOne(database, sql: "SELECT seed, generation FROM event_window ORDER BY generation DESC LIMIT 1") else {
            return nil
        }
        let younger: Int64 = try row.at(1)
        var window = try EventWindowState(seed: UInt64(bitPattern: row.at(0)))
        let parts = try Row.fetchCursor(database, sql: "SELECT generation, hashes FROM event_window ORDER BY generation, part")
        while let part = try parts.next() {
            let generation: Int64 = try part.at(0)
            try part.withUnsafeData(atIndex: 1) { data in
                if generation == younger { window.current.append(data) } else { window.previous.append(data) }
            }
        }
        return window
    }
}

extension [UInt64] {
    fileprivate mutating func append(_ data: Data?) {
        data?.withUnsafeBytes { bytes in
            for offset in stride(from: 0, through: bytes.count - 8, by: 8) {
                append(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
        }
    }

    fileprivate func begins(with other: [UInt64]) -> Bool { count >= other.count && prefix(other.count).elementsEqual(other) }
}

/// Writes a window, of which most is there already: no more than what is new.
struct EventWindowWriter {
    private let window: EventWindowState
    /// The number of the younger hashes.
    private var generation: Int64 = 1
    /// Hashes that are there of the older and the younger ones.
    private var kept = (previous: 0, current: 0)

    /// Deletes what is no longer part of the window.
    ///
    /// - Parameter before: what the database holds; `nil` = nothing, or nobody knows.
    init(_ database: Database, _ window: EventWindowState, replacing before: EventWindowState?) throws {
        self.window = window
        let last = try Int64.fetchOne(database, sql: "SELECT max(generation) FROM event_window")
        if let before, let last, before.seed == window.seed, window.current.begins(with: before.current), window.previous == before.previous
        {
            (generation, kept) = (last, (window.previous.count, before.current.count))
        } else if let before, let last, before.seed == window.seed, window.previous.begins(with: before.current) {
            (generation, kept) = (last + 1, (before.current.count, 0))
            try database.execute(sql: "DELETE FROM event_window WHERE generation < ?", arguments: [last])
        } else {
            try database.execute(sql: "DELETE FROM event_window")
        }
    }

    func write(_ writer: BulkWriter) throws {
        let insert = writer.statement("INSERT OR REPLACE INTO event_window VALUES (?, ?, ?, ?)")
        func write(_ hashes: [UInt64], behind kept: Int, _ generation: Int64) throws {
            for start in stride(
                from: kept / EventWindowState.partSize * EventWindowState.partSize, to: hashes.count, by: EventWindowState.partSize)
            {
                let part = Array(hashes[start..<min(start + EventWindowState.partSize, hashes.count)])
                try insert.run(generation, start / EventWindowState.partSize, Int64(bitPattern: window.seed), part)
            }
        }
        try write(window.previous, behind: kept.previous, generation - 1)
        try write(window.current, behind: kept.current, generation)
        // Tells which hashes are the younger, and what they start from.
        if window.current.isEmpty { try insert.run(generation, 0, Int64(bitPattern: window.seed), [UInt64]()) }
    }
}
