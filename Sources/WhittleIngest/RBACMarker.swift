import WhittleModel

/// A `+kubebuilder:rbac` comment, read as controller-gen does (controller-tools pkg/markers/parse.go).
struct RBACMarker {
    /// Groups as written, `core` included.
    var groups: [String] = []
    var resources: [String] = []
    var resourceNames: [String] = []
    var verbs: [String] = []
    var urls: [String] = []
    /// `""` = the marker is about a ClusterRole.
    var namespace = ""
    /// `""` = the generator's.
    var roleName = ""
    /// Where the comment starts.
    var location: SourceLocation
    /// The offset of a space between a word and what ends it, `nil` without one: controller-gen loses the end of such a word,
    /// here it counts.
    private(set) var spaceOffset: Int?

    /// What is wrong, at a byte offset into the text after `+`.
    struct Failure: Error {
        var offset: Int
        var message: String
    }

    /// The start of every such comment.
    static let name = "kubebuilder:rbac"

    /// Whether controller-gen takes a text after `+` for such a marker: the name is what stands before the first `=`, its last
    /// part left out as that is the first argument.
    static func isMarker(_ text: String) -> Bool {
        let (before, after) = text.splitBytes(at: "=")
        guard after != nil else { return before.isSameBytes(as: name) }
        guard !before.isSameBytes(as: name) else { return true }
        guard let colon = before.utf8.lastIndex(of: UInt8(ascii: ":")) else { return false }
        return String(before[..<colon]).isSameBytes(as: name)
    }

    /// Reads the text after `+`, for which `isMarker` holds.
    init(_ text: String, at location: SourceLocation) throws(Failure) {
        self.location = location
        let isNamed = text.utf8.count > Self.name.utf8.count
        // `kubebuilder:rbac=x` has the argument `rbac`.
        let start = !isNamed ? text.utf8.count : text.hasBytePrefix(Self.name + ":") ? Self.name.utf8.count + 1 : 12
        var scanner = Scanner(Array(text.utf8), from: start)
        var hasVerbs = false
        if !scanner.isAtEnd {
            while true {
                try scanner.next()
                guard scanner.kind == .name else { throw scanner.expected("an argument name") }
                let argument = scanner.token
                let place = scanner.start
                try scanner.next()
                guard scanner.isCharacter("=") else { throw scanner.expected("`=`") }
                switch argument {
                case "groups": groups = try scanner.list()
                case "resources": resources = try scanner.list()
                case "resourceNames": resourceNames = try scanner.list()
                case "urls": urls = try scanner.list()
                case "verbs": (verbs, hasVerbs) = (try scanner.list(), true)
                case "namespace": namespace = try scanner.string()
                case "roleName": roleName = try scanner.string()
                default: throw Failure(offset: place, message: "unknown argument `\(argument)`")
                }
                if scanner.isAtEnd { break }
                try scanner.next()
                guard scanner.isCharacter(",") else { throw scanner.expected("`,`") }
            }
        }
        spaceOffset = scanner.spaceOffset
        guard hasVerbs else { throw Failure(offset: 0, message: "the argument `verbs` is missing") }
    }

    /// The rule it stands for, `core` made the core group; `nil` lists are absent.
    var rule: PolicyRule {
        PolicyRule(
            verbs: verbs, apiGroups: groups.map { $0.isSameBytes(as: "core") ? "" : $0 }, resources: resources,
            resourceNames: resourceNames, nonResourceURLs: urls
        ).normalized
    }

    /// Tokens of Go's text/scanner: names, strings, single characters; white space between them means nothing.
    private struct Scanner {
        enum Kind { case end, name, string, character }

        private let bytes: [UInt8]
        private var position: Int
        /// Of the last token.
        private(set) var kind = Kind.end
        private(set) var start: Int
        /// The first space between a bare word and what ends it.
        private(set) var spaceOffset: Int?

        init(_ bytes: [UInt8], from position: Int) {
            self.bytes = bytes
            self.position = position
            start = position
        }

        var isAtEnd: Bool { position >= bytes.count }
        var token: String { String(decoding: bytes[start..<position], as: UTF8.self) }

        func isCharacter(_ character: Unicode.Scalar) -> Bool { kind == .character && bytes[start] == UInt8(ascii: character) }

        func expected(_ what: String) -> Failure {
            Failure(offset: start, message: "expected \(what), found \(kind == .end ? "the end" : "`\(token)`")")
        }

