/// Makes a cover without a proof, and makes it smaller: two of its boxes for one other, three for two.
struct LocalExchange {
    let boxes: [BitSet]
    /// Boxes that hold a cell.
    let holders: [[Int]]
    let cellCount: Int

    /// The box with most uncovered cells, again and again; then what became redundant goes.
    func greedy() -> [Int] { completed([]) { _ in 0 } }

    /// Adds to some boxes until all cells are covered.
    /// - Parameters:
    ///   - slack: 8 = boxes are as good that have an eighth fewer uncovered cells than the best.
    ///   - luck: decides between boxes that are as good.
    private func completed(_ start: [Int], slack: Int = .max, luck: (Int) -> UInt64) -> [Int] {
        var open = BitSet(below: cellCount)
        for box in start { open.subtract(boxes[box]) }
        var gains = boxes.map { $0.intersectionCount(open) }
        var result = start
        while !open.isEmpty {
            guard let most = gains.max(), most > 0 else { break }
            var next = -1
            var best: UInt64 = 0
            for box in gains.indices where gains[box] > 0 && gains[box] >= most - most / slack {
                let value = luck(box)
                if next < 0 || value > best { (next, best) = (box, value) }
            }
            result.append(next)
            boxes[next].intersection(open).forEach { cell in
                for box in holders[cell] { gains[box] -= 1 }
                return true
            }
            open.subtract(boxes[next])
        }
        return irredundant(result)
    }

    /// The cover without boxes of which others hold everything, looked at from the last.
    func irredundant(_ cover: [Int]) -> [Int] {
        var counts = [Int](repeating: 0, count: cellCount)
        for box in cover { for cell in boxes[box].elements { counts[cell] += 1 } }
        var result = cover
        for box in cover.reversed() {
            let cells = boxes[box].elements
            guard cells.allSatisfy({ counts[$0] > 1 }) else { continue }
            for cell in cells { counts[cell] -= 1 }
            result.removeAll { $0 == box }
        }
        return result
    }

    /// Exchanges until nothing gets better, `bound` is reached, or the budget is spent.
    func improve(_ start: [Int], above bound: Int, budget: inout SearchBudget) -> [Int] {
        var cover = start
        while cover.count > bound, !budget.isSpent {
            guard let better = twoForOne(cover, &budget) ?? threeForTwo(cover, &budget) else { break }
            cover = irredundant(better)
        }
        return cover
    }

    /// Takes some boxes out and covers what they leave anew, many times; keeps what is not worse.
    func shaken(_ start: [Int], above bound: Int, budget: inout SearchBudget) -> [Int] {
        var random = SplitMix(state: 1)
        var cover = start
        var best = start
        for _ in 0..<2_000 where best.count > bound {
            guard budget.spend(boxes.count * (cellCount / 64 + 1) * 2 + boxes.count * cover.count / 2) else { break }
            var rest = cover
            for _ in 0..<Int.random(in: 1...max(1, cover.count / 2), using: &random) where !rest.isEmpty {
                rest.remove(at: Int.random(in: rest.indices, using: &random))
            }
            let seed = random.next()
            let next = irredundant(
                completed(rest, slack: Int.random(in: 4...16, using: &random)) { box in
                    var luck = SplitMix(state: seed ^ UInt64(box))
                    return luck.next()
                })
            if next.count <= cover.count { cover = next }
            if next.count < best.count { best = next }
        }
        return best
    }

    /// Cells that are held once, twice and three times.
    private func multiplicities(_ cover: [Int]) -> (once: BitSet, twice: BitSet, thrice: BitSet) {
        var counts = [Int](repeating: 0, count: cellCount)
        for box in cover { for cell in boxes[box].elements { counts[cell] += 1 } }
        var result = (BitSet(capacity: cellCount), BitSet(capacity: cellCount), BitSet(capacity: cellCount))
        for (cell, count) in counts.enumerated() {
            switch count {
            case 1: result.0.insert(cell)
            case 2: result.1.insert(cell)
            case 3: result.2.insert(cell)
            default: break
            }
        }
        return result
    }

    private func twoForOne(_ cover: [Int], _ budget: inout SearchBudget) -> [Int]? {
        let (once, twice, _) = multiplicities(cover)
        for left in cover.indices {
            for right in cover.indices where right > left {
                let pair = [boxes[cover[left]], boxes[cover[right]]]
                let alone = Self.alone(pair, once, twice)
                guard budget.spend(alone.words.count * 3) else { return nil }
                guard let other = box(holding: alone, &budget) else { continue }
                var result = cover
                result[left] = other
                result.remove(at: right)
                return result
            }
        }
        return nil
    }

    private func threeForTwo(_ cover: [Int], _ budget: inout SearchBudget) -> [Int]? {
        let (once, twice, thrice) = multiplicities(cover)
        for first in cover.indices {
            for second in cover.indices where second > first {
                for third in cover.indices where third > second {
                    let places = [first, second, third]
                    let three = places.map { boxes[cover[$0]] }
                    var alone = Self.alone(three, once, twice)
                    alone.formUnion(thrice.intersection(three[0]).intersection(three[1]).intersection(three[2]))
                    guard budget.spend(alone.words.count * 6), let cell = rarest(in: alone) else { return nil }
                    for one in holders[cell] {
                        guard budget.spend(alone.words.count) else { return nil }
                        let rest = alone.subtracting(boxes[one])
                        guard let two = rest.isEmpty ? one : box(holding: rest, &budget) else { continue }
                        return cover.indices.filter { !places.contains($0) }.map { cover[$0] } + [one, two].prefix(one == two ? 1 : 2)
                    }
                }
            }
        }
        return nil
    }

    /// Cells that only these boxes of the cover hold, but for those that all three of them do.
    private static func alone(_ boxes: [BitSet], _ once: BitSet, _ twice: BitSet) -> BitSet {
        var result = BitSet(capacity: once.words.count * 64)
        for (index, box) in boxes.enumerated() {
            result.formUnion(box.intersection(once))
            for other in boxes[(index + 1)...] { result.formUnion(box.intersection(other).intersection(twice)) }
        }
        return result
    }

    private func rarest(in cells: BitSet) -> Int? {
        var best: Int?
        cells.forEach { cell in
            if best.map({ holders[cell].count < holders[$0].count }) ?? true { best = cell }
            return true
        }
        return best
    }

    private func box(holding cells: BitSet, _ budget: inout SearchBudget) -> Int? {
        guard let cell = rarest(in: cells), budget.spend(holders[cell].count * cells.words.count) else { return nil }
        return holders[cell].first { cells.isSubset(of: boxes[$0]) }
    }
}
