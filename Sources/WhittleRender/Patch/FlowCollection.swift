import WhittleModel

/// A list or mapping in brackets, taken apart into its children and what stands between them.
struct FlowCollection {
    private let text: ManifestText
    private let range: Range<Int>
    private let children: [Range<Int>]
    /// Between the bracket and the first child.
    private let lead: [UInt8]
    /// Before each child but the first, at its number.
    private let separators: [[UInt8]]
    private let tail: [UInt8]
    /// Whether a comment stands between the children.
    let holdsComment: Bool

    init(_ node: ManifestNode, in text: ManifestText) throws(ManifestEdit.Refusal) {
        let children =
            node.isSequence ? node.elements.map(\.range) : node.members.map { $0.key.range.lowerBound..<$0.value.range.upperBound }
        let brackets = node.isSequence ? "[]" : "{}"
        guard node.range.count >= 2, text.bytes[node.range.lowerBound] == brackets.utf8.first,
            text.bytes[node.range.upperBound - 1] == brackets.utf8.last
        else { throw ManifestEdit.Refusal("brackets are written in an unusual way") }
        self.text = text
        range = node.range
        self.children = children
        let inner = range.lowerBound + 1..<range.upperBound - 1
        var gaps: [[UInt8]] = []
        var place = inner.lowerBound
        for child in children {
            guard child.lowerBound >= place, child.upperBound <= inner.upperBound else {
                throw ManifestEdit.Refusal("brackets are written in an unusual way")
            }
            gaps.append(Array(text.bytes[place..<child.lowerBound]))
            place = child.upperBound
        }
        gaps.append(Array(text.bytes[place..<inner.upperBound]))
        holdsComment = gaps.contains { $0.contains(UInt8(ascii: "#")) }
        gaps = gaps.map(Self.withoutComments)
        lead = gaps[0]
        separators = children.isEmpty ? [] : Array(gaps[..<children.count])
        tail = children.isEmpty ? [] : gaps[children.count]
    }

    /// Whether it is written over several lines.
    var isMultiline: Bool { text.bytes[range].contains(UInt8(ascii: "\n")) }

    /// What stands before a child on its line, when children have lines of their own.
    var margin: [UInt8]? {
        guard let newline = lead.lastIndex(of: UInt8(ascii: "\n")) else { return nil }
        return Array(lead[(newline + 1)...])
    }

    private static func withoutComments(_ gap: [UInt8]) -> [UInt8] {
        guard gap.contains(UInt8(ascii: "#")) else { return gap }
        var result: [UInt8] = []
        for (index, line) in gap.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard let comment = line.firstIndex(of: UInt8(ascii: "#")) else {
                if index > 0 { result.append(UInt8(ascii: "\n")) }
                result += line
                continue
            }
            var kept = line[..<comment]
            while let last = kept.last, last == 0x20 || last == 0x09 { kept.removeLast() }
            // A line that was a comment and nothing else goes as a whole.
            guard index == 0 || !kept.isEmpty else { continue }
            if index > 0 { result.append(UInt8(ascii: "\n")) }
            result += kept
        }
        return result
    }

    /// The whole collection with its children changed and new ones at the end.
    func text(_ changes: [ElementChange], adding added: [[UInt8]]) -> [UInt8] {
        var body: [UInt8] = []
        var isFirst = true
        for (index, child) in children.enumerated() where !changes[index].isRemoval {
            body += isFirst ? lead : separators[index]
            isFirst = false
            if case .edit(let edits) = changes[index] {
                body += text.applying(edits, in: child)
            } else {
                body += text.bytes[child]
            }
        }
        let usual =
            separators.count > 1 ? separators[separators.count - 1] : [UInt8(ascii: ",")] + (margin == nil ? [0x20] : lead)
        for child in added {
            body += (isFirst ? lead : usual) + child
            isFirst = false
        }
        if !isFirst { body += tail }
        return [text.bytes[range.lowerBound]] + body + [text.bytes[range.upperBound - 1]]
    }
}
