/// A part of a grid that no box joins to another part, with values that behave alike merged into one.
struct Block {
    /// Merged values per axis.
    let sizes: [Int]
    /// Per axis and merged value: the values of the grid.
    private let members: [[[Int]]]
    private let strides: [Int]
    /// Allowed cells, ascending.
    private let allowed: [Int]
    /// Of those the ones that must be covered, ascending.
    private let needed: [Int]

    /// Places with more cells are covered without knowing every maximal box.
    private static let volumeLimit = 1 << 22

    /// - Parameter cells: coordinates on the axes of the grid, in ascending order, at least one of them needed.
    init(cells: [(coordinates: [Int], isNeeded: Bool)]) {
        let axes = cells.first?.coordinates.indices ?? 0..<0
        // A value without a needed cell adds nothing to any box.
        let values = axes.map { axis in Set(cells.lazy.filter(\.isNeeded).map { $0.coordinates[axis] }).sorted() }
        let places = values.map { Dictionary(uniqueKeysWithValues: $0.enumerated().map { ($1, $0) }) }
        var sizes = values.map(\.count)
        var members = values.map { $0.map { [$0] } }
        var strides = Self.strides(of: sizes)
        var marked: [(index: Int, isNeeded: Bool)] = cells.compactMap { cell in
            var index = 0
            for axis in axes {
                guard let place = places[axis][cell.coordinates[axis]] else { return nil }
                index += place * strides[axis]
            }
            return (index, cell.isNeeded)
        }
        for axis in axes where sizes[axis] > 1 && marked.count > 1 {
            var profiles = [[Int]](repeating: [], count: sizes[axis])
            for (index, isNeeded) in marked {
                let value = index / strides[axis] % sizes[axis]
                profiles[value].append((index - value * strides[axis]) << 1 | (isNeeded ? 1 : 0))
            }
            var numbers: [[Int]: Int] = [:]
            var numberOf = [Int](repeating: -1, count: sizes[axis])
            var merged: [[Int]] = []
            for (value, profile) in profiles.enumerated() {
                if let number = numbers[profile] {
                    merged[number] += members[axis][value]
                } else {
                    numbers[profile] = merged.count
                    numberOf[value] = merged.count
                    merged.append(members[axis][value])
                }
            }
            guard merged.count < sizes[axis] else { continue }
            members[axis] = merged
            var newSizes = sizes
            newSizes[axis] = merged.count
            let newStrides = Self.strides(of: newSizes)
            marked = marked.compactMap { index, isNeeded in
                let number = numberOf[index / strides[axis] % sizes[axis]]
                guard number >= 0 else { return nil }
                var result = number * newStrides[axis]
                for other in axes where other != axis { result += index / strides[other] % sizes[other] * newStrides[other] }
                return (result, isNeeded)
            }
            (sizes, strides) = (newSizes, newStrides)
        }
        self.sizes = sizes
        self.members = members
        self.strides = strides
        allowed = marked.map(\.index)
        needed = marked.filter(\.isNeeded).map(\.index)
    }

    /// What one step on each axis adds to the number of a cell.
    static func strides(of sizes: [Int]) -> [Int] {
        var result = [Int](repeating: 1, count: sizes.count)
        for axis in sizes.indices.dropLast().reversed() { result[axis] = result[axis + 1] * sizes[axis + 1] }
        return result
    }

    private var volume: Int { sizes.reduce(1, *) }

    /// Whether one box holds everything.
    var isOneBox: Bool { allowed.count == volume }

    private func coordinates(_ index: Int) -> [Int] { sizes.indices.map { index / strides[$0] % sizes[$0] } }

    private func expand(_ sides: [[Int]]) -> Grid.Box {
        Grid.Box(sides: sides.enumerated().map { axis, values in values.flatMap { members[axis][$0] }.sorted() })
    }

    /// A value of the grid for each merged coordinate of a cell.
    private func representative(_ index: Int) -> [Int] {
        coordinates(index).enumerated().map { axis, value in members[axis][value].first ?? 0 }
    }

    // MARK: Covering

