import WhittleModel

/// The difference of two texts as `patch -p1` and `git apply` read it, with three lines of context.
public enum UnifiedDiff {
    private static let context = 3
    /// Edit scripts longer than this are not searched for: what differs is replaced as a whole.
    private static let searchLimit = 2_000

    /// The diff of one file, `--- a/PATH` and `+++ b/PATH` first; `""` when both are equal.
    ///
    /// - Parameters:
    ///   - path: relative to where the diff is applied, with `/`.
    ///   - old: the bytes that are there; `nil` = the file is made.
    ///   - new: the bytes that shall be there; `nil` = the file is removed.
    public static func text(path: String, from old: [UInt8]?, to new: [UInt8]?) -> String {
        text(path: path, from: old, to: new, hiding: []) ?? ""
    }

    /// The same with less context where lines of the old text must not be shown.
    ///
    /// - Parameter hidden: numbers of such lines, the first is 0.
    /// - Returns: `nil` when one of them changes, or follows a change directly: git reads a hunk without context below as the end.
    package static func text(path: String, from old: [UInt8]?, to new: [UInt8]?, hiding hidden: [Range<Int>]) -> String? {
        guard old != new else { return "" }
        let header = "--- \(old == nil ? "/dev/null" : name("a/" + path))\n+++ \(new == nil ? "/dev/null" : name("b/" + path))\n"
        let (left, right) = (lines(old ?? []), lines(new ?? []))
        guard let body = hunks(changes(left, right), left, right, hidden) else { return nil }
        return body.isEmpty ? "" : header + String(decoding: body, as: UTF8.self)
    }

