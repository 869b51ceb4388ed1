/// Cells on named axes that must be, or may be, inside boxes (products of one set per axis).
///
/// A rule is such a box: groups × resources × verbs, or with names; the needs are the cells (docs/proposing.md).
struct Grid {
    /// The coordinates of a cell, one place per axis.
    typealias Cell = [Int]

    /// A box: values per axis, sorted.
    struct Box: Hashable {
        var sides: [[Int]]
    }

    /// Boxes that are enumerated before the search for the fewest gives way to a good cover.
    private static let boxLimit = 20_000

    private let axisCount: Int
    private let needed: Set<Cell>
    private let allowed: Set<Cell>

    /// - Parameters:
    ///   - needed: cells that must be covered.
    ///   - free: further cells that boxes may hold.
    init(axisCount: Int, needed: Set<Cell>, free: Set<Cell>) {
        self.axisCount = axisCount
        self.needed = needed
        allowed = needed.union(free)
    }

    /// The fewest boxes inside the allowed cells that hold every needed cell, shrunk to what each is needed for.
    func cover() -> (boxes: [Box], isProvenMinimal: Bool) {
        guard !needed.isEmpty else { return ([], true) }
        // Twins first: values whose allowed and needed cells are the same are one value until the end.
        var reduced = Reduced(axisCount: axisCount, allowed: allowed, needed: needed)
        reduced.mergeTwins()
        let candidates = reduced.maximalBoxes(limit: Self.boxLimit)
        let isComplete = candidates != nil
        let boxes = (candidates ?? reduced.grownBoxes()).sorted { $0.sides.lexicographicallyPrecedes($1.sides, by: Self.precedes) }
        let cells = reduced.needed.sorted { $0.lexicographicallyPrecedes($1) }
        let sets = boxes.map { box in
            let sides = box.sides.map(Set.init)
            var set = BitSet(capacity: cells.count)
            for (index, cell) in cells.enumerated() where zip(sides, cell).allSatisfy({ $0.contains($1) }) { set.insert(index) }
            return set
        }
        let cover = SetCover(boxes: sets, cells: cells.count)
        let chosen = shrink(cover.chosen.map { reduced.expand(boxes[$0]) })
        return (chosen, isComplete && cover.isProvenMinimal)
    }

    private static func precedes(_ left: [Int], _ right: [Int]) -> Bool {
        left.count == right.count ? left.lexicographicallyPrecedes(right) : left.count > right.count
    }

    /// Takes every value out of a box whose needed cells other boxes hold; the allowed set stays the same.
    private func shrink(_ boxes: [Box]) -> [Box] {
        var boxes = boxes
        var held = boxes.map { box -> Set<Cell> in
            let sides = box.sides.map(Set.init)
            return needed.filter { cell in zip(sides, cell).allSatisfy { $0.contains($1) } }
        }
        var holders: [Cell: Int] = [:]
        for cells in held { for cell in cells { holders[cell, default: 0] += 1 } }
        for index in boxes.indices {
            for axis in 0..<axisCount {
                let byValue = Dictionary(grouping: held[index]) { $0[axis] }
                for value in boxes[index].sides[axis].reversed() where boxes[index].sides[axis].count > 1 {
                    let affected = byValue[value] ?? []
                    guard affected.allSatisfy({ holders[$0, default: 0] > 1 }) else { continue }
                    boxes[index].sides[axis].removeAll { $0 == value }
                    for cell in affected { holders[cell, default: 1] -= 1 }
                    held[index].subtract(affected)
                }
            }
        }
        return boxes
    }

    /// The grid with values of an axis merged that behave alike.
    private struct Reduced {
        let axisCount: Int
        private(set) var allowed: Set<Cell>
        private(set) var needed: Set<Cell>
        /// Per axis: original values behind each merged one.
        private var members: [[[Int]]]

        init(axisCount: Int, allowed: Set<Cell>, needed: Set<Cell>) {
            self.axisCount = axisCount
            self.allowed = allowed
            self.needed = needed
            members = (0..<axisCount).map { axis in (0...(allowed.map { $0[axis] }.max() ?? 0)).map { [$0] } }
        }

        func expand(_ box: Box) -> Box {
            Box(sides: box.sides.enumerated().map { axis, values in values.flatMap { members[axis][$0] }.sorted() })
        }

        mutating func mergeTwins() {
            var hasChanged = true
            while hasChanged {
                hasChanged = false
                for axis in 0..<axisCount { if mergeTwins(on: axis) { hasChanged = true } }
            }
        }

