import Foundation
import WhittleModel

/// What `whittle usage export` wrote → the fold it was made from; plain, gzip or zstd.
public enum UsageExportReader {
    /// Reads a file; `-` is standard input.
    ///
    /// - Throws: `IngestError` when it cannot be opened, is no export, is of a newer version or is cut off: a part of it would
    ///   be no usage of anything.
    public static func read(_ path: String) throws(IngestError) -> UsageFold {
        var builder = Builder(path: path)
        try read(path, into: &builder) { _ in true }
        return try builder.finish()
    }

    /// Reads which logs a file was made from, and no more of it.
    ///
    /// - Throws: `IngestError` when it cannot be opened, or does not begin as an export of this version.
    public static func logs(in path: String) throws(IngestError) -> [UsageFold.Log] {
        var builder = Builder(path: path)
        try read(path, into: &builder) { $0.holdsOnlyLogs }
        return builder.logs
    }

    private static func read(_ path: String, into builder: inout Builder, while isWanted: (Builder) -> Bool) throws(IngestError) {
        let stream = try ByteStream.open(path: path)
        var bytes: [UInt8] = []
        let piece = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << 18)
        defer { piece.deallocate() }
        while case let count = try stream.read(into: piece, count: 1 << 18), count > 0 {
            bytes.append(contentsOf: UnsafeBufferPointer(start: piece, count: count))
            var start = 0
            while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                try builder.take(bytes[start..<end])
                guard isWanted(builder) else { return }
                start = end + 1
            }
            bytes.removeSubrange(..<start)
            if bytes.count > 32 << 20 { throw builder.error("the line is longer than 32 MiB", linesAhead: 1) }
        }
        if !bytes.isEmpty { try builder.take(bytes[...]) }
    }

    private struct Builder {
        let path: String
        private var fold = UsageFold()
        private var places: [ByteString: Int32] = [ByteString(""): 0]
        /// Places of texts that stand there without the credentials in them.
        private var (paths, agents, reasons): ([ByteString: Int32], [ByteString: Int32], [ByteString: Int32]) = ([:], [:], [:])
        private var line = 0
        private var records = 0
        /// Requests of all records.
        private var total = 0
        private var isStarted = false
        private var isEnded = false

        init(path: String) { self.path = path }

        var logs: [UsageFold.Log] { fold.logs }

        /// Whether nothing but logs has come so far; they come first.
        var holdsOnlyLogs: Bool { records == fold.logs.count && !isEnded }

        func error(_ reason: String, linesAhead: Int = 0) -> IngestError {
            .notAnExport(path: path, line: max(line + linesAhead, 1), reason: reason)
        }

        /// A member that is a text; `""` when it is left out.
        private func string(_ value: DocumentValue, _ key: StaticString) throws(IngestError) -> String {
            guard let member = value.value(key), !member.isNull else { return "" }
            guard let text = member.string else { throw error("`\(key)` must be a text") }
            return text
        }

        /// A member that is an object or list; `nil` when it is left out.
        private func container(_ value: DocumentValue, _ key: StaticString, _ kind: DocumentTree.Kind = .object) throws(IngestError)
            -> DocumentValue?
        {
            guard let member = value.value(key), !member.isNull else { return nil }
            guard member.kind == kind else { throw error("`\(key)` must be \(kind == .object ? "an object" : "a list")") }
            return member
        }

        /// The place of a text in which a log may have held a credential: older versions have kept more of them.
        ///
        /// - Parameter known: places of such texts.
        private mutating func text(
            _ value: DocumentValue, _ key: StaticString, _ known: WritableKeyPath<Self, [ByteString: Int32]>, _ mask: (String) -> String
        ) throws(IngestError) -> Int32 {
            let text = try string(value, key)
            if let place = self[keyPath: known][ByteString(text)] { return place }
            let place = place(of: mask(text))
            self[keyPath: known][ByteString(text)] = place
            return place
        }

        private mutating func text(_ value: DocumentValue, _ key: StaticString) throws(IngestError) -> Int32 {
            place(of: try string(value, key))
        }

        private mutating func place(of text: String) -> Int32 {
            var text = text
            // As in a log: the mark that the database puts in its place.
            if text.utf8.contains(0) { text = text.replacing("\0", with: "\u{FFFD}") }
            if let place = places[ByteString(text)] { return place }
            let place = Int32(fold.texts.count)
            fold.texts.append(text)
            places[ByteString(text)] = place
            return place
        }

        mutating func take(_ bytes: ArraySlice<UInt8>) throws(IngestError) {
            line += 1
            // Some editors write a byte order mark.
            let bytes = line == 1 && bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes
            guard bytes.contains(where: { $0 > 0x20 }) else { return }
            guard !isEnded else { throw error("something follows the last record") }
            var failure: IngestError?
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, firstInvalidUTF8(in: buffer) == nil, var json = try? JSONText(buffer) else {
                    failure = error("the line is no JSON")
                    return
                }
                let tree = DocumentTree(file: path, base: base)
                defer { withExtendedLifetime(tree) {} }
                guard (try? json.parseValue(into: tree)) != nil, json.peek() == 0, tree.root.kind == .object else {
                    failure = error("the line is no JSON")
                    return
                }
                do throws(IngestError) { try take(tree.root) } catch { failure = error }
            }
            if let failure { throw failure }
        }

        private mutating func take(_ record: DocumentValue) throws(IngestError) {
            guard isStarted else {
                guard record.value("whittle")?.isText("usage") ?? false, let version = record.value("version")?.integer else {
                    throw error("it does not begin like an export of `whittle usage export`")
                }
                guard version == 1 else { throw error("it is of version \(version) and this whittle reads version 1") }
                isStarted = true
                return
            }
            if let end = record.value("end")?.integer {
                guard end == records else { throw error("\(end) records were written and \(records) are left") }
                isEnded = true
                return
            }
            records += 1
            if let fact = record.value("fact") {
                try take(fact: fact)
            } else if let log = record.value("log") {
                try take(log: log)
            } else if let need = record.value("implied"), let cause = need.value("cause")?.string.flatMap(ImpliedNeed.Cause.init) {
                let (user, request) = try request(need.value("request"))
                guard let isAllowed = need.value("allowed")?.bool else { throw error("`allowed` must be true or false") }
                let implied = ImpliedNeed(user: user, request: request, cause: cause, isAllowed: isAllowed)
                fold.implied[AuditNeeds.withoutCredentials(implied), default: UsageCount()].add(try totals(need))
            } else if let flag = record.value("flag") {
                let user = try string(flag, "user")
                guard !user.isEmpty else { throw error("the flag names no user") }
                fold.flags[UsageFlag(user: user, flag: try string(flag, "flag")), default: UsageCount()].add(try totals(flag))
            } else if let dropped = record.value("namesDropped") {
                var fact = UsageFact()
                try target(&fact, dropped)
                fact.namespace = 0
                fact.name = 0
                fold.withoutNames.insert(fact)
            } else {
                throw error("the record is of no known kind")
            }
        }

        private func number(_ value: DocumentValue, _ key: StaticString) throws(IngestError) -> Int {
            guard let number = value.value(key)?.integer, Self.numbers.contains(number) else {
                throw error("`\(key)` must be a whole number")
            }
            return number
        }

        /// Microseconds since 1970-01-01 UTC of the years 0 to 9999, and some more.
        private static let numbers = -1 << 58...1 << 58
        /// Counts, and sums of them, so small that sums of many exports stay numbers, also of some that somebody has edited.
        private static let counts = 0...1 << 40
        private static let total = 1 << 50
        /// Minutes of all spans of a log: those of ten years.
        private static let spanLimit = 5_260_000
        /// Minutes since 1970-01-01 UTC that a time may lie in.
        private static let minutes = -1 << 33...1 << 33

        private func count(_ value: DocumentValue, _ key: StaticString) throws(IngestError) -> Int {
            let number = try number(value, key)
            guard Self.counts.contains(number) else { throw error("`\(key)` is no count of events") }
            return number
        }

        private func request(_ value: DocumentValue?) throws(IngestError) -> (user: String, request: Request) {
            guard let value else { throw error("the record names no request") }
            let (user, verb, path) = (try string(value, "user"), try string(value, "verb"), try string(value, "path"))
            guard !user.isEmpty else { throw error("the record names no user") }
            if !path.isEmpty { return (user, Request(verb: verb, path: Credentials.masked(path))) }
            guard value.value("resource") != nil else { throw error("the record names neither resource nor path") }
            return (
                user,
                Request(
                    verb: verb, apiGroup: try string(value, "apiGroup"), resource: try string(value, "resource"),
                    subresource: try string(value, "subresource"), namespace: try string(value, "namespace"),
                    name: try string(value, "name"))
            )
        }

        private mutating func target(_ fact: inout UsageFact, _ value: DocumentValue) throws(IngestError) {
            fact.user = try text(value, "user")
            fact.verb = place(of: Credentials.masked(try string(value, "verb"), isName: true))
            if value.value("path") != nil {
                fact.apiGroup = -1
                fact.resource = try text(value, "path", \.paths) { Credentials.masked($0) }
            } else {
                guard value.value("resource")?.string != nil else { throw error("the record names neither resource nor path") }
                fact.apiGroup = try name(value, "apiGroup")
                fact.resource = try name(value, "resource")
                fact.subresource = try name(value, "subresource")
                fact.namespace = try name(value, "namespace")
                fact.name = place(of: Credentials.withoutKey(try string(value, "name"), of: try string(value, "apiGroup")))
            }
        }

        private mutating func name(_ value: DocumentValue, _ key: StaticString) throws(IngestError) -> Int32 {
            place(of: Credentials.withoutKey(try string(value, key)))
        }

        private mutating func take(fact value: DocumentValue) throws(IngestError) {
            var fact = UsageFact()
            guard let request = value.value("request"), let decision = value.value("decision")?.string.flatMap(UsageKey.Decision.init)
            else {
                throw error("the fact has no request or no known decision")
            }
            try target(&fact, request)
            guard fact.user != 0 else { throw error("the fact names no user") }
            fact.impersonator = try text(value, "impersonator")
            (fact.podNamespace, fact.pod, fact.podUID) = (
                try text(value, "podNamespace"), try name(value, "pod"), try name(value, "podUID")
            )
            fact.address = try text(value, "address")
            fact.userAgent = try text(value, "userAgent", \.agents) { AuditEvent.agent($0) }
            fact.reason = try text(value, "reason", \.reasons) { Credentials.masked(reason: $0) }
            fact.decision = Int32(UsageKey.Decision.allCases.firstIndex(of: decision) ?? 2)
            fact.codeClass = Int32(clamping: max(try number(value, "codeClass"), 0))
            var count = UsageCount()
            count.started = try self.count(value, "started")
            var days: Set<Int64> = []
            for (day, requests) in try container(value, "days").members {
                guard let day = day.string.flatMap({ Int64($0) }), let requests = requests.integer, requests > 0,
                    Self.counts.contains(requests)
                else {
                    throw error("`days` must hold whole numbers")
                }
                guard days.insert(day).inserted else { throw error("`days` holds a day twice") }
                count.add(requests: requests, ofDay: day)
            }
            count.firstSeen = Int64(try number(value, "firstSeen"))
            count.lastSeen = Int64(try number(value, "lastSeen"))
            guard count.hasDaysInside else { throw error("`days` must lie between `firstSeen` and `lastSeen`") }
            guard !count.isEmpty else { throw error("the fact counts nothing") }
            try note(count)
            fold.facts.append(fact)
            fold.counts.append(count)
        }

        private mutating func totals(_ value: DocumentValue) throws(IngestError) -> UsageCount {
            var count = UsageCount()
            count.add(requests: try self.count(value, "count"), ofDay: 0)
            count.firstSeen = Int64(try number(value, "firstSeen"))
            count.lastSeen = Int64(try number(value, "lastSeen"))
            guard count.firstSeen <= count.lastSeen else { throw error("`firstSeen` must not be later than `lastSeen`") }
            try note(count)
            return count
        }

        /// Adds to what all records count together.
        private mutating func note(_ count: UsageCount) throws(IngestError) {
            total += count.count + count.started
            guard total <= Self.total else { throw error("there are more requests than a number can count") }
        }

        private mutating func take(log value: DocumentValue) throws(IngestError) {
            var log = UsageFold.Log(path: value.value("path") == nil ? "-" : try string(value, "path"))
            guard let digest = value.value("digest")?.string, !digest.isEmpty else { throw error("the log has no digest") }
            log.digest = digest
            log.head = try string(value, "head")
            log.byteCount = try number(value, "byteCount")
            guard log.byteCount >= 0 else { throw error("`byteCount` is no count of bytes") }
            log.lineCount = try count(value, "lineCount")
            log.events = try count(value, "events")
            log.requests = try count(value, "requests")
            log.receivedOnly = try count(value, "receivedOnly")
            log.ignored = try count(value, "ignored")
            log.undecided = try count(value, "undecided")
            log.repeated = try count(value, "repeated")
            // Older exports do not tell.
            if value.value("skipped") != nil { log.skipped = try count(value, "skipped") }
            if value.value("firstEvent") != nil { log.firstEvent = Int64(try number(value, "firstEvent")) }
            if value.value("lastEvent") != nil { log.lastEvent = Int64(try number(value, "lastEvent")) }
            func counts(_ key: StaticString) throws(IngestError) -> [String: Int] {
                var counts: [String: Int] = [:]
                for (name, count) in try container(value, key).members {
                    guard let name = name.string, let count = count.integer, Self.counts.contains(count) else {
                        throw error("`\(key)` must hold counts of events")
                    }
                    counts[name] = count
                }
                return counts
            }
            (log.rejects, log.envelopes, log.levels) = (try counts("rejects"), try counts("envelopes"), try counts("levels"))
            (log.stages, log.decisions) = (try counts("stages"), try counts("decisions"))
            for state in try container(value, "earlier", .array).elements {
                guard let digest = state.value("digest")?.string, !digest.isEmpty else { throw error("an earlier state has no digest") }
                let bytes = try number(state, "byteCount")
                guard bytes >= 0 else { throw error("`byteCount` is no count of bytes") }
                log.earlier.append(UsageFold.Log.State(digest: digest, byteCount: bytes, lineCount: try count(state, "lineCount")))
            }
            for span in try container(value, "spans", .array).elements {
                let ends = span.elements.compactMap(\.integer)
                guard ends.count == 2, ends[0] <= ends[1], Self.minutes.contains(ends[0]), Self.minutes.contains(ends[1]),
                    ends[1] - ends[0] + log.minutes.count < Self.spanLimit
                else {
                    throw error("`spans` must hold pairs of minutes, of ten years at most")
                }
                log.minutes.formUnion((ends[0]...ends[1]).map(Int64.init))
            }
            fold.logs.append(log)
        }

        consuming func finish() throws(IngestError) -> UsageFold {
            guard isStarted else { throw error("it is empty") }
            guard isEnded else { throw error("its last record is missing: it is cut off") }
            // Nobody could tell that it was merged before.
            guard !fold.logs.isEmpty || records == 0 else { throw error("it does not tell of which logs its records are") }
            return fold
        }
    }
}
