import Foundation

/// Reads YAML documents of the plain block style that tools write, several times faster than libyaml.
///
/// Only what has one reading is taken: block mappings and sequences of one-line scalars in ASCII. At anything else, such as a
/// block scalar, an alias, a flow collection or a doubtful indentation, the document is given up and libyaml reads it.
/// The nodes mean the same as libyaml's and stand at the same places; text stays where it is, with its escapes.
struct PlainYAML {
    private let base: UnsafePointer<UInt8>
    private let end: Int
    private let tree: DocumentTree
    private var open: [Container] = []
    /// Where the place of a missing value is, when the last key has none so far.
    private var pending: (line: Int, column: Int, start: Int)?
    /// 1-based line of `position`, in the file.
    private(set) var line: Int
    /// Where the next document starts: at its `---` line, or at the end.
    private(set) var position = 0

    private struct Container {
        var isMapping: Bool
        /// Columns before its keys or dashes.
        var indent: Int
        /// Its node.
        var index: Int
    }

    private static let depthLimit = 200
    /// libyaml takes keys up to 1,024 characters.
    private static let keyLimit = 1_000

    /// - Parameter linesBefore: lines of the file before `bytes`.
    init?(_ bytes: UnsafeBufferPointer<UInt8>, file: String, linesBefore: Int) {
        guard let base = bytes.baseAddress else { return nil }
        self.base = base
        end = bytes.count
        line = linesBefore + 1
        tree = DocumentTree(file: file, base: base)
    }

    /// Whether bytes are left.
    var hasMore: Bool { position < end }

    /// What reading a document came to.
    enum Outcome {
        /// The document; `nil` when nothing but comments stands there.
        case document(DocumentValue?)
        /// It is not plain; `position` has not moved.
        case notPlain
    }

    /// Goes on behind what somebody else has read.
    mutating func skip(to place: Int) {
        var place = place
        swap(&position, &place)
        while place < position, let found = memchr(base + place, Int32(Byte.newline), position - place) {
            line += 1
            place = UnsafeRawPointer(base).distance(to: found) + 1
        }
    }

    /// Reads the document at `position`.
    mutating func readDocument() -> Outcome {
        let (start, startLine) = (position, line)
        tree.reset(anchor: DocumentTree.LineCursor())
        open.removeAll(keepingCapacity: true)
        pending = nil
        guard readLines() else {
            (position, line) = (start, startLine)
            return .notPlain
        }
        close(downTo: 0)
        return .document(tree.nodes.count > 0 ? tree.root : nil)
    }

    private enum Byte {
        static let newline = UInt8(ascii: "\n")
        static let space = UInt8(ascii: " ")
        static let dash = UInt8(ascii: "-")
        static let colon = UInt8(ascii: ":")
        static let hash = UInt8(ascii: "#")
        static let quote = UInt8(ascii: "\"")
        static let apostrophe = UInt8(ascii: "'")
        static let backslash = UInt8(ascii: "\\")
    }

    /// Reads up to the next separator; `false` when something is not plain.
    private mutating func readLines() -> Bool {
        var isFirst = true
        while position < end {
            let start = position
            let lineEnd = memchr(base + start, Int32(Byte.newline), end - start).map { UnsafeRawPointer(base).distance(to: $0) } ?? end
            var content = start
            while content < lineEnd, base[content] == Byte.space { content += 1 }
            if content == lineEnd || base[content] == Byte.hash {
                guard isPrintable(content, lineEnd) else { return false }
            } else if content == start, base[content] == Byte.dash, lineEnd - start >= 3, base[start + 1] == Byte.dash,
                base[start + 2] == Byte.dash
            {
                guard lineEnd - start == 3 else { return false }
                if !isFirst { return true }
            } else {
                guard readLine(indent: content - start, from: content, to: lineEnd) else { return false }
            }
            isFirst = false
            position = min(lineEnd + 1, end)
            if lineEnd < end { line += 1 }
        }
        return true
    }

    /// Whether a comment or blank line is of printable ASCII only: other bytes may break lines.
    private func isPrintable(_ start: Int, _ end: Int) -> Bool {
        for place in start..<end where base[place] < 0x20 || base[place] > 0x7E { return false }
        return true
    }

    private mutating func readLine(indent: Int, from content: Int, to lineEnd: Int) -> Bool {
        let isDash = base[content] == Byte.dash && content + 1 < lineEnd && base[content + 1] == Byte.space
        guard place(isDash: isDash, indent: indent) else { return false }
        guard isDash else { return readMember(indent: indent, from: content, to: lineEnd) }
        var item = content + 2
        while item < lineEnd, base[item] == Byte.space { item += 1 }
        guard item < lineEnd, base[item] != Byte.hash, !(base[item] == Byte.dash && (item + 1 == lineEnd || base[item + 1] == Byte.space))
        else {
            return false
        }
        let column = indent + item - content
        guard isKey(from: item, to: lineEnd) else { return readScalar(from: item, to: lineEnd, column: column) }
        guard openContainer(isMapping: true, indent: column) else { return false }
        return readMember(indent: column, from: item, to: lineEnd)
    }

    /// Opens and closes containers so that a key or item at this indentation has its own on top.
    private mutating func place(isDash: Bool, indent: Int) -> Bool {
        guard let top = open.last else {
            // The root is a mapping at the margin, and there is only one.
            guard !isDash, indent == 0, tree.nodes.count == 0 else { return false }
            return openContainer(isMapping: true, indent: 0)
        }
        if let missing = pending {
            pending = nil
            if indent > top.indent || (isDash && indent == top.indent) {
                return openContainer(isMapping: !isDash, indent: indent)
            }
            append(.null, start: missing.start, count: 0, line: missing.line, column: missing.column)
        }
        while let last = open.last, last.indent > indent || (last.indent == indent && !last.isMapping && !isDash) {
            close(downTo: open.count - 1)
        }
        guard let last = open.last else { return false }
        return last.indent == indent && last.isMapping == !isDash
    }

