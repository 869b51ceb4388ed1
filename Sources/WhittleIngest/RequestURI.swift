import WhittleModel

/// A request URI → the attributes that the authorizer sees (semantics §2).
///
/// Follows apiserver/pkg/endpoints/request/requestinfo.go.
public struct RequestURI: Hashable, Sendable {
    /// The attributes; for a non-resource request verb and path.
    public var request: Request
    /// The version segment; `""` for a non-resource request.
    public var apiVersion = ""
    /// Resource, name, subresource and whatever follows.
    public var parts: [String] = []
    /// The raw field selector where it counts.
    public var fieldSelector = ""
    /// The raw label selector where it counts.
    public var labelSelector = ""
    /// Whether upstream reports an error (`watch` or `proxy` without a segment after it).
    public var isError = false

    /// Parses a URI with the HTTP method it was requested with.
    public init(method: String, uri: String) {
        self.init(uri: uri) { isResource in
            guard isResource else { return method.lowercased() }
            switch method {
            case "POST": return "create"
            case "GET", "HEAD": return "get"
            case "PUT": return "update"
            case "PATCH": return "patch"
            case "DELETE": return "delete"
            default: return ""
            }
        }
        guard request.isResourceRequest, !isError, !hasVerbInPath else { return }
        if request.name.isEmpty, request.verb == "get" {
            let watch = Self.parameter("watch", in: query)
            request.verb = watch.map { $0 != "0" && $0.lowercased() != "false" } ?? false ? "watch" : "list"
            applySelector()
        } else if request.name.isEmpty, request.verb == "delete" {
            request.verb = "deletecollection"
        }
        noteSelectors()
    }

    /// Parses a URI whose verb an audit event already tells.
    public init(verb: String, uri: String) {
        self.init(uri: uri) { _ in verb }
        guard request.isResourceRequest, !isError else { return }
        request.verb = verb
        if request.name.isEmpty, !hasVerbInPath, verb == "list" || verb == "watch" { applySelector() }
        if verb == "deletecollection" { request.name = "" }
    }

    private var query = Substring()
    private var hasVerbInPath = false

    private init(uri: String, verb: (_ isResource: Bool) -> String) {
        let (rawPath, rawQuery) = uri.splitBytes(at: "?")
        query = (rawQuery ?? "")[...]
        var path = Self.decoded(rawPath[...], plusIsSpace: false)
        let read = path.withUTF8 { bytes -> (request: Request, apiVersion: String, parts: [String], isError: Bool, hasVerb: Bool)? in
            guard let attributes = URLAttributes(path: bytes) else { return nil }
            var request = Request(verb: attributes.verb?.text ?? verb(true), resource: attributes.resource.text)
            request.apiGroup = attributes.apiGroup.text
            request.namespace = attributes.namespace.text
            request.name = attributes.name.text
            if attributes.verb.map({ !$0.isText("proxy") }) ?? true { request.subresource = attributes.subresource.text }
            return (
                request, attributes.apiVersion.text, attributes.parts.map(\.text), attributes.isError,
                attributes.verb != nil && !attributes.isError
            )
        }
        guard let read else {
            request = Request(verb: verb(false), path: Credentials.masked(path))
            return
        }
        (request, apiVersion, parts, isError, hasVerbInPath) = read
        if isError { request.verb = verb(true) }
    }

    /// Sets the name from a field selector that requires one (semantics URL-9).
    private mutating func applySelector() {
        guard !query.isEmpty, let selector = Self.parameter("fieldSelector", in: query) else { return }
        for name in ["limit", "timeoutSeconds"] {
            if let value = Self.parameter(name, in: query), Int64(value) == nil { return }
        }
        if let labels = Self.parameter("labelSelector", in: query), LabelSelector(text: labels) == nil { return }
        guard let name = Self.requiredName(inFieldSelector: selector),
            name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(UInt8(ascii: "%"))
        else { return }
        request.name = name
    }

    private mutating func noteSelectors() {
        guard ["list", "watch", "deletecollection"].contains(request.verb), !hasVerbInPath else { return }
        fieldSelector = Self.parameter("fieldSelector", in: query) ?? ""
        labelSelector = Self.parameter("labelSelector", in: query) ?? ""
    }

    /// The value that `metadata.name` must equal; `nil` when there is no such term or a term has no operator.
    private static func requiredName(inFieldSelector selector: String) -> String? {
        var terms: [(field: String, isEqual: Bool, value: String)] = []
        var current = ""
        var isEscaped = false
        var texts: [String] = []
        for character in selector {
            if !isEscaped, character == "," {
                texts.append(current)
                current = ""
            } else {
                current.append(character)
            }
            isEscaped = !isEscaped && character == "\\"
        }
        texts.append(current)
        for text in texts.sorted(by: bytesPrecede) where !text.isEmpty {
            guard let term = splitTerm(text) else { return nil }
            terms.append(term)
        }
        return terms.first { $0.field == "metadata.name" && $0.isEqual }?.value
    }

    private static func splitTerm(_ text: String) -> (field: String, isEqual: Bool, value: String)? {
        // The first operator counts; `==` and `!=` are tried before `=` at the same place.
        var index = text.startIndex
        while index < text.endIndex {
            for (mark, isEqual) in [("!=", false), ("==", true), ("=", true)] where text[index...].hasPrefix(mark) {
                guard let value = unescaped(text[text.index(index, offsetBy: mark.count)...]) else { return nil }
                return (String(text[..<index]), isEqual, value)
            }
            index = text.index(after: index)
        }
        return nil
    }

