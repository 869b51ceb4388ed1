/// How a list stands in its lines, which tells the line that begins something else because the list was cut off.
///
/// Inside an element only what cannot be valid JSON ends it, whatever is in it, or a line that is not indented where all others are: the
/// rest of a body would be read as records else, and whoever sent it may have put anything into it.
struct ListShape {
    /// Bytes of the value around the list that are compared.
    private static let beginningLimit = 64

    /// How the value around the list begins, up to its first line end; empty when that says nothing, as a key alone.
    private let beginning: [UInt8]
    /// Whether elements begin behind spaces on lines of their own; so does all that is in them.
    private(set) var isIndented = false
    /// Whether the last element is known to be cut off.
    var isTold = false
    /// The last byte outside of elements that is no space.
    var last = UInt8(ascii: "[")

    /// - Parameter beginning: what stands before the first element.
    init(beginning: ArraySlice<UInt8> = []) {
        let line = beginning.prefix(Self.beginningLimit).prefix { $0 != UInt8(ascii: "\n") }
        self.beginning = line.count < 8 || line.last { $0 > 0x20 } == UInt8(ascii: ":") ? [] : Array(line)
    }

    /// Whether an element may follow.
    var awaitsElement: Bool { last == UInt8(ascii: "[") || last == UInt8(ascii: ",") }

    /// Notes where an element begins.
    ///
    /// - Parameter startsLine: whether a line begins where the bytes do.
    mutating func noteElement(at start: Int, in bytes: UnsafeBufferPointer<UInt8>, startsLine: Bool) {
        isTold = false
        var position = start
        while position > 0, bytes[position - 1] == 0x20 || bytes[position - 1] == 0x09 { position -= 1 }
        if position < start, position == 0 ? startsLine : bytes[position - 1] == UInt8(ascii: "\n") { isIndented = true }
    }

    /// Notes that an element has ended.
    mutating func noteElementEnd() { last = UInt8(ascii: "}") }

    /// Whether a line begins something else than what the list goes on with.
    ///
    /// - Parameters:
    ///   - element: what there is of the element at hand.
    ///   - nesting: inside that, or behind the list.
    ///   - isBetween: whether the list has not ended, and no element is at hand.
    ///   - elements: how elements begin.
    func isCutOff(
        before line: UnsafeBufferPointer<UInt8>, element: [UInt8], nesting: Nesting, isBetween: Bool, elements: ElementBeginning
    ) -> Bool {
        let (isJSON, isFirstLine) = (Self.beginsJSON(line), Self.isOnFirstLine(element))
        // Most lines need no look at the element, which may end with very many spaces.
        guard isJSON || Self.beginsRecord(line) else { return false }
        let before = element.isEmpty ? last : element.last { $0 > 0x20 }
        guard isJSON else { return isIndented || element.isEmpty || isFirstLine || before == UInt8(ascii: "{") }
        let repeatsBeginning = !beginning.isEmpty && line.starts(with: beginning)
        if isIndented || element.isEmpty && repeatsBeginning { return true }
        // Nobody who sends requests puts anything between elements.
        if isBetween { return awaitsElement ? elements.differ(from: line) : !elements.begin(line) }
        // What may follow in valid JSON may be of a body.
        if nesting.mayHoldValue(behind: before) { return false }
        if element.isEmpty || isFirstLine || repeatsBeginning || before == UInt8(ascii: "{") { return true }
        // In a list that is damaged, a line that begins an object need not begin something else.
        return JSONLines.isContainer(line) || Self.isCompact(element) && !line.dropFirst().contains { $0 > 0x20 }
    }

    /// Whether a value cannot be inside an element, which has taken one behind a colon.
    static func hasTakenValue(_ element: [UInt8], nesting: Nesting) -> Bool {
        !linesBehindCut(of: element).isEmpty && !nesting.mayHoldValue(behind: element.last { $0 > 0x20 })
    }

    /// The lines that an element which was cut off behind a colon has taken for a value; others may be of a body.
    static func linesBehindCut(of element: [UInt8]) -> ArraySlice<UInt8> {
        guard isCompact(element), let feed = element.firstIndex(of: UInt8(ascii: "\n")),
            element[..<feed].last(where: { $0 > 0x20 }) == UInt8(ascii: ":")
        else { return [] }
        return element[(feed + 1)...]
    }

    /// Whether an element begins with its first value.
    private static func isCompact(_ element: [UInt8]) -> Bool {
        element.count > 1 && "{[".utf8.contains(element[0]) && element[1] == UInt8(ascii: "\"")
    }

    /// Whether an element that begins with its first value ends its first line without having ended itself.
    private static func isOnFirstLine(_ element: [UInt8]) -> Bool {
        isCompact(element) && element.firstIndex(of: UInt8(ascii: "\n")) == element.count - 1
    }

    /// Whether an object that is not empty, or a list, begins at the beginning of a line.
    private static func beginsJSON(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        let next = line.dropFirst().first { $0 > 0x20 }
        return switch line.first {
        case UInt8(ascii: "{"): next == nil || next == UInt8(ascii: "\"")
        case UInt8(ascii: "["): next.map { "{[\"".utf8.contains($0) } ?? true
        default: false
        }
    }

    /// Whether a line is a record that is no JSON as it stands: an event behind what a shipper writes, or packed.
    private static func beginsRecord(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        if line.starts(with: "H4sI".utf8) { return true }
        guard !JSONLines.mayBeInside(line), let (rest, envelope) = AuditEnvelope.behindPrefix(line) else { return false }
        return envelope == "cri" || AuditEnvelope.isEvent(rest)
    }
}
