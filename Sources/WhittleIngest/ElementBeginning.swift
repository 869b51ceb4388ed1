/// How the elements of a list begin: so those are found that a damaged one, which has no end of its own, has swallowed.
struct ElementBeginning {
    /// Bytes of an element that are looked at.
    private static let limit = 64
    /// What fewer bytes say might stand anywhere.
    private static let least = 4

    /// What all elements began with so far; of one only what stands before its first value.
    private var bytes: ArraySlice<UInt8> = []
    private var count = 0

    /// Notes an element that could be read.
    mutating func note(_ element: UnsafeBufferPointer<UInt8>) {
        count += 1
        guard count > 1 else { return bytes = ArraySlice(element.prefix(Self.limit)) }
        guard !element.starts(with: bytes) else { return }
        bytes = bytes.prefix(zip(bytes, element).prefix { $0 == $1 }.count)
    }

    /// Where elements begin in `text`, which begins with a damaged one, behind the damage; none in one that is only cut off, because
    /// whoever sent a body may have put anything into it.
    func places(in text: UnsafeBufferPointer<UInt8>) -> [Int] {
        guard let damage = Self.damage(in: text), damage < text.count - 1 else { return [] }
        let known = count == 0 ? ArraySlice(text.prefix(Self.limit)) : bytes
        let word = Array(count > 1 ? known : known.prefix { $0 != UInt8(ascii: ":") })
        guard word.count >= Self.least, count > 1 || word.count < known.count else { return [] }
        var (places, position): ([Int], Int) = ([], max(damage, 1))
        while let found = text[position...].firstIndex(of: word[0]) {
            position = found + 1
            guard text[found...].starts(with: word), text[..<found].last(where: { $0 > 0x20 }) == UInt8(ascii: ",") else { continue }
            places.append(found)
        }
        return places
    }

    /// Whether a line begins as all elements did.
    func begin(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        let word = bytes.prefix { $0 != UInt8(ascii: "\n") }
        return count > 1 && word.count >= Self.least && line.starts(with: word)
    }

    /// Whether a line begins with another bracket than all elements did.
    func differ(from line: UnsafeBufferPointer<UInt8>) -> Bool { count > 1 && line.first != bytes.first }

    /// The first byte that cannot stand where it does, the end when the text is cut off; `nil` when a whole value stands there. However
    /// deep or long the value is: what only goes beyond a limit is not damaged.
    private static func damage(in text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard var json = try? JSONText(text) else { return nil }
        do throws(JSONText.Failure) {
            var isInObject: [Bool] = []
            func expect(_ byte: Unicode.Scalar) throws(JSONText.Failure) {
                guard json.take(UInt8(ascii: byte)) else { throw JSONText.Failure(offset: json.position, message: "expected `\(byte)`") }
            }
            func moveToValue() throws(JSONText.Failure) {
                guard isInObject.last ?? false else { return }
                _ = try json.scanString()
                try expect(":")
            }
            repeat {
                if json.take(UInt8(ascii: "{")) {
                    isInObject.append(true)
                    if json.peek() != UInt8(ascii: "}") {
                        try moveToValue()
                        continue
                    }
                } else if json.take(UInt8(ascii: "[")) {
                    isInObject.append(false)
                    if json.peek() != UInt8(ascii: "]") { continue }
                } else {
                    try json.skipValue()
                }
                while let isObject = isInObject.last, json.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    isInObject.removeLast()
                }
                if !isInObject.isEmpty {
                    try expect(",")
                    try moveToValue()
                }
            } while !isInObject.isEmpty
            return nil
        } catch {
            return error.offset
        }
    }
}
