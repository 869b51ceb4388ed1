import WhittleModel

/// Requests to judge, one JSON object per line.
///
/// Keys: `id`, `user`, `groups`, `verb`, then `namespace`, `apiGroup`, `resource`, `subresource`, `name`, or `path`; absent is
/// empty, other keys are ignored. A SubjectAccessReview object means the same.
public struct RequestLines {
    /// One line.
    public enum Line: Sendable {
        /// A request; `id` is JSON text as it was written, `null` when absent.
        case request(id: String, user: UserInfo, request: Request)
        /// A line that is no request, and why.
        case bad(message: String)
    }

    /// Reads all lines of a file, `-` is standard input; blank lines are left out.
    ///
    /// - Parameter body: called with the 1-based line number and the line, in input order.
    /// - Throws: `IngestError.cannotOpen`.
    public static func read(_ path: String, body: (Int, Line) -> Void) throws(IngestError) {
        let input = try InputFile(path: path)
        guard let base = input.bytes.baseAddress else { return }
        var start = 0
        var number = 0
        while start < input.bytes.count {
            var end = start
            while end < input.bytes.count, base[end] != UInt8(ascii: "\n") { end += 1 }
            number += 1
            let line = UnsafeBufferPointer(start: base + start, count: end - start)
            if line.contains(where: { $0 > 0x20 }) { body(number, parse(line)) }
            start = end + 1
        }
    }

    static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Line {
        guard let base = bytes.baseAddress, firstInvalidUTF8(in: bytes) == nil else { return .bad(message: "not UTF-8 text") }
        let tree = DocumentTree(file: "", base: base)
        defer { withExtendedLifetime(tree) {} }
        do throws(JSONText.Failure) {
            var json = try JSONText(bytes)
            try json.parseValue(into: tree)
            guard json.peek() == 0, json.position >= bytes.count else { return .bad(message: "more than one value on the line") }
        } catch {
            return .bad(message: "not JSON: \(error.message) at column \(error.offset + 1)")
        }
        let root = tree.root
        guard root.kind == .object else { return .bad(message: "not a JSON object") }
        do throws(BadField) {
            if let spec = root.value("spec"), root.value("kind")?.string == "SubjectAccessReview" || root["user"] == nil {
                return try review(root, spec)
            }
            return .request(
                id: id(root), user: UserInfo(name: try text(root, "user"), groups: try texts(root, "groups")),
                request: try request(root, groupKey: "apiGroup"))
        } catch {
            return .bad(message: error.message)
        }
    }

    private struct BadField: Error {
        var message: String
    }

    private static func review(_ root: DocumentValue, _ spec: DocumentValue) throws(BadField) -> Line {
        let resource = spec.value("resourceAttributes")
        let other = spec.value("nonResourceAttributes")
        guard let attributes = resource ?? other, resource == nil || other == nil else {
            throw BadField(message: "needs exactly one of resourceAttributes and nonResourceAttributes")
        }
        return .request(
            id: id(root), user: UserInfo(name: try text(spec, "user"), groups: try texts(spec, "groups")),
            request: resource == nil
                ? Request(verb: try text(attributes, "verb"), path: try text(attributes, "path"))
                : try request(attributes, groupKey: "group"))
    }

    private static func request(_ value: DocumentValue, groupKey: StaticString) throws(BadField) -> Request {
        let verb = try text(value, "verb")
        let path = try text(value, "path")
        if !path.isEmpty || (value.value("path") != nil && value.value("resource") == nil) {
            guard try text(value, "resource").isEmpty else { throw BadField(message: "has both `resource` and `path`") }
            return Request(verb: verb, path: path)
        }
        return Request(
            verb: verb, apiGroup: try text(value, groupKey), resource: try text(value, "resource"),
            subresource: try text(value, "subresource"), namespace: try text(value, "namespace"), name: try text(value, "name"))
    }

    private static func text(_ value: DocumentValue, _ key: StaticString) throws(BadField) -> String {
        guard let member = value.value(key) else { return "" }
        guard let text = member.string else { throw BadField(message: "`\(key)` is not a string") }
        return text
    }

    private static func texts(_ value: DocumentValue, _ key: StaticString) throws(BadField) -> [String] {
        guard let member = value.value(key) else { return [] }
        guard member.kind == .array else { throw BadField(message: "`\(key)` is not a list of strings") }
        var result: [String] = []
        for element in member.elements {
            guard let text = element.string else { throw BadField(message: "`\(key)` is not a list of strings") }
            result.append(text)
        }
        return result
    }

    private static func id(_ root: DocumentValue) -> String {
        guard let value = root["id"] else { return "null" }
        switch value.kind {
        case .string: return jsonQuoted(value.string ?? "")
        case .number, .true, .false:
            return String(decoding: value.bytes, as: UTF8.self)
        default: return "null"
        }
    }
}
