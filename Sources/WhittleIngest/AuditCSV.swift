import Foundation
import WhittleModel

/// An export of audit logs as CSV (RFC 4180): the tables of AKS, one column that holds the events as text, or one for each member of an
/// event, as Kibana writes it.
struct AuditCSV {
    private struct Column {
        /// The name as the key of a JSON object; empty for a column that tells nothing.
        var key: [UInt8]
        var isTime: Bool
        /// Whether it is written as a list, or as its values with commas.
        var isList: Bool
        /// Whether it tells something though nothing stands there.
        var countsEmpty: Bool
    }

    private let columns: [Column]
    /// Whether the columns are the members of events.
    private let isFlat: Bool
    /// Whether they are those of the tables of AKS.
    private let isTable: Bool
    /// Whether their names alone tell that this is a table, and no other line of text.
    let isCertain: Bool
    /// Whether texts are written as JSON.
    private let quotesTexts: Bool
    private let delimiter: UInt8

    /// Columns with whole events, and those that tell which log a record is of.
    private static let texts: Set<String> = [
        "log_s", "log", "properties", "@message", "message", "_raw", "line", "event", "body", "textPayload", "_source", "RawEvent",
    ]
    /// The same in the first line of a log.
    private static let firstTexts = texts.union(["content", "data", "json", "msg", "payload", "raw", "src", "text", "value"])
    /// The same of a table of one column: others are words that a log may begin with.
    private static let firstNames: Set<String> = ["content", "raw"]
    private static let headerLimit = 1 << 14
    private static let categories: Set<String> = ["category", "Category", "Type", "TableName", "@logStream", "logStreamName"]

    /// Reads a header; `nil` when it names no column of an audit log.
    ///
    /// - Parameter isFirst: whether it is the first line of a log, where names may be anything; others may be text with commas.
    init?(headerLine line: UnsafeBufferPointer<UInt8>, isFirst: Bool) {
        let bytes = line.starts(with: [0xEF, 0xBB, 0xBF]) ? UnsafeBufferPointer(rebasing: line[3...]) : line
        guard let first = bytes.first, first != UInt8(ascii: "{"), first != UInt8(ascii: "["), bytes.count < Self.headerLimit else {
            return nil
        }
        for delimiter in Self.delimiters {
            // Without a delimiter the line is one column, whatever the delimiter is.
            guard delimiter == Self.delimiters[0] || bytes.contains(delimiter) else { continue }
            guard let (names, arePlain) = Self.names(of: bytes, delimiter, mustBePlain: !isFirst) else { continue }
            // One column alone must hold the events.
            guard names.count > 1 || Self.texts.contains(names[0]) || isFirst && Self.firstNames.contains(names[0]) else { continue }
            let isTable = names.contains("Stage") && (names.contains("RequestUri") || names.contains("Verb"))
            let prefix = isTable ? nil : Self.prefix(ofMembers: names)
            let isKnown = isTable || prefix != nil || names.contains(where: Self.texts.contains)
            guard isKnown || isFirst && names.contains(where: Self.firstTexts.contains) else { continue }
            // Beside a column that is known to hold events, others hold something else.
            let wanted = (isTable ? TableColumn.names : isKnown ? Self.texts : Self.firstTexts).union(Self.categories)
            columns = names.map { name in
                // When a record was stored, which stands beside the members.
                let isStoreTime = prefix != nil && name == "@timestamp"
                let isTold = isStoreTime || prefix.map(name.hasPrefix) ?? wanted.contains(name)
                let name = isStoreTime ? name[...] : name.dropFirst(prefix?.count ?? 0)
                return Column(
                    key: isTold && !name.isEmpty ? Array("\(jsonQuoted(String(name))):".utf8) : [],
                    isTime: isStoreTime || (prefix == nil ? TableColumn.times.contains(String(name)) : name.hasSuffix("Timestamp")),
                    isList: prefix != nil && (name == "sourceIPs" || name.hasSuffix(".groups") || Self.isListInExtra(name)),
                    // That there is a column for who was impersonated.
                    countsEmpty: name == "ImpersonatedUser")
            }
            isFlat = prefix != nil
            self.isTable = isTable
            isCertain = isKnown && arePlain
            // Datadog does.
            quotesTexts = prefix == "@"
            self.delimiter = delimiter
            return
        }
        return nil
    }

