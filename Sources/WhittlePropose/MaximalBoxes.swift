/// Finds the boxes inside a region that cannot grow on any axis.
///
/// Every cover can be made of them without allowing more, so that only they are chosen among.
enum MaximalBoxes {
    /// Boxes that are enumerated before the search gives way to a good cover.
    private static let countLimit = 20_000
    /// Words of memory that they may take together.
    private static let wordLimit = 1 << 22

    /// How cells stand in a set of bits: the axis with the fewest values first, the last axis in rows of whole words.
    ///
    /// So a slice on the first axis is a range of words, and few slices are intersected.
    struct Layout {
        /// Axes with more than one value, fewest values first.
        let axes: [Int]
        /// Their numbers of values.
        let sizes: [Int]
        /// Words of a region on the axes from a level on.
        let words: [Int]
        private let axisCount: Int

        init(sizes all: [Int]) {
            axisCount = all.count
            axes = all.indices.filter { all[$0] > 1 }.sorted { (all[$0], $0) < (all[$1], $1) }
            sizes = axes.map { all[$0] }
            var words = [((sizes.last ?? 1) + 63) / 64]
            for size in sizes.dropLast().reversed() { words.insert(words[0] * size, at: 0) }
            self.words = words
        }

        var bitCount: Int { words[0] * 64 }

        /// The bit of a cell.
        func place(_ cell: [Int]) -> Int {
            var result = cell[axes[axes.count - 1]]
            for level in 0..<axes.count - 1 { result += cell[axes[level]] * words[level + 1] * 64 }
            return result
        }

        /// The values of a box on each axis.
        func sides(of box: BitSet) -> [[Int]] {
            var result = [[Int]](repeating: [0], count: axisCount)
            // Any slice that is not empty tells the rest of the axes.
            var range = 0..<words[0]
            for level in axes.indices.dropLast() {
                let width = words[level + 1]
                let values = (0..<sizes[level]).filter { value in
                    let start = range.lowerBound + value * width
                    return box.words[start..<start + width].contains { $0 != 0 }
                }
                result[axes[level]] = values
                let start = range.lowerBound + (values.first ?? 0) * width
                range = start..<start + width
            }
            if let last = axes.last {
                result[last] = (0..<(sizes.last ?? 0)).filter { box.words[range.lowerBound + $0 >> 6] >> UInt64($0 & 63) & 1 == 1 }
            }
            return result
        }
    }

    /// Every maximal box as the set of its cells; `nil` when they are too many or the budget is spent.
    static func all(in region: BitSet, _ layout: Layout, budget: inout SearchBudget) -> [BitSet]? {
        var search = Enumeration(layout: layout, budget: budget)
        let found = search.boxes(0, region.words)
        budget = search.budget
        return found?.map { BitSet(words: $0) }
    }

    private struct Enumeration {
        let layout: Layout
        var budget: SearchBudget

        /// The maximal boxes of a region on the axes from `level` on.
        ///
        /// A box is maximal when the slices that hold its other sides are just those of its first side, and its other sides are
        /// maximal in what these slices have in common: so each is found once.
        mutating func boxes(_ level: Int, _ region: [UInt64]) -> [[UInt64]]? {
            guard level + 1 < layout.sizes.count else { return [region] }
            let width = layout.words[level + 1]
            let slices = (0..<layout.sizes[level]).map { Array(region[$0 * width..<($0 + 1) * width]) }
            var result: [[UInt64]] = []
            let isLast = level + 2 == layout.sizes.count
            /// Visits every set of slices that is all the slices holding what it has in common (Close-by-One).
            func close(_ extent: [Bool], _ common: [UInt64], from first: Int, _ search: inout Enumeration) -> Bool {
                if extent.contains(true) {
                    guard let inner = isLast ? [common] : search.boxes(level + 1, common) else { return false }
                    for box in inner {
                        guard search.budget.spend(width * slices.count) else { return false }
                        let isClosed = isLast || slices.indices.allSatisfy { extent[$0] || !Self.holds(slices[$0], box) }
                        guard isClosed else { continue }
                        var mask = [UInt64](repeating: 0, count: region.count)
                        for value in slices.indices where extent[value] {
                            for word in 0..<width { mask[value * width + word] = box[word] }
                        }
                        result.append(mask)
                        guard result.count <= countLimit, result.count * region.count <= wordLimit else { return false }
                    }
                }
                for value in first..<slices.count where !extent[value] {
                    guard search.budget.spend(width + 1) else { return false }
                    var next = common
                    var isEmpty = true
                    for word in 0..<width {
                        next[word] &= slices[value][word]
                        if next[word] != 0 { isEmpty = false }
                    }
                    if isEmpty { continue }
                    guard search.budget.spend(width * slices.count) else { return false }
                    let closed = slices.indices.map { extent[$0] || Self.holds(slices[$0], next) }
                    // Found from an earlier value already.
                    guard (0..<value).allSatisfy({ closed[$0] == extent[$0] }) else { continue }
                    guard close(closed, next, from: value + 1, &search) else { return false }
                }
                return true
            }
            let everything = [UInt64](repeating: .max, count: width)
            guard close([Bool](repeating: false, count: slices.count), everything, from: 0, &self) else { return nil }
            return result
        }

