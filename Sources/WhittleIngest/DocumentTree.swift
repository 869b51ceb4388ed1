import WhittleModel

/// One parsed JSON value or YAML document as a flat list of nodes.
///
/// Scalars stay where they are (the input, or one text buffer) until somebody asks for them as a String, so what nobody
/// asks for, such as the data of a Secret, is never copied. A tree is reused from document to document.
final class DocumentTree {
    enum Kind: UInt8 {
        case object, array, string, number, `true`, `false`, null
    }

    struct Node {
        var kind: Kind
        /// Whether a JSON string holds backslashes.
        var isEscaped = false
        /// Byte offset of the text in `base`.
        var start: Int
        /// Bytes of text; for containers unused.
        var count = 0
        /// Place after the last node of the subtree.
        var end: Int
        /// 1-based; 0 = to be counted from `start` when asked for.
        var line: Int32 = 0
        var column: Int32 = 0
    }

    var nodes: ContiguousArray<Node> = []
    let file: String
    /// Where scalar text stands: the input for JSON, `text` for YAML.
    var base: UnsafePointer<UInt8>
    /// A place at or before every node of this tree whose line is known.
    var anchor = LineCursor()
    private var cursor = LineCursor()

    /// A place whose line is known.
    struct LineCursor {
        var offset = 0
        var line = 1
        var lineStart = 0

        mutating func advance(to target: Int, in base: UnsafePointer<UInt8>) {
            var position = offset
            while position < target {
                if base[position] == UInt8(ascii: "\n") {
                    line += 1
                    lineStart = position + 1
                }
                position += 1
            }
            offset = target
        }
    }

    init(file: String, base: UnsafePointer<UInt8>) {
        self.file = file
        self.base = base
    }

    /// Empties the tree; later nodes stand at or after `anchor`.
    func reset(anchor: LineCursor) {
        nodes.removeAll(keepingCapacity: true)
        self.anchor = anchor
        cursor = anchor
    }

    /// Whether nodes carry their own lines: YAML, which people write by hand.
    var hasWrittenLines: Bool { (nodes.first?.line ?? 0) > 0 }

    var root: DocumentValue { DocumentValue(tree: self, index: 0) }

    func location(_ index: Int) -> SourceLocation {
        let node = nodes[index]
        if node.line > 0 { return SourceLocation(file: file, line: Int(node.line), column: Int(node.column)) }
        if node.start < cursor.offset { cursor = anchor }
        cursor.advance(to: node.start, in: base)
        return SourceLocation(file: file, line: cursor.line, column: 1 + characters(from: cursor.lineStart, to: node.start))
    }

    private func characters(from start: Int, to end: Int) -> Int {
        var count = 0
        for offset in start..<max(start, end) where base[offset] & 0xC0 != 0x80 { count += 1 }
        return count
    }
}

/// A value inside a `DocumentTree`. Valid until the tree is reset.
struct DocumentValue {
    unowned(unsafe) let tree: DocumentTree
    let index: Int

    var kind: DocumentTree.Kind { tree.nodes[index].kind }
    var location: SourceLocation { tree.location(index) }
    var isNull: Bool { kind == .null }

    /// The member named `key`; the last one when the key is repeated.
    subscript(key: StaticString) -> DocumentValue? {
        guard kind == .object else { return nil }
        var found: DocumentValue?
        var position = index + 1
        let end = tree.nodes[index].end
        while position < end {
            if isText(at: position, key) { found = DocumentValue(tree: tree, index: position + 1) }
            position = tree.nodes[position + 1].end
        }
        return found
    }

    /// The member named `key` unless it is absent or null.
    func value(_ key: StaticString) -> DocumentValue? {
        guard let found = self[key], !found.isNull else { return nil }
        return found
    }

    /// Elements of an array; empty for anything else.
    var elements: [DocumentValue] {
        guard kind == .array else { return [] }
        var result: [DocumentValue] = []
        var position = index + 1
        let end = tree.nodes[index].end
        while position < end {
            result.append(DocumentValue(tree: tree, index: position))
            position = tree.nodes[position].end
        }
        return result
    }

    /// Keys and values of an object in order; empty for anything else.
    var members: [(key: DocumentValue, value: DocumentValue)] {
        guard kind == .object else { return [] }
        var result: [(key: DocumentValue, value: DocumentValue)] = []
        var position = index + 1
        let end = tree.nodes[index].end
        while position < end {
            result.append((DocumentValue(tree: tree, index: position), DocumentValue(tree: tree, index: position + 1)))
            position = tree.nodes[position + 1].end
        }
        return result
    }

    /// The text of a string; `nil` for anything else.
    var string: String? {
        let node = tree.nodes[index]
        guard node.kind == .string else { return nil }
        let bytes = UnsafeBufferPointer(start: tree.base + node.start, count: node.count)
        return node.isEscaped ? JSONText.unescape(bytes) : String(decoding: bytes, as: UTF8.self)
    }

    var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    var integer: Int? {
        let node = tree.nodes[index]
        guard node.kind == .number else { return nil }
        return Int(String(decoding: UnsafeBufferPointer(start: tree.base + node.start, count: node.count), as: UTF8.self))
    }

    /// Whether this is a string with exactly this text.
    func isText(_ text: StaticString) -> Bool { isText(at: index, text) }

    private func isText(at position: Int, _ text: StaticString) -> Bool {
        tree.nodes.withUnsafeBufferPointer { nodes in
            let node = nodes[position]
            if node.isEscaped, node.kind == .string {
                let bytes = UnsafeBufferPointer(start: tree.base + node.start, count: node.count)
                return JSONText.unescape(bytes).isSameBytes(as: text.description)
            }
            guard node.kind == .string, node.count == text.utf8CodeUnitCount else { return false }
            let bytes = tree.base + node.start
            for offset in 0..<node.count where bytes[offset] != text.utf8Start[offset] { return false }
            return true
        }
    }
}
