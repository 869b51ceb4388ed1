import Foundation

/// One nameless file whose content changes.
struct LogFile {
    let descriptor: Int32

    init() {
        var template = Array("\(NSTemporaryDirectory())/whittle-fuzz-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        precondition(descriptor >= 0, "no file can be made in \(NSTemporaryDirectory())")
        unlink(template)
    }

    func write(_ bytes: [UInt8]) {
        precondition(ftruncate(descriptor, 0) == 0)
        var done = 0
        while done < bytes.count {
            let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, off_t(done)) }
            precondition(written > 0)
            done += written
        }
    }
}