    /// A name as GNU diff and git write it: quoted when needed, with a tab behind one that holds spaces.
    private static func name(_ path: String) -> String {
        guard path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
            return path.utf8.contains(0x20) ? path + "\t" : path
        }
        var result = "\""
        for scalar in path.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 8)
                result += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// Lines with their line feeds; the last may lack it.
    private static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var result: [ArraySlice<UInt8>] = []
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
            result.append(bytes[start..<end])
            start = end
        }
        return result
    }

    /// Lines of the old text that others of the new one replace.
    private struct Change {
        var old: Range<Int>
        var new: Range<Int>
    }

    // MARK: What differs

    private static func changes(_ left: [ArraySlice<UInt8>], _ right: [ArraySlice<UInt8>]) -> [Change] {
        var prefix = 0
        while prefix < min(left.count, right.count), left[prefix] == right[prefix] { prefix += 1 }
        var suffix = 0
        while suffix < min(left.count, right.count) - prefix, left[left.count - 1 - suffix] == right[right.count - 1 - suffix] {
            suffix += 1
        }
        var numbers: [ArraySlice<UInt8>: Int32] = [:]
        func number(_ lines: ArraySlice<ArraySlice<UInt8>>) -> [Int32] {
            lines.map { line in
                let next = Int32(numbers.count)
                return { (known: inout Int32) in
                    if known < 0 { known = next }
                    return known
                }(&numbers[line, default: -1])
            }
        }
        let (old, new) = (number(left[prefix..<left.count - suffix]), number(right[prefix..<right.count - suffix]))
        guard !old.isEmpty || !new.isEmpty else { return [] }
        guard let kept = commonLines(old, new) else {
            return [Change(old: prefix..<prefix + old.count, new: prefix..<prefix + new.count)]
        }
        var result: [Change] = []
        var (x, y) = (0, 0)
        for pair in kept + [(old.count, new.count)] {
            if pair.0 > x || pair.1 > y {
                result.append(Change(old: prefix + x..<prefix + pair.0, new: prefix + y..<prefix + pair.1))
            }
            (x, y) = (pair.0 + 1, pair.1 + 1)
        }
        return result
    }

    /// The longest common subsequence after Myers, "An O(ND) Difference Algorithm"; `nil` when too much differs.
    private static func commonLines(_ old: [Int32], _ new: [Int32]) -> [(Int, Int)]? {
        let limit = min(old.count + new.count, searchLimit)
        let center = limit + 1
        var furthest = [Int32](repeating: 0, count: 2 * center + 1)
        var trace: [[Int32]] = []
        for depth in 0...limit {
            // Of each round only the diagonals that it can have changed are kept.
            trace.append(Array(furthest[center - depth...center + depth]))
            for diagonal in stride(from: -depth, through: depth, by: 2) {
                let goesDown =
                    diagonal == -depth || (diagonal != depth && furthest[center + diagonal - 1] < furthest[center + diagonal + 1])
                var x = Int(goesDown ? furthest[center + diagonal + 1] : furthest[center + diagonal - 1] + 1)
                var y = x - diagonal
                while x < old.count, y < new.count, old[x] == new[y] { (x, y) = (x + 1, y + 1) }
                furthest[center + diagonal] = Int32(x)
                if x >= old.count, y >= new.count { return path(trace, old.count, new.count) }
            }
        }
        return nil
    }

    private static func path(_ trace: [[Int32]], _ oldCount: Int, _ newCount: Int) -> [(Int, Int)] {
        var (x, y) = (oldCount, newCount)
        var kept: [(Int, Int)] = []
        for depth in stride(from: trace.count - 1, through: 0, by: -1) {
            let round = trace[depth]
            func reached(_ diagonal: Int) -> Int { abs(diagonal) <= depth ? Int(round[depth + diagonal]) : 0 }
            let diagonal = x - y
            let goesDown = diagonal == -depth || (diagonal != depth && reached(diagonal - 1) < reached(diagonal + 1))
            let previous = goesDown ? diagonal + 1 : diagonal - 1
            let (startX, startY) = depth == 0 ? (0, 0) : (reached(previous), reached(previous) - previous)
            while x > startX, y > startY {
                (x, y) = (x - 1, y - 1)
                kept.append((x, y))
            }
            (x, y) = (startX, startY)
        }
        return kept.reversed()
    }

    // MARK: Hunks

    private static func hunks(
        _ changes: [Change], _ left: [ArraySlice<UInt8>], _ right: [ArraySlice<UInt8>], _ hidden: [Range<Int>]
    ) -> [UInt8]? {
        func isShown(_ lines: Range<Int>) -> Bool { !hidden.contains { $0.overlaps(lines) } }
        var changes = changes
        for index in changes.indices where changes[index].new.isEmpty {
            // The same lines can be left out a line earlier where the one above is like the last of them.
            let floor = index > 0 ? changes[index - 1].old.upperBound : 0
            while case let old = changes[index].old, old.lowerBound > floor, old.upperBound < left.count,
                !isShown(old.upperBound..<old.upperBound + 1), left[old.lowerBound - 1] == left[old.upperBound - 1]
            {
                changes[index].old = old.lowerBound - 1..<old.upperBound - 1
                changes[index].new = changes[index].new.lowerBound - 1..<changes[index].new.lowerBound - 1
            }
        }
        var result: [UInt8] = []
        var rest = changes[...]
        while let first = rest.first {
            var group = [first]
            rest = rest.dropFirst()
            while let next = rest.first, let last = group.last, next.old.lowerBound - last.old.upperBound <= 2 * context,
                isShown(last.old.upperBound..<next.old.lowerBound)
            {
                group.append(next)
                rest = rest.dropFirst()
            }
            guard let last = group.last else { break }
            var before = min(context, first.old.lowerBound)
            while before > 0, !isShown(first.old.lowerBound - before..<first.old.lowerBound) { before -= 1 }
            var after = min(context, left.count - last.old.upperBound)
            let isEnd = after == 0
            while after > 0, !isShown(last.old.upperBound..<last.old.upperBound + after) { after -= 1 }
            guard after > 0 || isEnd, group.allSatisfy({ isShown($0.old) }) else { return nil }
            let old = first.old.lowerBound - before..<last.old.upperBound + after
            let new = first.new.lowerBound - before..<last.new.upperBound + after
            result += Array("@@ -\(span(old)) +\(span(new)) @@\n".utf8)
            var place = old.lowerBound
            for change in group {
                for line in left[place..<change.old.lowerBound] { add(" ", line, to: &result) }
                for line in left[change.old] { add("-", line, to: &result) }
                for line in right[change.new] { add("+", line, to: &result) }
                place = change.old.upperBound
            }
            for line in left[place..<old.upperBound] { add(" ", line, to: &result) }
        }
        return result
    }

    /// `first line,count`; the line before where there is none, the count left out when it is one.
    private static func span(_ range: Range<Int>) -> String {
        range.count == 1 ? "\(range.lowerBound + 1)" : "\(range.isEmpty ? range.lowerBound : range.lowerBound + 1),\(range.count)"
    }

    private static func add(_ mark: Unicode.Scalar, _ line: ArraySlice<UInt8>, to result: inout [UInt8]) {
        result.append(UInt8(ascii: mark))
        result += line
        if line.last != UInt8(ascii: "\n") { result += Array("\n\\ No newline at end of file\n".utf8) }
    }
}
