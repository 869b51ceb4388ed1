import CZlib
import CZstd
import Foundation

/// The bytes of a file or of standard input in pieces, decompressed when they are gzip or zstd, in UTF-8 when they are UTF-16. What
/// they are is told by their first bytes, not by a name.
final class ByteStream {
    private let path: String
    /// What is decompressed to the bytes that are read here; `nil` = they are read from the file.
    private let source: ByteStream?
    let descriptor: Int32
    private let isOwned: Bool
    private var input = [UInt8](repeating: 0, count: 1 << 18)
    private var pending = 0..<0
    private var decompressor: Decompressor = .none
    private var utf16: UTF16Text?
    private var isAtEnd = false
    /// What is wrong behind the bytes that were handed out.
    private var failure: IngestError?
    /// Whether the compressed data may end here.
    private var isBetweenParts = true
    private var taken = 0
    /// Compressed or plain bytes taken from the file.
    var consumed: Int { source?.consumed ?? taken }
    /// Size of a regular file in bytes; `nil` for everything else.
    let size: Int?

    private enum Decompressor {
        case none
        case gzip(UnsafeMutablePointer<z_stream>)
        case zstd(OpaquePointer)
        case utf16
    }

    /// Opens a file, and what is compressed in what is compressed: Firehose packs once more what CloudWatch Logs has packed.
    ///
    /// - Parameter descriptor: an open file that stays the caller's; `nil` opens `path`, where `-` is standard input.
    /// - Throws: `IngestError.cannotOpen`, `cannotRead` or `cannotDecompress`.
    static func open(path: String, descriptor: Int32? = nil) throws(IngestError) -> ByteStream {
        var stream = try ByteStream(path: path, descriptor: descriptor)
        for _ in 0..<2 where stream.isDecompressing { stream = try ByteStream(inside: stream) }
        return stream
    }

    private init(inside source: ByteStream) throws(IngestError) {
        (path, self.source, isOwned, descriptor, size) = (source.path, source, false, source.descriptor, source.size)
        // What is wrong with the source is told when it is read.
        while pending.count < 4, !isAtEnd { do { try fill() } catch { break } }
        try begin()
    }

    private init(path: String, descriptor given: Int32?) throws(IngestError) {
        self.path = path
        source = nil
        isOwned = given == nil && path != "-"
        descriptor = given ?? (path == "-" ? 0 : Self.opened(path))
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        size = isRegular && path != "-" ? Int(status.st_size) : nil
        if given != nil { lseek(descriptor, 0, SEEK_SET) }
        while pending.count < 4, !isAtEnd { try fill() }
        try begin()
    }

