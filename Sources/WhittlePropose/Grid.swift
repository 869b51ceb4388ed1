/// Cells on numbered axes that must be, or may be, inside boxes (products of one set per axis).
///
/// A rule is such a box: groups × resources × verbs, or with names; the needs are the cells (docs/synthesis.md).
struct Grid {
    /// A box: values per axis, ascending.
    struct Box: Hashable {
        var sides: [[Int]]

        /// Entries that its rule lists.
        var entryCount: Int { sides.reduce(0) { $0 + $1.count } }
    }

    /// Boxes that hold every needed cell, and what is known about how few there can be.
    struct Cover {
        var boxes: [Box] = []
        /// Coordinates of needed cells of which no two fit one box.
        var independent: [[Int]] = []
        /// No cover has fewer boxes.
        var lowerBound = 0
        /// Whether the lower bound owes something to a search that came to its end.
        var usedSearch = false
        /// Whether every maximal box was known and none of the searches had to stop early.
        var isExact = true
    }

    /// Values per axis.
    let sizes: [Int]
    /// Axes in the order in which entries are taken out of boxes that overlap.
    let shrinkOrder: [Int]
    /// The axis of which a box should rather have one value.
    let plainAxis: Int?
    private let strides: [Int]
    private var needed: [Int] = []
    private var free: [Int] = []

    init(sizes: [Int], shrinkOrder: [Int], plainAxis: Int?) {
        self.sizes = sizes
        self.shrinkOrder = shrinkOrder
        self.plainAxis = plainAxis
        strides = Block.strides(of: sizes)
    }

    /// A cell that must be covered.
    mutating func need(_ cell: [Int]) { needed.append(index(cell)) }

    /// A cell that boxes may hold; needed cells may be among them.
    mutating func allow(_ cell: [Int]) { free.append(index(cell)) }

    private func index(_ cell: [Int]) -> Int {
        var result = 0
        for axis in sizes.indices { result += cell[axis] * strides[axis] }
        return result
    }

    private func coordinate(_ index: Int, _ axis: Int) -> Int { index / strides[axis] % sizes[axis] }

    /// The fewest boxes inside the allowed cells that hold every needed cell, shrunk to what each is needed for.
    func cover(steps: Int) -> Cover {
        var result = Cover()
        let blocks = blocks()
        // What is hard is given the same share, whatever the order.
        let hard = blocks.count { !$0.isOneBox }
        for block in blocks {
            let part = block.cover(steps: steps / max(1, hard), shrinkOrder: shrinkOrder, plainAxis: plainAxis)
            result.boxes += part.boxes
            result.independent += part.independent
            result.lowerBound += part.lowerBound
            result.usedSearch = result.usedSearch || part.usedSearch
            result.isExact = result.isExact && part.isExact
        }
        return result
    }

    /// The needed cells in parts that no box joins: two cells of one box are linked by cells that differ on one axis only.
    private func blocks() -> [Block] {
        let cells = sortedCells()
        var parents = Array(cells.indices)
        func root(_ start: Int) -> Int {
            var place = start
            while parents[place] != place {
                parents[place] = parents[parents[place]]
                place = parents[place]
            }
            return place
        }
        for axis in sizes.indices where sizes[axis] > 1 {
            var firstOnLine: [Int: Int] = [:]
            firstOnLine.reserveCapacity(cells.count)
            for (place, cell) in cells.enumerated() {
                let line = cell.index - coordinate(cell.index, axis) * strides[axis]
                if let first = firstOnLine[line] {
                    let (left, right) = (root(first), root(place))
                    if left != right { parents[max(left, right)] = min(left, right) }
                } else {
                    firstOnLine[line] = place
                }
            }
        }
        var members: [[Int]] = []
        var numberOfRoot = [Int](repeating: -1, count: cells.count)
        for place in cells.indices {
            let top = root(place)
            if numberOfRoot[top] < 0 {
                numberOfRoot[top] = members.count
                members.append([])
            }
            members[numberOfRoot[top]].append(place)
        }
        return members.compactMap { places in
            guard places.contains(where: { cells[$0].isNeeded }) else { return nil }
            return Block(
                cells: places.map { place in
                    (sizes.indices.map { coordinate(cells[place].index, $0) }, cells[place].isNeeded)
                })
        }
    }

    /// Every cell once, ascending.
    private func sortedCells() -> [(index: Int, isNeeded: Bool)] {
        var result: [(index: Int, isNeeded: Bool)] = []
        result.reserveCapacity(needed.count + free.count)
        // Needed before free, so that the first of equal ones says what the cell is.
        let marked = (needed.map { $0 << 1 } + free.map { $0 << 1 | 1 }).sorted()
        for mark in marked where result.last?.index != mark >> 1 { result.append((mark >> 1, mark & 1 == 0)) }
        return result
    }
}
