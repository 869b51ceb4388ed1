import WhittleModel

/// The comments of one Go file, and which of them controller-gen takes for comments of the package.
///
/// Follows go/scanner and go/parser as far as tokens, comment groups and top-level declarations go, and the visitor of
/// controller-tools pkg/markers/collect.go: a group that documents a declaration, stands inside one or trails it is not the
/// package's.
struct GoSource {
    /// One `//` or `/* */` comment.
    struct Comment {
        /// Byte offsets of the whole comment, its slashes included.
        var range: Range<Int>
        /// 1-based line of its start.
        var line: Int
        var isLineComment: Bool
        /// Why it is no comment of the package; `nil` when it is one.
        var elsewhere: String?
    }

    /// Why the file is no Go source.
    struct Failure: Error {
        var offset: Int
        var message: String
    }

    /// All comments in the order of the file.
    private(set) var comments: [Comment] = []
    /// Byte offset of the package clause: what stands before may be a build constraint.
    private(set) var packageOffset = 0

    private struct Group {
        var comments: Range<Int>
        var start: Int
    }

    private struct Token {
        enum Kind {
            case name, keyword, literal, semicolon, open, close, other
        }
        var kind: Kind
        var range: Range<Int>
        /// The last group before it when it ends on the line above: the token's documentation.
        var lead: Int?
        /// The group between the token before and this one that starts on the former's line and ends the line.
        var trailing: Int?
        /// Whether a semicolon is written, not implied by the end of a line.
        var isWritten = true
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var groups: [Group] = []
    private var tokens: [Token] = []
    /// The first group that no declaration has passed.
    private var next = 0

    /// Reads a file; the bytes must be UTF-8.
    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(Failure) {
        self.bytes = bytes
        try scan()
        try place()
    }

    /// The text of a comment.
    func text(_ comment: Comment) -> String { String(decoding: bytes[comment.range], as: UTF8.self) }

    // MARK: Tokens

    private static let keywords: Set<String> = [
        "break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough", "for", "func", "go", "goto", "if",
        "import", "interface", "map", "package", "range", "return", "select", "struct", "switch", "type", "var",
    ]
    /// Keywords that may end a statement.
    private static let endingKeywords: Set<String> = ["break", "continue", "fallthrough", "return"]

    private static func isNamePart(_ byte: UInt8) -> Bool {
        byte >= 0x80 || byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte.isDigit
    }

    private func byte(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    private func isText(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount && bytes[range].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: range.count))
    }

