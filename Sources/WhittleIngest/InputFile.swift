import Crypto
import Foundation
import WhittleModel

/// The bytes of one file or of standard input, mapped where possible.
final class InputFile {
    let bytes: UnsafeBufferPointer<UInt8>
    private let mapped: Bool

    /// Opens `path`; `-` is standard input, which is read to its end.
    ///
    /// - Throws: `IngestError.cannotOpen`.
    init(path: String) throws(IngestError) {
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        defer { if path != "-" { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw .cannotOpen(path: path, reason: "is a directory") }
        let size = Int(status.st_size)
        if status.st_mode & S_IFMT == S_IFREG, size > 0, path != "-" {
            guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), memory != MAP_FAILED else {
                throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
            }
            bytes = UnsafeBufferPointer(start: memory.assumingMemoryBound(to: UInt8.self), count: size)
            mapped = true
            return
        }
        var capacity = 1 << 16
        var buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        var count = 0
        while true {
            if count == capacity {
                let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity * 2)
                larger.update(from: buffer, count: count)
                buffer.deallocate()
                buffer = larger
                capacity *= 2
            }
            let got = read(descriptor, buffer + count, capacity - count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else {
                let reason = String(cString: strerror(errno))
                buffer.deallocate()
                throw .cannotOpen(path: path, reason: reason)
            }
            if got == 0 { break }
            count += got
        }
        bytes = UnsafeBufferPointer(start: buffer, count: count)
        mapped = false
    }

    deinit {
        guard let base = bytes.baseAddress else { return }
        if mapped {
            munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
        } else {
            base.deallocate()
        }
    }

    /// Starts to compute the hex SHA-256 of the bytes; of many bytes on another core.
    func startDigest() -> Digest { Digest(of: self) }

    /// A SHA-256 that is being computed.
    final class Digest: @unchecked Sendable {
        private static let smallSize = 1 << 20
        private let done = DispatchGroup()
        private var text = ""

        fileprivate init(of file: InputFile) {
            let bytes = UnsafeRawBufferPointer(file.bytes)
            if bytes.count < Self.smallSize {
                text = hexDigest(of: bytes)
            } else {
                nonisolated(unsafe) let bytes = bytes
                DispatchQueue.global().async(group: done) { self.text = hexDigest(of: bytes) }
            }
        }

        /// The digest in hex; the file must be open until then.
        func wait() -> String {
            done.wait()
            return text
        }
    }
}

/// Hex SHA-256 of some bytes.
func hexDigest(of bytes: UnsafeRawBufferPointer) -> String { hex(SHA256.hash(data: bytes)) }

/// Bytes in lower-case hex.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits: StaticString = "0123456789abcdef"
    return String(decoding: bytes.flatMap { [digits.utf8Start[Int($0 >> 4)], digits.utf8Start[Int($0 & 15)]] }, as: UTF8.self)
}

/// Hex SHA-256 of a text.
package func sha256(of text: String) -> String { hex(SHA256.hash(data: Array(text.utf8))) }

extension InputSource {
    /// Hex SHA-256 of the bytes of a source, as a load computes it.
    package static func sha256(of bytes: [UInt8]) -> String { bytes.withUnsafeBytes(hexDigest) }
}
