import CYAML
import Foundation
import WhittleModel

/// YAML into `DocumentTree`s, document by document, over the events of libyaml.
///
/// Elements of a top-level `items` sequence are handed out one by one, so a list of a whole cluster never stands in memory
/// at once. After an error the parser goes on at the next line that starts with `---`. libyaml knows a document without `---`
/// only at the start of a stream: behind `...` a new stream starts.
struct YAMLText: ~Copyable {
    /// What is wrong and where (1-based).
    struct Failure: Error {
        var line: Int
        var column: Int
        var message: String
        /// Whether something follows a document that libyaml does not take for the next one.
        var isUnmarkedDocument = false
    }

    private static let nestingLimit = 512
    /// Nodes that aliases may add to one document.
    private static let aliasLimit = 100_000
    private static let aliasFailure = "aliases expand to more than \(aliasLimit) nodes"

    private let bytes: UnsafeBufferPointer<UInt8>
    private let tree: DocumentTree
    private var text = TextBuffer()
    private var stack: [Int] = []
    /// Children so far of each open container: in a mapping an even number means that a key comes next.
    private var childCounts: [Int] = []
    private var anchors: [String: [DocumentTree.Node]] = [:]
    private var openAnchors: [(name: String, index: Int)] = []
    private var aliasNodes = 0
    private var lineOffset = 0

    /// What libyaml may read for one event: it holds a scalar whole, and those of manifests are far smaller.
    private static let eventLimit = 16 << 20

    /// The bytes of a stream as libyaml asks for them, refused when one event takes too many.
    private struct Source {
        var next: UnsafePointer<UInt8>
        var left: Int
        var takenByEvent = 0

        var isRefused: Bool { takenByEvent > YAMLText.eventLimit }

        mutating func fill(_ buffer: UnsafeMutablePointer<UInt8>, _ size: Int) -> Int? {
            guard !isRefused else { return nil }
            let count = min(size, left)
            buffer.update(from: next, count: count)
            next += count
            left -= count
            takenByEvent += count
            return count
        }
    }

    /// Growing text of scalars.
    private struct TextBuffer {
        private(set) var base = UnsafeMutablePointer<UInt8>.allocate(capacity: 65_536)
        private var capacity = 65_536
        var count = 0

        mutating func append(_ source: UnsafePointer<UInt8>, count added: Int) {
            if count + added > capacity {
                capacity = max(capacity * 2, count + added)
                // Without memory the process ends here as in `allocate`: a document is bounded by its file.
                guard let larger = realloc(base, capacity) else { fatalError("out of memory") }
                base = larger.assumingMemoryBound(to: UInt8.self)
            }
            (base + count).update(from: source, count: added)
            count += added
        }

        func free() { base.deallocate() }
    }

    /// - Parameter linesBefore: lines of the file before `bytes`.
    init(_ bytes: UnsafeBufferPointer<UInt8>, file: String, linesBefore: Int = 0) {
        self.bytes = bytes
        lineOffset = linesBefore
        tree = DocumentTree(file: file, base: UnsafePointer(text.base))
    }

    deinit { text.free() }

    /// Reads every document.
    ///
    /// - Parameters:
    ///   - onItem: called with each element of a top-level `items` sequence that names its own kind.
    ///   - onDocument: called with each whole document, its handed-out items left out.
    ///   - onFailure: called for each document that cannot be read.
    mutating func parse(
        onItem: (DocumentValue) -> Void, onDocument: (DocumentValue) -> Void, onFailure: (Failure, Int) -> Void
    ) {
        var start = 0
        // libyaml reads ahead and would lose documents before a character that YAML does not allow.
        var forbidden = firstForbiddenCharacter(from: 0)
        while start < bytes.count {
            if let known = forbidden, known < start { forbidden = firstForbiddenCharacter(from: start) }
            let end = forbidden.map { documentStart(before: $0, from: start) } ?? bytes.count
            if let failure = end > start ? parseStream(from: start, to: end, onItem: onItem, onDocument: onDocument) : nil {
                if failure.isUnmarkedDocument, let line = lineStart(failure.line, from: start), followsEndMarker(line) {
                    start = line
                    lineOffset += failure.line - 1
                    continue
                }
                onFailure(Failure(line: failure.line + lineOffset, column: failure.column, message: failure.message), start)
                guard let next = nextSeparator(fromLine: failure.line, from: start) else { return }
                start = next.offset
                lineOffset += next.lines
                continue
            }
            guard let forbidden else { return }
            let lines = lineFeeds(in: start..<forbidden)
            let lineStart = bytes[start..<forbidden].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? start
            onFailure(
                Failure(
                    line: lines + 1 + lineOffset, column: bytes[lineStart..<forbidden].count { $0 & 0xC0 != 0x80 } + 1,
                    message: "control characters are not allowed"), start)
            guard let next = nextSeparator(fromLine: lines + 2, from: start) else { return }
            start = next.offset
            lineOffset += next.lines
        }
    }

