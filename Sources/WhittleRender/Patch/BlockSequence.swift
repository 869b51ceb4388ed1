import WhittleModel

/// What becomes of one element of a list.
enum ElementChange {
    case keep
    case remove
    /// Edits inside the element.
    case edit([TextEdit])

    var isRemoval: Bool { if case .remove = self { true } else { false } }
}

/// A list written with dashes, each element with the lines that are its own: comments right above it at most as deep as its
/// dash, and comments below it that are deeper.
struct BlockSequence {
    private let text: ManifestText
    private let dashes: [Int]
    /// The lines of each element.
    private let regions: [Range<Int>]
    private let first: ManifestNode

    init(_ node: ManifestNode, in text: ManifestText) throws(ManifestEdit.Refusal) {
        guard let first = node.elements.first else { throw ManifestEdit.Refusal("a list is written in an unusual way") }
        self.text = text
        self.first = first
        var dashes: [Int] = []
        var regions: [Range<Int>] = []
        var place = node.range.lowerBound
        for element in node.elements {
            let dash = text.skipComments(place)
            guard dash < text.bytes.count, text.bytes[dash] == UInt8(ascii: "-"), dash < element.range.upperBound || element.range.isEmpty,
                text.startsLine(dash), text.endsLine(max(element.range.upperBound, dash + 1))
            else { throw ManifestEdit.Refusal("elements of a list share their lines with other text") }
            let indent = dash - text.lineStart(dash)
            let floor =
                regions.last?.upperBound ?? text.nextLine(Self.lineBefore(text.lineStart(dash), in: text, from: node.range.lowerBound))
            var start = text.lineStart(dash)
            while start > floor {
                let above = text.lineStart(start - 1)
                guard above >= floor, text.commentIndent(above) != nil else { break }
                start = above
            }
            place = max(element.range.upperBound, dash + 1)
            var end = text.nextLine(place)
            while end < text.bytes.count, let depth = text.commentIndent(end), depth > indent { end = text.nextLine(end) }
            dashes.append(dash)
            regions.append(start..<max(end, start))
        }
        self.dashes = dashes
        self.regions = regions
    }

    /// The line that the list hangs on: comments between it and the first dash may be that element's.
    private static func lineBefore(_ start: Int, in text: ManifestText, from lower: Int) -> Int {
        var place = text.lineStart(min(start, lower))
        while place > 0 {
            place = text.lineStart(place - 1)
            if text.commentIndent(place) == nil, !text.isBlank(place) { break }
        }
        return place
    }

    /// Where a new element's lines go, how deep its dash and how far its content is.
    private var layout: (indent: [UInt8], gap: [UInt8]) {
        let dash = dashes[0]
        let isOnLine = first.range.lowerBound > dash && text.nextLine(dash) > first.range.lowerBound
        let gap = isOnLine ? Array(text.bytes[dash + 1..<first.range.lowerBound]) : [0x20]
        return (Array(text.bytes[text.lineStart(dash)..<dash]), gap.allSatisfy { $0 == 0x20 } ? gap : [0x20])
    }

    /// The edits that change the elements, and add some below.
    ///
    /// - Parameters:
    ///   - colon: where `[]` goes when nothing is left: behind the colon of the key.
    ///   - added: the lines of each new element, indented from where the content of an element starts.
    func edits(_ changes: [ElementChange], adding added: [[String]], colon: Int) -> [TextEdit] {
        var edits: [TextEdit] = []
        for case .edit(let inner) in changes { edits += inner }
        var removals: [Range<Int>] = []
        for (index, change) in changes.enumerated() where change.isRemoval {
            let region = regions[index]
            if let last = removals.last, isWhite(last.upperBound..<region.lowerBound) {
                removals[removals.count - 1] = last.lowerBound..<region.upperBound
            } else {
                removals.append(region)
            }
        }
        removals = removals.map(widened)
        edits += removals.map { TextEdit($0) }
        if !added.isEmpty {
            let isLastRemoved = changes.last?.isRemoval ?? false
            let place = isLastRemoved ? removals.last?.upperBound ?? text.bytes.count : regions.last?.upperBound ?? text.bytes.count
            let needsBreak = !isLastRemoved && place > 0 && text.bytes[place - 1] != UInt8(ascii: "\n")
            var lines = (needsBreak ? text.lineBreak : []) + added.flatMap(element)
            if needsBreak { lines.removeLast(text.lineBreak.count) }
            edits.append(TextEdit(place..<place, lines))
        } else if changes.allSatisfy(\.isRemoval) {
            edits.append(TextEdit(colon..<colon, Array(" []".utf8)))
        }
        return edits
    }

    private func element(_ lines: [String]) -> [UInt8] {
        let (indent, gap) = layout
        let margin = indent + [UInt8](repeating: 0x20, count: gap.count + 1)
        var bytes: [UInt8] = indent
        bytes.append(UInt8(ascii: "-"))
        bytes += gap
        for (index, line) in lines.enumerated() {
            if index > 0 { bytes += margin }
            bytes += Array(line.utf8)
            bytes += text.lineBreak
        }
        return bytes
    }

    private func isWhite(_ range: Range<Int>) -> Bool { text.bytes[range].allSatisfy { $0 <= 0x20 } }

    /// Takes blank lines along, so that none stands double.
    private func widened(_ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        guard start > 0 else { return range }
        let above = text.lineStart(start - 1)
        let isFirst = start <= regions[0].lowerBound
        guard text.isBlank(above) || isFirst else { return range }
        while end < text.bytes.count, text.isBlank(end) { end = text.nextLine(end) }
        if end == text.bytes.count {
            // At the end of the file the blank lines above would be left at its end.
            end = range.upperBound
            while !isFirst, start > 0, case let line = text.lineStart(start - 1), text.isBlank(line) { start = line }
        } else if isFirst, end > range.upperBound, text.bytes[end...].starts(with: "---".utf8) {
            end = range.upperBound
        }
        return start..<end
    }
}
