import WhittleModel

/// Reads what is no usual event on one line: values over many lines, lists, wrapped events, and what is no JSON at all.
///
/// Lines come in order, those of usual events left out unless they may be inside of a value (`mayHoldEvent`). Lists are taken apart
/// element by element, so that memory is bounded by the longest element; other values are held until they end, at most `lineLimit` bytes.
final class AuditSession {
    enum State {
        /// Between values.
        case idle
        /// Inside a value that does not end in its line, or a line of which only a part has come.
        case open
        /// Between or inside the elements of a list, which so many objects are around.
        case list(envelope: String, depth: Int)
        /// Behind the elements of a list, inside what is around it.
        case closing
        /// In a line that is too long.
        case skipping
        /// In a value over many lines that is too long.
        case dropping
    }

    /// Bytes of a value or an element over many lines that is looked for as a whole; longer ones are taken line by line, as are damaged ones.
    static let wholeLimit = 1 << 16
    /// Bytes of values on one line that are held until it ends.
    private static let rowLimit = 4 << 20

    let reader: AuditRecordReader
    let lineLimit: Int

    var state = State.idle
    var lists = OpenLists()
    /// The value, or the element of a list, that has not ended; room for scanning is added when it is read.
    var held: [UInt8] = []
    var heldLine = 0
    /// Where the value or element begins that was last known to hold a body.
    private var bodyLine = 0
    /// Bytes of the value at hand up to the end of a line that looks like an event; 0 = that was not the last line.
    private var eventEnd = 0
    var nesting = Nesting()
    private(set) var isAtLineStart = true
    /// NUL bytes in a row before what comes next.
    var gapOfNULs = GapOfNULs()
    /// Whether a value must end in its line: it was given up once.
    private var isStrict = false
    private(set) var isAtStart = true
    /// Whether an earlier load has read how the log begins.
    private(set) var isContinued = false
    /// Whether the line at hand is known to be no usual event.
    private var isUnusual = false
    private(set) var texts: AuditTextReader
    /// Bytes since the first part of a split line that waits for others, and what was counted until then.
    private var sinceParts = 0
    var countedBeforeParts = 0

    /// - Parameter reader: of the values that are found.
    init(_ reader: AuditRecordReader, lineLimit: Int, format: String?) {
        self.reader = reader
        self.lineLimit = lineLimit
        texts = AuditTextReader(reader, lineLimit: lineLimit, format: format)
    }

    /// The lines that follow are of this log.
    ///
    /// - Parameter firstLine: of a log whose beginning an earlier load has read; it may name the columns of a table.
    func begin(_ path: String, firstLine: [UInt8]?, onReject: RejectHandler?) {
        reader.begin(path, onReject: onReject)
        if isAtStart { isContinued = firstLine != nil }
        if isAtStart, let firstLine, texts.resumeTable(firstLine) { isAtStart = false }
    }

    /// Whether every byte so far is dealt with.
    var isIdle: Bool {
        if case .idle = state { return held.isEmpty && !reader.isInParts && !texts.isInTable && gapOfNULs.count == 0 }
        return false
    }

    /// Whether a line that looks like an event may be inside the value at hand: of a body, into which whoever sent it may put anything, or
    /// of a list in a list.
    func mayHoldEvent() -> Bool {
        switch state {
        case .open where texts.isInTable: return false
        case .list where isBetweenElements || lists.shape.isIndented: return false
        case .open, .list: return nesting.mayHoldValue(behind: held.last { $0 > 0x20 }) && (held.first == UInt8(ascii: "[") || holdsBody())
        default: return false
        }
    }

    /// Takes a line that looks like an event and may be inside the value at hand.
    func takeInside(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) {
        take(bytes, line: line, endsLine: true)
        eventEnd = held.count
    }

    /// What can follow behind a value is known: with anything else the value at hand, which seemed to hold it, was cut off.
    private func endBehindEvent(before line: UnsafeBufferPointer<UInt8>) {
        guard let next = line.first(where: { $0 > 0x20 }) else { return }
        let isRightBehind = eventEnd <= held.count && held[eventEnd...].allSatisfy { $0 <= 0x20 }
        eventEnd = 0
        guard isRightBehind, !",]}".utf8.contains(next) else { return }
        endCutValue()
    }