    private mutating func scan() throws(Failure) {
        var position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        /// Whether the end of the line ends the statement.
        var mayEnd = false
        var previousLine = 0
        var pending: [(comment: Comment, endLine: Int)] = []

        /// Makes groups of the comments before a token on `line`, as parser.next does.
        func flush(before kind: Token.Kind, on line: Int) -> (lead: Int?, trailing: Int?) {
            var (lead, trailing): (Int?, Int?)
            var index = 0
            func group(_ distance: Int) -> Int {
                let first = comments.count
                var endLine = pending[index].comment.line
                while index < pending.count, pending[index].comment.line <= endLine + distance {
                    endLine = pending[index].endLine
                    comments.append(pending[index].comment)
                    index += 1
                }
                groups.append(Group(comments: first..<comments.count, start: comments[first].range.lowerBound))
                return endLine
            }
            if let first = pending.first, first.comment.line == previousLine {
                let endLine = group(0)
                let following = index < pending.count ? pending[index].comment.line : line
                if following != endLine || kind == .semicolon { trailing = groups.count - 1 }
            }
            var endLine = -1
            while index < pending.count { endLine = group(1) }
            if endLine + 1 == line { lead = groups.count - 1 }
            pending = []
            return (lead, trailing)
        }
        func add(_ kind: Token.Kind, _ range: Range<Int>, on line: Int, isWritten: Bool = true) {
            let (lead, trailing) = pending.isEmpty ? (nil, nil) : flush(before: kind, on: line)
            tokens.append(Token(kind: kind, range: range, lead: lead, trailing: trailing, isWritten: isWritten))
            previousLine = line
        }
        func endLine() {
            if mayEnd { add(.semicolon, position..<position, on: line, isWritten: false) }
            mayEnd = false
            line += 1
        }

        while position < bytes.count {
            let start = position
            let current = bytes[position]
            switch current {
            case UInt8(ascii: "\n"):
                endLine()
                position += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
            case UInt8(ascii: "/") where byte(position + 1) == UInt8(ascii: "/"):
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
                pending.append((Comment(range: start..<position, line: line, isLineComment: true), line))
            case UInt8(ascii: "/") where byte(position + 1) == UInt8(ascii: "*"):
                position += 2
                var lines = 0
                while position + 1 < bytes.count, bytes[position] != UInt8(ascii: "*") || bytes[position + 1] != UInt8(ascii: "/") {
                    if bytes[position] == UInt8(ascii: "\n") { lines += 1 }
                    position += 1
                }
                guard position + 1 < bytes.count else { throw Failure(offset: start, message: "the comment has no end") }
                position += 2
                pending.append((Comment(range: start..<position, line: line, isLineComment: false), line + lines))
                if lines > 0 {
                    endLine()
                    line += lines - 1
                }
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                position += 1
                while byte(position) != current {
                    guard position < bytes.count, bytes[position] != UInt8(ascii: "\n") else {
                        throw Failure(offset: start, message: "the literal has no end")
                    }
                    position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
                }
                position += 1
                add(.literal, start..<position, on: line)
                mayEnd = true
            case UInt8(ascii: "`"):
                let first = line
                position += 1
                while position < bytes.count, bytes[position] != current {
                    if bytes[position] == UInt8(ascii: "\n") { line += 1 }
                    position += 1
                }
                guard position < bytes.count else { throw Failure(offset: start, message: "the raw string has no end") }
                position += 1
                add(.literal, start..<position, on: first)
                mayEnd = true
            case _ where Self.isNamePart(current):
                while position < bytes.count, Self.isNamePart(bytes[position]) { position += 1 }
                let isKeyword = !current.isDigit && Self.keywords.contains(String(decoding: bytes[start..<position], as: UTF8.self))
                add(isKeyword ? .keyword : .name, start..<position, on: line)
                mayEnd = !isKeyword || Self.endingKeywords.contains(String(decoding: bytes[start..<position], as: UTF8.self))
            default:
                let isDouble = (current == UInt8(ascii: "+") || current == UInt8(ascii: "-")) && byte(position + 1) == current
                position += isDouble ? 2 : 1
                let kind: Token.Kind =
                    switch current {
                    case UInt8(ascii: ";"): .semicolon
                    case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): .open
                    case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): .close
                    default: .other
                    }
                add(kind, start..<position, on: line)
                mayEnd = kind == .close || isDouble
            }
        }
        if mayEnd { add(.semicolon, position..<position, on: line, isWritten: false) }
        if !pending.isEmpty { _ = flush(before: .semicolon, on: line + 2) }
    }

    // MARK: Declarations

    /// The place after the bracket that closes the one at `index`.
    private func end(ofBracketAt index: Int) throws(Failure) -> Int {
        var open: [UInt8] = []
        for place in index..<tokens.count {
            let token = tokens[place]
            if token.kind == .open {
                open.append(bytes[token.range.lowerBound])
            } else if token.kind == .close {
                let wanted: [UInt8: UInt8] = [
                    UInt8(ascii: ")"): UInt8(ascii: "("), UInt8(ascii: "]"): UInt8(ascii: "["), UInt8(ascii: "}"): UInt8(ascii: "{"),
                ]
                guard open.popLast() == wanted[bytes[token.range.lowerBound]] else {
                    throw Failure(offset: token.range.lowerBound, message: "the bracket closes none")
                }
                if open.isEmpty { return place + 1 }
            }
        }
        throw Failure(offset: tokens[index].range.lowerBound, message: "the bracket is not closed")
    }

    /// The place of the semicolon, or of the closing bracket around, that ends the statement at `index`.
    private func endOfStatement(from index: Int) throws(Failure) -> Int {
        var place = index
        while place < tokens.count, tokens[place].kind != .semicolon, tokens[place].kind != .close {
            place = tokens[place].kind == .open ? try end(ofBracketAt: place) : place + 1
        }
        return place
    }

    private mutating func mark(_ range: Range<Int>, _ reason: String) {
        for group in groups[range] {
            for index in group.comments { comments[index].elsewhere = reason }
        }
    }

    /// The groups that start before `offset` and were not passed yet.
    private mutating func pass(_ offset: Int) -> Range<Int> {
        let first = next
        while next < groups.count, groups[next].start < offset { next += 1 }
        return first..<next
    }

    /// Says of each group whether it belongs to the package.
    private mutating func place() throws(Failure) {
        guard let package = tokens.firstIndex(where: { $0.kind != .semicolon }), isText(tokens[package].range, "package") else {
            throw Failure(offset: tokens.first?.range.lowerBound ?? 0, message: "the file does not start with a package clause")
        }
        packageOffset = tokens[package].range.lowerBound
        var index = try endOfStatement(from: package)
        while index < tokens.count {
            guard tokens[index].kind != .semicolon else {
                index += 1
                continue
            }
            guard tokens[index].kind != .close else {
                throw Failure(offset: tokens[index].range.lowerBound, message: "the bracket closes none")
            }
            let token = tokens[index]
            let before = pass(token.range.lowerBound)
            if let lead = token.lead, before.contains(lead) { mark(lead..<lead + 1, "documents \(name(ofDeclarationAt: index))") }
            let isFunction = isText(token.range, "func")
            let isGrouped = !isFunction && token.kind == .keyword && index + 1 < tokens.count && isText(tokens[index + 1].range, "(")
            if isGrouped {
                let close = try end(ofBracketAt: index + 1)
                try passInside(from: index, to: close)
                index = close
            } else {
                let end = try endOfStatement(from: index)
                try passInside(from: index, to: max(end, index + 1))
                if !isFunction { passTrailing(of: end) }
                index = max(end, index + 1)
            }
        }
    }

    /// Passes what stands inside the tokens of a declaration, which is not the package's but for what is above the types of groups.
    private mutating func passInside(from first: Int, to end: Int) throws(Failure) {
        var index = first
        while index < end {
            // A type switch has `type` before a closing bracket.
            guard isText(tokens[index].range, "type"), index + 1 < end, isText(tokens[index + 1].range, "(") else {
                index += 1
                continue
            }
            mark(pass(tokens[index + 1].range.upperBound), "stands inside a declaration")
            let close = try self.end(ofBracketAt: index + 1)
            var spec = index + 2
            while spec < close - 1 {
                guard tokens[spec].kind != .semicolon else {
                    spec += 1
                    continue
                }
                let around = pass(tokens[spec].range.lowerBound)
                var free = around
                if let lead = tokens[spec].lead, lead == around.upperBound - 1 { free = around.lowerBound..<lead }
                mark(around, "stands inside a declaration")
                // The one closest to a type counts, see pkg/markers/collect.go.
                if let closest = free.last { for comment in groups[closest].comments { comments[comment].elsewhere = nil } }
                let end = max(try endOfStatement(from: spec), spec + 1)
                mark(pass(tokens[end - 1].range.upperBound), "stands inside a declaration")
                passTrailing(of: end)
                spec = end
            }
            index = close
        }
        mark(pass(tokens[end - 1].range.upperBound), "stands inside a declaration")
    }

    /// Passes what trails the declaration that the semicolon at `end` ends.
    private mutating func passTrailing(of end: Int) {
        guard end < tokens.count, tokens[end].kind == .semicolon else { return }
        let trailing = tokens[end].isWritten ? (end + 1 < tokens.count ? tokens[end + 1].trailing : nil) : tokens[end].trailing
        guard let trailing else { return }
        mark(pass(groups[trailing].start + 1), "trails a declaration")
    }

    /// `func Reconcile`, `type Cart`.
    private func name(ofDeclarationAt index: Int) -> String {
        let keyword = String(decoding: bytes[tokens[index].range], as: UTF8.self)
        var place = index + 1
        if place < tokens.count, tokens[place].kind == .open, let end = try? end(ofBracketAt: place) { place = end }
        guard place < tokens.count, tokens[place].kind == .name else { return "`\(keyword)`" }
        return "`\(keyword) \(String(decoding: bytes[tokens[place].range], as: UTF8.self))`"
    }
}