    /// Whether a column is a whole list of `user.extra`, and no element of one (`…/pod-name.0`, `…/pod-name[0]`).
    private static func isListInExtra(_ name: Substring) -> Bool {
        name.contains(".extra.") && !(name.last.map { $0 == "]" || $0.isNumber } ?? false)
    }

    private static let delimiters = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t")]

    /// The names in a row of them, and whether they are such as programs have; `nil` when they are none.
    private static func names(
        of line: UnsafeBufferPointer<UInt8>, _ delimiter: UInt8, mustBePlain: Bool = false
    ) -> (names: [String], arePlain: Bool)? {
        guard let cells = cells(of: line, delimiter), !cells.isEmpty else { return nil }
        var arePlain = true
        for cell in cells {
            var text = line[cell.range]
            if text.suffix(utc.utf8.count).elementsEqual(utc.utf8) { text = text.dropLast(utc.utf8.count) }
            let isPlain = !text.contains { $0 == 0x20 || $0 == UInt8(ascii: "=") } && !(text.first?.isDigit ?? false)
            guard isPlain || !mustBePlain else { return nil }
            // Splunk names lists with both braces.
            let hasBrace = text.indices.contains { index in
                text[index] == UInt8(ascii: "{") && (index + 1 == text.endIndex || text[index + 1] != UInt8(ascii: "}"))
            }
            // What is quoted may be any name.
            guard text.allSatisfy({ $0 >= 0x20 }), cell.isQuoted || !hasBrace && !text.contains(UInt8(ascii: "=")) else { return nil }
            guard !hasBrace || !mustBePlain else { return nil }
            arePlain = arePlain && (isPlain || cell.isQuoted) && !hasBrace
        }
        return (cells.map { name($0.text(in: line)) }, arePlain)
    }

    /// Whether a line is what spreadsheets and PowerShell write before a header: the delimiter, or what the rows are.
    static func isBeforeHeader(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        line.starts(with: "#TYPE ".utf8) && line.count < 256 && !line.contains(UInt8(ascii: "{"))
            || line.starts(with: "sep=".utf8) && line.dropFirst(5).allSatisfy { $0 <= 0x20 }
    }

    /// Whether a line looks like a header, whatever its columns are.
    static func mayBeHeader(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        line.count < headerLimit && delimiters.contains { names(of: line, $0)?.names.count ?? 0 > 1 }
    }

    /// What stands before the names of the members of an event, maybe nothing; `nil` when columns are none.
    private static func prefix(ofMembers names: [String]) -> Substring? {
        let hasMembers = names.contains("stage") && names.contains("user") && (names.contains("requestURI") || names.contains("verb"))
        // What is beside the whole event tells less.
        if hasMembers, !names.contains(where: texts.contains) { return "" }
        // What Google Cloud's pages offer.
        if AuditShape.entryMethods.contains(where: { names.contains($0.name.description) }) { return "" }
        // Datadog writes `@user.username`.
        let users = names.lazy.filter { $0.hasSuffix("user.username") }.map { $0.dropLast("user.username".count) }
            .filter { ($0.isEmpty || $0 == "@" || $0.hasSuffix(".")) && !AuditShape.isOfBody($0) }
        // Those of a body have longer names, and what is beside the event has no stage.
        if let shortest = users.filter({ names.contains("\($0)stage") }).min(by: { $0.utf8.count < $1.utf8.count }) { return shortest }
        return AuditSpelling.areMembers(names) && !names.contains(where: texts.contains) ? "" : nil
    }

    /// What Azure's portal writes behind the names of times.
    private static let utc = " [UTC]"

    /// The portal writes `TimeGenerated [UTC]`, Splunk `sourceIPs{}`.
    private static func name(_ text: String) -> String {
        // Foundation looks for spaces of all scripts, which takes long.
        let isBare = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        let text = isBare ? text : text.trimmingCharacters(in: .whitespaces)
        let name = text.hasSuffix(utc) ? String(text.dropLast(utc.count)) : text.hasSuffix("{}") ? String(text.dropLast(2)) : text
        let lower = name.lowercased()
        return firstTexts.contains(lower) ? lower : name
    }

