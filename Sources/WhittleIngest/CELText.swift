import WhittleModel

/// The words of a CEL expression, as far as chains of calls need them (github.com/google/cel-spec, doc/langdef.md).
struct CELText {
    enum Kind {
        case identifier
        /// A string literal; escapes are not resolved yet.
        case string(isRaw: Bool)
        /// One byte of punctuation.
        case punctuation(UInt8)
        /// Numbers, bytes literals, quoted identifiers and everything that is none of the above.
        case other
    }

    struct Token {
        var kind: Kind
        /// Its bytes, with quotes and prefix.
        var range: Range<Int>
        /// Place of the token that closes this bracket; `nil` for all others.
        var closing: Int?
    }

    let bytes: [UInt8]
    private(set) var tokens: [Token] = []

    /// Splits a text into words; one that breaks off inside a string ends before it.
    init(_ text: String) {
        bytes = Array(text.utf8)
        var position = 0
        while let token = next(from: &position) { tokens.append(token) }
        matchBrackets()
    }

    func isIdentifier(_ token: Int, _ text: StaticString) -> Bool {
        guard tokens.indices.contains(token), case .identifier = tokens[token].kind else { return false }
        let range = tokens[token].range
        return range.count == text.utf8CodeUnitCount
            && bytes[range].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    func isPunctuation(_ token: Int, _ byte: Unicode.Scalar) -> Bool {
        guard tokens.indices.contains(token), case .punctuation(let found) = tokens[token].kind else { return false }
        return found == UInt8(ascii: byte)
    }

    func text(_ token: Int) -> String { String(decoding: bytes[tokens[token].range], as: UTF8.self) }

    // MARK: Words

    private func byte(_ position: Int) -> UInt8 { position < bytes.count ? bytes[position] : 0 }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
    }
    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") }

    private func next(from position: inout Int) -> Token? {
        skipSpace(&position)
        guard position < bytes.count else { return nil }
        let start = position
        let first = bytes[start]
        func token(_ kind: Kind) -> Token { Token(kind: kind, range: start..<position) }
        if Self.isLetter(first) {
            position = bytes[start...].firstIndex { !Self.isLetter($0) && !$0.isDigit } ?? bytes.count
            guard Self.isQuote(byte(position)), position - start <= 2 else { return token(.identifier) }
            let prefix = bytes[start..<position].map { $0 | 0x20 }
            let isRaw = prefix.contains(UInt8(ascii: "r"))
            guard prefix.allSatisfy({ $0 == UInt8(ascii: "r") || $0 == UInt8(ascii: "b") }) else { return token(.identifier) }
            guard skipString(&position, isRaw: isRaw) else { return nil }
            return token(prefix.contains(UInt8(ascii: "b")) ? .other : .string(isRaw: isRaw))
        }
        if Self.isQuote(first) { return skipString(&position, isRaw: false) ? token(.string(isRaw: false)) : nil }
        if first.isDigit {
            position = bytes[start...].firstIndex { !Self.isLetter($0) && !$0.isDigit } ?? bytes.count
            return token(.other)
        }
        position += 1
        if first == UInt8(ascii: "`") {
            position = bytes[position...].firstIndex(of: first).map { $0 + 1 } ?? bytes.count
            return token(.other)
        }
        return token(.punctuation(first))
    }

    private func skipSpace(_ position: inout Int) {
        while position < bytes.count {
            if [0x20, 0x09, 0x0A, 0x0C, 0x0D].contains(bytes[position]) {
                position += 1
            } else if bytes[position] == UInt8(ascii: "/"), byte(position + 1) == UInt8(ascii: "/") {
                position = bytes[position...].firstIndex(of: 0x0A) ?? bytes.count
            } else {
                return
            }
        }
    }

    /// Goes behind a string whose quote stands at `position`; `false` = it does not end.
    private func skipString(_ position: inout Int, isRaw: Bool) -> Bool {
        let quote = bytes[position]
        let isLong = byte(position + 1) == quote && byte(position + 2) == quote
        position += isLong ? 3 : 1
        while position < bytes.count {
            let current = bytes[position]
            if current == UInt8(ascii: "\\"), !isRaw {
                position += 2
            } else if current == quote, !isLong || byte(position + 1) == quote && byte(position + 2) == quote {
                position += isLong ? 3 : 1
                return true
            } else if !isLong, current == 0x0A || current == 0x0D {
                return false
            } else {
                position += 1
            }
        }
        return false
    }

    private mutating func matchBrackets() {
        var open: [(place: Int, closing: UInt8)] = []
        for place in tokens.indices {
            guard case .punctuation(let byte) = tokens[place].kind else { continue }
            switch byte {
            case UInt8(ascii: "("): open.append((place, UInt8(ascii: ")")))
            case UInt8(ascii: "["): open.append((place, UInt8(ascii: "]")))
            case UInt8(ascii: "{"): open.append((place, UInt8(ascii: "}")))
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                guard let last = open.popLast(), last.closing == byte else { return }
                tokens[last.place].closing = place
            default: continue
            }
        }
    }

    // MARK: Literals

    /// The text of a string literal; `nil` for any other word and for an escape that CEL does not know.
    func literal(_ token: Int) -> String? {
        guard tokens.indices.contains(token), case .string(let isRaw) = tokens[token].kind else { return nil }
        var range = tokens[token].range
        if isRaw { range = range.lowerBound + 1..<range.upperBound }
        let quote = bytes[range.lowerBound]
        let isLong = range.count >= 6 && bytes[range.lowerBound + 1] == quote && bytes[range.lowerBound + 2] == quote
        let inside = bytes[range].dropFirst(isLong ? 3 : 1).dropLast(isLong ? 3 : 1)
        return isRaw || !inside.contains(UInt8(ascii: "\\")) ? String(decoding: inside, as: UTF8.self) : Self.unescape(inside)
    }

    private static func unescape(_ text: ArraySlice<UInt8>) -> String? {
        var result: [UInt8] = []
        var rest = text
        /// A scalar by so many digits; `nil` = there is none.
        func scalar(_ count: Int, radix: Int) -> UnicodeScalar? {
            let digits = rest.prefix(count)
            guard digits.count == count, digits.allSatisfy({ UnicodeScalar($0).properties.isASCIIHexDigit }) else { return nil }
            rest = rest.dropFirst(count)
            return UInt32(String(decoding: digits, as: UTF8.self), radix: radix).flatMap(UnicodeScalar.init)
        }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            guard let escape = rest.popFirst() else { return nil }
            var value: UnicodeScalar?
            switch escape {
            case UInt8(ascii: "a"): value = "\u{7}"
            case UInt8(ascii: "b"): value = "\u{8}"
            case UInt8(ascii: "f"): value = "\u{C}"
            case UInt8(ascii: "n"): value = "\n"
            case UInt8(ascii: "r"): value = "\r"
            case UInt8(ascii: "t"): value = "\t"
            case UInt8(ascii: "v"): value = "\u{B}"
            case UInt8(ascii: "\\"), UInt8(ascii: "?"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"):
                value = UnicodeScalar(escape)
            case UInt8(ascii: "x"), UInt8(ascii: "X"): value = scalar(2, radix: 16)
            case UInt8(ascii: "u"): value = scalar(4, radix: 16)
            case UInt8(ascii: "U"): value = scalar(8, radix: 16)
            case UInt8(ascii: "0")...UInt8(ascii: "3"):
                rest = text[(rest.startIndex - 1)...]
                value = scalar(3, radix: 8)
            default: return nil
            }
            guard let value else { return nil }
            result += Array(String(value).utf8)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
