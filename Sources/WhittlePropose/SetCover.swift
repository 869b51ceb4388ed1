/// The fewest boxes that cover all cells.
struct SetCover {
    /// Places of the chosen boxes, in order.
    var chosen: [Int]
    /// Whether no smaller choice exists, not only none was found.
    var isProvenMinimal: Bool

    /// Branch-and-bound nodes that are looked at before the best cover found so far is taken.
    private static let nodeLimit = 200_000

    /// - Parameters:
    ///   - boxes: the cells of each box; together they cover `cells`.
    ///   - cells: number of cells, numbered from 0.
    init(boxes: [BitSet], cells: Int) {
        var search = Search(boxes: boxes, cells: cells)
        search.run()
        chosen = search.best.sorted()
        isProvenMinimal = search.nodes < Self.nodeLimit
    }

    private struct Search {
        let boxes: [BitSet]
        let cells: Int
        /// Boxes that hold a cell.
        var holders: [[Int]]
        var best: [Int] = []
        var nodes = 0

        init(boxes: [BitSet], cells: Int) {
            self.boxes = boxes
            self.cells = cells
            holders = [[Int]](repeating: [], count: cells)
            for (index, box) in boxes.enumerated() { for cell in box.elements { holders[cell].append(index) } }
        }

        mutating func run() {
            var open = BitSet(capacity: cells)
            for cell in 0..<cells { open.insert(cell) }
            best = greedy(open)
            branch(open, [])
        }

        private func greedy(_ cells: BitSet) -> [Int] {
            var open = cells
            var result: [Int] = []
            while !open.isEmpty {
                guard
                    let next = boxes.indices.max(by: { left, right in
                        let difference = boxes[left].intersectionCount(open) - boxes[right].intersectionCount(open)
                        return difference == 0 ? left > right : difference < 0
                    }), boxes[next].intersectionCount(open) > 0
                else { return result }
                result.append(next)
                open.subtract(boxes[next])
            }
            // A box that later ones made redundant goes.
            for candidate in result.reversed() {
                var union = BitSet(capacity: self.cells)
                for box in result where box != candidate { union.formUnion(boxes[box]) }
                if cells.isSubset(of: union) { result.removeAll { $0 == candidate } }
            }
            return result
        }

        /// A number of boxes that every cover needs: cells of which no two share a box.
        private func lowerBound(_ open: BitSet) -> Int {
            var rest = open
            var count = 0
            for cell in open.elements.sorted(by: { (holders[$0].count, $0) < (holders[$1].count, $1) }) where rest.contains(cell) {
                count += 1
                for box in holders[cell] { rest.subtract(boxes[box]) }
            }
            return count
        }

        private mutating func branch(_ open: BitSet, _ taken: [Int]) {
            nodes += 1
            guard nodes < SetCover.nodeLimit else { return }
            if open.isEmpty {
                if taken.count < best.count { best = taken }
                return
            }
            guard taken.count + lowerBound(open) < best.count else { return }
            guard let cell = open.elements.min(by: { (holders[$0].count, $0) < (holders[$1].count, $1) }) else { return }
            let candidates = holders[cell].map { (box: $0, gain: boxes[$0].intersectionCount(open)) }
                .sorted { $0.gain == $1.gain ? $0.box < $1.box : $0.gain > $1.gain }
            for candidate in candidates {
                var rest = open
                rest.subtract(boxes[candidate.box])
                branch(rest, taken + [candidate.box])
            }
        }
    }
}
