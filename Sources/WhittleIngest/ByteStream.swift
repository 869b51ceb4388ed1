import CZlib
import Foundation

/// The bytes of a file or of standard input in pieces, decompressed when they are gzip.
final class ByteStream {
    private let path: String
    private let descriptor: Int32
    private var input = [UInt8](repeating: 0, count: 1 << 18)
    private var pending = 0..<0
    private var inflater: UnsafeMutablePointer<z_stream>?
    private var isAtEnd = false
    /// Compressed or plain bytes taken from the file.
    private(set) var consumed = 0

    /// - Throws: `IngestError.cannotOpen`.
    init(path: String) throws(IngestError) {
        self.path = path
        descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        try fill()
        if pending.count >= 2, input[0] == 0x1F, input[1] == 0x8B {
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            // 16 + window bits: gzip format.
            guard inflateInit2_(stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
                stream.deallocate()
                throw .cannotDecompress(path: path, reason: "zlib cannot start")
            }
            inflater = stream
        }
    }

    deinit {
        if let inflater {
            inflateEnd(inflater)
            inflater.deallocate()
        }
        if path != "-" { close(descriptor) }
    }

    private func fill() throws(IngestError) {
        var got: Int
        repeat { got = Foundation.read(descriptor, &input, input.count) } while got < 0 && errno == EINTR
        guard got >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        pending = 0..<got
        consumed += got
        isAtEnd = got == 0
    }

    /// Reads up to `buffer.count` bytes; 0 at the end.
    ///
    /// - Throws: `IngestError.cannotDecompress` for damaged or cut-off gzip.
    func read(into buffer: UnsafeMutableBufferPointer<UInt8>) throws(IngestError) -> Int {
        guard let target = buffer.baseAddress else { return 0 }
        guard let inflater else {
            if pending.isEmpty {
                // Straight to where it is wanted.
                var got: Int
                repeat { got = Foundation.read(descriptor, target, buffer.count) } while got < 0 && errno == EINTR
                guard got >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
                consumed += got
                return got
            }
            let count = min(pending.count, buffer.count)
            input.withUnsafeBufferPointer { bytes in
                if let base = bytes.baseAddress { target.update(from: base + pending.lowerBound, count: count) }
            }
            pending = pending.lowerBound + count..<pending.upperBound
            return count
        }
        var produced = 0
        while produced == 0 {
            if pending.isEmpty {
                if isAtEnd { return 0 }
                try fill()
                if pending.isEmpty {
                    guard inflater.pointee.total_in == 0 else {
                        throw .cannotDecompress(path: path, reason: "the gzip data is cut off")
                    }
                    return 0
                }
            }
            let range = pending
            let status = input.withUnsafeMutableBufferPointer { bytes -> Int32 in
                inflater.pointee.next_in = bytes.baseAddress.map { $0 + range.lowerBound }
                inflater.pointee.avail_in = UInt32(range.count)
                inflater.pointee.next_out = target
                inflater.pointee.avail_out = UInt32(buffer.count)
                return inflate(inflater, Z_NO_FLUSH)
            }
            pending = range.upperBound - Int(inflater.pointee.avail_in)..<range.upperBound
            produced = buffer.count - Int(inflater.pointee.avail_out)
            switch status {
            case Z_OK, Z_BUF_ERROR: break
            case Z_STREAM_END:
                // Rotated logs are often several gzip members in a row.
                inflateReset(inflater)
            default: throw .cannotDecompress(path: path, reason: "the gzip data is damaged")
            }
        }
        return produced
    }
}
