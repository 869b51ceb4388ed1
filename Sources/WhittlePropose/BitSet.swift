/// A set of small whole numbers.
struct BitSet: Hashable {
    private(set) var words: [UInt64]

    init(capacity: Int) { words = [UInt64](repeating: 0, count: (capacity + 63) / 64) }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    mutating func insert(_ element: Int) { words[element >> 6] |= 1 << UInt64(element & 63) }
    mutating func remove(_ element: Int) { words[element >> 6] &= ~(1 << UInt64(element & 63)) }
    func contains(_ element: Int) -> Bool { words[element >> 6] & 1 << UInt64(element & 63) != 0 }

    mutating func formIntersection(_ other: BitSet) { for index in words.indices { words[index] &= other.words[index] } }
    mutating func formUnion(_ other: BitSet) { for index in words.indices { words[index] |= other.words[index] } }
    mutating func subtract(_ other: BitSet) { for index in words.indices { words[index] &= ~other.words[index] } }

    func intersection(_ other: BitSet) -> BitSet {
        var result = self
        result.formIntersection(other)
        return result
    }

    func isSubset(of other: BitSet) -> Bool { zip(words, other.words).allSatisfy { $0 & ~$1 == 0 } }
    func intersectionCount(_ other: BitSet) -> Int { zip(words, other.words).reduce(0) { $0 + ($1.0 & $1.1).nonzeroBitCount } }

    /// The elements in order.
    var elements: [Int] {
        var result: [Int] = []
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                result.append(index << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return result
    }
}
