import Foundation

/// Lines that are no event, kept as they were in a file that only its owner may read.
final class RejectFile {
    private let path: String
    private var descriptor: Int32
    private var failure: String?
    private var isProtected = false
    /// Whether the last line has no end yet: it may go on.
    private var isInLine = false
    /// Bytes of the file up to which everything stays, and those written since.
    private var kept: off_t = 0
    private var unfinished: off_t = 0
    private static let lineFeed = UInt8(ascii: "\n")

    init(_ path: String) throws {
        self.path = path
        // What an earlier run has put there is not read again.
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure("cannot write `\(path)`: \(String(cString: strerror(errno)))") }
        keep()
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether this is the file at `path`.
    func isFile(_ path: String) -> Bool { sameFile(path, as: descriptor) }

    /// - Parameter isRest: whether the text that was added last goes on.
    func add(_ text: UnsafeBufferPointer<UInt8>, isRest: Bool = false) {
        guard !text.isEmpty, failure == nil else { return }
        if !isProtected {
            isProtected = true
            // A file that was there before; nobody else's device.
            var status = stat()
            if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, fchmod(descriptor, 0o600) != 0 {
                failure = String(cString: strerror(errno))
                return
            }
        }
        if !isRest { endLine() }
        write(text)
        isInLine = text.last != Self.lineFeed
    }

    private func endLine() {
        guard isInLine else { return }
        isInLine = false
        withUnsafePointer(to: Self.lineFeed) { write(UnsafeBufferPointer(start: $0, count: 1)) }
    }

    private func write(_ bytes: UnsafeBufferPointer<UInt8>) {
        var start = 0
        while start < bytes.count, failure == nil {
            let written = Foundation.write(descriptor, bytes.baseAddress.map { $0 + start }, bytes.count - start)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else {
                failure = String(cString: strerror(errno))
                return
            }
            start += written
            unfinished += off_t(written)
        }
    }

    /// Takes out again what was added since `keep`: it was told before, or will be read again.
    func rollBack() {
        // Where others have written meanwhile, nothing is taken out; a device has no size.
        guard unfinished > 0, size == kept + unfinished else { return keep() }
        if ftruncate(descriptor, kept) != 0 { failure = String(cString: strerror(errno)) }
        (unfinished, isInLine) = (0, false)
    }

    /// What was added stays. A file that was rotated or deleted meanwhile is made anew.
    func keep() {
        if !isFile(path) {
            let new = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            if new >= 0 {
                close(descriptor)
                (descriptor, isProtected, isInLine) = (new, false, false)
            }
        }
        (kept, unfinished) = (size, 0)
    }

    private var size: off_t {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status.st_size : 0
    }

    /// Says what could not be written.
    func finish() throws {
        endLine()
        if let failure { throw CommandFailure("cannot write `\(path)`: \(failure)") }
    }
}

/// Whether a path, where `-` is standard input, leads to a file that is open.
func sameFile(_ path: String, as descriptor: Int32) -> Bool {
    var (named, opened) = (stat(), stat())
    guard fstat(descriptor, &opened) == 0, (path == "-" ? fstat(0, &named) : stat(path, &named)) == 0 else { return false }
    return named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
}