    func cover(steps: Int, shrinkOrder: [Int], plainAxis: Int?) -> Grid.Cover {
        if isOneBox {
            return Grid.Cover(
                boxes: [expand(sizes.map { Array(0..<$0) })], independent: [representative(needed.first ?? 0)], lowerBound: 1)
        }
        var budget = SearchBudget(steps: steps)
        let layout = MaximalBoxes.Layout(sizes: sizes)
        guard layout.bitCount <= Self.volumeLimit else { return mergedOnly(&budget) }
        var region = BitSet(capacity: layout.bitCount)
        for cell in allowed { region.insert(layout.place(coordinates(cell))) }
        var places = [Int](repeating: -1, count: layout.bitCount)
        for (number, cell) in needed.enumerated() { places[layout.place(coordinates(cell))] = number }

        var enumeration = SearchBudget(steps: steps / 4)
        var growth = enumeration
        let all = MaximalBoxes.all(in: region, layout, budget: &enumeration)
        var merged: [BitSet]?
        func mergedBoxes() -> [BitSet] {
            let boxes = merged ?? mergedCover().map { MaximalBoxes.grown($0, in: region, layout, budget: &growth) }
            merged = boxes
            return boxes
        }
        let boxes =
            all ?? MaximalBoxes.grown(from: needed.map(coordinates), in: region, layout, budget: &growth) + mergedBoxes()
        let candidates = Self.candidates(boxes, layout: layout, places: places, cellCount: needed.count) { sides in
            sides.enumerated().reduce(0) { sum, side in side.element.reduce(sum) { $0 + members[side.offset][$1].count } }
        }
        let search = SetCover(boxes: candidates.map(\.cells), cellCount: needed.count)
        var outcome = search.solve(isComplete: all != nil, budget: &budget)
        if !outcome.isProven {
            // Never worse than grouping by equal verb sets.
            let start = mergedBoxes().compactMap { box in
                let cells = Self.cells(of: box, places: places, cellCount: needed.count).cells
                return candidates.firstIndex { cells.isSubset(of: $0.cells) }
            }
            outcome.choices = [search.better(of: start, or: outcome.choices[0], budget: &budget)]
        }
        var best: (cost: Cost, boxes: [Grid.Box])?
        for choice in outcome.choices {
            let shrunk = shrink(choice.map { candidates[$0] }, shrinkOrder)
            let boxes = shrunk.map(expand)
            let cost = Cost(boxes, plainAxis: plainAxis)
            if best.map({ cost < $0.cost }) ?? true { best = (cost, boxes) }
        }
        var boundCells = outcome.independent
        if all == nil {
            var pairs = SearchBudget(steps: steps / 8)
            boundCells = independentCells(&pairs)
        }
        return Grid.Cover(
            boxes: best?.boxes ?? [], independent: boundCells.map { representative(needed[$0]) },
            lowerBound: all == nil ? boundCells.count : outcome.lowerBound,
            usedSearch: all != nil && outcome.lowerBound > boundCells.count, isExact: all != nil && outcome.isProven)
    }

    /// What is chosen among: the sides of a box, and the needed cells that it holds.
    struct Candidate {
        var sides: [[Int]]
        var cells: BitSet
    }

    /// Boxes with a needed cell, once each, the most useful first.
    private static func candidates(
        _ boxes: [BitSet], layout: MaximalBoxes.Layout, places: [Int], cellCount: Int, entries: ([[Int]]) -> Int
    ) -> [Candidate] {
        var seen: Set<BitSet> = []
        var result: [(candidate: Candidate, gain: Int, entries: Int)] = []
        for box in boxes where seen.insert(box).inserted {
            let (cells, gain) = cells(of: box, places: places, cellCount: cellCount)
            guard gain > 0 else { continue }
            let sides = layout.sides(of: box)
            result.append((Candidate(sides: sides, cells: cells), gain, entries(sides)))
        }
        result.sort { left, right in
            if left.gain != right.gain { return left.gain > right.gain }
            if left.entries != right.entries { return left.entries < right.entries }
            return Self.precedes(left.candidate.sides, right.candidate.sides)
        }
        return result.map(\.candidate)
    }

    /// The needed cells of a box and their number.
    private static func cells(of box: BitSet, places: [Int], cellCount: Int) -> (cells: BitSet, count: Int) {
        var result = (cells: BitSet(capacity: cellCount), count: 0)
        box.forEach { bit in
            if places[bit] >= 0 {
                result.cells.insert(places[bit])
                result.count += 1
            }
            return true
        }
        return result
    }

    private static func precedes(_ left: [[Int]], _ right: [[Int]]) -> Bool {
        for (left, right) in zip(left, right) where left != right { return left.lexicographicallyPrecedes(right) }
        return false
    }

    /// Which of two covers with equally many boxes is nicer (MIN-8).
    struct Cost: Comparable {
        private let count: Int
        private let entries: Int
        private let mixed: Int
        private let text: [[[Int]]]

