import WhittleModel

/// Reads lines that do not begin like JSON: tables, events behind a prefix, packed ones, and what tools write around events.
struct AuditTextReader {
    /// Bytes in which the name of a stream must stand.
    private static let headLimit = 1 << 10

    private let reader: AuditRecordReader
    private let lineLimit: Int
    private let format: String?
    private var table: AuditCSV?
    /// The header of a table of which no row was read yet, if that must prove that it is one; empty for one that an earlier load has read.
    private var header: [UInt8]?
    /// A record of the table that goes on in the next line.
    private var row: [UInt8] = []
    private var rowLine = 0
    private var rowQuotes = 0
    /// Where the names of columns may be anything.
    private var firstLine = 1

    /// - Parameter reader: of the values that are found.
    init(_ reader: AuditRecordReader, lineLimit: Int, format: String?) {
        self.reader = reader
        self.lineLimit = lineLimit
        self.format = format
    }

    /// Whether lines are rows of a table.
    var isInTable: Bool { table != nil }

    /// Bytes of a record that goes on in the next line.
    var heldCount: Int { row.count }

    /// Whether a line names the columns of a table; the lines that follow are its rows then.
    private mutating func beginTable(_ text: [UInt8], _ line: Int) -> Bool {
        guard let table = text.withUnsafeBufferPointer({ AuditCSV(headerLine: $0, isFirst: line == firstLine) }) else { return false }
        self.table = table
        header = table.isCertain ? nil : text
        return true
    }

    /// The same for the first line of a log of which an earlier load has read more than that.
    mutating func resumeTable(_ text: [UInt8]) -> Bool {
        guard beginTable(text, 1) else { return false }
        if header != nil { header = [] }
        return true
    }

    /// What looked like the first line of a table is none.
    private mutating func giveUpHeader() {
        guard let text = header else { return }
        (table, header) = (nil, nil)
        if !text.isEmpty { takeText(text, firstLine) }
    }

    /// Whether a line that begins like JSON is a row all the same.
    func isRow(_ line: Slice<UnsafeBufferPointer<UInt8>>) -> Bool { table?.isRow(line) ?? false }

    /// What follows is no row, unless a record is not at its end.
    mutating func endTable() {
        giveUpHeader()
        if row.isEmpty { table = nil }
    }

    /// Takes a line.
    mutating func take(_ text: [UInt8], _ line: Int) {
        if let table { return takeRow(text, line, of: table) }
        // `aws logs tail` writes the time and the stream before each message.
        let words = text.prefix(Self.headLimit).split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard words.count == 3, words[1].withUnsafeBufferPointer({ AuditEnvelope.isOther(stream: $0[...]) }) else {
            return takeRecord(text, line)
        }
        reader.readOrSkip(isOther: true) { takeRecord(text, line) }
    }

    private mutating func takeRecord(_ text: [UInt8], _ line: Int) {
        if line == firstLine {
            if line == 1, text.withUnsafeBufferPointer(AuditCSV.isBeforeHeader) { return firstLine = 2 }
            // Names may look like an event behind a prefix.
            if beginTable(text, line) { return }
        }
        takeText(text, line)
    }

    private mutating func takeText(_ text: [UInt8], _ line: Int) {
        if text.withUnsafeBufferPointer(AuditEnvelope.isHeading) { return }
        if text.withUnsafeBufferPointer(AuditEnvelope.isQuoted) { return reader.readOrReject(text, line, "") }
        let prefix = text.withUnsafeBufferPointer { bytes in
            AuditEnvelope.prefix(of: bytes).map { (Array($0.rest), $0.envelope, $0.isPartial, $0.stream) }
        }
        if let (rest, envelope, isPartial, stream) = prefix {
            guard let value = reader.joined(rest, stream: stream, isPartial: isPartial, line) else { return }
            return reader.readOrReject(value, line, envelope)
        }
        if var unpacked = text.withUnsafeBufferPointer({ AuditEnvelope.unpacked($0, limit: lineLimit) }) {
            if !AuditEnvelope.padded(&unpacked, { reader.read($0, line) }) {
                reader.reject("not-json", "what is packed in the line is no JSON", line, 1, text)
            }
            return
        }
        if line != firstLine, beginTable(text, line) { return }
        if text.withUnsafeBufferPointer({ AuditEnvelope.isLegacy($0) }) { return reader.rejectLegacy(text, line) }
        reader.rejectUnreadable(text, line)
    }

    /// Takes a line of a table; a record may go on over many of them.
    private mutating func takeRow(_ text: [UInt8], _ line: Int, of table: AuditCSV) {
        if header != nil, text.contains(where: { $0 > 0x20 }) {
            let found = text.withUnsafeBufferPointer { table.records(row: $0, as: format) }
            guard found.hasEvents || found.skipped > 0 else {
                giveUpHeader()
                return take(text, line)
            }
            header = nil
        }
        let quotes = text.count { $0 == UInt8(ascii: "\"") }
        if !row.isEmpty, quotes.isMultiple(of: 2) {
            let isWhole = text.withUnsafeBufferPointer { table.records(row: $0, as: format).hasEvents }
            if isWhole {
                // The record at hand was cut off.
                reader.reject("cut-off", "the record is cut off", rowLine, 1, row)
                (row, rowQuotes) = ([], 0)
                _ = text.withUnsafeBufferPointer { reader.read(row: $0, of: table, line) }
                return
            }
        }
        if row.isEmpty { rowLine = line }
        if row.isEmpty { row = text } else { row += text }
        rowQuotes += quotes
        guard rowQuotes.isMultiple(of: 2) else {
            if row.count > lineLimit {
                reader.reject("too-long", "a record is longer than \(lineLimit >> 20) MiB", rowLine, 1, row)
                (row, rowQuotes) = ([], 0)
            }
            return
        }
        let record = row
        (row, rowQuotes) = ([], 0)
        // Another log may follow, or the header was a line of text.
        let isRow = record.withUnsafeBufferPointer { bytes in
            reader.read(row: bytes, of: table, rowLine) {
                guard rowLine == line else { return false }
                return AuditCSV(headerLine: bytes, isFirst: false) != nil
                    || AuditEnvelope.prefix(of: bytes).map { $0.isPartial || AuditEnvelope.isEvent($0.rest) } ?? false
            }
        }
        if !isRow {
            endTable()
            take(record, rowLine)
        }
    }

    /// Ends the log; the bytes of its last record if that is cut off and may go on, `nil` = there is none.
    ///
    /// - Parameter limit: bytes that can wait for the log to go on; what is longer is dealt with.
    mutating func finish(waiting limit: Int) -> Int? {
        giveUpHeader()
        defer { (table, row, rowQuotes, firstLine) = (nil, [], 0, 1) }
        guard !row.isEmpty else { return nil }
        if row.count <= limit { return row.count }
        reader.reject("cut-off", "the last record is cut off", rowLine, 1, row)
        return nil
    }
}