    /// What one record holds; a blank line holds nothing, and a record that is no event, or is cut, one unknown.
    ///
    /// - Parameters:
    ///   - row: with or without its line end, complete in the sense of `isComplete`.
    ///   - taker: see `AuditEnvelope.records`.
    func records(
        row: UnsafeBufferPointer<UInt8>, as format: String? = nil, taker: AuditEnvelope.Taker? = nil
    ) -> AuditEnvelope.Records {
        guard row.contains(where: { $0 > 0x20 }) else { return AuditEnvelope.Records() }
        let bad = AuditEnvelope.Records(unknown: 1)
        guard firstInvalidUTF8(in: row) == nil, let cells = Self.cells(of: row, delimiter), isComplete(cells) else { return bad }
        // Most escapes are at most twice as long as what they stand for; memory that is not used costs nothing.
        var object: [UInt8] = []
        object.reserveCapacity(row.count * 2 + AuditEnvelope.padding)
        for (column, cell) in zip(columns, cells) where !column.key.isEmpty && (!cell.range.isEmpty || column.countsEmpty) {
            // Other words for nothing are told from names where those beside them are known.
            if isFlat, cell.isDash(in: row) || column.isList && cell.isNothing(in: row) { continue }
            object.append(object.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            object += column.key
            if quotesTexts, let text = cell.jsonString(in: row) {
                object += text.utf8
            } else if column.isTime {
                object += jsonQuoted(Self.time(cell.text(in: row))).utf8
            } else if column.isList {
                object += Self.list(cell.text(in: row)).utf8
            } else {
                cell.appendJSON(in: row, to: &object)
            }
        }
        object += object.isEmpty ? "{}".utf8 : "}".utf8
        return AuditEnvelope.records(inText: consume object, as: format, taker: taker, isFlat: isFlat) ?? bad
    }

    /// Whether there are as many cells as columns. Excel leaves empty ones at the end out: where a column holds whole events, nothing is
    /// lost with them.
    private func isComplete(_ cells: [Cell]) -> Bool {
        cells.count == columns.count || cells.count < columns.count && !isFlat && !isTable && cells.count > 1
    }

    /// Whether the first of several cells, which is not quoted, is no JSON: that has quotes, and a cell with quotes is quoted.
    func isRow(_ line: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        line.first { $0 == delimiter || $0 == UInt8(ascii: "\"") } == delimiter && columns.count > 1
    }

    /// Whether a record ends with this line: quotes are balanced.
    static func isComplete(_ row: UnsafeBufferPointer<UInt8>) -> Bool {
        row.reduce(into: 0) { count, byte in if byte == UInt8(ascii: "\"") { count &+= 1 } } & 1 == 0
    }

    /// Where a cell stands, without the quotes around it. In a quoted one each quote is written twice.
    private struct Cell {
        var range: Range<Int>
        var isQuoted: Bool

        func text(in row: UnsafeBufferPointer<UInt8>) -> String {
            let text = String(decoding: row[range], as: UTF8.self)
            return isQuoted ? text.replacing("\"\"", with: "\"") : text
        }

        /// Whether Kibana's word for nothing stands there.
        func isDash(in row: UnsafeBufferPointer<UInt8>) -> Bool { range.count == 1 && row[range.lowerBound] == UInt8(ascii: "-") }

        /// Whether a word for nothing stands there.
        func isNothing(in row: UnsafeBufferPointer<UInt8>) -> Bool {
            let text = ByteSlice(UnsafeBufferPointer(rebasing: row[range]))
            return text.count <= 7 && AuditEvent.wordsForNothing.contains { text.isText($0) }
        }

        /// The cell where it is a JSON string, as Datadog writes texts.
        func jsonString(in row: UnsafeBufferPointer<UInt8>) -> String? {
            guard isQuoted, row[range].starts(with: "\"\"".utf8) else { return nil }
            let text = text(in: row)
            let isString = Array(text.utf8).withUnsafeBufferPointer { bytes in
                guard var json = try? JSONText(bytes), (try? json.skipValue()) != nil else { return false }
                return json.position == json.end
            }
            return isString ? text : nil
        }

        private static let escapes: [UInt8: UInt8] = [0x0A: UInt8(ascii: "n"), 0x0D: UInt8(ascii: "r"), 0x09: UInt8(ascii: "t")]

        /// Appends the cell as a JSON string. Nothing is copied twice: it may be as long as a line may be. Control characters would
        /// take up to six times their space; JSON has them between its tokens only, so in a long cell one stands for all of a run.
        func appendJSON(in row: UnsafeBufferPointer<UInt8>, to object: inout [UInt8]) {
            let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
            object.append(quote)
            var position = range.lowerBound
            let isLong = range.count > AuditEvent.memberLimit
            while position < range.upperBound {
                let byte = row[position]
                if byte == quote || byte == backslash {
                    object.append(backslash)
                    object.append(byte)
                    position += isQuoted && byte == quote ? 2 : 1
                } else if byte < 0x20, isLong {
                    let end = row[position..<range.upperBound].firstIndex { $0 >= 0x20 } ?? range.upperBound
                    object += row[position..<end].contains(0x0A) ? "\\n".utf8 : " ".utf8
                    position = end
                } else if let letter = Self.escapes[byte] {
                    object.append(backslash)
                    object.append(letter)
                    position += 1
                } else if byte < 0x20 {
                    object += "\\u00\(hex([byte]))".utf8
                    position += 1
                } else {
                    var end = position + 1
                    while end < range.upperBound, row[end] >= 0x20, row[end] != quote, row[end] != backslash { end += 1 }
                    object += UnsafeBufferPointer(rebasing: row[position..<end])
                    position = end
                }
            }
            object.append(quote)
        }
    }

    /// The cells of a record; `nil` when the quotes make no sense.
    private static func cells(of row: UnsafeBufferPointer<UInt8>, _ delimiter: UInt8) -> [Cell]? {
        let quote = UInt8(ascii: "\"")
        var end = row.count
        while end > 0, row[end - 1] == 0x0A || row[end - 1] == 0x0D { end -= 1 }
        var cells: [Cell] = []
        var position = 0
        while true {
            if position < end, row[position] == quote {
                let start = position + 1
                position = start
                while true {
                    guard let close = row[position..<end].firstIndex(of: quote) else { return nil }
                    position = close + 1
                    // A quote in a cell is written twice.
                    guard position < end, row[position] == quote else { break }
                    position += 1
                }
                guard position == end || row[position] == delimiter else { return nil }
                cells.append(Cell(range: start..<position - 1, isQuoted: true))
            } else {
                let stop = row[position..<end].firstIndex(of: delimiter) ?? end
                cells.append(Cell(range: position..<stop, isQuoted: false))
                position = stop
            }
            guard position < end else { return cells }
            position += 1
        }
    }

    /// A list as JSON. Kibana writes it as such or with commas, others with brackets (`[a, b]`, `['a', 'b']`, `{a,b}`).
    private static func list(_ text: String) -> String {
        let isJSON =
            text.first == "["
            && Array(text.utf8).withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress, bytes.count <= AuditEvent.memberLimit, var json = try? JSONText(bytes) else {
                    return false
                }
                return (try? json.parseValue(into: DocumentTree(file: "", base: base))) != nil && json.position == json.end
            }
        if isJSON { return text }
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]") || text.hasPrefix("{") && text.hasSuffix("}")
        let elements = (isBracketed ? text.dropFirst().dropLast() : text[...]).split(separator: ",")
        return jsonArray(elements.map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " '\"")) })
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The portal writes `3/1/2026, 10:00:00.000 AM`, Kibana `Mar 1, 2026 @ 10:00:00.000`; anything else is left as it is.
    private static func time(_ text: String) -> String {
        if text.utf8.dropFirst(10).first == UInt8(ascii: "T") { return text }
        let parts = text.split(whereSeparator: { ", @".contains($0) })
        if parts.count == 4, let month = months.firstIndex(where: { $0 == parts[0] }), let day = Int(parts[1]), (1...31).contains(day) {
            return "\(parts[2])-\(month < 9 ? "0" : "")\(month + 1)-\(day < 10 ? "0" : "")\(day)T\(parts[3])Z"
        }
        let words = text.split(whereSeparator: { ", \u{202F}".contains($0) })
        guard words.count == 3, words[2] == "AM" || words[2] == "PM" else { return text }
        let date = words[0].split(separator: "/").compactMap { Int($0) }
        let clock = words[1].split(separator: ":")
        guard date.count == 3, clock.count == 3, let hour = Int(clock[0]), (1...12).contains(hour), date.allSatisfy({ $0 > 0 }) else {
            return text
        }
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let seconds = clock[2].prefix { $0 != "." }.count == 1 ? "0\(clock[2])" : String(clock[2])
        let hours = hour % 12 + (words[2] == "PM" ? 12 : 0)
        return "\(padded(date[2], 4))-\(padded(date[0]))-\(padded(date[1]))T\(padded(hours)):\(clock[1]):\(seconds)Z"
    }
}
