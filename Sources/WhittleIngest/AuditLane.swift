import Dispatch
import Foundation
import Synchronization
import WhittleModel

/// A run of whole lines, or a piece of a line that is longer than a block.
final class AuditBlock: @unchecked Sendable {
    static let size = 1 << 19
    /// What scanning may read behind the bytes.
    private static let padding = 64

    let start = UnsafeMutablePointer<UInt8>.allocate(capacity: AuditBlock.size + AuditBlock.padding)
    var count = 0
    /// Whether it is a piece of one line; `endsLine` says whether the last one.
    var isPiece = false
    var endsLine = false
    /// Whether an earlier load ended here, so that what stands before is known if its digest is.
    var endsAtKnownCount = false

    /// What came of it: its lines, those that are not the usual event, and the counts of the others.
    fileprivate(set) var lineCount = 0
    fileprivate(set) var unusual: [UnusualLine] = []
    fileprivate(set) var tally = AuditTally()

    init() { start.initialize(repeating: 0, count: Self.size + Self.padding) }

    deinit { start.deallocate() }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: UnsafePointer(start), count: count) }
}

/// A line that is not the usual event.
struct UnusualLine {
    /// Where it stands in the block, with its line end.
    var range: Range<Int>
    /// Lines of the block before it.
    var line: Int
    /// Whether it is known to be no repetition.
    var isChecked = false
}

/// Folds blocks of lines, one after the other; several lanes work side by side.
final class AuditLane: @unchecked Sendable {
    private(set) var folder: AuditFolder
    private var prepared: ContiguousArray<PreparedLine> = []

    private struct PreparedLine {
        var event: AuditFolder.Prepared
        /// Where it stands, should it turn out to be unusual.
        var place: UnusualLine
        var isNew = true
    }

    init(seed: UInt64, maxNames: Int, memoryLimit: Int) {
        folder = AuditFolder(seed: seed, maxNames: maxNames, memoryLimit: memoryLimit)
    }

    /// - Parameters:
    ///   - takesUsual: whether usual events count.
    ///   - window: the events before; only used between `turn` and the return of it.
    ///   - turn: waits until the window has seen the blocks before.
    ///   - done: called when it has seen this one, with whether every line was usual so far.
    func fold(_ block: AuditBlock, _ window: SharedWindow, takesUsual: Bool, turn: () -> Void, done: (Bool) -> Void) {
        prepared.removeAll(keepingCapacity: true)
        (block.lineCount, block.tally) = (0, AuditTally())
        block.unusual.removeAll(keepingCapacity: true)
        if !block.isPiece { Self.prepare(block, takesUsual, with: &folder, &prepared) }
        turn()
        window.withWindow { window in
            for index in prepared.indices { prepared[index].isNew = window.insert(prepared[index].event.hash) }
        }
        done(!block.isPiece && block.unusual.isEmpty)
        Self.count(prepared, with: &folder, &block.tally, &block.unusual)
    }

    // These take what they change, so that the run time looks once a block whether anybody else changes it, not once a line.

    private static func prepare(
        _ block: AuditBlock, _ takesUsual: Bool, with folder: inout AuditFolder, _ prepared: inout ContiguousArray<PreparedLine>
    ) {
        folder.forgetIfFull()
        let bytes = block.bytes
        var (position, lineCount) = (0, 0)
        while position < bytes.count {
            let found = memchr(block.start + position, Int32(UInt8(ascii: "\n")), bytes.count - position)
            let end = found.map { UnsafeRawPointer(block.start).distance(to: UnsafeRawPointer($0)) + 1 } ?? bytes.count
            let place = UnusualLine(range: position..<end, line: lineCount)
            if takesUsual, let event = folder.prepare(UnsafeBufferPointer(rebasing: bytes[position..<end])) {
                prepared.append(PreparedLine(event: event, place: place))
            } else {
                block.unusual.append(place)
            }
            lineCount += 1
            position = end
        }
        block.lineCount = lineCount
    }

    private static func count(
        _ prepared: ContiguousArray<PreparedLine>, with folder: inout AuditFolder, _ tally: inout AuditTally,
        _ unusual: inout [UnusualLine]
    ) {
        let before = unusual.count
        defer { if unusual.count > before { unusual.sort { $0.range.lowerBound < $1.range.lowerBound } } }
        for index in prepared.indices {
            let (phase, isNew) = (prepared[index].event.phase, prepared[index].isNew)
            var judged: (outcome: AuditFolder.Outcome, decision: Int)?
            if isNew, phase != .early {
                judged = folder.add(prepared[index].event)
                guard judged != nil else {
                    let place = prepared[index].place
                    unusual.append(UnusualLine(range: place.range, line: place.line, isChecked: true))
                    continue
                }
            }
            tally.add(
                stage: prepared[index].event.stage, level: prepared[index].event.level, at: prepared[index].event.time, isRepeated: !isNew)
            guard isNew else { continue }
            tally.add(phase == .complete ? judged?.outcome : nil, decision: judged?.decision ?? 0)
        }
    }

    /// Gives the memory of events back.
    func forget() {
        folder.forget()
        prepared = []
    }

    /// Adds what another has counted.
    func absorb(_ other: borrowing AuditFolder) { folder.absorb(other) }
}

/// The window of all lanes; one at a time looks at it.
final class SharedWindow: Sendable {
    private let window: Mutex<EventWindow>
    let seed: UInt64

    init(_ state: EventWindowState) {
        window = Mutex(EventWindow(state))
        seed = state.seed
    }

    var state: EventWindowState { window.withLock { $0.state } }

    func insert(_ hash: UInt64) -> Bool { window.withLock { $0.insert(hash) } }

    /// For many events at once.
    func withWindow(_ body: (inout EventWindow) -> Void) { window.withLock { body(&$0) } }
}
