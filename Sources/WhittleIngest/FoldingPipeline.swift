import Dispatch
import Synchronization

/// Folds blocks on several threads and gives them back in their order.
///
/// Lanes find the events of blocks side by side. They are counted in the order of the log, by whichever lane finds the next block
/// ready when nobody counts: so nothing is judged twice, and the result is the same whatever the number of lanes. Behind a block
/// with unusual lines counting waits until the session has read these.
final class FoldingPipeline: @unchecked Sendable {
    let counter: AuditCounter
    private let window: SharedWindow
    private let takesUsual: Bool
    private let makeLane: () -> AuditLane
    private let laneLimit: Int
    private var laneCount = 0
    private var inFlight: ArraySlice<Folding> = []
    private let shared = Mutex(Shared())

    private struct Shared {
        /// Blocks that no lane has begun.
        var waiting: ArraySlice<Folding> = []
        /// Blocks that are not counted.
        var uncounted: ArraySlice<Folding> = []
        var idle: [AuditLane] = []
        /// Whether somebody counts, or is to go on with it when the session has read something.
        var isCounting = false
        /// Whether the session has not come to an end of what it reads, so that it has to do with every block.
        var isSessionOpen = false

        /// The block that a lane goes on with; without one the lane is idle.
        mutating func next(for lane: AuditLane) -> Folding? {
            if let folding = waiting.popFirst() { return folding }
            idle.append(lane)
            return nil
        }

        /// The block to be counted next, if it is ready; without one nobody counts. Only for who counts, or when nobody does.
        mutating func nextToCount() -> Folding? {
            guard let folding = uncounted.first, folding.isPrepared else {
                isCounting = false
                return nil
            }
            isCounting = true
            folding.isQuiet = !isSessionOpen
            return uncounted.popFirst()
        }
    }

    /// A block on its way.
    private final class Folding: @unchecked Sendable {
        let block: AuditBlock
        /// Belongs to `shared`.
        var isPrepared = false
        let isCounted = DispatchSemaphore(value: 0)
        /// Whether the session has nothing to do with it; told by `isCounted`.
        var isQuiet = false

        init(_ block: AuditBlock) { self.block = block }
    }

    /// - Parameters:
    ///   - lanes: blocks that are worked on at a time.
    ///   - takesUsual: whether usual events count; if not, every line is left to the session.
    init(
        _ counter: AuditCounter, _ window: SharedWindow, lanes: Int, takesUsual: Bool, makeLane: @escaping () -> AuditLane
    ) {
        self.counter = counter
        self.window = window
        self.makeLane = makeLane
        self.takesUsual = takesUsual
        laneLimit = lanes
    }

    /// Blocks that may be in flight so that no lane waits for the next one.
    var depth: Int { laneLimit * 2 }

    /// Blocks that were not taken back.
    var count: Int { inFlight.count }

    /// Begins to fold a block.
    func submit(_ block: AuditBlock) {
        let folding = Folding(block)
        inFlight.append(folding)
        let lane = shared.withLock { shared -> AuditLane? in
            shared.waiting.append(folding)
            shared.uncounted.append(folding)
            return shared.idle.popLast()
        }
        if let lane {
            work(lane)
        } else if laneCount < laneLimit {
            laneCount += 1
            work(makeLane())
        }
    }

    private func work(_ lane: AuditLane) {
        DispatchQueue.global().async { [self] in
            while let folding = shared.withLock({ $0.next(for: lane) }) {
                lane.prepare(folding.block, takesUsual: takesUsual)
                let first = shared.withLock { shared in
                    folding.isPrepared = true
                    return shared.isCounting ? nil : shared.nextToCount()
                }
                count(from: first)
            }
        }
    }

    /// Counts blocks as long as the next one is ready and the session need not be waited for.
    private func count(from first: Folding?) {
        var next = first
        while let folding = next {
            counter.count(folding.block, window)
            folding.isQuiet = folding.isQuiet && folding.block.isUsual
            let isQuiet = folding.isQuiet
            folding.isCounted.signal()
            next = isQuiet ? shared.withLock { $0.nextToCount() } : nil
        }
    }

    /// Waits for the oldest block and gives it to `body`, which lets the session read what is unusual in it.
    ///
    /// - Parameter body: returns whether the session is idle.
    func takeOldest(_ body: (AuditBlock) -> Bool) {
        guard let folding = inFlight.popFirst() else { return }
        folding.isCounted.wait()
        let isIdle = body(folding.block)
        guard !folding.isQuiet else { return }
        let next = shared.withLock { shared in
            shared.isSessionOpen = !isIdle
            return shared.nextToCount()
        }
        if let next { DispatchQueue.global().async { [self] in count(from: next) } }
    }
}
