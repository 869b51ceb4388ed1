/// A set of small whole numbers.
struct BitSet: Hashable {
    private(set) var words: [UInt64]

    init(words: [UInt64]) { self.words = words }

    init(capacity: Int) { words = [UInt64](repeating: 0, count: (capacity + 63) / 64) }

    /// The numbers below `count`.
    init(below count: Int) {
        words = [UInt64](repeating: .max, count: (count + 63) / 64)
        if count & 63 != 0 { words[words.count - 1] = 1 << UInt64(count & 63) - 1 }
    }

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

    func subtracting(_ other: BitSet) -> BitSet {
        var result = self
        result.subtract(other)
        return result
    }

    func isSubset(of other: BitSet) -> Bool {
        for index in words.indices where words[index] & ~other.words[index] != 0 { return false }
        return true
    }

    func isDisjoint(with other: BitSet) -> Bool {
        for index in words.indices where words[index] & other.words[index] != 0 { return false }
        return true
    }

    /// Whether what both have of `part` makes this one a subset.
    func isSubset(of other: BitSet, within part: BitSet) -> Bool {
        for index in words.indices where words[index] & part.words[index] & ~other.words[index] != 0 { return false }
        return true
    }

    func intersectionCount(_ other: BitSet) -> Int {
        var result = 0
        for index in words.indices { result += (words[index] & other.words[index]).nonzeroBitCount }
        return result
    }

    /// Calls `body` with the elements in order until it returns `false`.
    func forEach(while body: (Int) -> Bool) {
        for index in words.indices {
            var rest = words[index]
            while rest != 0 {
                guard body(index << 6 + rest.trailingZeroBitCount) else { return }
                rest &= rest - 1
            }
        }
    }

    /// The elements in order.
    var elements: [Int] {
        var result: [Int] = []
        forEach {
            result.append($0)
            return true
        }
        return result
    }
}
