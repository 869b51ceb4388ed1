import CScan
import Foundation

/// How JSON values stand in lines, told without parsing them.
enum JSONLines {
    /// What lines inside a value begin with that are not indented: keys, texts and what follows a value.
    private static let insideStarts = Array("\"]},:".utf8)

    /// Whether a line may be one inside a value over many lines: indented, or beginning with what stands there and begins no value of its own.
    static func mayBeInside(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        line.first.map { $0 <= 0x20 || insideStarts.contains($0) || beginsWithScalar(line) } ?? true
    }

    /// Whether a number, `true`, `false` or `null` stands there and ends as in an object or array.
    private static func beginsWithScalar(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = line.first, "-0123456789tfn".utf8.contains(first) else { return false }
        let isNumber = first < UInt8(ascii: "a")
        let scalar = line.prefix { isNumber ? "+-.0123456789Ee".utf8.contains($0) : "aeflnrstu".utf8.contains($0) }
        guard isNumber || ["true", "false", "null"].contains(where: { scalar.elementsEqual($0.utf8) }) else { return false }
        return line[scalar.endIndex...].first { $0 != 0x20 && $0 != 0x09 }.map { "\r\n,]}".utf8.contains($0) } ?? true
    }

    /// The place behind the lines that the value may have which begins at the start.
    static func endOfValue(in lines: UnsafeBufferPointer<UInt8>) -> Int {
        var end = 0
        repeat {
            guard let base = lines.baseAddress, let feed = memchr(base + end, Int32(UInt8(ascii: "\n")), lines.count - end) else {
                return lines.count
            }
            end = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(feed)) + 1
        } while mayBeInside(UnsafeBufferPointer(rebasing: lines[end...])) && end < lines.count
        return end
    }

    /// The place behind the object or array that begins there; `nil` when none does, or it goes on behind the bytes.
    ///
    /// - Parameter bytes: the buffer goes on for `AuditEnvelope.padding` bytes behind them.
    static func containerEnd(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        guard let base = bytes.baseAddress, start < bytes.count,
            bytes[start] == UInt8(ascii: "{") || bytes[start] == UInt8(ascii: "[")
        else { return nil }
        return scan_container_end(base + start + 1, base + bytes.count).map { base.distance(to: $0) }
    }

    /// Whether a line is an object or array, and nothing else.
    static func isContainer(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        containerEnd(in: line, from: 0).map { line[$0...].allSatisfy { $0 <= 0x20 } } ?? false
    }

    /// Whether a text begins as objects, arrays, or a colour before a prefix do.
    static func beginsLikeJSON(_ text: [UInt8]) -> Bool {
        // An escape sets the colour of a prefix, by a bracket.
        let first = text.first { $0 > 0x20 || $0 == 0x1B }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// Whether the text begins a value of its own: what is inside another over many lines is indented, or its brace stands alone.
    static func beginsValue(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        text.first == UInt8(ascii: "{") && text.dropFirst().contains { $0 > 0x20 }
    }

    /// Whether the text is a whole JSON object or what a shipper puts before one.
    static func isValue(_ text: ArraySlice<UInt8>) -> Bool {
        text.withUnsafeBufferPointer { bytes in
            guard let brace = bytes.firstIndex(of: UInt8(ascii: "{")), var json = try? JSONText(bytes, from: brace) else { return false }
            return (try? json.skipValue()) != nil && json.peek() == 0
        }
    }

    /// Whether the string that begins there is the key of a member.
    static func isKey(at start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard var json = try? JSONText(bytes, from: start), (try? json.scanString()) != nil else { return false }
        return json.peek() == UInt8(ascii: ":")
    }

    /// Whether the object or array that begins there is the first of several cells, and not of several values with commas.
    static func isCell(at start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let end = containerEnd(in: bytes, from: start), end < bytes.count, bytes[end] == UInt8(ascii: ","),
            let next = bytes[(end + 1)...].first(where: { $0 > 0x20 })
        else { return false }
        return next != UInt8(ascii: "{")
    }
}

/// The lines of a text without their ends, one after the other: a text may have as many lines as bytes.
struct TextLines: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>?

    init(_ text: ArraySlice<UInt8>) { rest = text }

    mutating func next() -> ArraySlice<UInt8>? {
        guard let text = rest else { return nil }
        let end = text.firstIndex(of: UInt8(ascii: "\n"))
        rest = end.map { text[($0 + 1)...] }
        return text[..<(end ?? text.endIndex)]
    }
}
