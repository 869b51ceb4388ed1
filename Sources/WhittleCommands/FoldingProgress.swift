import Foundation
import WhittleIngest

/// One line on a terminal about work that takes more than a second.
final class FoldingProgress {
    private let isShown: Bool
    private let console = Console.current
    private let start = Date()
    private var lastUpdate = Date.distantPast
    private var hasWritten = false
    /// Sizes of the files that are to be read, in bytes; `nil` = not all are known.
    private var sizes: [Int]?

    init(isShown: Bool) { self.isShown = isShown }

    /// The files that are to be read, one after the other.
    func expect(_ files: [String]) {
        let sizes = files.compactMap { file -> Int? in
            var status = stat()
            return stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
        }
        self.sizes = sizes.count == files.count ? sizes : nil
    }

    func update(_ progress: AuditLogReader.Progress, subjects: @autoclosure () -> Int) {
        guard isShown else { return }
        let now = Date()
        let seconds = now.timeIntervalSince(start)
        guard seconds > 1, now.timeIntervalSince(lastUpdate) > 0.2 else { return }
        lastUpdate = now
        hasWritten = true
        var parts: [String] = []
        if let sizes, progress.file < sizes.count {
            let (size, done) = (sizes.reduce(0, +), sizes[..<progress.file].reduce(progress.bytes, +))
            if size > 0, done > 0, done <= size {
                parts += ["\(done * 100 / size) %", "\(Int((seconds * Double(size - done) / Double(done)).rounded(.up))) s left"]
            }
        }
        if progress.rejected > 0 { parts.append("\(Self.short(progress.rejected)) unreadable") }
        parts += [
            "\(progress.folded / 1_000_000) MB", "\(Int(Double(progress.folded) / 1e6 / seconds)) MB/s",
            "\(Self.short(progress.events)) events", "\(Self.short(Int(Double(progress.events) / seconds)))/s",
            "\(Self.short(subjects())) subjects",
        ]
        console.showStatus(parts)
    }

    /// A number in few characters: `9999`, `313k`, `1.1M`.
    private static func short(_ number: Int) -> String {
        switch number {
        case ..<10_000: "\(number)"
        case ..<1_000_000: "\(number / 1_000)k"
        default: "\(number / 1_000_000).\(number / 100_000 % 10)M"
        }
    }

    func finish() {
        if hasWritten { console.clearStatus() }
        hasWritten = false
    }
}
