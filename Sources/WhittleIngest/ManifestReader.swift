import Dispatch
import Foundation
import WhittleModel

/// The bytes of one input → objects: JSON values or YAML documents, lists streamed item by item.
enum ManifestReader {
    /// Reads everything in `bytes` into `decoder`; what cannot be read becomes a diagnostic there.
    static func read(
        _ bytes: UnsafeBufferPointer<UInt8>, file: String, into decoder: ManifestDecoder, partSize: Int = AheadReader.partSize
    ) {
        var bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
        if let offset = firstInvalidUTF8(in: bytes) {
            let (line, column) = position(of: offset, in: bytes)
            decoder.builder.state.diagnostics.append(
                Diagnostic(
                    .error, id: "not-utf8", "the file is not UTF-8 text",
                    at: SourceLocation(file: file, line: line, column: column), help: "convert it to UTF-8"))
            return
        }
        guard let first = bytes.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else { return }
        decoder.mayHoldPatches = holdsPatchWord(bytes)
        let reported = decoder.builder.state.diagnostics.count
        defer { decoder.sortDiagnostics(from: reported) }
        if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
            let before = file.hasSuffix(".json") ? nil : decoder.builder
            switch readJSON(bytes, file: file, into: decoder, partSize: partSize) {
            case .done: return
            case .yamlFrom(let offset):
                let rest = UnsafeBufferPointer(rebasing: bytes[offset...])
                return readYAML(
                    rest, file: file, linesBefore: position(of: offset, in: bytes).line - 1, into: decoder, partSize: partSize)
            case .failed(let failure) where failure.hasRead || file.hasSuffix(".json"):
                if let before, let whole = flowYAML(bytes, file: file, like: decoder) {
                    decoder.builder = before
                    decoder.merge(whole)
                    return
                }
                let (line, column) = position(of: failure.offset, in: bytes)
                decoder.builder.state.diagnostics.append(
                    Diagnostic(
                        .error, id: "invalid-json", "the JSON cannot be read from here on: \(failure.message)",
                        at: SourceLocation(file: file, line: line, column: column),
                        help: failure.hasRead ? "objects before this place were loaded" : "nothing of it was loaded"))
                guard before != nil, let next = YAMLParts.separator(in: bytes, from: failure.offset) else { return }
                let rest = UnsafeBufferPointer(rebasing: bytes[next.start...])
                return readYAML(
                    rest, file: file, linesBefore: position(of: next.start, in: bytes).line - 1, into: decoder, partSize: partSize)
            case .failed: break
            }
        }
        readYAML(bytes, file: file, linesBefore: 0, into: decoder, partSize: partSize)
    }

    /// YAML that begins like JSON, with comments or commas that JSON does not know; `nil` when it cannot be read either.
    private static func flowYAML(_ bytes: UnsafeBufferPointer<UInt8>, file: String, like decoder: ManifestDecoder) -> ManifestDecoder? {
        guard bytes.count < 16 << 20 else { return nil }
        let whole = ManifestDecoder(forPartOf: decoder)
        readYAMLPart(bytes, file: file, linesBefore: 0, into: whole)
        return whole.builder.state.diagnostics.contains { Diagnostic.unreadableIDs.contains($0.id) } ? nil : whole
    }

    /// Whether `$patch` stands anywhere.
    private static func holdsPatchWord(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        var position = 0
        while let found = memchr(base + position, Int32(UInt8(ascii: "$")), bytes.count - position) {
            let place = UnsafeRawPointer(base).distance(to: found)
            if bytes[place...].starts(with: "$patch".utf8) { return true }
            position = place + 1
        }
        return false
    }

    private static func position(of offset: Int, in bytes: UnsafeBufferPointer<UInt8>) -> (line: Int, column: Int) {
        let before = bytes[..<min(offset, bytes.count)]
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        return (line, 1 + before[lineStart...].reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) })
    }

    private enum JSONOutcome {
        /// All values were read.
        case done
        /// After whole values comes something else: the input is YAML whose first document looks like JSON.
        case yamlFrom(offset: Int)
        case failed(JSONFailure)
    }

    private struct JSONFailure {
        var offset: Int
        var message: String
        /// Whether a whole value or item was read before, so that the input surely is JSON.
        var hasRead: Bool
    }

    private static func readJSON(
        _ bytes: UnsafeBufferPointer<UInt8>, file: String, into decoder: ManifestDecoder, partSize: Int
    ) -> JSONOutcome {
        guard let base = bytes.baseAddress else { return .done }
        let tree = DocumentTree(file: file, base: base)
        defer { withExtendedLifetime(tree) {} }
        let decodedBefore = decoder.decodedCount
        var anchor = DocumentTree.LineCursor()
        do throws(JSONText.Failure) {
            var json = try JSONText(bytes)
            while json.peek() != 0 || json.position < json.end {
                let start = json.position
                let place = anchor
                if start > 0, json.peek() != UInt8(ascii: "{"), json.peek() != UInt8(ascii: "["), decoder.decodedCount > decodedBefore {
                    return .yamlFrom(offset: start)
                }
                if try streamItems(&json, tree, &anchor, into: decoder, partSize: partSize) {
                    continue
                }
                json.position = start
                anchor = place
                anchor.advance(to: max(anchor.offset, start), in: base)
                tree.reset(anchor: anchor)
                try json.parseValue(into: tree)
                let root = tree.root
                if root.kind == .array {
                    for element in root.elements { decoder.decode(element) }
                } else {
                    decoder.decode(root)
                }
            }
            return .done
        } catch {
            return .failed(
                JSONFailure(offset: error.offset, message: error.message, hasRead: decoder.decodedCount > decodedBefore))
        }
    }

    /// Hands out the elements of a top-level `items` array one by one, so that a big list never stands in memory.
    ///
    /// - Returns: `false` when the value is no such list; the caller then reads it whole.
    private static func streamItems(
        _ json: inout JSONText, _ tree: DocumentTree, _ anchor: inout DocumentTree.LineCursor, into decoder: ManifestDecoder,
        partSize: Int
    ) throws(JSONText.Failure) -> Bool {
        guard json.take(UInt8(ascii: "{")) else { return false }
        var hasStreamed = false
        var isOther = false
        var list: TypeMeta?
        guard json.peek() != UInt8(ascii: "}") else { return false }
        repeat {
            let key = try json.scanString()
            guard json.take(UInt8(ascii: ":")) else { return false }
            let name = UnsafeBufferPointer(start: json.base + key.start, count: key.count)
            if !hasStreamed, !isOther, name.elementsEqual("items".utf8), json.take(UInt8(ascii: "[")) {
                guard json.peek() != UInt8(ascii: "]") else { return false }
                let ahead = AheadReader(
                    UnsafeBufferPointer(start: json.base, count: json.end), first: json.position, file: tree.nodes.file,
                    into: decoder, partSize: partSize)
                var reported = 0
                repeat {
                    _ = json.peek()
                    if json.position - reported > 1 << 20 {
                        decoder.onProgress?(json.position - reported)
                        reported = json.position
                    }
                    if json.position >= ahead.nextStart, let read = ahead.take(at: json.position, into: decoder) {
                        (json.position, list) = read
                        hasStreamed = true
                        continue
                    }
                    anchor.advance(to: max(anchor.offset, json.position), in: json.base)
                    tree.reset(anchor: anchor)
                    try json.parseValue(into: tree)
                    // Items of typed lists name no kind: those lists are read whole. Where only some name it, it is the same for all.
                    guard hasStreamed || tree.root.value("apiVersion") != nil else { return false }
                    list = decoder.typeMeta(of: tree.root, in: list)
                    guard list != nil else { return false }
                    hasStreamed = true
                    decoder.decode(tree.root, in: list)
                } while json.take(UInt8(ascii: ","))
                guard json.take(UInt8(ascii: "]")) else {
                    throw JSONText.Failure(offset: json.position, message: "expected `,` or the end of the array")
                }
            } else if name.elementsEqual("kind".utf8), json.peek() == UInt8(ascii: "\"") {
                let kind = try json.scanString()
                let text = String(decoding: UnsafeBufferPointer(start: json.base + kind.start, count: kind.count), as: UTF8.self)
                if hasStreamed { decoder.noteList(kind: text) }
                // Another object may have `items` too; they are none.
                isOther = !text.hasSuffix("List")
            } else {
                try json.skipValue()
            }
        } while json.take(UInt8(ascii: ","))
        guard json.take(UInt8(ascii: "}")) else {
            throw JSONText.Failure(offset: json.position, message: "expected `,` or the end of the object")
        }
        return hasStreamed
    }

    private static func readYAML(
        _ bytes: UnsafeBufferPointer<UInt8>, file: String, linesBefore: Int, into decoder: ManifestDecoder, partSize: Int
    ) {
        // Whole documents on all cores: a line that starts with `---` is never inside one.
        let parts = YAMLParts(bytes, linesBefore: linesBefore, partSize: partSize / 8).parts
        guard parts.count > 1 else { return readYAMLPart(bytes, file: file, linesBefore: linesBefore, into: decoder) }
        nonisolated(unsafe) let decoders = parts.map { _ in ManifestDecoder(forPartOf: decoder) }
        nonisolated(unsafe) let shared = parts
        let onProgress = decoder.onProgress
        DispatchQueue.concurrentPerform(iterations: parts.count) { index in
            readYAMLPart(shared[index].bytes, file: file, linesBefore: shared[index].linesBefore, into: decoders[index])
            onProgress?(shared[index].bytes.count)
        }
        for part in decoders { decoder.merge(part) }
    }

    /// Reads documents one after the other, those that are not plain with libyaml.
    private static func readYAMLPart(
        _ bytes: UnsafeBufferPointer<UInt8>, file: String, linesBefore: Int, into decoder: ManifestDecoder
    ) {
        guard decoder.readsPlainYAML, var plain = PlainYAML(bytes, file: file, linesBefore: linesBefore) else {
            return readAnyYAML(bytes, file: file, linesBefore: linesBefore, into: decoder)
        }
        defer { withExtendedLifetime(plain) {} }
        while plain.hasMore {
            switch plain.readDocument() {
            case .document(let document): if let document { decoder.decodeDocument(document) }
            case .notPlain:
                let start = plain.position
                let next = YAMLParts.separator(in: bytes, from: start)
                readAnyYAML(
                    UnsafeBufferPointer(rebasing: bytes[start..<(next?.end ?? bytes.count)]), file: file, linesBefore: plain.line - 1,
                    into: decoder)
                plain.skip(to: next?.start ?? bytes.count)
            }
        }
    }

    private static func readAnyYAML(
        _ bytes: UnsafeBufferPointer<UInt8>, file: String, linesBefore: Int, into decoder: ManifestDecoder
    ) {
        var yaml = YAMLText(bytes, file: file, linesBefore: linesBefore)
        var lastFailure: SourceLocation?
        yaml.parse(
            onItem: { decoder.decode($0) },
            onDocument: { decoder.decodeDocument($0) },
            onFailure: { failure, start in
                let location = SourceLocation(file: file, line: failure.line, column: failure.column)
                guard location != lastFailure else { return }
                lastFailure = location
                decoder.builder.state.diagnostics.append(
                    Diagnostic(
                        .error, id: "invalid-yaml", "the document cannot be read: \(failure.message)", at: location,
                        help: isTemplate(bytes, from: start)
                            ? "this is a template: render it first, for example with `helm template`"
                            : "other documents of the file were loaded where they start with `---`"))
            })
    }

    /// Whether `{{` stands in the document that starts at `start`, looked for in its first 64 KiB and not behind its end.
    private static func isTemplate(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Bool {
        let brace = UInt8(ascii: "{")
        var end = start
        while end < min(bytes.count, start + 65_536) {
            let isSeparator = end > start && bytes[end - 1] == UInt8(ascii: "\n") && bytes[end...].starts(with: "---".utf8)
            if isSeparator { break }
            end += 1
        }
        return zip(bytes[start..<end], bytes[min(start + 1, end)..<end]).contains { $0 == brace && $1 == brace }
    }
}