        private mutating func mergeTwins(on axis: Int) -> Bool {
            var profiles: [Int: Set<[Int]>] = [:]
            for cell in allowed {
                var rest = cell
                rest[axis] = needed.contains(cell) ? 1 : 0
                profiles[cell[axis], default: []].insert(rest)
            }
            var numbers: [Set<[Int]>: Int] = [:]
            var numberOf: [Int: Int] = [:]
            var merged: [[Int]] = []
            for value in profiles.keys.sorted() {
                guard let profile = profiles[value] else { continue }
                if let number = numbers[profile] {
                    merged[number] += members[axis][value]
                    numberOf[value] = number
                } else {
                    numbers[profile] = merged.count
                    numberOf[value] = merged.count
                    merged.append(members[axis][value])
                }
            }
            guard merged.count < profiles.count || merged.count < members[axis].count else { return false }
            let hasMerged = merged.count < profiles.count
            func renumbered(_ cells: Set<Cell>) -> Set<Cell> {
                Set(
                    cells.map { cell in
                        var cell = cell
                        cell[axis] = numberOf[cell[axis]] ?? 0
                        return cell
                    })
            }
            allowed = renumbered(allowed)
            needed = renumbered(needed)
            members[axis] = merged
            return hasMerged
        }

        /// Every box that cannot grow inside the allowed cells; `nil` when there are more than `limit`.
        func maximalBoxes(limit: Int) -> [Box]? {
            // The axis with the fewest values first keeps the number of intersections small.
            let order = (0..<axisCount).sorted { (members[$0].count, $0) < (members[$1].count, $1) }
            let reordered = Set(allowed.map { cell in order.map { cell[$0] } })
            guard let boxes = Self.boxes(in: reordered, axes: axisCount, limit: limit) else { return nil }
            return boxes.map { box in
                var sides = [[Int]](repeating: [], count: axisCount)
                for (place, axis) in order.enumerated() { sides[axis] = box[place] }
                return Box(sides: sides)
            }
        }

        /// Maximal boxes by recursion over axes: each maximal box of an intersection of slices, closed on the first axis.
        private static func boxes(in cells: Set<[Int]>, axes: Int, limit: Int) -> [[[Int]]]? {
            guard axes > 1 else { return [[cells.map { $0[0] }.sorted()]] }
            let rests = Set(cells.map { Array($0.dropFirst()) }).sorted { $0.lexicographicallyPrecedes($1) }
            let place = Dictionary(uniqueKeysWithValues: rests.enumerated().map { ($1, $0) })
            var slices: [Int: BitSet] = [:]
            for cell in cells {
                slices[cell[0], default: BitSet(capacity: rests.count)].insert(place[Array(cell.dropFirst())] ?? 0)
            }
            var intersections: Set<BitSet> = []
            for value in slices.keys.sorted() {
                guard let slice = slices[value] else { continue }
                var added: Set<BitSet> = [slice]
                for other in intersections {
                    let both = other.intersection(slice)
                    if !both.isEmpty { added.insert(both) }
                }
                intersections.formUnion(added)
                guard intersections.count <= limit else { return nil }
            }
            var result: Set<[[Int]]> = []
            for intersection in intersections {
                let inner = Set(intersection.elements.map { rests[$0] })
                guard let boxes = boxes(in: inner, axes: axes - 1, limit: limit) else { return nil }
                for box in boxes {
                    var content = BitSet(capacity: rests.count)
                    for rest in inner where zip(box, rest).allSatisfy({ $0.contains($1) }) { content.insert(place[rest] ?? 0) }
                    let first = slices.filter { content.isSubset(of: $0.value) }.map(\.key).sorted()
                    result.insert([first] + box)
                }
                guard result.count <= limit else { return nil }
            }
            return result.filter { box in
                !result.contains { other in other != box && zip(box, other).allSatisfy { Set($0).isSubset(of: $1) } }
            }
        }

        /// Good boxes for grids with too many maximal ones: each needed cell grown along the axes in every rotation.
        func grownBoxes() -> [Box] {
            var result: Set<Box> = []
            for cell in needed.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                for start in 0..<axisCount {
                    var sides = cell.map { [$0] }
                    for offset in 0..<axisCount {
                        let axis = (start + offset) % axisCount
                        for value in members[axis].indices where !sides[axis].contains(value) {
                            var slab = sides
                            slab[axis] = [value]
                            if Self.product(slab).allSatisfy(allowed.contains) { sides[axis].append(value) }
                        }
                        sides[axis].sort()
                    }
                    result.insert(Box(sides: sides))
                }
            }
            return Array(result)
        }

        private static func product(_ sides: [[Int]]) -> [[Int]] {
            sides.reduce([[]]) { partial, side in partial.flatMap { prefix in side.map { prefix + [$0] } } }
        }
    }
}