    /// Where the line (1-based, counted from `start`) begins; `nil` for the first.
    private func lineStart(_ line: Int, from start: Int) -> Int? {
        var position = start
        for _ in 1..<max(line, 1) {
            guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            position = end + 1
        }
        return position > start ? position : nil
    }

    /// Whether nothing but comments and blank lines stands between a `...` line and the line that begins at `position`.
    private func followsEndMarker(_ position: Int) -> Bool {
        let newline = UInt8(ascii: "\n")
        var end = position - 1
        while end > 0 {
            let start = bytes[..<end].lastIndex(of: newline).map { $0 + 1 } ?? 0
            let line = bytes[start..<end]
            if line.starts(with: "...".utf8) { return line.dropFirst(3).first.map { $0 <= 0x20 } ?? true }
            guard line.first(where: { $0 > 0x20 }).map({ $0 == UInt8(ascii: "#") }) ?? true else { return false }
            end = start - 1
        }
        return false
    }

    private func lineFeeds(in range: Range<Int>) -> Int {
        bytes[range].reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
    }

    /// The first byte from `start` on that begins a character YAML does not allow.
    private func firstForbiddenCharacter(from start: Int) -> Int? {
        var position = start
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case 0x09, 0x0A, 0x0D, 0x20...0x7E: break
            case 0..<0x20, 0x7F: return position
            case 0xC2 where position + 1 < bytes.count && bytes[position + 1] < 0xA0 && bytes[position + 1] != 0x85: return position
            case 0xEF where position + 2 < bytes.count && bytes[position + 1] == 0xBF && bytes[position + 2] >= 0xBE: return position
            default: break
            }
            position += 1
        }
        return nil
    }

    /// The start of the document that holds `position`: the last line at or before it that starts with `---`.
    private func documentStart(before position: Int, from start: Int) -> Int {
        var line = position
        while line > start {
            while line > start, bytes[line - 1] != UInt8(ascii: "\n") { line -= 1 }
            let isSeparator = line + 3 <= bytes.count && bytes[line..<line + 3].allSatisfy { $0 == UInt8(ascii: "-") }
            if isSeparator { return line }
            line -= 1
        }
        return start
    }

    /// The first line at or after `line` (1-based, counted from `start`, never the first) that starts with `---`, and the
    /// lines before it. The line itself counts: an open bracket or quote is only noticed at the separator.
    private func nextSeparator(fromLine line: Int, from start: Int) -> (offset: Int, lines: Int)? {
        var lines = 0
        var position = start
        while position < bytes.count {
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
            position += 1
            lines += 1
            guard lines + 1 >= line, position + 3 <= bytes.count else { continue }
            let isSeparator =
                bytes[position] == UInt8(ascii: "-") && bytes[position + 1] == UInt8(ascii: "-")
                && bytes[position + 2] == UInt8(ascii: "-") && (position + 3 == bytes.count || bytes[position + 3] <= 0x20)
            if isSeparator { return (position, lines) }
        }
        return nil
    }

    private mutating func parseStream(
        from start: Int, to end: Int, onItem: (DocumentValue) -> Void, onDocument: (DocumentValue) -> Void
    ) -> Failure? {
        guard let base = bytes.baseAddress else { return nil }
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { return Failure(line: 1, column: 1, message: "out of memory") }
        defer { yaml_parser_delete(&parser) }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        let source = UnsafeMutablePointer<Source>.allocate(capacity: 1)
        defer { source.deallocate() }
        source.initialize(to: Source(next: base + start, left: end - start))
        yaml_parser_set_input(
            &parser,
            { context, buffer, size, count in
                guard let context, let buffer, let count else { return 0 }
                guard let filled = context.assumingMemoryBound(to: Source.self).pointee.fill(buffer, size) else { return 0 }
                count.pointee = filled
                return 1
            }, source)
        var itemsIndex: Int?
        var isStreaming = false
        var lastMark = yaml_mark_t()
        while true {
            var event = yaml_event_t()
            source.pointee.takenByEvent = 0
            guard yaml_parser_parse(&parser, &event) == 1 else {
                if source.pointee.isRefused {
                    return Failure(
                        line: Int(lastMark.line) + 1, column: Int(lastMark.column) + 1,
                        message: "what follows is longer than \(Self.eventLimit >> 20) MiB")
                }
                let message = parser.problem.map { String(cString: $0) } ?? "cannot be read"
                return Failure(
                    line: Int(parser.problem_mark.line) + 1, column: Int(parser.problem_mark.column) + 1, message: message,
                    isUnmarkedDocument: message == "did not find expected <document start>")
            }
            defer { yaml_event_delete(&event) }
            let mark = event.start_mark
            lastMark = event.end_mark
            func fail(_ message: String) -> Failure {
                Failure(line: Int(mark.line) + 1, column: Int(mark.column) + 1, message: message)
            }
            switch event.type {
            case YAML_STREAM_END_EVENT: return nil
            case YAML_DOCUMENT_START_EVENT: startDocument()
            case YAML_DOCUMENT_END_EVENT:
                tree.base = UnsafePointer(text.base)
                if tree.nodes.count > 0 { onDocument(tree.root) }
            case YAML_SCALAR_EVENT:
                noteChild()
                appendScalar(event, mark)
                closeAnchor(event.data.scalar.anchor, isOpen: false)
            case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
                if isKeyNext { return fail("a mapping or list cannot be a key") }
                noteChild()
                guard stack.count < Self.nestingLimit else { return fail("nested more than \(Self.nestingLimit) deep") }
                let isMapping = event.type == YAML_MAPPING_START_EVENT
                let anchor = isMapping ? event.data.mapping_start.anchor : event.data.sequence_start.anchor
                if let anchor { openAnchors.append((name(anchor), tree.nodes.count)) }
                if stack.count == 1, !isMapping, isAfterKey("items"), mayBeList {
                    itemsIndex = tree.nodes.count
                    isStreaming = true
                }
                stack.append(tree.nodes.count)
                childCounts.append(0)
                tree.nodes.append(node(isMapping ? .object : .array, mark))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                guard let open = stack.popLast(), childCounts.popLast() != nil else { return fail("unbalanced document") }
                tree.nodes[open].end = tree.nodes.count
                if tree.nodes[open].kind == .object, let failure = mergeKeys(of: open) { return fail(failure) }
                if openAnchors.last?.index == open { closeAnchor(nil, isOpen: true) }
            case YAML_ALIAS_EVENT:
                let isKey = isKeyNext
                noteChild()
                if let failure = appendAlias(name(event.data.alias.anchor), isKey: isKey) { return fail(failure) }
            default: break
            }
            if isStreaming, let items = itemsIndex, stack.count == 2, stack.last == items, tree.nodes.count > items + 1 {
                // An element of items has just ended.
                tree.base = UnsafePointer(text.base)
                let item = DocumentValue(tree: tree, index: items + 1)
                if item.value("kind")?.string != nil, item.value("apiVersion")?.string != nil {
                    onItem(item)
                    tree.nodes.truncate(to: items + 1)
                    if anchors.isEmpty { text.count = tree.nodes[0..<items + 1].reduce(0) { max($0, $1.start + $1.count) } }
                } else {
                    isStreaming = false
                }
            } else if stack.count < 2 {
                itemsIndex = nil
                isStreaming = false
            }
        }
    }

    private var isKeyNext: Bool {
        guard let open = stack.last, let count = childCounts.last else { return false }
        return tree.nodes[open].kind == .object && count.isMultiple(of: 2)
    }

    private mutating func noteChild() {
        if !childCounts.isEmpty { childCounts[childCounts.count - 1] += 1 }
    }

    private mutating func startDocument() {
        tree.reset(anchor: DocumentTree.LineCursor())
        text.count = 0
        stack = []
        childCounts = []
        anchors = [:]
        openAnchors = []
        aliasNodes = 0
    }

    private func name(_ pointer: UnsafeMutablePointer<yaml_char_t>) -> String {
        String(cString: pointer)
    }

    private func node(_ kind: DocumentTree.Kind, _ mark: yaml_mark_t, start: Int = 0, count: Int = 0) -> DocumentTree.Node {
        DocumentTree.Node(
            start: start, count: count, end: tree.nodes.count + 1,
            line: Int32(truncatingIfNeeded: Int(mark.line) + 1 + lineOffset),
            column: Int32(truncatingIfNeeded: Int(mark.column) + 1), kind: kind)
    }

    /// Whether the root is a list, as far as it has been read.
    private var mayBeList: Bool {
        tree.base = UnsafePointer(text.base)
        guard tree.nodes.count > 2 else { return true }
        // The root is still open, and so is the member at hand: only whole members before it are asked.
        var place = 1
        while place + 2 < tree.nodes.count {
            if DocumentValue(tree: tree, index: place).isText("kind") {
                return DocumentValue(tree: tree, index: place + 1).string?.hasSuffix("List") ?? true
            }
            place = tree.nodes[place + 1].end
        }
        return true
    }

    /// Whether the node just added is the key `key` of the root mapping.
    private func isAfterKey(_ key: StaticString) -> Bool {
        tree.base = UnsafePointer(text.base)
        guard tree.nodes.count > 1 else { return false }
        return DocumentValue(tree: tree, index: tree.nodes.count - 1).isText(key)
    }

    private mutating func appendScalar(_ event: yaml_event_t, _ mark: yaml_mark_t) {
        let scalar = event.data.scalar
        let start = text.count
        if let value = scalar.value, scalar.length > 0 { text.append(value, count: scalar.length) }
        let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
        let kind: DocumentTree.Kind =
            isPlain ? PlainScalar.kind(UnsafeBufferPointer(start: text.base + start, count: scalar.length)) : .string
        tree.nodes.append(node(kind, mark, start: start, count: scalar.length))
    }

    private mutating func closeAnchor(_ anchor: UnsafeMutablePointer<yaml_char_t>?, isOpen: Bool) {
        if isOpen, let (name, index) = openAnchors.popLast() {
            anchors[name] = relocate(tree.nodes[index..<tree.nodes.count], by: -index)
        } else if let anchor, tree.nodes.count > 0 {
            let last = tree.nodes.count - 1
            anchors[name(anchor)] = relocate(tree.nodes[last..<last + 1], by: -last)
        }
    }

    private func relocate(_ nodes: some Sequence<DocumentTree.Node>, by distance: Int) -> [DocumentTree.Node] {
        nodes.map { node in
            var moved = node
            moved.end += distance
            return moved
        }
    }

    private mutating func appendAlias(_ name: String, isKey: Bool) -> String? {
        guard let fragment = anchors[name] else { return "an alias stands inside its own anchor or has none" }
        if isKey, fragment.first?.kind == .object || fragment.first?.kind == .array { return "a mapping or list cannot be a key" }
        aliasNodes += fragment.count
        guard aliasNodes <= Self.aliasLimit else { return Self.aliasFailure }
        tree.nodes.append(contentsOf: relocate(fragment, by: tree.nodes.count))
        return nil
    }

    /// Appends what `<<` brings to the mapping at `open` (the last subtree); own keys win.
    private mutating func mergeKeys(of open: Int) -> String? {
        tree.base = UnsafePointer(text.base)
        let mapping = DocumentValue(tree: tree, index: open)
        guard let merged = mapping["<<"] else { return nil }
        let sources = merged.kind == .array ? Array(merged.elements) : [merged]
        var added: [DocumentTree.Node] = []
        var keys = Set(mapping.members.compactMap { $0.key.string.map(ByteString.init) })
        for source in sources {
            for (key, value) in source.members {
                guard let text = key.string, keys.insert(ByteString(text)).inserted else { continue }
                for index in [key.index, value.index] {
                    let subtree = tree.nodes[index..<tree.nodes[index].end]
                    added += relocate(subtree, by: tree.nodes.count + added.count - index)
                }
            }
        }
        aliasNodes += added.count
        guard aliasNodes <= Self.aliasLimit else { return Self.aliasFailure }
        tree.nodes.append(contentsOf: added)
        tree.nodes[open].end = tree.nodes.count
        return nil
    }
}

