/// How a list stands in its lines, which tells the line that begins something else because the list was cut off.
struct ListShape {
    /// Bytes of the value around the list that are compared.
    private static let beginningLimit = 64

    /// How the value around the list begins, up to its first line end; empty when that says nothing.
    private let beginning: [UInt8]
    /// Whether elements begin behind spaces on lines of their own.
    private var isIndented = false
    /// Whether the element at hand begins behind something else on its line.
    private var isInline = false
    /// Whether the last element is known to be cut off.
    var isTold = false
    /// The last byte outside of elements that is no space.
    var last = UInt8(ascii: "[")

    /// - Parameter beginning: what stands before the first element.
    init(beginning: ArraySlice<UInt8> = []) {
        let line = beginning.prefix(Self.beginningLimit).prefix { $0 != UInt8(ascii: "\n") }
        self.beginning = line.count < 8 ? [] : Array(line)
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
        isInline = position == 0 ? !startsLine : bytes[position - 1] != UInt8(ascii: "\n")
        if !isInline, position < start { isIndented = true }
    }

    /// Whether a line begins something else than what the list goes on with.
    ///
    /// - Parameters:
    ///   - element: what there is of the element at hand.
    ///   - nesting: inside that, or behind the list.
    ///   - isBetween: whether the list has not ended, and no element is at hand.
    ///   - isDropping: whether the element at hand is passed over.
    ///   - isElement: whether the line begins as elements do, so that a damaged one may be before it.
    func isCutOff(
        before line: UnsafeBufferPointer<UInt8>, element: [UInt8], nesting: Nesting, isBetween: Bool, isDropping: Bool, isElement: Bool
    ) -> Bool {
        guard let first = line.first else { return false }
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else {
            return !JSONLines.mayBeInside(line) && (AuditEnvelope.behindPrefix(line) != nil || line.starts(with: "H4sI".utf8))
        }
        if isIndented || !beginning.isEmpty && line.starts(with: beginning) { return true }
        if isElement { return false }
        // JSON has no line end inside a string.
        if nesting.isInString || AuditEnvelope.beginsWithWord(line) { return true }
        if isBetween { return !awaitsElement }
        if isInline || isDropping, JSONLines.beginsValue(line) || line.starts(with: "[{".utf8) { return true }
        if isDropping { return false }
        let before = element.last { $0 > 0x20 } ?? last
        return before != UInt8(ascii: ":") && !(nesting.isInArray && ",[".utf8.contains(before))
    }
}
