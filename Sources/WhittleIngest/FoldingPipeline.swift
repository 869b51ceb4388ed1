import Dispatch
import Synchronization

/// Folds blocks side by side, as many as there are lanes, and gives them back in their order.
///
/// The window sees the events as if blocks came one after the other: those of a block when those of the block before have been
/// seen, and when the session has read what was unusual there. So the result is the same whatever the number of lanes.
final class FoldingPipeline: @unchecked Sendable {
    let window: SharedWindow
    private let makeLane: () -> AuditLane
    private let takesUsual: Bool
    /// Blocks that may wait or be folded before the oldest is taken back: one for each lane, and one that it goes on with.
    let depth: Int
    private let laneLimit: Int
    private(set) var lanes: [AuditLane] = []
    private var inFlight: ArraySlice<Folding> = []
    private var last: Folding?
    private let shared = Mutex(Shared())

    private struct Shared {
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
        /// The block before, until the window has seen that.
        var before: Folding?
        let isFolded = DispatchSemaphore(value: 0)
        let isSeen = DispatchSemaphore(value: 0)
        /// Whether the session has nothing to do with the block, nor with what an earlier one left open; told by `isSeen`.
        var isQuiet = false

        init(_ block: AuditBlock, after before: Folding?) {
            self.block = block
            self.before = before
        }
    }

    /// - Parameters:
    ///   - lanes: blocks that are folded at a time.
    ///   - takesUsual: whether usual events count; if not, every line is left to the session.
    init(_ window: SharedWindow, lanes: Int, takesUsual: Bool, makeLane: @escaping () -> AuditLane) {
        self.window = window
        self.makeLane = makeLane
        self.takesUsual = takesUsual
        laneLimit = lanes
        depth = lanes * 2
    }

    /// Blocks that were not taken back.
    var count: Int { inFlight.count }

    /// Begins to fold a block; the session was idle when the first one of all came.
    func submit(_ block: AuditBlock) {
        let folding = Folding(block, after: last)
        last = folding
        inFlight.append(folding)
        let lane = shared.withLock { shared -> AuditLane? in
            shared.waiting.append(folding)
            return shared.idle.popLast()
        }
        if let lane {
            work(lane)
        } else if lanes.count < laneLimit {
            lanes.append(makeLane())
            work(lanes[lanes.count - 1])
        }
    }

    private func work(_ lane: AuditLane) {
        DispatchQueue.global().async { [self] in
            while let folding = shared.withLock({ $0.next(for: lane) }) { fold(folding, on: lane) }
        }
    }

    private func fold(_ folding: Folding, on lane: AuditLane) {
        lane.fold(
            folding.block, window, takesUsual: takesUsual, turn: { folding.before?.isSeen.wait() },
            done: { isUsual in
                folding.isQuiet = isUsual && folding.before?.isQuiet ?? true
                folding.before = nil
                if folding.isQuiet { folding.isSeen.signal() }
            })
        folding.isFolded.signal()
    }

    /// Waits for the oldest block and gives it to `body`, which lets the session read what is unusual in it.
    ///
    /// - Parameter body: returns whether the session is idle.
    func takeOldest(_ body: (AuditBlock) -> Bool) {
        guard let folding = inFlight.popFirst() else { return }
        folding.isFolded.wait()
        let isIdle = body(folding.block)
        guard !folding.isQuiet else { return }
        folding.isQuiet = isIdle
        folding.isSeen.signal()
    }
}
