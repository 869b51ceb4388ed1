/// The fewest boxes that cover all cells.
struct SetCover {
    /// What was found.
    struct Outcome {
        /// Covers with the same number of boxes, each the places of its boxes in order; the first was found first.
        var choices: [[Int]]
        /// No cover has fewer boxes, if the boxes are all there are.
        var lowerBound: Int
        /// Cells of which no two share a box.
        var independent: [Int]
        /// Whether the number of boxes is the lower bound.
        var isProven: Bool
    }

    private let boxes: [BitSet]
    private let cellCount: Int
    /// Boxes that hold a cell.
    private let holders: [[Int]]
    /// Cells in few boxes first.
    private let order: [Int]

    /// - Parameters:
    ///   - boxes: the cells of each box; together they cover all. Of boxes that are as good the first is taken.
    ///   - cellCount: cells are numbered from 0.
    init(boxes: [BitSet], cellCount: Int) {
        self.boxes = boxes
        self.cellCount = cellCount
        var holders = [[Int]](repeating: [], count: cellCount)
        for (index, box) in boxes.enumerated() {
            box.forEach {
                holders[$0].append(index)
                return true
            }
        }
        self.holders = holders
        order = (0..<cellCount).sorted { (holders[$0].count, $0) < (holders[$1].count, $1) }
    }

    /// - Parameter isComplete: whether the boxes are all that matter; then a search can prove something.
    func solve(isComplete: Bool, budget: inout SearchBudget) -> Outcome {
        var independent = independentCells(first: nil)
        let reduced = Reduction(boxes: boxes, holders: holders, cellCount: cellCount, budget: &budget)
        var lowerBound = reduced.forced.count
        // One cover per part and alternatives for it.
        var parts: [[[Int]]] = []
        let open = reduced.parts(boxes)
        for part in open {
            var share = SearchBudget(steps: budget.steps / open.count)
            let found = CoverSearch(boxes: part.boxes.map(\.cells), cellCount: part.cellCount).run(
                isComplete: isComplete, budget: &share)
            lowerBound += found.lowerBound
            parts.append(found.covers.map { cover in cover.map { part.boxes[$0].place } })
        }
        let first = reduced.forced + parts.flatMap { $0.first ?? [] }
        var choices = [first.sorted()]
        for (index, alternatives) in parts.enumerated() {
            for alternative in alternatives.dropFirst() {
                var choice = reduced.forced + alternative
                for (other, covers) in parts.enumerated() where other != index { choice += covers.first ?? [] }
                choices.append(choice.sorted())
            }
        }
        // More of them make a proof that is easily checked.
        for cell in 0..<min(cellCount, 64) where independent.count < first.count {
            guard budget.spend(cellCount * (cellCount / 64 + 1)) else { break }
            let others = independentCells(first: cellCount <= 64 ? cell : cell * cellCount / 64)
            if others.count > independent.count { independent = others }
        }
        lowerBound = max(lowerBound, independent.count)
        return Outcome(
            choices: choices, lowerBound: lowerBound, independent: independent, isProven: isComplete && lowerBound == first.count)
    }

    /// The smaller of two covers, the first one after exchanges; the second when they are equal.
    func better(of first: [Int], or second: [Int], budget: inout SearchBudget) -> [Int] {
        let exchange = LocalExchange(boxes: boxes, holders: holders, cellCount: cellCount)
        let improved = exchange.improve(exchange.irredundant(Array(Set(first)).sorted()), above: 1, budget: &budget)
        return improved.count < second.count ? improved.sorted() : second
    }

    /// Cells of which no two share a box, those in few boxes first.
    /// - Parameter first: a cell to begin with.
    private func independentCells(first: Int?) -> [Int] {
        var rest = BitSet(below: cellCount)
        var result: [Int] = []
        func take(_ cell: Int) {
            result.append(cell)
            for box in holders[cell] { rest.subtract(boxes[box]) }
        }
        if let first { take(first) }
        for cell in order where rest.contains(cell) { take(cell) }
        return result
    }
}

