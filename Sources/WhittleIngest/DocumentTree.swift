import Foundation
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
        /// Byte offset of the text in `base`.
        var start: Int
        /// Bytes of text; of a container of JSON with its brackets.
        var count = 0
        /// Place after the last node of the subtree; while a container is being read, the place of the one around it.
        var end: Int
        /// 1-based; 0 = to be counted from `start` when asked for.
        var line: Int32 = 0
        var column: Int32 = 0
        var kind: Kind
        /// Whether a string holds escapes, which are those of JSON.
        var isEscaped = false
        /// Whether an object stands for itself, without nodes for what is in it, see `Bounds`.
        var isFolded = false
    }

    /// What keeps the tree of a long text small.
    struct Bounds {
        /// Nodes that a value may have.
        var nodes = Int.max
        /// Whether objects inside the value that may be audit events are left as they are, to be read one by one.
        var foldsEvents = false
    }

    let nodes: NodeList

    /// Where scalar text stands: the input for JSON and plain YAML, a text buffer for other YAML.
    var base: UnsafePointer<UInt8> {
        get { nodes.text }
        set { nodes.text = newValue }
    }

    var root: DocumentValue { DocumentValue(tree: self, index: 0) }

    /// A place whose line is known.
    struct LineCursor {
        var offset = 0
        var line = 1
        /// 1-based, in characters; kept, because a whole dump may stand on one line.
        var column = 1

        mutating func advance(to target: Int, in base: UnsafePointer<UInt8>) {
            while offset < target, let found = memchr(base + offset, Int32(UInt8(ascii: "\n")), target - offset) {
                line += 1
                column = 1
                offset = UnsafeRawPointer(base).distance(to: found) + 1
            }
            while offset < target {
                if base[offset] & 0xC0 != 0x80 { column += 1 }
                offset += 1
            }
        }
    }

    init(file: String, base: UnsafePointer<UInt8>) { nodes = NodeList(file: file, text: base) }

    deinit { nodes.free() }

    /// Whether something was folded, see `Bounds`.
    var hasFolded: Bool { nodes.hasFolded }

    /// Whether a value was given up because of so many nodes.
    func isFull(_ limit: Int) -> Bool { nodes.count >= limit }

    /// Empties the tree; later nodes stand at or after `anchor`.
    func reset(anchor: LineCursor) { nodes.reset(anchor: anchor) }
}

/// The growing list of a tree's nodes, their text, and what is needed to say where they are written.
///
/// Not a Swift array in the class: it is touched hundreds of times per object, and each touch of a stored array of a class
/// is checked for exclusive access at run time.
struct NodeList {
    private struct Header {
        var base: UnsafeMutablePointer<DocumentTree.Node>
        var count = 0
        var capacity: Int
        var hasFolded = false
        var text: UnsafePointer<UInt8>
        var file: String
        /// A place at or before every node whose line is known.
        var anchor = DocumentTree.LineCursor()
        /// The place asked for last.
        var cursor = DocumentTree.LineCursor()
    }

    private let header: UnsafeMutablePointer<Header>

    init(file: String, text: UnsafePointer<UInt8>) {
        header = .allocate(capacity: 1)
        header.initialize(to: Header(base: .allocate(capacity: 256), capacity: 256, text: text, file: file))
    }

    func free() {
        header.pointee.base.deallocate()
        header.deinitialize(count: 1)
        header.deallocate()
    }

    var text: UnsafePointer<UInt8> {
        get { header.pointee.text }
        nonmutating set { header.pointee.text = newValue }
    }

    var file: String { header.pointee.file }

    var count: Int { header.pointee.count }

    var hasFolded: Bool { header.pointee.hasFolded }

    subscript(index: Int) -> DocumentTree.Node {
        get {
            precondition(index < header.pointee.count)
            return header.pointee.base[index]
        }
        nonmutating _modify {
            precondition(index < header.pointee.count)
            yield &header.pointee.base[index]
        }
    }

    subscript(range: Range<Int>) -> UnsafeBufferPointer<DocumentTree.Node> {
        precondition(range.upperBound <= header.pointee.count)
        return UnsafeBufferPointer(start: header.pointee.base + range.lowerBound, count: range.count)
    }

    @inline(__always)
    func append(_ node: DocumentTree.Node) {
        if header.pointee.count == header.pointee.capacity { grow() }
        header.pointee.base[header.pointee.count] = node
        header.pointee.count += 1
    }

    func append(contentsOf nodes: [DocumentTree.Node]) {
        for node in nodes { append(node) }
    }

    func truncate(to count: Int) {
        precondition(count <= header.pointee.count)
        header.pointee.count = count
    }

    func reset(anchor: DocumentTree.LineCursor) {
        header.pointee.count = 0
        header.pointee.hasFolded = false
        header.pointee.anchor = anchor
        header.pointee.cursor = anchor
    }

    private func grow() {
        let capacity = header.pointee.capacity * 2
        let larger = UnsafeMutablePointer<DocumentTree.Node>.allocate(capacity: capacity)
        larger.update(from: header.pointee.base, count: header.pointee.count)
        header.pointee.base.deallocate()
        header.pointee.base = larger
        header.pointee.capacity = capacity
    }

    /// Removes what is inside an object that ends with the last node, if it may be an audit event: its stage is a text.
    func foldEvent(at index: Int) {
        let value = DocumentValue(nodes: self, index: index)
        // Splunk has the fields of an event beside the whole of it.
        guard value["stage"]?.kind == .string, value["_raw"] == nil else { return }
        truncate(to: index + 1)
        header.pointee.hasFolded = true
        (self[index].end, self[index].isFolded) = (index + 1, true)
    }

