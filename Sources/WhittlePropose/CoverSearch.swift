/// Searches the fewest boxes for cells that are hard to cover: greedy, local exchange, then branch and bound.
struct CoverSearch {
    /// What was found.
    struct Outcome {
        /// Covers of the same size; the first was found first.
        var covers: [[Int]]
        var lowerBound: Int
    }

    private let boxes: [BitSet]
    private let cellCount: Int
    private let holders: [[Int]]
    private let words: Int
    /// Cells that share a box with a cell.
    private let neighbours: [BitSet]
    /// Cells with few neighbours first.
    private let order: [Int]

    /// Covers that are compared when several are best.
    private static let alternatives = 24
    private static let alternativeSteps = 20_000
    private static let shortSearch = 200_000

    init(boxes: [BitSet], cellCount: Int) {
        self.boxes = boxes
        self.cellCount = cellCount
        words = (cellCount + 63) / 64
        var holders = [[Int]](repeating: [], count: cellCount)
        for (index, box) in boxes.enumerated() {
            box.forEach {
                holders[$0].append(index)
                return true
            }
        }
        self.holders = holders
        neighbours = holders.map { places in
            var result = BitSet(capacity: cellCount)
            for place in places { result.formUnion(boxes[place]) }
            return result
        }
        let degrees = neighbours.map(\.count)
        order = (0..<cellCount).sorted { (degrees[$0], holders[$0].count, $0) < (degrees[$1], holders[$1].count, $1) }
    }

    /// - Parameter isComplete: whether a proof by search means anything.
    func run(isComplete: Bool, budget: inout SearchBudget) -> Outcome {
        let all = BitSet(below: cellCount)
        var bound = lowerBound(all)
        if isComplete { bound = max(bound, weight(all, without: [Bool](repeating: false, count: boxes.count))) }
        let exchange = LocalExchange(boxes: boxes, holders: holders, cellCount: cellCount)
        var best = exchange.greedy()
        var proven = bound
        /// Lets `part` of the budget be used up.
        func spending(_ part: Int, _ body: (inout SearchBudget) -> Void) {
            let granted = max(0, min(part, budget.steps))
            var own = SearchBudget(steps: granted)
            body(&own)
            _ = budget.spend(granted - own.steps)
        }
        func branch(_ own: inout SearchBudget) {
            guard isComplete, proven < best.count else { return }
            var branching = Branching(search: self, size: best.count - 1, wanted: 1, budget: own)
            let isFinished = branching.run(all)
            own = branching.budget
            if let found = branching.covers.last { best = found }
            if isFinished { proven = best.count }
        }
        // Most searches end at once; only where one does not, something better to begin with is worth its steps.
        spending(budget.steps / 4) { best = exchange.improve(best, above: bound, budget: &$0) }
        spending(Self.shortSearch) { branch(&$0) }
        if proven < best.count { spending(budget.steps / 3) { best = exchange.shaken(best, above: bound, budget: &$0) } }
        spending(budget.steps, branch)
        guard proven == best.count else { return Outcome(covers: [best], lowerBound: bound) }
        // As few, but perhaps nicer.
        var others = Branching(
            search: self, size: best.count, wanted: Self.alternatives,
            budget: SearchBudget(steps: min(Self.alternativeSteps, max(0, budget.steps))))
        _ = others.run(all)
        return Outcome(covers: [best] + others.covers.filter { $0.count == best.count && $0 != best }, lowerBound: proven)
    }

    /// A number of boxes that every cover of the cells needs, by counting: a cell weighs one over the most that a box with it holds.
    ///
    /// No box weighs more than one.
    private func weight(_ open: BitSet, without isBanned: [Bool]) -> Int {
        var most = [Int](repeating: 0, count: cellCount)
        for (index, box) in boxes.enumerated() where !isBanned[index] {
            let cells = box.intersection(open)
            let count = cells.count
            cells.forEach {
                most[$0] = max(most[$0], count)
                return true
            }
        }
        var sum = 0.0
        open.forEach { cell in
            sum += most[cell] == 0 ? 0 : 1 / Double(most[cell])
            return true
        }
        return Int((sum - 1e-6).rounded(.up))
    }

    /// A number of boxes that every cover of the cells needs: cells of which no two share a box.
    private func lowerBound(_ open: BitSet) -> Int {
        var rest = open
        var count = 0
        for cell in order where rest.contains(cell) {
            count += 1
            rest.subtract(neighbours[cell])
        }
        return count
    }

    private struct Branching {
        let search: CoverSearch
        /// Covers with more boxes are not wanted.
        var size: Int
        /// 1: each cover that is found must be beaten by the next. More: so many of the size are collected.
        let wanted: Int
        var budget: SearchBudget
        var covers: [[Int]] = []
        /// Boxes that were tried already in a branch left of here.
        private var isBanned: [Bool]

        init(search: CoverSearch, size: Int, wanted: Int, budget: SearchBudget) {
            self.search = search
            self.size = size
            self.wanted = wanted
            self.budget = budget
            isBanned = [Bool](repeating: false, count: search.boxes.count)
        }

        /// Whether everything was looked at.
        mutating func run(_ open: BitSet) -> Bool { branch(open, []) }

        private mutating func branch(_ open: BitSet, _ taken: [Int]) -> Bool {
            if open.isEmpty {
                covers.append(taken.sorted())
                if wanted == 1 { size = taken.count - 1 }
                return wanted == 1 || covers.count < wanted
            }
            guard taken.count < size else { return true }
            guard budget.spend(16 + search.cellCount / 8 + search.words * 4) else { return false }
            guard taken.count + search.lowerBound(open) <= size else { return true }
            if open.count > size - taken.count {
                guard budget.spend(search.boxes.count * search.words) else { return false }
                guard taken.count + search.weight(open, without: isBanned) <= size else { return true }
            }
            // The cell with the fewest boxes that may still be taken.
            var choices: [Int] = []
            var fewest = Int.max
            open.forEach { cell in
                var count = 0
                for box in search.holders[cell] where !isBanned[box] {
                    count += 1
                    if count >= fewest { return true }
                }
                fewest = count
                choices = search.holders[cell]
                return fewest > 1
            }
            choices = choices.filter { !isBanned[$0] }
            guard budget.spend(choices.count * (1 + choices.count * search.words / 4)) else { return false }
            var candidates = choices.map { (box: $0, cells: search.boxes[$0].intersection(open)) }
            let sizes = candidates.map(\.cells.count)
            // A box of which another choice holds everything that is open need not be tried.
            let useful = candidates.indices.filter { place in
                !candidates.indices.contains { other in
                    guard other != place, sizes[other] >= sizes[place], candidates[place].cells.isSubset(of: candidates[other].cells)
                    else { return false }
                    return sizes[other] > sizes[place] || other < place
                }
            }
            let ranked = useful.sorted { sizes[$0] == sizes[$1] ? $0 < $1 : sizes[$0] > sizes[$1] }
            candidates = ranked.map { candidates[$0] }
            var banned: [Int] = []
            var isFinished = true
            for candidate in candidates {
                isFinished = branch(open.subtracting(candidate.cells), taken + [candidate.box])
                guard isFinished else { break }
                isBanned[candidate.box] = true
                banned.append(candidate.box)
            }
            for box in banned { isBanned[box] = false }
            return isFinished
        }
    }
}