/// What is left of a set cover once the choices that cost nothing are made.
private struct Reduction {
    /// Boxes that some best cover has.
    private(set) var forced: [Int] = []
    private var openCells: BitSet
    private var isLive: [Bool]
    private let holders: [[Int]]

    /// A part of what is left, with cells numbered anew.
    struct Part {
        var boxes: [(place: Int, cells: BitSet)] = []
        var cellCount = 0
    }

    init(boxes: [BitSet], holders: [[Int]], cellCount: Int, budget: inout SearchBudget) {
        self.holders = holders
        openCells = BitSet(below: cellCount)
        isLive = [Bool](repeating: true, count: boxes.count)
        var matter = openCells
        var hasChanged = true
        while hasChanged, !matter.isEmpty, !budget.isSpent {
            hasChanged = false
            // A cell that one box alone holds forces that box.
            for cell in matter.elements where matter.contains(cell) {
                let live = holders[cell].lazy.filter { [isLive] in isLive[$0] }.prefix(2)
                guard let only = live.first, live.count == 1 else { continue }
                forced.append(only)
                isLive[only] = false
                matter.subtract(boxes[only])
                openCells.subtract(boxes[only])
                hasChanged = true
            }
            // A box of which another one holds everything that matters goes; of equal ones the later.
            for box in boxes.indices where isLive[box] {
                guard let cell = Self.rarest(in: boxes[box].intersection(matter), holders) else {
                    isLive[box] = false
                    continue
                }
                _ = budget.spend(holders[cell].count * (1 + matter.words.count))
                guard !budget.isSpent else { break }
                let isDominated = holders[cell].contains { other in
                    guard other != box, isLive[other], boxes[box].isSubset(of: boxes[other], within: matter) else { return false }
                    return other < box || !boxes[other].isSubset(of: boxes[box], within: matter)
                }
                if isDominated {
                    isLive[box] = false
                    hasChanged = true
                }
            }
            // A cell that is covered whenever another one is does not matter; of equal ones the later.
            let live = holders.map { [isLive] in $0.filter { isLive[$0] } }
            for cell in matter.elements where matter.contains(cell) {
                guard
                    let smallest = live[cell].min(by: {
                        (boxes[$0].intersectionCount(matter), $0) < (boxes[$1].intersectionCount(matter), $1)
                    })
                else { continue }
                for other in boxes[smallest].intersection(matter).elements where other != cell {
                    guard budget.spend(live[cell].count) else { break }
                    if live[cell].allSatisfy({ boxes[$0].contains(other) }) {
                        matter.remove(other)
                        hasChanged = true
                    }
                }
            }
        }
        openCells = matter
    }

    private static func rarest(in cells: BitSet, _ holders: [[Int]]) -> Int? {
        var best: Int?
        cells.forEach { cell in
            if best.map({ holders[cell].count < holders[$0].count }) ?? true { best = cell }
            return true
        }
        return best
    }

    /// The cells left, in parts that no box joins.
    func parts(_ boxes: [BitSet]) -> [Part] {
        var rest = openCells
        var result: [Part] = []
        while let start = rest.elements.first {
            var cells = BitSet(capacity: openCells.words.count * 64)
            var members: Set<Int> = []
            var queue = [start]
            cells.insert(start)
            rest.remove(start)
            while let cell = queue.popLast() {
                for box in holders[cell] where isLive[box] && members.insert(box).inserted {
                    boxes[box].intersection(rest).forEach {
                        cells.insert($0)
                        queue.append($0)
                        return true
                    }
                    rest.subtract(boxes[box])
                }
            }
            let numbered = cells.elements
            let numbers = Dictionary(uniqueKeysWithValues: numbered.enumerated().map { ($1, $0) })
            var part = Part(cellCount: numbered.count)
            for box in members.sorted() {
                var own = BitSet(capacity: numbered.count)
                boxes[box].intersection(cells).forEach {
                    if let number = numbers[$0] { own.insert(number) }
                    return true
                }
                part.boxes.append((box, own))
            }
            result.append(part)
        }
        return result
    }
}
