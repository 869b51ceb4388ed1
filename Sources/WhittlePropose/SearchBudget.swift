/// Work that a search may do: counted, never timed, so that the same needs give the same rules on every machine.
///
/// A step is about 64 cells looked at for one box, or one small decision.
struct SearchBudget {
    private(set) var steps: Int

    init(steps: Int) { self.steps = steps }

    var isSpent: Bool { steps <= 0 }

    /// Whether there was enough left.
    mutating func spend(_ count: Int) -> Bool {
        steps -= count
        return steps > 0
    }
}

/// Numbers that look random and are the same every time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
