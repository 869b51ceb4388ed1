import WhittleModel

/// The logs that were folded before, found by how they begin: each log is looked for among the few that it may be.
struct KnownLogs {
    /// Logs that begin alike, or that are too short to tell.
    struct Group {
        /// Decompressed bytes of these logs, ascending.
        private(set) var counts: [Int] = []
        private var logs: [Int: [KnownLog]] = [:]

        /// The log of so many bytes that has one of the digests.
        func log(ofBytes count: Int, _ digests: [String]) -> KnownLog? { logs[count]?.first { digests.contains($0.digest) } }

        fileprivate mutating func insert(_ log: KnownLog, _ count: Int) {
            if logs[count] == nil { counts.insert(count, at: place(of: count)) }
            if !(logs[count] ?? []).contains(log) { logs[count, default: []].append(log) }
        }

        fileprivate mutating func remove(_ digest: String, _ count: Int) {
            logs[count]?.removeAll { $0.digest == digest }
            guard logs[count]?.isEmpty ?? false else { return }
            logs[count] = nil
            counts.remove(at: place(of: count))
        }

        /// The first place whose count is not lower.
        private func place(of count: Int) -> Int {
            var range = 0..<counts.count
            while !range.isEmpty {
                let middle = range.lowerBound + range.count / 2
                range = counts[middle] < count ? middle + 1..<range.upperBound : range.lowerBound..<middle
            }
            return range.lowerBound
        }
    }

    private var groups: [String: Group] = [:]
    /// Whether some are known by the digest of all their bytes, as files of schema 1 hold them.
    private(set) var needsWhole = false

    /// - Parameter logs: byte count → logs.
    init(_ logs: [Int: Set<KnownLog>]) {
        for (count, logs) in logs {
            for log in logs { insert(log, count) }
        }
    }

    /// Of a log that is shorter than what heads are made of, the head does not tell how longer states of it begin.
    private static func key(_ head: String, _ count: Int) -> String { count < LogDigest.beginning ? "" : head }

    mutating func insert(_ log: KnownLog, _ count: Int) {
        if !LogDigest.isOfEnds(log.digest) { needsWhole = true }
        groups[Self.key(log.head, count), default: Group()].insert(log, count)
    }

    mutating func remove(_ log: KnownLog, _ count: Int) {
        groups[Self.key(log.head, count)]?.remove(log.digest, count)
    }

    /// Those that a log with this head may be, or go on behind: of at most so many bytes.
    func candidates(head: String) -> [Group] { (head.isEmpty ? [""] : ["", head]).compactMap { groups[$0] } }
}