/// What a plain scalar means in YAML 1.1 as Kubernetes reads it.
enum PlainScalar {
    private static let words: [String: DocumentTree.Kind] = {
        var words: [String: DocumentTree.Kind] = ["": .null, "~": .null]
        for (word, kind) in [
            ("null", DocumentTree.Kind.null), ("true", .true), ("yes", .true), ("on", .true), ("false", .false), ("no", .false),
            ("off", .false),
        ] {
            for spelling in [word, word.prefix(1).uppercased() + word.dropFirst(), word.uppercased()] { words[spelling] = kind }
        }
        return words
    }()

    static func kind(_ bytes: UnsafeBufferPointer<UInt8>) -> DocumentTree.Kind {
        guard let first = bytes.first else { return .null }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            return isNumber(String(decoding: bytes, as: UTF8.self)) ? .number : .string
        case UInt8(ascii: "~"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "y"),
            UInt8(ascii: "Y"), UInt8(ascii: "o"), UInt8(ascii: "O"), UInt8(ascii: "f"), UInt8(ascii: "F"):
            guard bytes.count <= 5 else { return .string }
            return words[String(decoding: bytes, as: UTF8.self)] ?? .string
        default: return .string
        }
    }

    private static func isNumber(_ text: String) -> Bool {
        let digits = text.replacing("_", with: "")
        if [".inf", "+.inf", "-.inf", ".nan"].contains(digits.lowercased()) { return true }
        let unsigned = digits.first == "+" || digits.first == "-" ? digits.dropFirst() : digits[...]
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where unsigned.hasPrefix(prefix) {
            return Int(unsigned.dropFirst(2), radix: radix) != nil
        }
        guard let first = unsigned.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return false }
        guard unsigned.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }), unsigned != "." else { return false }
        return Double(unsigned) != nil || Int(unsigned) != nil
    }
}
