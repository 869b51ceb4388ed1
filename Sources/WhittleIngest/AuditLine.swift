import CScan
import Foundation

/// A run of bytes inside a buffer that outlives it.
struct ByteSlice: @unchecked Sendable {
    var start: UnsafePointer<UInt8>
    var count: Int

    init(start: UnsafePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.init(start: bytes.baseAddress ?? Self.nothing, count: bytes.count)
    }

    /// Where no bytes are.
    nonisolated(unsafe) private static let nothing = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

    var isEmpty: Bool { count == 0 }
    var buffer: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    /// The count of the text, which is known when this is compiled, makes the comparison a few loads instead of a call.
    @inline(__always)
    func isText(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && memcmp(start, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// Whether the text stands anywhere in it.
    func contains(_ text: StaticString) -> Bool { scan_contains(start, count, text.utf8Start, text.utf8CodeUnitCount) != 0 }

    /// Whether the byte stands anywhere in it.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool { memchr(start, Int32(byte), count) != nil }

    /// Whether every byte is a printable character of ASCII and none begins an escape.
    var isPlainText: Bool {
        for byte in buffer where byte < 0x20 || byte > 0x7E || byte == UInt8(ascii: "\\") { return false }
        return true
    }

    /// Whether there are JSON escapes other than `\u0026`, which is `&`.
    var hasEscapes: Bool {
        var place = 0
        while let found = memchr(start + place, Int32(UInt8(ascii: "\\")), count - place) {
            let offset = UnsafeRawPointer(start).distance(to: found)
            guard ByteSlice(start: start + offset, count: min(6, count - offset)).isText("\\u0026") else { return true }
            place = offset + 6
        }
        return false
    }

    /// Whether it is the inside of a JSON string in UTF-8; the quotes stand around it.
    var isStringContent: Bool {
        guard firstInvalidUTF8(in: buffer) == nil,
            var json = try? JSONText(UnsafeBufferPointer(start: start - 1, count: count + 2)), (try? json.scanString()) != nil
        else { return false }
        return json.position == json.end
    }

    /// The text of a JSON string whose inside this is.
    var unescaped: String {
        memchr(start, Int32(UInt8(ascii: "\\")), count) == nil ? String(decoding: buffer, as: UTF8.self) : JSONText.unescape(buffer)
    }
}

/// Where the parts of one audit event stand in its line: JSON is walked, not parsed.
///
/// Strings are the bytes between the quotes, escapes unresolved; objects are whole. What no fact depends on, bodies above
/// all, is skipped without being looked at. A line that is not the usual event on one line is left to the general reader.
struct AuditLine {
    private(set) var auditID: ByteSlice?
    private(set) var level: ByteSlice?
    private(set) var stage: ByteSlice?
    private(set) var verb: ByteSlice?
    private(set) var requestURI: ByteSlice?
    private(set) var user: ByteSlice?
    private(set) var impersonatedUser: ByteSlice?
    private(set) var authenticationMetadata: ByteSlice?
    private(set) var userAgent: ByteSlice?
    private(set) var sourceIPs: ByteSlice?
    private(set) var message: ByteSlice?
    private(set) var decision: ByteSlice?
    private(set) var reason: ByteSlice?
    private(set) var received: ByteSlice?
    private(set) var requestObject: ByteSlice?
    private(set) var code = 0
    private var hasStatus = false
    private var hasAnnotations = false

    /// - Parameter line: with its line end; the buffer goes on for 64 bytes behind it.
    init?(_ line: UnsafeBufferPointer<UInt8>) {
        guard let base = line.baseAddress, line.count > 1, base.pointee == UInt8(ascii: "{") else { return nil }
        var cursor = Cursor(position: base, end: base + line.count)
        var movedLevel: ByteSlice?
        let isWhole = cursor.readObject { key, cursor in
            switch key.count {
            case 4:
                if key.isText("verb") { return cursor.takeString(&verb) }
                if key.isText("user") { return cursor.takeObject(&user) }
                if key.isText("kind") {
                    var kind: ByteSlice?
                    return cursor.takeString(&kind) && (kind?.isText("Event") ?? false)
                }
            case 5:
                if key.isText("stage") { return cursor.takeString(&stage) }
                if key.isText("level") { return cursor.takeString(&level) }
                if key.isText("items") { return false }
            case 7: if key.isText("auditID") { return cursor.takeString(&auditID) }
            case 9:
                if key.isText("userAgent") { return cursor.takeString(&userAgent) }
                if key.isText("sourceIPs") { return cursor.takeList(&sourceIPs) }
            case 10: if key.isText("requestURI") { return cursor.takeString(&requestURI) }
            case 11:
                if key.isText("annotations") {
                    if hasAnnotations { return false }
                    hasAnnotations = true
                    return cursor.readObject { key, cursor in
                        if key.isText("authorization.k8s.io/decision") { return cursor.takeString(&decision) }
                        if key.isText("authorization.k8s.io/reason") { return cursor.takeString(&reason) }
                        // A shipper may have written another sign for the dots, or an object.
                        return !key.contains("authorization") && cursor.skipValue()
                    }
                }
            case 13: if key.isText("requestObject") { return cursor.takeObject(&requestObject) }
            case 14:
                if key.isText("responseStatus") {
                    if hasStatus { return false }
                    hasStatus = true
                    return cursor.readObject { key, cursor in
                        if key.isText("code") { return cursor.takeInteger(&code) }
                        if key.isText("message") { return cursor.takeString(&message) }
                        return cursor.skipValue()
                    }
                }
            // OpenShift's forwarder has the level of all its logs in the place of that of the event.
            case 15: if key.isText("k8s_audit_level") { return cursor.takeString(&movedLevel) }
            case 16: if key.isText("impersonatedUser") { return cursor.takeObject(&impersonatedUser) }
            case 22: if key.isText("authenticationMetadata") { return cursor.takeObject(&authenticationMetadata) }
            case 24: if key.isText("requestReceivedTimestamp") { return cursor.takeString(&received) }
            default: break
            }
            return cursor.skipValue()
        }
        guard isWhole, cursor.isAtEnd else { return nil }
        level = movedLevel ?? level
    }

    /// Whether some part is longer than what is kept.
    var isOverlong: Bool {
        [auditID, verb, requestURI, user, impersonatedUser, authenticationMetadata, userAgent, sourceIPs, message, decision, reason]
            .contains { ($0?.count ?? 0) > AuditEvent.memberLimit }
    }

    /// Walks over JSON; every step is `false` at what it does not expect.
    private struct Cursor {
        var position: UnsafePointer<UInt8>
        let end: UnsafePointer<UInt8>

        @inline(__always)
        mutating func skipSpace() {
            while position < end, position.pointee <= 0x20 { position += 1 }
        }

        var isAtEnd: Bool {
            var copy = self
            copy.skipSpace()
            return copy.position == end
        }

        /// Moves past a byte that must come next.
        @inline(__always)
        private mutating func take(_ byte: UInt8) -> Bool {
            guard position < end, position.pointee == byte else { return false }
            position += 1
            return true
        }

        /// Whether the string read last holds an escape.
        private var hasEscape = false

        init(position: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>) {
            self.position = position
            self.end = end
        }

        @inline(__always)
        private mutating func string() -> ByteSlice? {
            guard take(UInt8(ascii: "\"")) else { return nil }
            let start = position
            position = scan_quote_or_backslash(position, end)
            hasEscape = position < end && position.pointee == UInt8(ascii: "\\")
            while position < end, position.pointee == UInt8(ascii: "\\") { position = scan_quote_or_backslash(position + 2, end) }
            guard position < end else { return nil }
            position += 1
            return ByteSlice(start: start, count: position - 1 - start)
        }

        @inline(__always)
        mutating func takeString(_ value: inout ByteSlice?) -> Bool {
            value = string()
            return value != nil
        }

        @inline(__always)
        mutating func takeObject(_ value: inout ByteSlice?) -> Bool {
            guard position < end, position.pointee == UInt8(ascii: "{") else { return false }
            let start = position
            guard skipValue() else { return false }
            value = ByteSlice(start: start, count: position - start)
            return true
        }

        @inline(__always)
        mutating func takeList(_ value: inout ByteSlice?) -> Bool {
            // A list of one may have been written as its value.
            if position < end, position.pointee == UInt8(ascii: "\"") { return false }
            guard position < end, position.pointee == UInt8(ascii: "[") else { return skipValue() }
            let start = position
            guard skipValue() else { return false }
            value = ByteSlice(start: start, count: position - start)
            return true
        }

        mutating func takeInteger(_ value: inout Int) -> Bool {
            let start = position
            value = 0
            while position < end, position - start < 9, position.pointee &- UInt8(ascii: "0") < 10 {
                value = value * 10 + Int(position.pointee - UInt8(ascii: "0"))
                position += 1
            }
            let isPadded = position - start > 1 && start.pointee == UInt8(ascii: "0")
            return position > start && position < end && !isPadded && isBehindScalar(position.pointee)
        }

        @inline(__always)
        mutating func skipValue() -> Bool {
            guard position < end else { return false }
            switch position.pointee {
            case UInt8(ascii: "\""): return string() != nil
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard let behind = scan_container_end(position + 1, end) else { return false }
                position = behind
                return true
            default:
                let start = position
                while position < end, !isBehindScalar(position.pointee) { position += 1 }
                return position > start
            }
        }

        /// Whether a number, `true`, `false` or `null` ends before this byte.
        @inline(__always)
        private func isBehindScalar(_ byte: UInt8) -> Bool {
            byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
        }

        /// Calls `member` with each key; it moves past the value.
        @inline(__always)
        mutating func readObject(_ member: (ByteSlice, inout Cursor) -> Bool) -> Bool {
            guard take(UInt8(ascii: "{")) else { return false }
            skipSpace()
            if take(UInt8(ascii: "}")) { return true }
            while true {
                // What a key with an escape says only the general reader knows.
                guard let key = string(), !hasEscape else { return false }
                skipSpace()
                guard take(UInt8(ascii: ":")) else { return false }
                skipSpace()
                guard member(key, &self) else { return false }
                skipSpace()
                if take(UInt8(ascii: ",")) {
                    skipSpace()
                    continue
                }
                return take(UInt8(ascii: "}"))
            }
        }
    }
}