extension ManifestDecoder {
    /// Decodes a whole document; a top-level list of objects is read, a JSON patch is no object.
    func decodeDocument(_ document: DocumentValue) {
        if document.kind == .array, document.elements.contains(where: { $0.value("kind") != nil }) {
            for element in document.elements { decode(element) }
        } else {
            decode(document)
        }
    }

    /// Brings the diagnostics of one input, from the given one on, into the order of the input.
    fileprivate func sortDiagnostics(from start: Int) {
        let diagnostics = builder.state.diagnostics[start...]
        func precedes(_ left: Diagnostic, _ right: Diagnostic) -> Bool {
            (left.location?.line ?? 0, left.location?.column ?? 0) < (right.location?.line ?? 0, right.location?.column ?? 0)
        }
        // A stable sort of what mostly is in order.
        guard zip(diagnostics, diagnostics.dropFirst()).contains(where: { precedes($1, $0) }) else { return }
        let order = diagnostics.indices.sorted { left, right in
            precedes(diagnostics[left], diagnostics[right]) || !precedes(diagnostics[right], diagnostics[left]) && left < right
        }
        builder.state.diagnostics.replaceSubrange(start..., with: order.map { diagnostics[$0] })
    }
}

/// A YAML stream cut at document separators into parts of about equal size.
private struct YAMLParts {
    struct Part {
        var bytes: UnsafeBufferPointer<UInt8>
        var linesBefore: Int
    }