    /// The value or list at hand, if there is one, was cut off.
    func endCutValue() {
        switch state {
        case .open: giveUp()
        case .list, .closing: endCutList()
        case .dropping: state = .idle
        case .idle, .skipping: break
        }
    }

    private func holdsBody() -> Bool {
        if bodyLine != heldLine, AuditEnvelope.mayHoldBody(held) { bodyLine = heldLine }
        return bodyLine == heldLine
    }

    // MARK: Lines

    /// A usual event comes, which is an element of the list at hand, or shows that the value at hand was cut off.
    func interrupt() {
        eventEnd = 0
        switch state {
        case .open: giveUp()
        case .closing: endCutList()
        case .list where isBetweenElements && !lists.shape.awaitsElement || ListShape.hasTakenValue(held, nesting: nesting): endCutList()
        // The event is the next element.
        case .list where isBetweenElements:
            lists.shape.isTold = false
            lists.shape.noteElementEnd()
        case .list:
            lists.shape.isTold = true
            endElement()
            // The outermost list may go on behind the event, which may be its last.
            if let outermost = lists.outer.first { state = outermost }
            lists.outer = []
            lists.shape.noteElementEnd()
        case .dropping: state = .idle
        default: break
        }
        lists.gap = 0
        (isAtStart, isAtLineStart) = (false, true)
        countedBeforeParts = -1
    }

    /// Takes a line, or a piece of one.
    ///
    /// - Parameters:
    ///   - bytes: the buffer goes on for `AuditEnvelope.padding` bytes behind them.
    ///   - line: its number in the log, 1-based.
    ///   - isUnusual: whether it is known to be no usual event as it stands.
    func take(_ bytes: UnsafeBufferPointer<UInt8>, line: Int, endsLine: Bool, isUnusual: Bool = false) {
        if takeGaps(in: bytes, line: line, endsLine: endsLine) { return }
        takeText(bytes, line: line, endsLine: endsLine, isUnusual: isUnusual)
    }

