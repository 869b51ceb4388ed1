import Dispatch
import Synchronization

/// Folds blocks on several threads and gives them back in their order.
///
/// Lanes find the events of blocks side by side, and which of them prove the same. Whoever takes the blocks has their events counted,
/// in the order of the log: so the result is the same whatever the number of lanes, and the facts stay with one core. While the next
/// block is not ready, he works on those that no lane has begun.
final class FoldingPipeline: @unchecked Sendable {
    private static let smallSize = 1 << 15
    let counter: AuditCounter
    private let window: SharedWindow
    private let takesUsual: Bool
    private let makeLane: () -> AuditLane
    private let laneLimit: Int
    private var laneCount = 1
    /// The lane of who takes the blocks.
    private let ownLane: AuditLane
    private var inFlight: ArraySlice<Folding> = []
    private let shared = Mutex(Shared())

    private struct Shared {
        /// Blocks that no lane has begun.
        var waiting: ArraySlice<Folding> = []
        var idle: [AuditLane] = []

        /// The block that a lane goes on with; without one the lane is idle.
        mutating func next(for lane: AuditLane) -> Folding? {
            if let folding = waiting.popFirst() { return folding }
            idle.append(lane)
            return nil
        }
    }

    /// A block on its way.
    private final class Folding: @unchecked Sendable {
        let block: AuditBlock
        /// Whether a lane is through with it; `done` is for who waits.
        let isDone = Atomic(false)
        let done = DispatchSemaphore(value: 0)

        init(_ block: AuditBlock) { self.block = block }
    }

    /// - Parameters:
    ///   - lanes: threads that work on blocks, the caller's included.
    ///   - takesUsual: whether usual events count; if not, every line is left to the session.
    init(
        _ counter: AuditCounter, _ window: SharedWindow, lanes: Int, takesUsual: Bool, makeLane: @escaping () -> AuditLane
    ) {
        self.counter = counter
        self.window = window
        self.makeLane = makeLane
        self.takesUsual = takesUsual
        laneLimit = lanes
        ownLane = makeLane()
    }

    /// Blocks that may be in flight so that no lane waits for the next one.
    var depth: Int { laneLimit == 1 ? 1 : laneLimit * 2 }

    /// Blocks that were not taken back.
    var blocksInFlight: Int { inFlight.count }

    /// Begins to fold a block.
    func submit(_ block: AuditBlock) {
        let folding = Folding(block)
        inFlight.append(folding)
        let lane = shared.withLock { shared -> AuditLane? in
            shared.waiting.append(folding)
            return block.count < Self.smallSize ? nil : shared.idle.popLast()
        }
        // A small one is folded before a thread has been woken up.
        if block.count < Self.smallSize { return }
        if let lane {
            work(lane)
        } else if laneCount < laneLimit {
            laneCount += 1
            work(makeLane())
        }
    }

    private func work(_ lane: AuditLane) {
        DispatchQueue.global().async { [self] in
            while let folding = shared.withLock({ $0.next(for: lane) }) { prepare(folding, on: lane) }
        }
    }

    private func prepare(_ folding: Folding, on lane: AuditLane) {
        lane.prepare(folding.block, takesUsual: takesUsual)
        folding.isDone.store(true, ordering: .releasing)
        folding.done.signal()
    }

    /// Gives the oldest block back; nothing of it is counted yet.
    func takeOldest() -> AuditBlock? {
        guard let folding = inFlight.popFirst() else { return nil }
        while !folding.isDone.load(ordering: .acquiring) {
            if let other = shared.withLock({ $0.waiting.popFirst() }) {
                prepare(other, on: ownLane)
            } else {
                folding.done.wait()
                break
            }
        }
        counter.begin(folding.block)
        return folding.block
    }

    /// Counts usual events of the block that was given back last; see `AuditCounter.count`.
    func count(_ usual: Range<Int>, of block: AuditBlock) -> [BlockLine] { counter.count(usual, of: block, window) }
}
