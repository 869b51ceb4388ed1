/// JSON into a `DocumentTree`, one value at a time; skipping without building.
struct JSONText {
    /// What is wrong and at which byte.
    struct Failure: Error {
        var offset: Int
        var message: String
    }

    static let nestingLimit = 512

    let base: UnsafePointer<UInt8>
    let end: Int
    var position: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int = 0) throws(Failure) {
        guard let base = bytes.baseAddress else { throw Failure(offset: 0, message: "no content") }
        self.base = base
        end = bytes.count
        position = start
    }

    private func failure(_ message: String) -> Failure { Failure(offset: min(position, end), message: message) }

    /// The next byte that is no white space; 0 at the end, and for a NUL byte.
    @inline(__always)
    mutating func peek() -> UInt8 {
        while position < end {
            let byte = base[position]
            if byte > 0x20 { return byte }
            if byte != 0x20 && byte != 0x0A && byte != 0x0D && byte != 0x09 { return byte }
            position += 1
        }
        return 0
    }

    /// Moves past `byte` if it comes next.
    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte, position < end else { return false }
        position += 1
        return true
    }

    /// Moves to the next of several values, past a comma if those are between them; `false` at the end.
    mutating func moveToNextValue(hasCommas: Bool = false) -> Bool {
        if hasCommas { _ = take(UInt8(ascii: ",")) }
        return peek() != 0 || position < end
    }

    /// Whether a comma and nothing but values follows, as far as the first object that is damaged or cut off.
    func hasCommas() -> Bool {
        var rest = self
        guard rest.peek() == UInt8(ascii: ",") else { return false }
        while rest.moveToNextValue(hasCommas: true) {
            let isObject = rest.peek() == UInt8(ascii: "{")
            guard (try? rest.skipValue()) != nil else { return isObject }
        }
        return true
    }

    /// Moves past a string; its text is `start..<start + count`.
    @inline(__always)
    mutating func scanString() throws(Failure) -> (start: Int, count: Int, isEscaped: Bool) {
        guard peek() == UInt8(ascii: "\""), position < end else { throw failure("expected a string") }
        position += 1
        let start = position
        var isEscaped = false
        while true {
            skipPlainBytes()
            guard position < end else { break }
            let byte = base[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return (start, position - 1 - start, isEscaped)
            }
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                position += 1
                guard position < end, "\"\\/bfnrtu".utf8.contains(base[position]),
                    base[position] != UInt8(ascii: "u") || isHex(from: position + 1)
                else { throw failure("invalid escape in a string") }
                position += 1
            } else if byte < 0x20 {
                throw failure("control character in a string")
            } else {
                position += 1
            }
        }
        position = min(position, end)
        throw failure("unterminated string")
    }

    /// Whether four hex digits stand there.
    private func isHex(from start: Int) -> Bool {
        start + 4 <= end && (start..<start + 4).allSatisfy { Character(UnicodeScalar(base[$0])).isHexDigit && base[$0] < 0x80 }
    }

    /// Moves past bytes of a string that need no look, eight at a time: no quote, backslash or control character.
    @inline(__always)
    private mutating func skipPlainBytes() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while position + 8 <= end {
            let word = UInt64(littleEndian: UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self))
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let slashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            // The lowest high bit that is set marks the first byte that is zero, or below 0x20 in the third term.
            let found =
                ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes | (word &- ones &* 0x20) & ~word) & highs
            guard found == 0 else {
                position += found.trailingZeroBitCount >> 3
                return
            }
            position += 8
        }
    }

    /// Moves past any value without building it; brackets are balanced, the inside is not judged.
    mutating func skipValue() throws(Failure) {
        switch peek() {
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            var depth = 0
            repeat {
                guard position < end else { throw failure("unexpected end of the input") }
                switch base[position] {
                case UInt8(ascii: "\""):
                    _ = try scanString()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                default: break
                }
                position += 1
            } while depth > 0
        default: _ = try scanScalar()
        }
    }

    private mutating func scanScalar() throws(Failure) -> (kind: DocumentTree.Kind, start: Int, count: Int) {
        let start = position
        while position < end {
            switch base[position] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                position += 1
                continue
            default: break
            }
            break
        }
        let word = UnsafeBufferPointer(start: base + start, count: position - start)
        if word.elementsEqual("true".utf8) { return (.true, start, word.count) }
        if word.elementsEqual("false".utf8) { return (.false, start, word.count) }
        if word.elementsEqual("null".utf8) { return (.null, start, word.count) }
        guard Self.isNumber(word) else {
            position = start
            throw failure(start >= end ? "unexpected end of the input" : "expected a value")
        }
        return (.number, start, word.count)
    }

    /// The number grammar of RFC 8259.
    private static func isNumber(_ word: UnsafeBufferPointer<UInt8>) -> Bool {
        var rest = word[...]
        func digits() -> Int {
            let count = rest.prefix { $0 &- UInt8(ascii: "0") < 10 }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        if rest.first == UInt8(ascii: "0") {
            rest = rest.dropFirst()
        } else if digits() == 0 {
            return false
        }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    /// Builds the next value into an emptied tree.
    mutating func parseValue(into tree: DocumentTree, _ bounds: DocumentTree.Bounds = DocumentTree.Bounds()) throws(Failure) {
        let nodes = tree.nodes
        // The innermost open container; the one around it stands in its `end` until it is closed.
        var open = -1
        var depth = 0
        while true {
            // One value.
            let byte = peek()
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                let isObject = byte == UInt8(ascii: "{")
                nodes.append(DocumentTree.Node(start: position, end: open, kind: isObject ? .object : .array))
                open = nodes.count - 1
                depth += 1
                position += 1
                if peek() != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    guard depth <= Self.nestingLimit else { throw failure("nested more than \(Self.nestingLimit) deep") }
                    if isObject { try parseKey(into: nodes) }
                    continue
                }
            case UInt8(ascii: "\""): try appendString(to: nodes)
            default:
                let (kind, start, count) = try scanScalar()
                nodes.append(DocumentTree.Node(start: start, count: count, end: nodes.count + 1, kind: kind))
            }
            // What follows it: the ends of containers, then a comma.
            closing: while true {
                guard open >= 0 else { return }
                let isObject = nodes[open].kind == .object
                switch peek() {
                case UInt8(ascii: "}") where isObject, UInt8(ascii: "]") where !isObject:
                    position += 1
                    let closed = open
                    open = nodes[closed].end
                    nodes[closed].end = nodes.count
                    nodes[closed].count = position - nodes[closed].start
                    depth -= 1
                    if bounds.foldsEvents, isObject, depth > 0 { nodes.foldEvent(at: closed) }
                case UInt8(ascii: ",") where nodes.count > open + 1:
                    position += 1
                    guard nodes.count < bounds.nodes else { throw failure("more than \(bounds.nodes) values") }
                    if isObject { try parseKey(into: nodes) }
                    break closing
                default:
                    throw failure(
                        position >= end ? "unexpected end of the input" : "expected `,` or the end of the \(isObject ? "object" : "array")")
                }
            }
        }
    }

    @inline(__always)
    private mutating func appendString(to nodes: NodeList) throws(Failure) {
        let (start, count, isEscaped) = try scanString()
        nodes.append(DocumentTree.Node(start: start, count: count, end: nodes.count + 1, kind: .string, isEscaped: isEscaped))
    }

    @inline(__always)
    private mutating func parseKey(into nodes: NodeList) throws(Failure) {
        try appendString(to: nodes)
        guard take(UInt8(ascii: ":")) else { throw failure("expected `:`") }
    }

    /// Resolves backslash escapes; lone surrogates become U+FFFD as in Go.
    static func unescape(_ bytes: UnsafeBufferPointer<UInt8>) -> String { String(decoding: unescapedBytes(bytes), as: UTF8.self) }

    /// The same in UTF-8, followed by so many zeros.
    static func unescapedBytes(_ bytes: UnsafeBufferPointer<UInt8>, padding: Int = 0) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes.count + padding) { result, count in
            guard let start = result.baseAddress else { return }
            count = unescape(bytes, into: start) + padding
            (start + count - padding).initialize(repeating: 0, count: padding)
        }
    }

    /// The same, written to a place with room for as many bytes, which may be where they stand: no escape is shorter than what it
    /// stands for.
    ///
    /// - Returns: the count of bytes written.
    static func unescape(_ bytes: UnsafeBufferPointer<UInt8>, into start: UnsafeMutablePointer<UInt8>) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        let slash = UInt64(UInt8(ascii: "\\")) &* 0x0101_0101_0101_0101
        var (position, target) = (0, start)
        while position < bytes.count {
            // Eight bytes at a time up to the next backslash.
            if position + 8 <= bytes.count {
                let word = UInt64(littleEndian: UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self))
                let match = word ^ slash
                let found = (match &- 0x0101_0101_0101_0101) & ~match & 0x8080_8080_8080_8080
                if found == 0 {
                    UnsafeMutableRawPointer(target).storeBytes(of: word.littleEndian, as: UInt64.self)
                    position += 8
                    target += 8
                    continue
                }
                // What stands behind them may not have been read.
                let plain = found.trailingZeroBitCount >> 3
                let mask: UInt64 = (1 << UInt64(plain * 8)) &- 1
                let old = UInt64(littleEndian: UnsafeRawPointer(target).loadUnaligned(as: UInt64.self))
                UnsafeMutableRawPointer(target).storeBytes(of: (word & mask | old & ~mask).littleEndian, as: UInt64.self)
                position += plain
                target += plain
            }
            guard base[position] == UInt8(ascii: "\\"), position + 1 < bytes.count else {
                target.pointee = base[position]
                position += 1
                target += 1
                continue
            }
            let code = base[position + 1]
            position += 2
            guard code == UInt8(ascii: "u") else {
                target.pointee = control(code)
                target += 1
                continue
            }
            guard var value = hex(bytes, at: position) else { continue }
            position += 4
            if (0xD800..<0xDC00).contains(value), position + 1 < bytes.count, base[position] == UInt8(ascii: "\\"),
                base[position + 1] == UInt8(ascii: "u"), let low = hex(bytes, at: position + 2), (0xDC00..<0xE000).contains(low)
            {
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                position += 6
            }
            for byte in UTF8.encode(UnicodeScalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
                target.pointee = byte
                target += 1
            }
        }
        return target - start
    }

    /// What a letter behind a backslash stands for.
    private static func control(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        default: letter
        }
    }

    private static func hex(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> UInt32? {
        guard start + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for byte in bytes[start..<start + 4] {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
