import Foundation
import WhittleModel

/// A run of whole lines, or a piece of a line that is longer than a block.
final class AuditBlock: @unchecked Sendable {
    static let size = 1 << 19
    /// What scanning may read behind the bytes.
    private static let padding = 64

    let start = UnsafeMutablePointer<UInt8>.allocate(capacity: AuditBlock.size + AuditBlock.padding)
    var count = 0
    /// Where its bytes are to be read by whoever needs them; `nil` = they are there.
    var unread: (descriptor: Int32, offset: Int)?
    /// Why not all of them could be read, as errno; 0 = the file was cut off, `nil` = all were.
    private(set) var shortfall: Int32?
    /// Whether it is a piece of one line; `endsLine` says whether the last one.
    var isPiece = false
    var endsLine = false
    /// Whether an earlier load ended here, so that what stands before is known if its digest is.
    var endsAtKnownCount = false

    /// What a lane found: lines, the usual events, what these have in common and the lane that numbered it.
    fileprivate(set) var lineCount = 0
    fileprivate var prepared: ContiguousArray<PreparedLine> = []
    fileprivate var new = NewParts()
    fileprivate var lane: AuditLane?
    /// Lines that are not the usual event; every other line is one.
    fileprivate(set) var unusual: [BlockLine] = []
    /// What was counted of the usual events.
    fileprivate(set) var tally = AuditTally()

    init() { (start + Self.size).initialize(repeating: 0, count: Self.padding) }

    deinit { start.deallocate() }

    /// Makes it one that nothing is known of.
    func clear() { (count, unread, shortfall, isPiece, endsLine, endsAtKnownCount) = (0, nil, nil, false, false, false) }

    /// Reads its bytes if they are not there; of a file that was cut off meanwhile, those that are left.
    func load() {
        guard let (descriptor, offset) = unread else { return }
        unread = nil
        var got = 0
        while got < count {
            let more = pread(descriptor, start + got, count - got, off_t(offset + got))
            if more < 0, errno == EINTR { continue }
            guard more > 0 else {
                shortfall = more < 0 ? errno : 0
                break
            }
            got += more
        }
        count = got
    }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: UnsafePointer(start), count: count) }
}

/// A line of a block.
struct BlockLine {
    // Of lines of one byte a block has half a million.
    private let start: UInt32
    private let end: UInt32
    private let before: UInt32

    /// - Parameters:
    ///   - range: where it stands in the block, with its line end.
    ///   - number: lines of the block before it.
    init(range: Range<Int>, number: Int) { (start, end, before) = (UInt32(range.lowerBound), UInt32(range.upperBound), UInt32(number)) }

    /// Where it stands in the block, with its line end.
    var range: Range<Int> { Int(start)..<Int(end) }

    /// Lines of the block before it.
    var number: Int { Int(before) }
}

/// A usual event of a block.
struct PreparedLine {
    var event: PreparedEvent
    /// Where it stands, should it turn out to be unusual, or inside of a value.
    var place: BlockLine
    var isNew = true
}

/// Finds the events of blocks, one after the other; several lanes work side by side.
final class AuditLane: @unchecked Sendable {
    private var parts: AuditParts
    /// What its numbers stand for; belongs to `AuditCounter`.
    fileprivate var known = KnownParts()

    init(seed: UInt64, memoryLimit: Int) { parts = AuditParts(seed: seed, memoryLimit: memoryLimit) }

    /// - Parameter takesUsual: whether usual events count; if not, every line is unusual.
    func prepare(_ block: AuditBlock, takesUsual: Bool) {
        block.load()
        block.prepared.removeAll(keepingCapacity: true)
        block.unusual.removeAll(keepingCapacity: true)
        (block.lineCount, block.lane) = (0, self)
        if !block.isPiece { Self.prepare(block, takesUsual, with: &parts, &block.prepared, &block.unusual) }
        block.new = parts.takeNew()
    }

