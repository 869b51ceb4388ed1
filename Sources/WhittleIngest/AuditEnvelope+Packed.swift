import CZlib
import Foundation

/// What is in base64 and gzip.
extension AuditEnvelope {
    /// How base64 of gzip, an object or an array begins.
    private static let base64Starts = ["H4sI", "eyJ", "eyA", "ewo", "ew0", "ewk", "W3s", "Wwo", "WyA", "WyJ"]

    /// Whether a text begins like base64 of gzip, or of JSON.
    static func mayBePacked(_ text: UnsafeBufferPointer<UInt8>) -> Bool { base64Starts.contains { text.starts(with: $0.utf8) } }

    /// What is in a line of base64: JSON, or gzip, as subscriptions deliver them; `nil` when it is none, or larger than the limit.
    package static func unpacked(_ line: UnsafeBufferPointer<UInt8>, limit: Int = 32 << 20) -> [UInt8]? {
        guard mayBePacked(line), let packed = base64Decoded(line) else { return nil }
        guard packed.starts(with: ByteStream.gzipMagic) else { return packed }
        return packed.withUnsafeBufferPointer { inflated($0, limit: limit) }
    }

    /// What base64 stands for, white space aside; `nil` when it is none. Piece by piece, so that a long text is not held several times.
    static func base64Decoded(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 4 * 3 + padding)
        var piece = Data()
        var isAtEnd = false
        func takePiece() -> Bool {
            guard !isAtEnd, let decoded = Data(base64Encoded: piece) else { return piece.isEmpty }
            isAtEnd = piece.last == UInt8(ascii: "=")
            result += decoded
            piece.removeAll(keepingCapacity: true)
            return true
        }
        var position = 0
        while position < text.count {
            let end = min(text.count, position + 1 << 16 - piece.count)
            piece.append(contentsOf: text[position..<end].lazy.filter { $0 > 0x20 })
            position = end
            if piece.count == 1 << 16, !takePiece() { return nil }
        }
        return takePiece() ? result : nil
    }

    /// The content of all members of a gzip file. Of a file that is cut behind its first member, what there is.
    static func inflated(_ packed: UnsafeBufferPointer<UInt8>, limit: Int) -> [UInt8]? {
        var stream = z_stream()
        // 16 + window bits: gzip format.
        guard inflateInit2_(&stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var result: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        var hasMember = false
        stream.next_in = UnsafeMutablePointer(mutating: packed.baseAddress)
        stream.avail_in = UInt32(clamping: packed.count)
        while true {
            let status = piece.withUnsafeMutableBufferPointer { piece -> Int32 in
                stream.next_out = piece.baseAddress
                stream.avail_out = UInt32(piece.count)
                return inflate(&stream, Z_NO_FLUSH)
            }
            let produced = piece.count - Int(stream.avail_out)
            result += piece[..<produced]
            guard result.count <= limit else { return nil }
            if status == Z_STREAM_END {
                hasMember = true
                // What is no further member is padding.
                guard stream.avail_in > 1, stream.next_in?[0] == 0x1F, stream.next_in?[1] == 0x8B, inflateReset(&stream) == Z_OK else {
                    return result
                }
            } else if status != Z_OK || produced == 0 && stream.avail_in == 0 {
                return hasMember ? result : nil
            }
        }
    }
}
