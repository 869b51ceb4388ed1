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
        if request.name.isEmpty, verb == "list" || verb == "watch" { applySelector() }
        if verb == "deletecollection" { request.name = "" }
    }

    private var query = Substring()
    private var hasVerbInPath = false

    private init(uri: String, verb: (_ isResource: Bool) -> String) {
        let (rawPath, rawQuery) = uri.splitBytes(at: "?")
        query = (rawQuery ?? "")[...]
        let path = Self.decoded(rawPath[...], plusIsSpace: false)
        var segments = Self.split(path)
        guard segments.count >= 3, segments[0] == "api" || (segments[0] == "apis" && segments.count >= 4) else {
            request = Request(verb: verb(false), path: path)
            return
        }
        request = Request(verb: verb(true), resource: "")
        if segments[0] == "apis" { request.apiGroup = segments[1] }
        apiVersion = segments[segments[0] == "apis" ? 2 : 1]
        segments.removeFirst(segments[0] == "apis" ? 3 : 2)
        if let first = segments.first, first == "watch" || first == "proxy" {
            guard segments.count > 1 else {
                isError = true
                return
            }
            request.verb = first
            hasVerbInPath = true
            segments.removeFirst()
        }
        if segments.first == "namespaces", segments.count > 1 {
            request.namespace = segments[1]
            if segments.count > 2, segments[2] != "status", segments[2] != "finalize" { segments.removeFirst(2) }
        }
        parts = segments
        if segments.count > 0 { request.resource = segments[0] }
        if segments.count > 1 { request.name = segments[1] }
        if segments.count > 2, request.verb != "proxy" || !hasVerbInPath { request.subresource = segments[2] }
    }

    /// Sets the name from a field selector that requires one (semantics URL-9).
    private mutating func applySelector() {
        guard !query.isEmpty, let selector = Self.parameter("fieldSelector", in: query) else { return }
        for name in ["limit", "timeoutSeconds"] {
            if let value = Self.parameter(name, in: query), !value.isEmpty, Int64(value) == nil { return }
        }
        if let labels = Self.parameter("labelSelector", in: query), !Self.isPlausibleLabelSelector(labels) { return }
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

    /// Only the shape: a selector the server cannot parse makes it drop the name, and nothing else depends on it.
    private static func isPlausibleLabelSelector(_ text: String) -> Bool {
        !text.contains("==,") && !text.hasPrefix("=") && !text.hasPrefix(",") && !text.contains("((")
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
        for text in texts where !text.isEmpty {
            guard let term = splitTerm(text) else { return nil }
            terms.append(term)
        }
        return terms.sorted { bytesPrecede($0.field, $1.field) }.first { $0.field == "metadata.name" && $0.isEqual }?.value
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

    /// The first value of a query parameter; `""` when it stands without one; `nil` absent.
    static func parameter(_ name: String, in query: Substring) -> String? {
        for pair in query.isEmpty ? [] : query.split(separator: "&") {
            let equal = pair.firstIndex(of: "=")
            guard decoded(pair[..<(equal ?? pair.endIndex)], plusIsSpace: true) == name else { continue }
            return equal.map { decoded(pair[pair.index(after: $0)...], plusIsSpace: true) } ?? ""
        }
        return nil
    }

    /// The segments of a path; slashes at its ends do not count.
    private static func split(_ path: String) -> [String] {
        var path = path
        return path.withUTF8 { bytes in
            let slash = UInt8(ascii: "/")
            var (start, end) = (0, bytes.count)
            while start < end, bytes[start] == slash { start += 1 }
            while end > start, bytes[end - 1] == slash { end -= 1 }
            guard start < end else { return [] }
            var segments: [String] = []
            segments.reserveCapacity(8)
            for place in start...end where place == end || bytes[place] == slash {
                segments.append(String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<place]), as: UTF8.self))
                start = place + 1
            }
            return segments
        }
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
