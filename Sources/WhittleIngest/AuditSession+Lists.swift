/// The list at hand and those around it.
struct OpenLists {
    /// Lists that may be inside each other.
    static let limit = 3

    /// Those around the one at hand, the outermost first.
    var outer: [AuditSession.State] = []
    /// Of the outermost.
    var shape = ListShape()
    /// Of the elements of the one at hand.
    var beginning = ElementBeginning()
    /// Whether the element at hand is too long: its rest is passed over.
    var isDroppingElement = false
    /// Bytes behind the last element that are dealt with: when the list goes on, they are read again.
    var gap = 0
    /// Whether an earlier load has read how the list begins, so that nobody knows what is around it.
    var isResumed = false
}

/// Lists, which are taken apart element by element.
extension AuditSession {
    /// Whether the rest of a list begins there whose first part an earlier load has read; nobody knows how many are around it.
    func goOn(before next: UInt8) -> Bool {
        guard ",]}".utf8.contains(next) else { return false }
        state = next == UInt8(ascii: "}") ? .closing : .list(envelope: "list", depth: 1)
        (nesting, lists.gap) = (Nesting(depth: 1), 0)
        return true
    }

    /// Whether an element of a list follows a comma at the beginning of a line.
    func beginsElement(behindComma line: UnsafeBufferPointer<UInt8>) -> Bool {
        let next = line.drop { $0 <= 0x20 }.dropFirst().first { $0 > 0x20 }
        return next.map { "{[".utf8.contains($0) } ?? true
    }

    /// Where the elements of the list begin that the value at hand is, as far as it has come.
    func listStart(among members: [ListBeginning.Member] = ListBeginning.members) -> ListBeginning? {
        held.withUnsafeBufferPointer { ListBeginning(of: $0, among: members) }
    }

    /// The element at hand does not go on.
    func endElement() {
        if !held.isEmpty { _ = takeSwallowed() }
        guard case .list = state, !held.isEmpty else { return }
        reader.reject("cut-off", "an element of a list is cut off", heldLine, 1, held)
        held = []
    }

    /// Whether the list has not ended, and no element is at hand.
    var isBetweenElements: Bool {
        if case .list = state { return held.isEmpty && !lists.isDroppingElement }
        return false
    }

    /// Whether a line begins something else, so that the list at hand was cut off.
    func isCutOff(before line: UnsafeBufferPointer<UInt8>) -> Bool {
        lists.shape.isCutOff(before: line, element: held, nesting: nesting, isBetween: isBetweenElements, elements: lists.beginning)
    }

    /// The list at hand was cut off.
    func endCutList() {
        let isTold = !held.isEmpty || lists.isDroppingElement || lists.shape.isTold
        // Until a line came that cannot be inside, others may have been taken for what the element holds.
        let behind = ListShape.linesBehindCut(of: held)
        held.removeLast(behind.count)
        endElement()
        if !isTold { reader.reject("cut-off", "a list is cut off", heldLine, 1, []) }
        (held, state, lists) = ([], .idle, OpenLists())
        takeLines(of: behind, from: heldLine + 1)
    }

    /// Takes the elements of the list that the value at hand is.
    func takeElements(of list: ListBeginning) {
        var rest = Array(held[list.offset...])
        let line = heldLine + held[..<list.offset].lineFeedCount
        if lists.outer.isEmpty { lists.shape = ListShape(beginning: held[..<list.offset]) } else { lists.shape.last = UInt8(ascii: "[") }
        (held, lists.beginning) = ([], ElementBeginning())
        (lists.gap, lists.isResumed) = lists.outer.isEmpty ? (list.offset, false) : (lists.gap + list.offset, lists.isResumed)
        state = .list(envelope: list.envelope, depth: list.depth)
        AuditEnvelope.padded(&rest) { takeElements($0, line) }
    }