        private static func isNameStart(_ byte: UInt8) -> Bool {
            byte >= 0x80 || byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }

        /// The byte after white space; `nil` at the end.
        private mutating func peek() -> UInt8? {
            while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
            return position < bytes.count ? bytes[position] : nil
        }

        private mutating func isNext(in delimiters: String) -> Bool {
            guard let next = peek() else { return true }
            return delimiters.utf8.contains(next)
        }

        mutating func next() throws(Failure) {
            let first = peek()
            start = position
            guard let first else {
                kind = .end
                return
            }
            position += 1
            if Self.isNameStart(first) {
                while position < bytes.count,
                    Self.isNameStart(bytes[position]) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
                {
                    position += 1
                }
                kind = .name
            } else if first == UInt8(ascii: "\"") || first == UInt8(ascii: "`") {
                while position < bytes.count, bytes[position] != first {
                    position += first == UInt8(ascii: "\"") && bytes[position] == UInt8(ascii: "\\") ? 2 : 1
                }
                guard position < bytes.count else { throw Failure(offset: start, message: "the text in quotes has no end") }
                position += 1
                kind = .string
                // Wherever a text in quotes stands, its escapes must be right.
                _ = try unquoted()
            } else {
                kind = .character
            }
        }

        /// A text in quotes, or everything up to `,`, `;` or `}`.
        mutating func string() throws(Failure) -> String {
            try next()
            if kind == .string { return try unquoted() }
            let first = start
            while !isNext(in: ",;}") { try next() }
            // The end of the last token, as white space behind it was skipped.
            var end = position
            while end > first, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[end - 1]) { end -= 1 }
            if end < position, spaceOffset == nil { spaceOffset = end }
            return String(decoding: bytes[first..<end], as: UTF8.self)
        }

        /// `{a, b}` or `a;b`; a last `;` adds nothing.
        mutating func list() throws(Failure) -> [String] {
            var result: [String] = []
            if peek() == UInt8(ascii: "{") {
                try next()
                while !isNext(in: "}") {
                    result.append(try string())
                    if isNext(in: "}") { break }
                    try next()
                    guard isCharacter(",") else { throw expected("`,`") }
                }
                try next()
                guard isCharacter("}") else { throw expected("`}`") }
                return result
            }
            while !isNext(in: ",}") {
                result.append(try string())
                if isNext(in: ",}") { break }
                try next()
                guard isCharacter(";") else { throw expected("`;` or `,`") }
            }
            return result
        }

        /// The string token without its quotes and Go's escapes.
        private func unquoted() throws(Failure) -> String {
            let inner = bytes[start + 1..<position - 1]
            guard bytes[start] == UInt8(ascii: "\""), inner.contains(UInt8(ascii: "\\")) else {
                return String(decoding: inner.filter { $0 != 0x0D }, as: UTF8.self)
            }
            let simple: [Unicode.Scalar: UInt8] = [
                "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 0x5C, "\"": 0x22,
            ]
            var result: [UInt8] = []
            var index = inner.startIndex
            while index < inner.endIndex {
                guard inner[index] == UInt8(ascii: "\\") else {
                    result.append(inner[index])
                    index += 1
                    continue
                }
                let failure = Failure(offset: index, message: "no such escape in a text in quotes")
                guard index + 1 < inner.endIndex else { throw failure }
                let letter = Unicode.Scalar(inner[index + 1])
                index += 2
                if let byte = simple[letter] {
                    result.append(byte)
                    continue
                }
                let isOctal = ("0"..."7").contains(letter)
                let count = isOctal ? 3 : letter == "x" ? 2 : letter == "u" ? 4 : letter == "U" ? 8 : 0
                if isOctal { index -= 1 }
                guard count > 0, index + count <= inner.endIndex,
                    let value = UInt32(String(decoding: inner[index..<index + count], as: UTF8.self), radix: isOctal ? 8 : 16)
                else { throw failure }
                index += count
                if isOctal || letter == "x" {
                    guard let byte = UInt8(exactly: value) else { throw failure }
                    result.append(byte)
                } else {
                    guard let scalar = Unicode.Scalar(value) else { throw failure }
                    result += Array(String(Character(scalar)).utf8)
                }
            }
            return String(decoding: result, as: UTF8.self)
        }
    }
}