        init(_ boxes: [Grid.Box], plainAxis: Int?) {
            count = boxes.count
            entries = boxes.reduce(0) { $0 + $1.entryCount }
            mixed = plainAxis.map { axis in boxes.count { $0.sides[axis].count > 1 } } ?? 0
            text = boxes.map(\.sides).sorted(by: Block.precedes)
        }

        static func < (left: Cost, right: Cost) -> Bool {
            let numbers = (left: [left.count, left.entries, left.mixed], right: [right.count, right.entries, right.mixed])
            if numbers.left != numbers.right { return numbers.left.lexicographicallyPrecedes(numbers.right) }
            return left.text.lexicographicallyPrecedes(right.text, by: Block.precedes)
        }
    }

    /// Takes every value out of a box whose needed cells other boxes hold; the allowed set stays the same.
    ///
    /// One pass is enough: a cell that only one box holds stays so.
    private func shrink(_ chosen: [Candidate], _ order: [Int]) -> [[[Int]]] {
        var boxes = chosen.map(\.sides)
        var held = chosen.map(\.cells)
        var holders = [Int](repeating: 0, count: needed.count)
        for cells in held { for cell in cells.elements { holders[cell] += 1 } }
        for axis in order {
            for index in boxes.indices {
                var byValue = [[Int]](repeating: [], count: sizes[axis])
                for cell in held[index].elements { byValue[needed[cell] / strides[axis] % sizes[axis]].append(cell) }
                // What is written by many names goes first.
                for value in boxes[index][axis].sorted(by: { (members[axis][$1].count, $1) < (members[axis][$0].count, $0) })
                where boxes[index][axis].count > 1 {
                    guard byValue[value].allSatisfy({ holders[$0] > 1 }) else { continue }
                    boxes[index][axis].removeAll { $0 == value }
                    for cell in byValue[value] {
                        holders[cell] -= 1
                        held[index].remove(cell)
                    }
                }
            }
        }
        return boxes
    }

    // MARK: When the boxes are too many

    /// A cover by merging alone, for blocks that are too large for anything else.
    private func mergedOnly(_ budget: inout SearchBudget) -> Grid.Cover {
        let boxes = mergedCover()
        let independent = independentCells(&budget)
        return Grid.Cover(
            boxes: boxes.map(expand), independent: independent.map { representative(needed[$0]) }, lowerBound: independent.count,
            isExact: false)
    }

    /// The smallest cover that comes of merging needed cells that are alike on every axis but one, the axes in every order.
    ///
    /// Verbs first, then resources, is grouping by equal verb sets.
    private func mergedCover() -> [[[Int]]] {
        var best: [[[Int]]]?
        for order in Self.permutations(of: Array(sizes.indices)) {
            var boxes = needed.map { coordinates($0).map { [$0] } }
            for axis in order {
                var merged: [[[Int]]: Int] = [:]
                var result: [[[Int]]] = []
                for box in boxes {
                    var rest = box
                    rest[axis] = []
                    if let place = merged[rest] {
                        result[place][axis] += box[axis]
                    } else {
                        merged[rest] = result.count
                        result.append(box)
                    }
                }
                boxes = result.map { box in
                    var box = box
                    box[axis].sort()
                    return box
                }
            }
            if boxes.count < best?.count ?? .max { best = boxes }
        }
        return best ?? []
    }

    private static func permutations(of axes: [Int]) -> [[Int]] {
        guard axes.count > 1 else { return [axes] }
        return axes.indices.flatMap { place -> [[Int]] in
            var rest = axes
            let first = rest.remove(at: place)
            return permutations(of: rest).map { [first] + $0 }
        }
    }

    /// Places of needed cells of which no two fit one box, by comparing pairs.
    private func independentCells(_ budget: inout SearchBudget) -> [Int] {
        let cells = Set(allowed)
        let axes = sizes.indices.filter { sizes[$0] > 1 }
        var result: [Int] = []
        next: for (place, cell) in needed.enumerated() {
            for other in result {
                guard budget.spend(1 << axes.count) else { return result }
                // They fit one box when every mixture of their coordinates is allowed.
                let shifts = axes.map {
                    needed[other] / strides[$0] % sizes[$0] * strides[$0] - cell / strides[$0] % sizes[$0] * strides[$0]
                }
                let fit = (0..<1 << axes.count).allSatisfy { mixture in
                    var mixed = cell
                    for (bit, shift) in shifts.enumerated() where mixture >> bit & 1 == 1 { mixed += shift }
                    return cells.contains(mixed)
                }
                if fit { continue next }
            }
            result.append(place)
        }
        return result
    }
}
