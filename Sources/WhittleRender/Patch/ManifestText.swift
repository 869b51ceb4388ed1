/// Some bytes of a file to put others in their place.
struct TextEdit {
    var range: Range<Int>
    var replacement: [UInt8]

    init(_ range: Range<Int>, _ replacement: [UInt8] = []) {
        self.range = range
        self.replacement = replacement
    }
}

/// The bytes of a manifest, asked line by line.
struct ManifestText {
    let bytes: [UInt8]
    /// What ends its lines.
    let lineBreak: [UInt8]

    private static let newline = UInt8(ascii: "\n")

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let first = bytes.firstIndex(of: Self.newline)
        let isWindows = first.map { $0 > 0 && bytes[$0 - 1] == UInt8(ascii: "\r") } ?? false
        lineBreak = isWindows ? Array("\r\n".utf8) : [Self.newline]
    }

    /// Where the line of `place` starts.
    func lineStart(_ place: Int) -> Int { bytes[..<place].lastIndex(of: Self.newline).map { $0 + 1 } ?? 0 }

    /// Where the line after that of `place` starts.
    func nextLine(_ place: Int) -> Int { bytes[place...].firstIndex(of: Self.newline).map { $0 + 1 } ?? bytes.count }

    /// The first byte from `place` on that is no white space of its line.
    func contentStart(_ place: Int) -> Int {
        var place = place
        while place < bytes.count, [0x20, 0x09, 0x0D].contains(bytes[place]) { place += 1 }
        return place
    }

    /// Whether the line that starts at `start` is empty or white.
    func isBlank(_ start: Int) -> Bool {
        let place = contentStart(start)
        return place >= bytes.count || bytes[place] == Self.newline
    }

    /// Columns before the `#` of a line that is a comment; `nil` for any other line.
    func commentIndent(_ start: Int) -> Int? {
        let place = contentStart(start)
        return place < bytes.count && bytes[place] == UInt8(ascii: "#") ? place - start : nil
    }

    /// Whether nothing but white space and a comment stands between `place` and the end of its line.
    func endsLine(_ place: Int) -> Bool {
        let content = contentStart(place)
        guard content < bytes.count, bytes[content] != Self.newline else { return true }
        return bytes[content] == UInt8(ascii: "#") && content > place
    }

    /// Whether nothing but spaces stands before `place` in its line.
    func startsLine(_ place: Int) -> Bool { bytes[lineStart(place)..<place].allSatisfy { $0 == 0x20 } }

    /// The first byte from `place` on that is neither white space nor in a comment.
    func skipComments(_ place: Int) -> Int {
        var place = place
        while place < bytes.count {
            if bytes[place] <= 0x20 {
                place += 1
            } else if bytes[place] == UInt8(ascii: "#") {
                place = nextLine(place)
            } else {
                break
            }
        }
        return place
    }

    /// The bytes of `range` with edits inside it, which must not overlap.
    func applying(_ edits: [TextEdit], in range: Range<Int>? = nil) -> [UInt8] {
        let range = range ?? 0..<bytes.count
        var result: [UInt8] = []
        var place = range.lowerBound
        // Of edits at the same place the one that was made first stands first.
        let order = edits.indices.sorted { left, right in
            (edits[left].range.lowerBound, edits[left].range.upperBound, left)
                < (edits[right].range.lowerBound, edits[right].range.upperBound, right)
        }
        for edit in order.map({ edits[$0] }) {
            result += bytes[place..<max(edit.range.lowerBound, place)]
            result += edit.replacement
            place = max(edit.range.upperBound, place)
        }
        return result + bytes[place..<max(range.upperBound, place)]
    }
}
