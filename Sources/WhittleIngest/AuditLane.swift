import Dispatch
import Foundation
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
    private(set) var tally = AuditTally()
    /// Of the block folded last.
    private(set) var unusual: [UnusualLine] = []
    private(set) var lineCount = 0
    private var prepared: ContiguousArray<(event: AuditFolder.Prepared, place: UnusualLine, isNew: Bool)> = []

    init(seed: UInt64, maxNames: Int, memoryLimit: Int) {
        folder = AuditFolder(seed: seed, maxNames: maxNames, memoryLimit: memoryLimit)
    }

    /// - Parameters:
    ///   - takesUsual: whether usual events count.
    ///   - window: the events before; only used between `turn` and the return of it.
    ///   - turn: waits until the blocks before have looked at the window.
    ///   - done: lets the next one do so.
    func fold(_ block: AuditBlock, _ window: SharedWindow, takesUsual: Bool, turn: () -> Void, done: () -> Void) {
        folder.forgetIfFull()
        prepared.removeAll(keepingCapacity: true)
        unusual.removeAll(keepingCapacity: true)
        lineCount = 0
        var position = 0
        let bytes = block.bytes
        while position < block.count, !block.isPiece {
            let found = memchr(block.start + position, Int32(UInt8(ascii: "\n")), block.count - position)
            let end = found.map { UnsafeRawPointer(block.start).distance(to: UnsafeRawPointer($0)) + 1 } ?? block.count
            let place = UnusualLine(range: position..<end, line: lineCount)
            if takesUsual, let event = folder.prepare(UnsafeBufferPointer(rebasing: bytes[position..<end])) {
                prepared.append((event, place, true))
            } else {
                unusual.append(place)
            }
            lineCount += 1
            position = end
        }
        turn()
        for index in prepared.indices { prepared[index].isNew = window.insert(prepared[index].event.hash) }
        done()
        let before = unusual.count
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
        if unusual.count > before { unusual.sort { $0.range.lowerBound < $1.range.lowerBound } }
    }

    /// Gives the memory of events back.
    func forget() {
        folder.forget()
        prepared = []
    }

    /// Adds what another has counted.
    func absorb(_ other: borrowing AuditFolder) { folder.absorb(other) }

    /// Gives the tally away.
    func takeTally() -> AuditTally {
        defer { tally = AuditTally() }
        return tally
    }
}

/// The window of all lanes; one at a time looks at it.
final class SharedWindow: @unchecked Sendable {
    private var window: EventWindow

    init(_ state: EventWindowState) { window = EventWindow(state) }

    var seed: UInt64 { window.seed }
    var state: EventWindowState { window.state }

    @inline(__always)
    func insert(_ hash: UInt64) -> Bool { window.insert(hash) }
}