        private static func holds(_ slice: [UInt64], _ part: [UInt64]) -> Bool {
            for word in part.indices where part[word] & ~slice[word] != 0 { return false }
            return true
        }
    }

    // MARK: One at a time

    /// Maximal boxes around cells, grown along the axes in every order and at random, as far as the budget goes.
    static func grown(from cells: [[Int]], in region: BitSet, _ layout: Layout, budget: inout SearchBudget) -> [BitSet] {
        var seen: Set<BitSet> = []
        var result: [BitSet] = []
        func add(_ box: BitSet) { if seen.insert(box).inserted { result.append(box) } }
        var isFull: Bool { result.count >= countLimit || result.count * layout.words[0] >= wordLimit }
        var random = SplitMix(state: 1)
        var steps = layout.axes.enumerated().flatMap { level, axis in (0..<layout.sizes[level]).map { (axis: axis, value: $0) } }
        // One cover after the other, each of the best of some boxes around what is still open.
        var covers = SearchBudget(steps: budget.steps / 2)
        let spendable = covers.steps
        repeat {
            var open = cells
            while !open.isEmpty, !covers.isSpent, !isFull {
                var best: (box: BitSet, rest: [[Int]])?
                for trial in 0..<8 where trial < open.count {
                    steps.shuffle(using: &random)
                    let start = open[Int.random(in: open.indices, using: &random)]
                    let box = grown(start.map { [$0] }, along: steps, in: region, layout, budget: &covers)
                    _ = covers.spend(open.count)
                    let rest = open.filter { !box.contains(layout.place($0)) }
                    if rest.count < best?.rest.count ?? .max { best = (box, rest) }
                    add(box)
                }
                open = best?.rest ?? []
            }
        } while !covers.isSpent && !isFull
        _ = budget.spend(spendable - covers.steps)
        for rotation in layout.axes.indices {
            let order = Array(layout.axes[rotation...] + layout.axes[..<rotation])
            for order in [order, order.reversed()] {
                for cell in cells {
                    guard !budget.isSpent, !isFull else { return result }
                    add(grown(cell.map { [$0] }, order: order, in: region, layout, budget: &budget))
                }
            }
        }
        return result
    }

    /// A maximal box around a box: the values are tried one by one.
    private static func grown(
        _ sides: [[Int]], along steps: [(axis: Int, value: Int)], in region: BitSet, _ layout: Layout, budget: inout SearchBudget
    ) -> BitSet {
        var sides = sides
        for (axis, value) in steps where !sides[axis].contains(value) {
            let own = sides[axis]
            sides[axis] = [value]
            let isAllowed = holds(sides, in: region, layout, budget: &budget)
            sides[axis] = isAllowed ? own + [value] : own
        }
        return cells(of: sides, layout)
    }

    /// Whether a region has every cell of a box; no once the budget is spent.
    private static func holds(_ sides: [[Int]], in region: BitSet, _ layout: Layout, budget: inout SearchBudget) -> Bool {
        guard !budget.isSpent else { return false }
        var isAllowed = true
        var looked = 1
        forEachCell(of: sides, layout) { bit in
            looked += 1
            isAllowed = region.contains(bit)
            return isAllowed
        }
        _ = budget.spend(looked)
        return isAllowed
    }

    private static func cells(of sides: [[Int]], _ layout: Layout) -> BitSet {
        var result = BitSet(capacity: layout.bitCount)
        forEachCell(of: sides, layout) { bit in
            result.insert(bit)
            return true
        }
        return result
    }

    /// A maximal box around a box; the box as it is once the budget is spent.
    static func grown(_ sides: [[Int]], in region: BitSet, _ layout: Layout, budget: inout SearchBudget) -> BitSet {
        grown(sides, order: layout.axes.reversed(), in: region, layout, budget: &budget)
    }

    private static func grown(
        _ sides: [[Int]], order: [Int], in region: BitSet, _ layout: Layout, budget: inout SearchBudget
    ) -> BitSet {
        var sides = sides
        for axis in order {
            guard let size = layout.axes.firstIndex(of: axis).map({ layout.sizes[$0] }) else { continue }
            let own = sides[axis]
            sides[axis] = (0..<size).filter { value in
                guard !own.contains(value) else { return true }
                var slab = sides
                slab[axis] = [value]
                return holds(slab, in: region, layout, budget: &budget)
            }
        }
        return cells(of: sides, layout)
    }

    /// Calls `body` with the bit of each cell until it returns `false`.
    private static func forEachCell(of sides: [[Int]], _ layout: Layout, while body: (Int) -> Bool) {
        func visit(_ level: Int, _ base: Int) -> Bool {
            let step = level + 1 < layout.axes.count ? layout.words[level + 1] * 64 : 1
            for value in sides[layout.axes[level]] {
                let bit = base + value * step
                guard level + 1 < layout.axes.count ? visit(level + 1, bit) : body(bit) else { return false }
            }
            return true
        }
        _ = visit(0, 0)
    }
}