    /// Opens without waiting for the writer of a pipe where a signal may end the input: it is waited for when the pipe is read.
    private static func opened(_ path: String) -> Int32 {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | (EndOfInput.isAwaited ? O_NONBLOCK : 0))
        if descriptor >= 0, EndOfInput.isAwaited { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK) }
        return descriptor
    }

    /// Finds out what the first bytes are.
    private func begin() throws(IngestError) {
        isAtEnd = false
        if let content = FileContent(beginning: input[pending]) { throw .cannotRead(path: path, reason: content.reason) }
        let magic = input[0..<4]
        if pending.count >= 2, magic.starts(with: Self.gzipMagic) {
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            // 16 + window bits: gzip format.
            guard inflateInit2_(stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
                stream.deallocate()
                throw .cannotDecompress(path: path, reason: "zlib cannot start")
            }
            decompressor = .gzip(stream)
        } else if pending.count >= 4, Self.beginsZstd(magic) {
            guard let stream = ZSTD_createDStream() else { throw .cannotDecompress(path: path, reason: "zstd cannot start") }
            decompressor = .zstd(stream)
        } else if pending.count >= 2 {
            utf16 = UTF16Text(magic: magic)
            if utf16 != nil { decompressor = .utf16 }
        }
    }

    /// Whether a file that begins so is compressed.
    static func isCompressed(_ magic: ArraySlice<UInt8>) -> Bool { magic.starts(with: gzipMagic) || beginsZstd(magic) }

    /// How gzip begins.
    static let gzipMagic: [UInt8] = [0x1F, 0x8B]

    /// A frame, or one that is to be skipped: pzstd puts its own before each.
    private static func beginsZstd(_ magic: ArraySlice<UInt8>) -> Bool {
        magic.elementsEqual([0x28, 0xB5, 0x2F, 0xFD])
            || magic.first.map { $0 & 0xF0 } == 0x50 && magic.dropFirst().elementsEqual([0x2A, 0x4D, 0x18])
    }

    deinit {
        switch decompressor {
        case .none, .utf16: break
        case .gzip(let stream):
            inflateEnd(stream)
            stream.deallocate()
        case .zstd(let stream): ZSTD_freeDStream(stream)
        }
        if isOwned { close(descriptor) }
    }

    /// Whether places of the bytes are not those of the file.
    var isCompressed: Bool {
        if case .none = decompressor { source != nil } else { true }
    }

    private var isDecompressing: Bool {
        switch decompressor {
        case .gzip, .zstd: true
        case .none, .utf16: false
        }
    }

    /// Whether places of the bytes are places of the file.
    var isSeekable: Bool { size != nil && !isCompressed }

    /// Goes on at a place of a seekable file.
    func seek(to offset: Int) {
        guard isSeekable, lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { return }
        pending = 0..<0
        taken = offset
        isAtEnd = false
    }

    private func read(_ target: UnsafeMutablePointer<UInt8>, _ count: Int) throws(IngestError) -> Int {
        var got: Int
        if let source {
            got = try source.read(into: target, count: count)
            taken += got
            return got
        }
        guard size != nil || EndOfInput.waits(for: descriptor) else { return 0 }
        repeat { got = Foundation.read(descriptor, target, count) } while got < 0 && errno == EINTR
        guard got >= 0 else { throw .cannotRead(path: path, reason: String(cString: strerror(errno))) }
        taken += got
        return got
    }

    /// Reads more behind what is pending.
    private func fill() throws(IngestError) {
        let start = pending.isEmpty ? 0 : pending.upperBound
        if pending.isEmpty { pending = 0..<0 }
        guard start < input.count else { return }
        let result = input.withUnsafeMutableBufferPointer { buffer -> Result<Int, IngestError> in
            guard let base = buffer.baseAddress else { return .success(0) }
            do throws(IngestError) { return .success(try read(base + start, buffer.count - start)) } catch { return .failure(error) }
        }
        let got = try result.get()
        pending = pending.lowerBound..<start + got
        isAtEnd = got == 0
    }

    /// Reads up to `count` bytes; 0 at the end.
    ///
    /// - Throws: `IngestError.cannotRead`, or `cannotDecompress` for damaged or cut-off data; what came before it was handed out.
    func read(into target: UnsafeMutablePointer<UInt8>, count wanted: Int) throws(IngestError) -> Int {
        if case .none = decompressor {
            if pending.isEmpty { return try read(target, wanted) }
            let count = min(pending.count, wanted)
            input.withUnsafeBufferPointer { bytes in
                if let base = bytes.baseAddress { target.update(from: base + pending.lowerBound, count: count) }
            }
            pending = pending.lowerBound + count..<pending.upperBound
            return count
        }
        while true {
            if let failure { throw failure }
            if pending.isEmpty, !isAtEnd { try fill() }
            if pending.isEmpty {
                guard isBetweenParts else { throw .cannotDecompress(path: path, reason: "the compressed data is cut off") }
                return 0
            }
            let produced = decompress(into: target, wanted)
            if produced > 0 { return produced }
        }
    }

    /// Decompresses what is pending; what is wrong with it becomes the `failure`.
    private func decompress(into target: UnsafeMutablePointer<UInt8>, _ wanted: Int) -> Int {
        let damaged = IngestError.cannotDecompress(path: path, reason: "the compressed data is damaged")
        switch decompressor {
        case .none: return 0
        case .utf16:
            let range = pending
            let (used, produced) = input.withUnsafeBufferPointer { bytes in
                utf16?.decode(
                    UnsafeBufferPointer(rebasing: bytes[range]), into: UnsafeMutableBufferPointer(start: target, count: wanted)) ?? (0, 0)
            }
            pending = range.lowerBound + used..<range.upperBound
            return produced
        case .gzip(let stream):
            if isBetweenParts, stream.pointee.total_in == 0, taken > pending.count, input[pending.lowerBound] == 0 {
                // Tapes and some tools pad with zeros; another part may follow.
                let next = input[pending].firstIndex { $0 != 0 } ?? pending.upperBound
                pending = next..<pending.upperBound
                return 0
            }
            let range = pending
            let status = input.withUnsafeMutableBufferPointer { bytes -> Int32 in
                stream.pointee.next_in = bytes.baseAddress.map { $0 + range.lowerBound }
                stream.pointee.avail_in = UInt32(range.count)
                stream.pointee.next_out = target
                stream.pointee.avail_out = UInt32(clamping: wanted)
                return inflate(stream, Z_NO_FLUSH)
            }
            pending = range.upperBound - Int(stream.pointee.avail_in)..<range.upperBound
            isBetweenParts = status == Z_STREAM_END
            switch status {
            case Z_OK, Z_BUF_ERROR: break
            // Rotated logs are often several gzip members in a row.
            case Z_STREAM_END: inflateReset(stream)
            default: failure = damaged
            }
            return wanted - Int(stream.pointee.avail_out)
        case .zstd(let stream):
            let range = pending
            var (used, produced, status) = (0, 0, 0)
            input.withUnsafeBufferPointer { bytes in
                var source = ZSTD_inBuffer(src: bytes.baseAddress.map { $0 + range.lowerBound }, size: range.count, pos: 0)
                var sink = ZSTD_outBuffer(dst: target, size: wanted, pos: 0)
                status = ZSTD_decompressStream(stream, &sink, &source)
                (used, produced) = (source.pos, sink.pos)
            }
            pending = range.lowerBound + used..<range.upperBound
            if ZSTD_isError(status) != 0 {
                let needsMemory = ZSTD_getErrorName(status).map { String(cString: $0).contains("memory") } ?? false
                failure = needsMemory ? .cannotDecompress(path: path, reason: "its window is larger than 128 MiB (--long=27)") : damaged
            }
            isBetweenParts = status == 0
            return produced
        }
    }
}
