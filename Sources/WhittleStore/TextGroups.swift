/// Groups of up to four texts, by their places in a fold, numbered in the order in which they come: an open hash table.
///
/// Most facts share their group with many others; this is asked once a fact, where a dictionary would cost as much as the row.
struct TextGroups {
    /// Place = number.
    private(set) var all: ContiguousArray<SIMD4<Int32>> = []
    /// Numbers by hash; -1 = free.
    private var slots = ContiguousArray<Int32>(repeating: -1, count: 1_024)

    /// The number of a group; a new one comes last.
    mutating func number(of group: SIMD4<Int32>) -> Int32 {
        let slot = slot(of: group)
        if slots[slot] >= 0 { return slots[slot] }
        let number = Int32(all.count)
        slots[slot] = number
        all.append(group)
        if all.count * 2 > slots.count { grow() }
        return number
    }

    /// Where a group is, or would be.
    private func slot(of group: SIMD4<Int32>) -> Int {
        let halves = unsafeBitCast(group, to: SIMD2<UInt64>.self)
        let product = (halves[0] &* 0x9E37_79B9_7F4A_7C15 ^ halves[1]).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        var slot = Int(truncatingIfNeeded: product.high ^ product.low) & (slots.count - 1)
        while slots[slot] >= 0, all[Int(slots[slot])] != group { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private mutating func grow() {
        slots = ContiguousArray(repeating: -1, count: slots.count * 2)
        for (number, group) in all.enumerated() { slots[slot(of: group)] = Int32(number) }
    }
}