    /// A value of a field selector: `\\`, `\,` and `\=` are escapes, bare `=` and other escapes are errors.
    private static func unescaped(_ text: Substring) -> String? {
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                guard ["\\", ",", "="].contains(character) else { return nil }
                result.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "=" || character == "," {
                return nil
            } else {
                result.append(character)
            }
        }
        return isEscaped ? nil : result
    }

    /// The first value of a query parameter; `""` when it stands without one; `nil` absent. As in Go, pairs that are malformed count as
    /// not there.
    static func parameter(_ name: String, in query: Substring) -> String? {
        for pair in query.isEmpty ? [] : query.split(separator: "&") {
            let equal = pair.firstIndex(of: "=")
            guard decoded(pair[..<(equal ?? pair.endIndex)], plusIsSpace: true) == name, isWellFormed(pair) else { continue }
            return equal.map { decoded(pair[pair.index(after: $0)...], plusIsSpace: true) } ?? ""
        }
        return nil
    }

    private static func isWellFormed(_ pair: Substring) -> Bool {
        var rest = pair.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: ";") { return false }
            guard byte == UInt8(ascii: "%") else { continue }
            guard rest.count >= 2, rest.prefix(2).allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else { return false }
        }
        return true
    }

    /// Resolves percent escapes; malformed ones stay as they are.
    static func decoded(_ text: Substring, plusIsSpace: Bool) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || (plusIsSpace && $0 == UInt8(ascii: "+")) }) else {
            return String(text)
        }
        var bytes: [UInt8] = []
        var iterator = Array(text.utf8)[...]
        func digit(_ byte: UInt8) -> UInt8? { Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) } }
        while let byte = iterator.popFirst() {
            if byte == UInt8(ascii: "%"), iterator.count >= 2, let high = digit(iterator[iterator.startIndex]),
                let low = digit(iterator[iterator.startIndex + 1])
            {
                bytes.append(high << 4 | low)
                iterator.removeFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The attributes that stand in the decoded path of a URI, as runs of its bytes.
struct URLAttributes {
    /// `watch` or `proxy` before the resource; `nil` = none.
    private(set) var verb: ByteSlice?
    private(set) var apiGroup: ByteSlice
    private(set) var apiVersion: ByteSlice
    private(set) var namespace: ByteSlice
    private(set) var resource: ByteSlice
    private(set) var name: ByteSlice
    private(set) var subresource: ByteSlice
    /// Whether nothing follows `watch` or `proxy`.
    private(set) var isError = false
    private var rest: Segments

    /// Reads a path; `nil` when it is that of no resource. The bytes must outlive it.
    init?(path: UnsafeBufferPointer<UInt8>) {
        guard let base = path.baseAddress else { return nil }
        var segments = Segments(start: base, end: base + path.count)
        let none = ByteSlice(start: base, count: 0)
        (apiGroup, namespace, resource, name, subresource) = (none, none, none, none, none)
        guard let root = segments.next() else { return nil }
        if root.isText("apis") {
            guard let group = segments.next() else { return nil }
            apiGroup = group
        } else if !root.isText("api") {
            return nil
        }
        guard let version = segments.next(), !segments.isAtEnd else { return nil }
        apiVersion = version
        rest = segments
        guard var first = segments.next() else { return nil }
        if first.isText("watch") || first.isText("proxy") {
            verb = first
            guard !segments.isAtEnd, case let start = segments, let next = segments.next() else {
                isError = true
                return
            }
            rest = start
            first = next
        }
        if first.isText("namespaces"), let named = segments.next() {
            namespace = named
            name = named
            let behind = segments
            if let third = segments.next() {
                if third.isText("status") || third.isText("finalize") {
                    resource = first
                    subresource = third
                    return
                }
                rest = behind
                first = third
                name = none
            } else {
                resource = first
                return
            }
        }
        resource = first
        if let second = segments.next() { name = second }
        if let third = segments.next() { subresource = third }
    }

    /// Resource, name, subresource and whatever follows.
    var parts: [ByteSlice] {
        var segments = rest
        var parts: [ByteSlice] = []
        while !isError, let part = segments.next() { parts.append(part) }
        return parts
    }

    /// What stands between the slashes of a path; slashes at its ends do not count.
    private struct Segments {
        private var position: UnsafePointer<UInt8>
        private let end: UnsafePointer<UInt8>
        private(set) var isAtEnd: Bool

        init(start: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>) {
            var (start, end) = (start, end)
            let slash = UInt8(ascii: "/")
            while start < end, start.pointee == slash { start += 1 }
            while end > start, (end - 1).pointee == slash { end -= 1 }
            (position, self.end, isAtEnd) = (start, end, start == end)
        }

        mutating func next() -> ByteSlice? {
            guard !isAtEnd else { return nil }
            let start = position
            while position < end, position.pointee != UInt8(ascii: "/") { position += 1 }
            let segment = ByteSlice(start: start, count: position - start)
            if position < end { position += 1 } else { isAtEnd = true }
            return segment
        }
    }
}

extension ByteSlice {
    /// The bytes as text.
    var text: String { String(decoding: buffer, as: UTF8.self) }
}