    /// - Parameter startsLine: whether a line begins where the bytes do.
    func takeElements(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int, startsLine: Bool = false) {
        var line = line
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            switch state {
            case .list(_, let depth) where held.isEmpty && !lists.isDroppingElement:
                switch byte {
                case UInt8(ascii: "]"):
                    // Of a list that goes on nobody knows what is around it.
                    state = depth == 0 || lists.isResumed && lists.outer.isEmpty ? .idle : .closing
                    nesting = Nesting(depth: depth)
                    lists.shape.last = byte
                case UInt8(ascii: ","): lists.shape.last = byte
                case ...0x20: if byte == UInt8(ascii: "\n") { line += 1 }
                case UInt8(ascii: "\"") where lists.isResumed && JSONLines.isKey(at: position, in: bytes):
                    (state, nesting) = (.closing, Nesting(depth: 1))
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""):
                    heldLine = line
                    nesting = Nesting()
                    if lists.outer.isEmpty { lists.shape.noteElement(at: position, in: bytes, startsLine: startsLine) }
                    position += hold(bytes, from: position, &line)
                    continue
                default:
                    reader.reject("not-an-event", "an element of a list is no audit event", line, 1, Array(bytes[position...].prefix(100)))
                    let end = bytes[position...].firstIndex {
                        $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "]") || $0 == UInt8(ascii: "\n")
                    }
                    lists.gap += (end ?? bytes.count) - position
                    position = end ?? bytes.count
                    continue
                }
                position += 1
                lists.gap += 1
            case .list:
                position += hold(bytes, from: position, &line)
            case .closing:
                if byte == UInt8(ascii: "\n") { line += 1 }
                if byte > 0x20 { lists.shape.last = byte }
                nesting.advance(byte)
                position += 1
                lists.gap += 1
                guard nesting.depth <= 0 else { continue }
                if let next = lists.outer.popLast() {
                    (state, lists.gap, lists.beginning) = (next, 0, ElementBeginning())
                } else {
                    state = .idle
                }
            default:
                let rest = UnsafeBufferPointer(rebasing: bytes[position...])
                if lists.isResumed, let next = rest.first(where: { $0 > 0x20 }), goOn(before: next) { continue }
                return takeValue(rest, line, endsLine: rest.last == UInt8(ascii: "\n"))
            }
        }
    }

    /// Takes the bytes of the element at hand; their count.
    private func hold(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ line: inout Int) -> Int {
        if held.isEmpty, !lists.isDroppingElement, let end = JSONLines.containerEnd(in: bytes, from: start) {
            let element = UnsafeBufferPointer(rebasing: bytes[start..<end])
            line += element.lineFeedCount
            lists.gap = 0
            lists.shape.noteElementEnd()
            takeElement(element)
            return end - start
        }
        // A copy, so that the run time does not look at each byte whether anybody else changes it.
        var (copy, position, hasEnded) = (nesting, start, false)
        while position < bytes.count, !hasEnded {
            copy.advance(bytes[position])
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
            hasEnded = copy.depth <= 0 && !copy.isInString
        }
        nesting = copy
        if hasEnded {
            lists.shape.noteElementEnd()
            if lists.isDroppingElement {
                lists.isDroppingElement = false
                return position - start
            }
            held += bytes[start..<position]
            var element = held
            held = []
            lists.gap = 0
            AuditEnvelope.padded(&element) { takeElement($0) }
            return position - start
        }
        if lists.isDroppingElement { return position - start }
        let isBeginning = held.count < ListBeginning.limit
        held += bytes[start..<position]
        if nesting.tellsNewArray(), isBeginning, enterInnerList() { return position - start }
        if held.count > lineLimit, !takeSwallowed() {
            reader.reject("too-long", "an element of a list is longer than \(lineLimit >> 20) MiB", heldLine, 1, held)
            (held, lists.gap, lists.isDroppingElement) = ([], 0, true)
        }
        return position - start
    }

    /// Goes on with the list that the element at hand holds, if it does.
    private func enterInnerList() -> Bool {
        guard lists.outer.count < OpenLists.limit, held.first == UInt8(ascii: "{"), let list = listStart(among: ListBeginning.innerMembers)
        else {
            return false
        }
        lists.outer.append(state)
        takeElements(of: list)
        return true
    }

    /// What is wrong in one record spoils only that: takes those of an element that cannot be read as a whole.
    private func takeRecords(of element: UnsafeBufferPointer<UInt8>) -> Bool {
        let before = (lists.outer, state, lists.beginning, lists.shape)
        held = Array(element)
        guard enterInnerList() else {
            held = []
            return false
        }
        endElement()
        (lists.outer, state, lists.beginning, lists.shape) = before
        (held, lists.gap, lists.isDroppingElement) = ([], 0, false)
        return true
    }

    /// Takes the elements that the damaged one at hand has swallowed, and says what is wrong with itself; `false` when there are none.
    func takeSwallowed() -> Bool {
        let places = held.withUnsafeBufferPointer { lists.beginning.places(in: $0) }
        guard let last = places.last else { return false }
        let text = held
        var line = heldLine
        held = []
        for (start, end) in zip([0] + places, places) {
            var element = Array(text[start..<end])
            while let byte = element.last, byte <= 0x20 || byte == UInt8(ascii: ",") { element.removeLast() }
            heldLine = line
            AuditEnvelope.padded(&element) { takeElement($0) }
            line += text[start..<end].lineFeedCount
        }
        var rest = Array(text[last...])
        lists.gap = 0
        AuditEnvelope.padded(&rest) { takeElements($0, line) }
        return true
    }

    private func takeElement(_ element: UnsafeBufferPointer<UInt8>) {
        var envelope = "list"
        if case .list(let name, _) = state { envelope = name }
        let isOther = envelope == ListBeginning.other
        reader.readOrSkip(isOther: isOther) {
            let line = heldLine
            if reader.read(element, line, envelope: isOther ? "eks" : envelope) { return lists.beginning.note(element) }
            if takeRecords(of: element) { return }
            held = Array(element)
            if takeSwallowed() { return }
            held = []
            reader.rejectUnreadable(Array(element), line)
        }
    }

    func takeWholeElements(_ bytes: UnsafeBufferPointer<UInt8>, _ line: Int, envelope: String) -> Int {
        var (line, position, taken) = (line, 0, 0)
        while position < bytes.count, !reader.isInParts {
            let byte = bytes[position]
            if byte == 0 { break }
            if byte <= 0x20 || byte == UInt8(ascii: ",") {
                if byte == UInt8(ascii: "\n") { line += 1 }
                if byte == UInt8(ascii: ",") { lists.shape.last = byte }
                position += 1
                continue
            }
            let rest = UnsafeBufferPointer(rebasing: bytes[position...].prefix(Self.wholeLimit))
            if position == 0 || bytes[position - 1] == UInt8(ascii: "\n"), isCutOff(before: rest) { break }
            guard let end = JSONLines.containerEnd(in: rest, from: 0) else { break }
            let element = UnsafeBufferPointer(rebasing: rest[..<end])
            guard ListBeginning(of: element, among: ListBeginning.innerMembers) == nil, !GapOfNULs.holdsNUL(element) else { break }
            (heldLine, countedBeforeParts) = (line, -1)
            guard reader.read(element, line, envelope: envelope) else { break }
            lists.beginning.note(element)
            lists.gap = 0
            if lists.outer.isEmpty { lists.shape.noteElement(at: position, in: bytes, startsLine: true) }
            lists.shape.noteElementEnd()
            line += element.lineFeedCount
            position += end
            taken = position
        }
        return taken
    }
}