    private(set) var parts: [Part] = []

    init(_ bytes: UnsafeBufferPointer<UInt8>, linesBefore: Int, partSize: Int) {
        var start = 0
        var lines = linesBefore
        while let next = Self.separator(in: bytes, from: start + partSize) {
            // The separator ends this part and starts the next, so that a document left open is noticed where it would be.
            parts.append(Part(bytes: UnsafeBufferPointer(rebasing: bytes[start..<next.end]), linesBefore: lines))
            lines += bytes[start..<next.start].reduce(0) { $0 &+ ($1 == UInt8(ascii: "\n") ? 1 : 0) }
            start = next.start
        }
        parts.append(Part(bytes: UnsafeBufferPointer(rebasing: bytes[start...]), linesBefore: lines))
    }

    /// Whether a line before `position` is a directive, with nothing but comments and blank lines between.
    private static func followsDirective(_ position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var end = position - 1
        while end > 0 {
            var start = end
            while start > 0, bytes[start - 1] != UInt8(ascii: "\n") { start -= 1 }
            if start < end, bytes[start] == UInt8(ascii: "%") { return true }
            guard bytes[start..<end].first(where: { $0 > 0x20 }).map({ $0 == UInt8(ascii: "#") }) ?? true else { return false }
            end = start - 1
        }
        return false
    }

    /// The first bare `---` line after `from` that no directive stands before.
    static func separator(in bytes: UnsafeBufferPointer<UInt8>, from: Int) -> (start: Int, end: Int)? {
        guard let base = bytes.baseAddress else { return nil }
        let newline = UInt8(ascii: "\n")
        var position = from
        while position + 5 < bytes.count, let found = memchr(base + position, Int32(newline), bytes.count - position - 5) {
            let start = UnsafeRawPointer(base).distance(to: found) + 1
            position = start
            guard memcmp(base + start, "---\n", 4) == 0 else { continue }
            if !followsDirective(start, in: bytes) { return (start, start + 4) }
        }
        return nil
    }
}