    /// Takes a line, or a piece of one, without gaps.
    func takeText(_ bytes: UnsafeBufferPointer<UInt8>, line: Int, endsLine: Bool, isUnusual: Bool = false) {
        var (bytes, isUnusual) = (bytes, isUnusual)
        if eventEnd > 0 { endBehindEvent(before: bytes) }
        if isAtLineStart, texts.heldCount == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            // Here a file begins that was written behind another.
            endCutValue()
            (bytes, isUnusual) = (UnsafeBufferPointer(rebasing: bytes[3...]), false)
        }
        // What ends before has lines of its own.
        self.isUnusual = isUnusual
        if isAtStart {
            if let first = bytes.first(where: { $0 > 0x20 }) {
                isAtStart = false
                // The name of the first column may be empty.
                let isHeader = first == UInt8(ascii: ",") && AuditCSV(headerLine: bytes, isFirst: true) != nil
                // Of a list nobody has read the beginning of, only what begins with an element is known to be one.
                let isList = isContinued || first == UInt8(ascii: ",") && beginsElement(behindComma: bytes)
                lists.isResumed = !isHeader && isList && goOn(before: first)
            }
        } else if lists.isResumed, case .idle = state, let first = bytes.first(where: { $0 > 0x20 }) {
            lists.isResumed = goOn(before: first)
        }
        let wasInParts = reader.isInParts
        if !wasInParts { (sinceParts, countedBeforeParts) = (0, reader.counted) }
        sinceParts += bytes.count
        defer { isAtLineStart = endsLine }
        switch state {
        case .skipping:
            reader.rejectRest(bytes)
            if endsLine { state = .idle }
        case .dropping where isAtLineStart && JSONLines.beginsValue(bytes):
            // It was cut off before.
            state = .idle
            takeValue(bytes, line, endsLine: endsLine)
        case .dropping:
            reader.rejectRest(bytes)
            nesting.advance(over: bytes)
            if nesting.depth <= 0 { state = .idle }
        case .list, .closing:
            guard isAtLineStart, isCutOff(before: bytes) else { return takeElements(bytes, line, startsLine: isAtLineStart) }
            endCutList()
            self.isUnusual = isUnusual
            takeValue(bytes, line, endsLine: endsLine)
        case .idle, .open: takeValue(bytes, line, endsLine: endsLine)
        }
    }

    /// Takes values over many lines, or elements of the list at hand, that these lines hold the whole of and that are no lists themselves:
    /// the same as taking line by line, but quicker.
    ///
    /// - Parameters:
    ///   - bytes: whole lines; the buffer goes on for `AuditEnvelope.padding` bytes behind them.
    ///   - line: the number of the first in the log, 1-based.
    /// - Returns: the count of bytes that are dealt with; what follows is to be taken line by line.
    func takeWhole(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) -> Int {
        guard held.isEmpty, !lists.isDroppingElement, !reader.isInParts, !isAtStart, gapOfNULs.count == 0 else { return 0 }
        switch state {
        case .list(let envelope, _) where envelope != ListBeginning.other: return takeWholeElements(bytes, line, envelope: envelope)
        case .idle where !lists.isResumed && !texts.isInTable: return takeWholeValues(bytes, line)
        default: return 0
        }
    }

    private func takeWholeValues(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int) -> Int {
        var (line, taken) = (line, 0)
        while taken < bytes.count, bytes[taken] == UInt8(ascii: "{"), !reader.isInParts {
            let rest = UnsafeBufferPointer(rebasing: bytes[taken...].prefix(Self.wholeLimit))
            let lines = UnsafeBufferPointer(rebasing: rest[..<JSONLines.endOfValue(in: rest)])
            guard let end = JSONLines.containerEnd(in: lines, from: 0), let lineEnd = lines[end...].firstIndex(of: UInt8(ascii: "\n"))
            else { break }
            let value = UnsafeBufferPointer(rebasing: lines[..<end])
            let feeds = value.lineFeedCount
            guard feeds > 0, lines[end..<lineEnd].allSatisfy({ $0 <= 0x20 || $0 == UInt8(ascii: ",") }),
                ListBeginning(of: value, among: ListBeginning.members) == nil,
                !GapOfNULs.holdsNUL(UnsafeBufferPointer(rebasing: lines[..<lineEnd]))
            else { break }
            (heldLine, countedBeforeParts) = (line, -1)
            guard reader.read(value, line) else { break }
            line += feeds + 1
            taken += lineEnd + 1
        }
        return taken
    }

    func takeValue(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int, endsLine: Bool) {
        // What begins something else ends the value, but a member's value, or an element of an inner list, that is waited for.
        if case .open = state, held.last == UInt8(ascii: "\n"), !JSONLines.mayBeInside(bytes), let first = bytes.first {
            if !"{[".utf8.contains(first) || !nesting.mayHoldValue(behind: held.last { $0 > 0x20 }) {
                let isUnusual = isUnusual
                giveUp()
                self.isUnusual = isUnusual
            }
        }
        if case .idle = state, texts.isInTable, let first = bytes.firstIndex(where: { $0 > 0x20 }), "{[".utf8.contains(bytes[first]),
            !texts.isRow(bytes[first...]), !JSONLines.isCell(at: first, in: bytes)
        {
            texts.endTable()
        }
        if case .idle = state, endsLine, !texts.isInTable, let end = JSONLines.containerEnd(in: bytes, from: 0),
            // A comma is what stands behind an element of a list that was taken apart.
            bytes[end...].allSatisfy({ $0 <= 0x20 || $0 == UInt8(ascii: ",") }) || AuditEnvelope.isTail(bytes[end...])
        {
            heldLine = line
            if !reader.read(UnsafeBufferPointer(rebasing: bytes[..<end]), line, isUnusual: isUnusual) {
                held = Array(bytes)
                if let list = listStart() { takeElements(of: list) } else { giveUp() }
            }
            return
        }
        if case .idle = state {
            // In a cell of a table a blank line is as good as any.
            guard texts.heldCount > 0 || bytes.contains(where: { ![0x09, 0x0A, 0x0D, 0x20].contains($0) }) else { return }
            held = []
            heldLine = line
            nesting = Nesting()
            state = .open
        }
        held += bytes
        let isJSON = JSONLines.beginsLikeJSON(held)
        if isJSON, !texts.isInTable {
            nesting.advance(over: bytes)
            if endsLine, nesting.depth <= 0 || nesting.isInString { return endValue() }
            if nesting.tellsNewArray(), held.count - bytes.count < ListBeginning.limit, let list = listStart() {
                return takeElements(of: list)
            }
            if endsLine, isStrict { return endValue() }
        } else if endsLine {
            state = .idle
            let text = held
            held = []
            return texts.take(text, heldLine)
        }
        if isJSON, !texts.isInTable, held.count > min(Self.rowLimit, lineLimit), nesting.endings > 0 { takeEndedValues() }
        guard held.count > lineLimit else { return }
        let behind = Self.behindFirstLine(held)
        let isOfManyLines = behind != .nothing || endsLine
        if behind == .values { return giveUp() }
        let what = isOfManyLines ? "value" : "line"
        reader.reject("too-long", "the \(what) is longer than \(lineLimit >> 20) MiB", heldLine, 1, held)
        held = []
        state = isOfManyLines ? (isJSON ? .dropping : .idle) : .skipping
    }

    private enum Behind {
        case nothing, lines, values
    }

    /// What stands behind the first line of a text.
    private static func behindFirstLine(_ text: [UInt8]) -> Behind {
        var behind = Behind.nothing
        for line in TextLines(text[...]).dropFirst() where !line.isEmpty {
            behind = .lines
            if line.withUnsafeBufferPointer(JSONLines.beginsValue) { return .values }
        }
        return behind
    }

    /// The value at hand ends here, or never.
    private func endValue() {
        var text = held
        held = []
        state = .idle
        if !AuditEnvelope.padded(&text, { reader.read($0, heldLine) }) {
            held = text
            // What is wrong in one value, or one element of a list, spoils only that.
            if held.dropLast().lineFeedCount == 0 {
                if nesting.endings > 1, nesting.depth == 0, !nesting.isInString, held.first == UInt8(ascii: "{") {
                    takeEndedValues()
                } else if let list = listStart() {
                    takeElements(of: list)
                    if case .idle = state { return }
                    return endCutList()
                }
            }
            giveUp()
        }
    }

    /// Takes the values at hand that have ended, one by one.
    private func takeEndedValues() {
        var text = held
        var (position, line) = (0, heldLine)
        AuditEnvelope.padded(&text) { bytes in
            while let end = JSONLines.containerEnd(in: bytes, from: position) {
                let value = UnsafeBufferPointer(rebasing: bytes[position..<end])
                if !reader.read(value, line) { reader.rejectUnreadable(Array(value), line) }
                // Some write commas between them.
                let next = bytes[end...].firstIndex { $0 > 0x20 && $0 != UInt8(ascii: ",") } ?? bytes.count
                line += UnsafeBufferPointer(rebasing: bytes[position..<next]).lineFeedCount
                position = next
            }
        }
        held = Array(text[position...])
        heldLine = line
        nesting = Nesting()
        held.withUnsafeBufferPointer { nesting.advance(over: $0) }
        if held.isEmpty { state = .idle }
    }

    /// The value does not end: the line that began it was cut off, and those behind it stand for themselves.
    private func giveUp() {
        let text = held
        let lines = text.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        let line = heldLine
        held = []
        state = .idle
        guard lines.count > 1, lines[1].contains(where: { $0 > 0x20 }) else {
            let first = Array(lines.first ?? [])
            // A word in brackets before an event looks like a list.
            let prefixed = first.withUnsafeBufferPointer { bytes in
                bytes.first == UInt8(ascii: "[") ? AuditEnvelope.behindPrefix(bytes).map { (Array($0.rest), $0.envelope) } : nil
            }
            if let (rest, envelope) = prefixed { return reader.readOrReject(rest, line, envelope) }
            return reader.readOrReject(first, line, "", isUnusual: true)
        }
        guard TextLines(lines[1]).contains(where: { JSONLines.isValue($0) || $0.withUnsafeBufferPointer(JSONLines.beginsValue) }) else {
            return reader.rejectUnreadable(text, line)
        }
        reader.readOrReject(Array(lines[0]), line, "", isUnusual: true)
        let wasStrict = isStrict
        isStrict = true
        takeLines(of: lines[1], from: line + 1)
        isStrict = wasStrict
    }

    /// Takes lines that were held again, each for itself.
    func takeLines(of text: ArraySlice<UInt8>, from first: Int) {
        guard !text.isEmpty else { return }
        for (number, text) in TextLines(text).enumerated() {
            var line = Array(text) + [UInt8(ascii: "\n")]
            AuditEnvelope.padded(&line) { take($0, line: first + number, endsLine: true) }
        }
    }

    // MARK: The end

    /// Ends the log; the bytes at its end that are not dealt with, because their writer may be in the middle of them.
    ///
    /// - Parameter limit: bytes that can wait for the log to go on; what is longer is dealt with.
    func finish(waiting limit: Int) -> Int {
        let waitingGap = gapAtEnd(waiting: limit)
        let unfinished = finishValue(waiting: limit)
        let waiting = texts.finish(waiting: limit) ?? max(unfinished, waitingGap)
        (state, lists, held, nesting) = (.idle, OpenLists(), [], Nesting())
        (isAtStart, isAtLineStart, bodyLine, eventEnd) = (true, true, 0, 0)
        defer { reader.forgetLostParts() }
        guard reader.isInParts else { return waiting }
        if canWaitForParts(limit) {
            reader.dropParts()
            return sinceParts
        }
        reader.rejectParts(line: heldLine)
        return waiting
    }

    /// Whether the other parts of split lines may come: what was counted since the first must not be read again.
    private func canWaitForParts(_ limit: Int) -> Bool { reader.counted == countedBeforeParts && sinceParts <= limit }

    private func finishValue(waiting limit: Int) -> Int {
        switch state {
        case .list, .closing, .skipping, .dropping, .idle:
            if case .list = state, !held.isEmpty, takeSwallowed() { return finishValue(waiting: limit) }
            switch state {
            case .closing where lists.isResumed && nesting.depth == 1 && !nesting.isInString: break
            case .list, .closing: if lists.gap + held.count <= limit { return lists.gap + held.count }
            default: break
            }
            if !held.isEmpty { reader.reject("cut-off", "an element of a list is cut off", heldLine, 1, held) }
            return 0
        case .open:
            var text = held
            let isJSON = JSONLines.beginsLikeJSON(text)
            state = .idle
            held = []
            if isJSON, !texts.isInTable {
                if AuditEnvelope.padded(&text, { reader.read($0, heldLine, isLast: true) }) { return 0 }
                // A word in brackets before a whole event is no list.
                let isPrefixed = text.withUnsafeBufferPointer(AuditEnvelope.beginsWithWord) && JSONLines.isValue(text[...])
                if text.count <= limit, !isPrefixed { return text.count }
                held = text
                giveUp()
                return 0
            }
            guard text.count <= limit else {
                texts.take(text, heldLine)
                return 0
            }
            // Half of a line, or of a record in a table, is read again when it is whole.
            let before = reader.isInParts && canWaitForParts(limit) ? sinceParts : texts.heldCount + text.count
            let counted = reader.counted
            guard reader.tries({ texts.take(text, heldLine) }) else { return before }
            // Of a line of which only what stands before the event is there, nothing was counted.
            return reader.counted == counted && !reader.isInParts && !texts.isInTable ? before : 0
        }
    }
}
