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

    /// Where elements begin in `text`, which begins with one, behind that one.
    func places(in text: UnsafeBufferPointer<UInt8>) -> [Int] {
        let known = count == 0 ? ArraySlice(text.prefix(Self.limit)) : bytes
        let word = Array(count > 1 ? known : known.prefix { $0 != UInt8(ascii: ":") })
        guard word.count >= Self.least, word.count < known.count || count > 1 else { return [] }
        var (places, position): ([Int], Int) = ([], 1)
        while let found = text[position...].firstIndex(of: word[0]) {
            position = found + 1
            guard text[found...].starts(with: word), text[..<found].last(where: { $0 > 0x20 }) == UInt8(ascii: ",") else { continue }
            places.append(found)
        }
        return places
    }
}
