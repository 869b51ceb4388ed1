import CYAML
import WhittleModel

/// Where each value of one YAML or JSON document is written, by libyaml, which takes JSON for YAML in brackets.
package enum ManifestSyntax {
    /// Why a document has no nodes.
    package struct Failure: Error, Equatable {
        package var reason: String
    }

    private static let sizeLimit = 16 << 20
    private static let nestingLimit = 128

    /// The document that the line (1-based) is in.
    ///
    /// Only this document is read: others of the file may be broken. A line that starts with `---` is never inside one.
    package static func document(atLine line: Int, in bytes: [UInt8]) throws(Failure) -> ManifestDocument {
        guard bytes.count <= sizeLimit else { throw Failure(reason: "the file is larger than \(sizeLimit >> 20) MiB") }
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        var start = hasMark ? 3 : 0
        var firstLine = 1
        var place = start
        var number = 1
        while number < line, let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) {
            place = end + 1
            number += 1
            if isSeparator(bytes, place) { (start, firstLine) = (place, number) }
        }
        guard number == line else { throw Failure(reason: "the file has no line \(line)") }
        var end = bytes.count
        while let found = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) {
            place = found + 1
            guard isSeparator(bytes, place) else { continue }
            end = place
            break
        }
        return ManifestDocument(
            root: try Composer(bytes[start..<end], linesBefore: firstLine - 1).root(), range: start..<end)
    }

    /// Numbers of the lines, the first is 0, that a Secret may stand on: nothing that is printed may show them.
    ///
    /// The documents of Secrets whole but for their `---`, Secrets in lists, and documents that cannot be read but hold the word.
    package static func secretLines(in bytes: [UInt8]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var first = 0
        var lines: [Range<Int>] = []
        var place = 0
        while place < bytes.count {
            let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
            lines.append(place..<end)
            place = end
        }
        while first < lines.count {
            var end = first + 1
            while end < lines.count, !isSeparator(bytes, lines[end].lowerBound) { end += 1 }
            let text = bytes[lines[first].lowerBound..<lines[end - 1].upperBound]
            // A text with escapes may spell the word in another way.
            if holdsWord(text) || text.contains(UInt8(ascii: "\\")) {
                let content = first + (isSeparator(bytes, lines[first].lowerBound) && text.count > 4 ? 1 : 0)
                if let document = try? document(atLine: first + 1, in: bytes) {
                    result += isSecret(document.root) ? [content..<end] : secrets(in: document.root, lines)
                } else {
                    result.append(content..<end)
                }
            }
            first = end
        }
        return result.filter { !$0.isEmpty }
    }

    private static func holdsWord(_ text: ArraySlice<UInt8>) -> Bool {
        let word = Array("Secret".utf8)
        var rest = text
        while let place = rest.firstIndex(of: word[0]) {
            rest = rest[place...]
            if rest.starts(with: word) { return true }
            rest = rest.dropFirst()
        }
        return false
    }

    private static func isSecret(_ node: ManifestNode) -> Bool {
        node.members(named: "kind").contains { $0.value.text?.hasBytePrefix("Secret") ?? true }
    }

    private static func secrets(in node: ManifestNode, _ lines: [Range<Int>]) -> [Range<Int>] {
        guard !isSecret(node) else {
            let end = max(node.range.upperBound - 1, node.range.lowerBound)
            guard let first = lines.firstIndex(where: { $0.contains(node.range.lowerBound) }),
                let last = lines[first...].firstIndex(where: { $0.contains(end) })
            else { return [0..<lines.count] }
            return [first..<last + 1]
        }
        return node.elements.flatMap { secrets(in: $0, lines) } + node.members.flatMap { secrets(in: $0.value, lines) }
    }

    private static func isSeparator(_ bytes: [UInt8], _ place: Int) -> Bool {
        guard bytes[place...].starts(with: "---".utf8) else { return false }
        return place + 3 >= bytes.count || bytes[place + 3] <= 0x20
    }

    private final class Composer {
        private let bytes: ArraySlice<UInt8>
        private let linesBefore: Int
        /// Byte offsets of characters, where they differ from the numbers of the characters.
        private var offsets: [Int] = []
        private var parser = yaml_parser_t()

        init(_ bytes: ArraySlice<UInt8>, linesBefore: Int) {
            self.bytes = bytes
            self.linesBefore = linesBefore
            if bytes.contains(where: { $0 >= 0x80 }) {
                offsets = bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } + [bytes.endIndex]
            }
        }

        func root() throws(Failure) -> ManifestNode {
            let outcome = bytes.withUnsafeBufferPointer { buffer -> Result<ManifestNode, Failure> in
                guard yaml_parser_initialize(&parser) == 1 else { return .failure(Failure(reason: "out of memory")) }
                defer { yaml_parser_delete(&parser) }
                yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
                yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
                do throws(Failure) {
                    while true {
                        var event = try next()
                        let type = event.type
                        guard type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT else {
                            if type == YAML_STREAM_END_EVENT {
                                yaml_event_delete(&event)
                                throw Failure(reason: "the document is empty")
                            }
                            let root = try node(event, depth: 0)
                            var end = try next()
                            yaml_event_delete(&end)
                            return .success(root)
                        }
                        yaml_event_delete(&event)
                    }
                } catch {
                    return .failure(error)
                }
            }
            return try outcome.get()
        }

        /// The next event, which the caller deletes.
        private func next() throws(Failure) -> yaml_event_t {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else {
                let problem = parser.problem.map { String(cString: $0) } ?? "it is no YAML"
                throw Failure(reason: "the document cannot be read: \(problem)")
            }
            return event
        }

        private func offset(_ mark: yaml_mark_t) -> Int {
            let index = Int(mark.index)
            if offsets.isEmpty { return min(bytes.startIndex + index, bytes.endIndex) }
            return index < offsets.count ? offsets[index] : bytes.endIndex
        }

        /// The node that begins with an event; takes the event.
        private func node(_ event: yaml_event_t, depth: Int) throws(Failure) -> ManifestNode {
            var event = event
            defer { yaml_event_delete(&event) }
            guard depth < ManifestSyntax.nestingLimit else { throw Failure(reason: "the document is nested too deep") }
            let start = offset(event.start_mark)
            var result = ManifestNode(
                content: .alias, style: .plain, range: start..<max(offset(event.end_mark), start),
                line: Int(event.start_mark.line) + 1 + linesBefore, column: Int(event.start_mark.column) + 1, isMarked: false)
            switch event.type {
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                result.isMarked = scalar.anchor != nil || scalar.tag != nil
                let text = UnsafeBufferPointer(start: scalar.value.map { UnsafePointer($0) }, count: scalar.length)
                result.content = .scalar(String(decoding: text, as: UTF8.self))
                switch scalar.style {
                case YAML_SINGLE_QUOTED_SCALAR_STYLE: result.style = .singleQuoted
                case YAML_DOUBLE_QUOTED_SCALAR_STYLE: result.style = .doubleQuoted
                case YAML_LITERAL_SCALAR_STYLE, YAML_FOLDED_SCALAR_STYLE:
                    result.style = .blockScalar
                    var end = result.range.upperBound
                    while end > start, bytes[end - 1] <= 0x20 { end -= 1 }
                    result.range = start..<end
                default: result.style = .plain
                }
            case YAML_ALIAS_EVENT: break
            case YAML_SEQUENCE_START_EVENT:
                let sequence = event.data.sequence_start
                result.isMarked = sequence.anchor != nil || sequence.tag != nil
                result.style = sequence.style == YAML_FLOW_SEQUENCE_STYLE ? .flow : .block
                var elements: [ManifestNode] = []
                while let element = try child(until: YAML_SEQUENCE_END_EVENT, of: &result, depth) { elements.append(element) }
                result.content = .sequence(elements)
            case YAML_MAPPING_START_EVENT:
                let mapping = event.data.mapping_start
                result.isMarked = mapping.anchor != nil || mapping.tag != nil
                result.style = mapping.style == YAML_FLOW_MAPPING_STYLE ? .flow : .block
                var members: [ManifestNode.Member] = []
                while let key = try child(until: YAML_MAPPING_END_EVENT, of: &result, depth) {
                    guard let value = try child(until: YAML_MAPPING_END_EVENT, of: &result, depth) else { break }
                    members.append(ManifestNode.Member(key: key, value: value))
                }
                result.content = .mapping(members)
            default: throw Failure(reason: "the document is empty")
            }
            return result
        }

        /// The next node of a collection, which grows with it; `nil` at its end.
        private func child(until end: yaml_event_type_t, of parent: inout ManifestNode, _ depth: Int) throws(Failure) -> ManifestNode? {
            var event = try next()
            guard event.type == end else {
                let child = try node(event, depth: depth + 1)
                parent.range = parent.range.lowerBound..<max(parent.range.upperBound, child.range.upperBound)
                return child
            }
            // In brackets the end is the closing one; otherwise libyaml notices the end only where the next thing stands.
            if parent.isFlow {
                parent.range = parent.range.lowerBound..<max(parent.range.upperBound, offset(event.end_mark))
            }
            yaml_event_delete(&event)
            return nil
        }
    }
}