    func location(of index: Int) -> SourceLocation {
        let node = self[index]
        let file = header.pointee.file
        if node.line > 0 { return SourceLocation(file: file, line: Int(node.line), column: Int(node.column)) }
        if node.start < header.pointee.cursor.offset { header.pointee.cursor = header.pointee.anchor }
        header.pointee.cursor.advance(to: node.start, in: text)
        return SourceLocation(file: file, line: header.pointee.cursor.line, column: header.pointee.cursor.column)
    }
}

/// A value inside a `DocumentTree`. Valid until the tree is reset.
struct DocumentValue {
    /// The nodes and not their tree: nothing is counted when a value is passed on.
    fileprivate let nodes: NodeList
    let index: Int

    init(tree: DocumentTree, index: Int) {
        nodes = tree.nodes
        self.index = index
    }

    fileprivate init(nodes: NodeList, index: Int) {
        self.nodes = nodes
        self.index = index
    }

    private var node: DocumentTree.Node { nodes[index] }
    var kind: DocumentTree.Kind { node.kind }
    var location: SourceLocation { nodes.location(of: index) }
    /// Whether the document carries its own lines: YAML, which people write by hand.
    var hasWrittenLines: Bool { nodes.count > 0 && nodes[0].line > 0 }
    var isNull: Bool { kind == .null }
    /// See `DocumentTree.Bounds`.
    var isFolded: Bool { node.isFolded }

    /// The member named `key`; the last one when the key is repeated.
    subscript(key: StaticString) -> DocumentValue? {
        var found: DocumentValue?
        for (name, value) in members where name.isText(key) { found = value }
        return found
    }

    /// The member named `key` unless it is absent or null.
    func value(_ key: StaticString) -> DocumentValue? {
        guard let found = self[key], !found.isNull else { return nil }
        return found
    }

    /// Elements of an array; empty for anything else.
    var elements: Elements {
        let node = node
        return Elements(of: self, end: node.kind == .array ? node.end : index)
    }

    /// Keys and values of an object in order; empty for anything else.
    var members: Members {
        let node = node
        return Members(of: self, end: node.kind == .object ? node.end : index)
    }

    /// Where the text of a scalar stands, or of a container of JSON; escapes are not resolved.
    var bytes: UnsafeBufferPointer<UInt8> {
        let node = node
        return UnsafeBufferPointer(start: nodes.text + node.start, count: node.count)
    }

    /// Whether the text of a string has escapes.
    var isEscaped: Bool { node.isEscaped }

    /// The text of a string; `nil` for anything else.
    var string: String? {
        let node = node
        guard node.kind == .string else { return nil }
        return node.isEscaped ? JSONText.unescape(bytes) : String(decoding: bytes, as: UTF8.self)
    }

    var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    var integer: Int? { kind == .number ? Int(String(decoding: bytes, as: UTF8.self)) : nil }

    /// Whether this is a string with exactly this text.
    @inline(__always)
    func isText(_ text: StaticString) -> Bool {
        let node = node
        guard node.kind == .string else { return false }
        guard !node.isEscaped else {
            // The longest escape is of six bytes.
            return node.count <= text.utf8CodeUnitCount * 6 && JSONText.unescape(bytes).isSameBytes(as: text.description)
        }
        return node.count == text.utf8CodeUnitCount && memcmp(nodes.text + node.start, text.utf8Start, node.count) == 0
    }

    /// Whether both are strings with the same text.
    func isSameText(as other: DocumentValue) -> Bool {
        let (left, right) = (node, other.node)
        guard left.kind == .string, right.kind == .string else { return false }
        guard !left.isEscaped, !right.isEscaped else {
            return (string ?? "").isSameBytes(as: other.string ?? "")
        }
        return left.count == right.count && memcmp(nodes.text + left.start, other.nodes.text + right.start, left.count) == 0
    }

    /// The elements of an array, one after the other.
    struct Elements: Sequence, IteratorProtocol {
        /// The element that comes next.
        private(set) var first: DocumentValue?
        private let end: Int

        init() { self.init(of: nil, end: 0) }

        fileprivate init(of array: DocumentValue?, end: Int) {
            self.end = end
            first = array.flatMap { $0.index + 1 < end ? DocumentValue(nodes: $0.nodes, index: $0.index + 1) : nil }
        }

        @inline(__always)
        mutating func next() -> DocumentValue? {
            guard let current = first else { return nil }
            let following = current.nodes[current.index].end
            first = following < end ? DocumentValue(nodes: current.nodes, index: following) : nil
            return current
        }
    }

    /// The members of an object, one after the other.
    struct Members: Sequence, IteratorProtocol {
        private var key: DocumentValue?
        private let end: Int

        init() { self.init(of: nil, end: 0) }

        fileprivate init(of object: DocumentValue?, end: Int) {
            self.end = end
            key = object.flatMap { $0.index + 1 < end ? DocumentValue(nodes: $0.nodes, index: $0.index + 1) : nil }
        }

        @inline(__always)
        mutating func next() -> (key: DocumentValue, value: DocumentValue)? {
            guard let current = key else { return nil }
            let value = DocumentValue(nodes: current.nodes, index: current.index + 1)
            let following = current.nodes[value.index].end
            key = following < end ? DocumentValue(nodes: current.nodes, index: following) : nil
            return (current, value)
        }
    }
}

extension DocumentValue? {
    /// Elements of an array; empty for anything else and for what is absent.
    var elements: DocumentValue.Elements { self?.elements ?? DocumentValue.Elements() }
    /// Keys and values of an object in order; empty for anything else and for what is absent.
    var members: DocumentValue.Members { self?.members ?? DocumentValue.Members() }
}