    /// Takes what it changes, so that the run time looks once a block whether anybody else changes it, not once a line.
    private static func prepare(
        _ block: AuditBlock, _ takesUsual: Bool, with parts: inout AuditParts, _ prepared: inout ContiguousArray<PreparedLine>,
        _ unusual: inout [BlockLine]
    ) {
        parts.forgetIfFull()
        let bytes = block.bytes
        // What a crash has left may stand inside of what looks like one event.
        let hasNUL = memchr(block.start, 0, bytes.count) != nil
        var (position, lineCount) = (0, 0)
        while position < bytes.count {
            let found = memchr(block.start + position, Int32(UInt8(ascii: "\n")), bytes.count - position)
            let end = found.map { UnsafeRawPointer(block.start).distance(to: UnsafeRawPointer($0)) + 1 } ?? bytes.count
            let place = BlockLine(range: position..<end, number: lineCount)
            let isText = !hasNUL || memchr(block.start + position, 0, end - position) == nil
            if takesUsual, isText, let event = parts.prepare(UnsafeBufferPointer(rebasing: bytes[position..<end])) {
                prepared.append(PreparedLine(event: event, place: place))
            } else {
                unusual.append(place)
            }
            lineCount += 1
            position = end
        }
        block.lineCount = lineCount
    }
}

/// Counts the events that lanes have found, one block after the other.
final class AuditCounter {
    private var folder: AuditFolder

    init(maxNames: Int) { folder = AuditFolder(maxNames: maxNames) }

    /// The usual events of this block come next.
    func begin(_ block: AuditBlock) {
        block.tally = AuditTally()
        guard let lane = block.lane else { return }
        if !block.new.isEmpty { folder.learn(block.new, into: &lane.known) }
        block.new = NewParts(isReset: false, agents: [])
    }

    /// The line of a usual event.
    func line(ofUsual index: Int, in block: AuditBlock) -> BlockLine { block.prepared[index].place }

    /// Counts usual events of a block behind those before them.
    ///
    /// - Parameter usual: which of its usual events.
    /// - Returns: the lines of those that must be read as a whole.
    func count(_ usual: Range<Int>, of block: AuditBlock, _ window: SharedWindow) -> [BlockLine] {
        guard let lane = block.lane else { return [] }
        window.withWindow { Self.tellNew(usual, of: &block.prepared, by: &$0) }
        var left: [Int] = []
        Self.count(usual, of: block.prepared, &lane.known, with: &folder, &block.tally, &left)
        return left.map { index in
            window.postpone(block.prepared[index].event.hash)
            return block.prepared[index].place
        }
    }

    // See `AuditLane.prepare` for why these take what they change.

    private static func tellNew(_ usual: Range<Int>, of prepared: inout ContiguousArray<PreparedLine>, by window: inout EventWindow) {
        for index in usual { prepared[index].isNew = window.insert(prepared[index].event.hash) }
    }

    private static func count(
        _ usual: Range<Int>, of prepared: ContiguousArray<PreparedLine>, _ known: inout KnownParts, with folder: inout AuditFolder,
        _ tally: inout AuditTally, _ left: inout [Int]
    ) {
        var leftHashes: Set<UInt64> = []
        for index in usual {
            let (phase, isNew) = (prepared[index].event.phase, prepared[index].isNew)
            // The one that came first may turn out to be damaged.
            if !isNew, !leftHashes.isEmpty, leftHashes.contains(prepared[index].event.hash) {
                left.append(index)
                continue
            }
            var judged: (outcome: AuditFolder.Outcome, decision: Int)?
            if isNew, phase != .early {
                judged = folder.add(prepared[index].event, &known)
                guard judged != nil else {
                    left.append(index)
                    leftHashes.insert(prepared[index].event.hash)
                    continue
                }
            }
            tally.add(
                stage: prepared[index].event.stage, level: prepared[index].event.level, at: prepared[index].event.time, isRepeated: !isNew)
            guard isNew else { continue }
            tally.add(phase == .complete ? judged?.outcome : nil, decision: judged?.decision ?? 0)
        }
    }

    /// Adds the users of facts that are new since this was asked last.
    func tellSubjects(_ subjects: inout Set<ByteString>) { folder.tellSubjects(&subjects) }

    /// Adds what another has counted.
    func absorb(_ other: borrowing AuditFolder) { folder.absorb(other) }

    /// What was counted; nothing may be counted or asked for after this.
    func takeResult() -> UsageFold { folder.takeResult() }
}

/// The window of the counter and the session.
final class SharedWindow {
    private var window: EventWindow

    init(_ state: EventWindowState) { window = EventWindow(state) }

    var seed: UInt64 { window.seed }

    var state: EventWindowState { window.state }

    func insert(_ hash: UInt64) -> Bool { window.insert(hash) }

    func postpone(_ hash: UInt64) { window.postpone(hash) }

    func mark() { window.mark() }

    func unmark() { window.unmark() }

    func rollBack() { window.rollBack() }

    /// For many events at once.
    func withWindow(_ body: (inout EventWindow) -> Void) { body(&window) }
}
