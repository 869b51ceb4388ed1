import Dispatch
import Foundation
import Synchronization
import WhittleModel

/// Reads the parts of a big JSON list on all cores; the reader of the list takes them over one after the other.
///
/// Where a part starts is a guess: a place that looks like the start of an item. What was read there is used only when the
/// reader, coming from the front, arrives at exactly that place between two items; otherwise it is dropped and read again.
/// So the result is the same as without it.
final class AheadReader {
    /// Bytes of a part; less is read from one place.
    static let partSize = 2 << 20

    private final class Part: @unchecked Sendable {
        let start: Int
        /// These three belong to the thread that reads the part until `done`.
        var decoder: ManifestDecoder
        var resume: Int
        var list: TypeMeta?
        let done = DispatchSemaphore(value: 0)

        init(start: Int, of whole: ManifestDecoder) {
            self.start = start
            resume = start
            decoder = ManifestDecoder(forPartOf: whole)
        }
    }

    /// Hands out each part once, in order, with the line that it starts in.
    private final class Queue: Sendable {
        let parts: [Part]
        private let state: Mutex<(next: Int, anchor: DocumentTree.LineCursor)>

        init(_ parts: [Part]) {
            self.parts = parts
            state = Mutex((0, DocumentTree.LineCursor()))
        }

        func claim(_ base: UnsafePointer<UInt8>) -> (part: Part, end: Int, anchor: DocumentTree.LineCursor)? {
            state.withLock { state in
                guard state.next < parts.count else { return nil }
                let part = parts[state.next]
                state.next += 1
                // Each part counts the lines of the one before it: all are counted once.
                state.anchor.advance(to: part.start, in: base)
                return (part, state.next < parts.count ? parts[state.next].start : Int.max, state.anchor)
            }
        }

        /// Lets no more parts be read.
        func close() { state.withLock { $0.next = parts.count } }
    }

    private let queue: Queue
    private let workers = DispatchGroup()
    private var taken = 0

    /// The start of the part that comes next; `Int.max` when there is none.
    var nextStart: Int { taken < queue.parts.count ? queue.parts[taken].start : Int.max }

    /// Starts to read the list whose first item is at `first`, when it is big.
    init(
        _ bytes: UnsafeBufferPointer<UInt8>, first: Int, file: String, into decoder: ManifestDecoder, partSize: Int,
        cores: Int = ProcessInfo.processInfo.activeProcessorCount
    ) {
        let count = cores > 1 ? (bytes.count - first) / partSize : 0
        let guesses =
            count < 2 ? [] : (1..<count).compactMap { Self.itemStart(in: bytes, from: first + partSize * $0, within: partSize / 2) }
        let starts = guesses.isEmpty ? [] : [first] + Set(guesses).sorted()
        let queue = Queue(starts.map { Part(start: $0, of: decoder) })
        self.queue = queue
        guard let base = bytes.baseAddress else { return }
        nonisolated(unsafe) let (sharedBytes, sharedBase) = (bytes, base)
        for _ in 0..<min(cores, starts.count) {
            DispatchQueue.global().async(group: workers) {
                while let (part, end, anchor) = queue.claim(sharedBase) {
                    Self.read(part, until: end, anchor, sharedBytes, file: file)
                    part.done.signal()
                }
            }
        }
    }

    deinit {
        queue.close()
        workers.wait()
    }

    /// Takes over what was read from `position` on; `nil` when nothing was, because the guess was wrong.
    ///
    /// - Returns: the place behind the last item, and its apiVersion and kind.
    func take(at position: Int, into decoder: ManifestDecoder) -> (position: Int, list: TypeMeta?)? {
        while taken < queue.parts.count, queue.parts[taken].start <= position {
            let part = queue.parts[taken]
            taken += 1
            part.done.wait()
            let read = part.decoder
            part.decoder = ManifestDecoder(defaultNamespace: "")
            guard part.start == position, part.resume > part.start else { continue }
            decoder.merge(read)
            return (part.resume, part.list)
        }
        return nil
    }

    private static func read(
        _ part: Part, until end: Int, _ start: DocumentTree.LineCursor, _ bytes: UnsafeBufferPointer<UInt8>, file: String
    ) {
        guard let base = bytes.baseAddress, var json = try? JSONText(bytes, from: part.start) else { return }
        let tree = DocumentTree(file: file, base: base)
        defer { withExtendedLifetime(tree) {} }
        var anchor = start
        repeat {
            _ = json.peek()
            guard json.position < end else { return }
            anchor.advance(to: json.position, in: base)
            tree.reset(anchor: anchor)
            // What is wrong is said by the reader, which comes to the same place.
            guard (try? json.parseValue(into: tree)) != nil, let list = part.decoder.typeMeta(of: tree.root, in: part.list) else { return }
            part.list = list
            part.decoder.decode(tree.root, in: list)
            part.resume = json.position
        } while json.take(UInt8(ascii: ","))
    }

    /// The first place from `start` on that looks like an item: `,{"apiVersion":"…","kind":` with any white space.
    private static func itemStart(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, within limit: Int) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        var position = start
        let end = min(bytes.count, start + limit)
        while position < end, let found = memchr(base + position, Int32(UInt8(ascii: "{")), end - position) {
            let place = UnsafeRawPointer(base).distance(to: found)
            if isItem(bytes, at: place) { return place }
            position = place + 1
        }
        return nil
    }

    private static func isItem(_ bytes: UnsafeBufferPointer<UInt8>, at place: Int) -> Bool {
        var before = place - 1
        while before > 0, bytes[before] <= 0x20 { before -= 1 }
        guard before > 0, bytes[before] == UInt8(ascii: ","), var json = try? JSONText(bytes, from: place + 1) else { return false }
        func isNext(_ key: StaticString) -> Bool {
            guard let text = try? json.scanString(), text.count == key.utf8CodeUnitCount else { return false }
            return memcmp(json.base + text.start, key.utf8Start, text.count) == 0 && json.take(UInt8(ascii: ":"))
        }
        return isNext("apiVersion") && (try? json.scanString()) != nil && json.take(UInt8(ascii: ",")) && isNext("kind")
    }
}