    private mutating func openContainer(isMapping: Bool, indent: Int) -> Bool {
        guard open.count < Self.depthLimit else { return false }
        open.append(Container(isMapping: isMapping, indent: indent, index: tree.nodes.count))
        append(isMapping ? .object : .array, start: 0, count: 0, line: line, column: indent + 1)
        return true
    }

    private mutating func close(downTo depth: Int) {
        if let missing = pending {
            pending = nil
            append(.null, start: missing.start, count: 0, line: missing.line, column: missing.column)
        }
        while open.count > depth, let last = open.popLast() { tree.nodes[last.index].end = tree.nodes.count }
    }

    /// Whether a plain key and a colon stand there; what merely looks like one is settled by `readMember`.
    private func isKey(from start: Int, to lineEnd: Int) -> Bool {
        guard isKeyStart(base[start]) else { return false }
        var place = start
        while place < lineEnd, base[place] > Byte.space {
            if base[place] == Byte.colon, place + 1 == lineEnd || base[place + 1] == Byte.space { return true }
            place += 1
        }
        return false
    }

    private func isKeyStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "$"):
            true
        default: false
        }
    }

    private mutating func readMember(indent: Int, from start: Int, to lineEnd: Int) -> Bool {
        guard isKeyStart(base[start]) else { return false }
        var place = start
        while place < lineEnd, !(base[place] == Byte.colon && (place + 1 == lineEnd || base[place + 1] == Byte.space)) {
            guard base[place] > Byte.space, base[place] < 0x7F else { return false }
            place += 1
        }
        guard place < lineEnd, place - start <= Self.keyLimit else { return false }
        // Three full stops at the margin end a document.
        guard !(indent == 0 && base[start] == UInt8(ascii: ".")) else { return false }
        let key = UnsafeBufferPointer(start: base + start, count: place - start)
        append(PlainScalar.kind(key), start: start, count: key.count, line: line, column: indent + 1)
        var value = place + 1
        while value < lineEnd, base[value] == Byte.space { value += 1 }
        guard value < lineEnd else {
            // Elements of a list of objects are handed out one by one by libyaml's reader.
            guard !(open.count == 1 && key.elementsEqual("items".utf8)) else { return false }
            pending = (line, indent + place - start + 2, place + 1)
            return true
        }
        return readScalar(from: value, to: lineEnd, column: indent + value - start)
    }

    /// Reads a scalar that ends with its line.
    private mutating func readScalar(from start: Int, to lineEnd: Int, column: Int) -> Bool {
        var last = lineEnd
        while last > start, base[last - 1] == Byte.space { last -= 1 }
        switch base[start] {
        case Byte.quote: return readQuoted(from: start, to: last, column: column)
        case Byte.apostrophe:
            guard last - start >= 2, base[last - 1] == Byte.apostrophe else { return false }
            for place in start + 1..<last - 1 where base[place] < Byte.space || base[place] > 0x7E || base[place] == Byte.apostrophe {
                return false
            }
            append(.string, start: start + 1, count: last - start - 2, line: line, column: column + 1)
            return true
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard last - start == 2, base[start + 1] == base[start] + 2 else { return false }
            append(base[start] == UInt8(ascii: "{") ? .object : .array, start: 0, count: 0, line: line, column: column + 1)
            return true
        case Byte.dash where start + 1 < last && base[start + 1] != Byte.space: break
        case Byte.dash, UInt8(ascii: "?"), Byte.colon, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), Byte.hash,
            UInt8(ascii: "&"),
            UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "|"), UInt8(ascii: ">"), UInt8(ascii: "%"), UInt8(ascii: "@"),
            UInt8(ascii: "`"):
            return false
        default: break
        }
        for place in start..<last {
            let byte = base[place]
            guard byte >= Byte.space, byte < 0x7F else { return false }
            if byte == Byte.colon, place + 1 == last || base[place + 1] == Byte.space { return false }
            if byte == Byte.hash, place > start, base[place - 1] == Byte.space { return false }
        }
        append(
            PlainScalar.kind(UnsafeBufferPointer(start: base + start, count: last - start)), start: start, count: last - start,
            line: line, column: column + 1)
        return true
    }

    private mutating func readQuoted(from start: Int, to last: Int, column: Int) -> Bool {
        var place = start + 1
        var isEscaped = false
        while place < last, base[place] != Byte.quote {
            guard base[place] >= Byte.space, base[place] < 0x7F else { return false }
            if base[place] == Byte.backslash {
                // The escapes that mean the same in JSON.
                guard place + 1 < last, [Byte.quote, Byte.backslash, UInt8(ascii: "n"), UInt8(ascii: "t")].contains(base[place + 1])
                else { return false }
                isEscaped = true
                place += 1
            }
            place += 1
        }
        guard place == last - 1 else { return false }
        append(.string, start: start + 1, count: place - start - 1, line: line, column: column + 1, isEscaped: isEscaped)
        return true
    }

    private func append(_ kind: DocumentTree.Kind, start: Int, count: Int, line: Int, column: Int, isEscaped: Bool = false) {
        tree.nodes.append(
            DocumentTree.Node(
                start: start, count: count, end: tree.nodes.count + 1, line: Int32(truncatingIfNeeded: line),
                column: Int32(truncatingIfNeeded: column), kind: kind, isEscaped: isEscaped))
    }
}
