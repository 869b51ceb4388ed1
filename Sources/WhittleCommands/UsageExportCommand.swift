import ArgumentParser
import CZstd
import Foundation
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

struct UsageExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write usage as NDJSON that `whittle usage merge` combines.",
        discussion: """
            Without logs, writes the usage of the database; with logs, folds them without a database, so that folding can run on \
            every node or for every day. Files that end in .zst are compressed; they may be read by their owner only.
            """)

    @Argument(help: "Audit logs, folders of them, or patterns; - is standard input.")
    var logs: [String] = []

    @OptionGroup var options: AuditLogOptions

    @Option(name: [.short, .customLong("output")], help: "File to write; - is standard output.")
    var output = "-"

    @Option(name: .long, help: "Database (default: $WHITTLE_DB, then ./whittle.db).")
    var db: String?

    func run() throws {
        if output != "-", FileContent(path: output) == .database {
            throw CommandFailure("-o would replace the database `\(output)`; --db names the database to export", code: .usage)
        }
        if let rejects = options.rejects, isSameFile(rejects, output) || willBeSameFile(rejects, output) {
            throw CommandFailure("-o and --rejects name the same file", code: .usage)
        }
        try ExportFile.check(output)
        let fold: UsageFold
        if logs.isEmpty {
            let database = try WhittleDatabase.open(db ?? Console.current.environment["WHITTLE_DB"] ?? "whittle.db")
            // Logs without usage show something too.
            guard try database.hasUsage() || !database.foldedLogs().isEmpty else {
                throw CommandFailure("the database holds no usage to export")
            }
            fold = try database.usage()
        } else {
            guard db == nil else { throw CommandFailure("name logs or a database, not both", code: .usage) }
            if let log = AuditLogFiles.expand(logs).files.first(where: { isSameFile($0, output) }) {
                throw CommandFailure("-o would replace the log `\(log)`", code: .usage)
            }
            Interruption.explain("no export is written")
            let database = try WhittleDatabase.inMemory(ClusterState())
            try AuditFolding(options.reading, rejects: options.rejects) { try database.add($0, maxNames: options.maxNames) }.read(all: logs)
            fold = try database.usage()
        }
        if output == "-" {
            var text = ""
            UsageExport.write(fold) { line in
                text += line
                guard text.utf8.count > 1 << 16 else { return }
                Console.current.output(text)
                text = ""
            }
            Console.current.output(text)
        } else {
            let file = try ExportFile(output)
            try UsageExport.write(fold) { try file.add($0) }
            try file.finish()
        }
        try Interruption.end()
    }
}

private func isSameFile(_ path: String, _ other: String) -> Bool {
    var (named, output) = (stat(), stat())
    guard other != "-", stat(other, &output) == 0, output.st_mode & S_IFMT == S_IFREG else { return false }
    return (path == "-" ? fstat(0, &named) : stat(path, &named)) == 0 && named.st_ino == output.st_ino && named.st_dev == output.st_dev
}

/// Whether two paths name one file that is not there yet.
private func willBeSameFile(_ path: String, _ other: String) -> Bool {
    func resolved(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().standardizedFileURL.path }
    var status = stat()
    return other != "-" && stat(other, &status) != 0 && resolved(path) == resolved(other)
}

/// A file that is complete or not there, compressed when its name ends in .zst. What is no regular file is written to as it is.
private final class ExportFile {
    private let path: String
    /// What is renamed to `path` when it is complete; `nil` = nothing is.
    private let temporary: String?
    private let descriptor: Int32
    private let compressor: OpaquePointer?
    private var pending: [UInt8] = []

    init(_ path: String) throws {
        (self.path, temporary, descriptor) = Self.opened(path)
        compressor = path.hasSuffix(".zst") ? ZSTD_createCStream() : nil
        guard descriptor >= 0 else { throw failure }
        if let temporary { UnfinishedFiles.add(temporary) }
    }

    /// Tells what cannot be written before anything is read.
    static func check(_ path: String) throws {
        guard path != "-" else { return }
        var status = stat()
        let isThere = stat(path, &status) == 0
        let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent().path
        if isThere, status.st_mode & S_IFMT == S_IFDIR {
            errno = EISDIR
        } else if isThere && status.st_mode & S_IFMT != S_IFREG || access(folder, W_OK) == 0 {
            return
        }
        throw CommandFailure("cannot write `\(path)`: \(String(cString: strerror(errno)))")
    }

    private static func opened(_ path: String) -> (path: String, temporary: String?, descriptor: Int32) {
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return (path, nil, open(path, O_WRONLY | O_CLOEXEC)) }
        // A link stays one.
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let temporary = "\(target).\(getpid())-\(UInt32.random(in: 0...UInt32.max)).tmp"
        return (target, temporary, open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
    }

    deinit {
        if let compressor { ZSTD_freeCStream(compressor) }
        if descriptor >= 0 { close(descriptor) }
        guard let temporary else { return }
        unlink(temporary)
        UnfinishedFiles.remove(temporary)
    }

    private var failure: CommandFailure { CommandFailure("cannot write `\(path)`: \(String(cString: strerror(errno)))") }

    func add(_ text: String) throws {
        pending += text.utf8
        if pending.count >= 1 << 17 { try flush(isLast: false) }
    }

    func finish() throws {
        try flush(isLast: true)
        guard let temporary else { return }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure }
    }

    private func flush(isLast: Bool) throws {
        defer { pending.removeAll(keepingCapacity: true) }
        guard let compressor else { return try write(pending[...]) }
        var piece = [UInt8](repeating: 0, count: 1 << 17)
        var position = 0
        while true {
            var (produced, rest) = (0, 0)
            pending.withUnsafeBytes { source in
                piece.withUnsafeMutableBytes { target in
                    var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: position)
                    var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                    rest = ZSTD_compressStream2(compressor, &output, &input, isLast ? ZSTD_e_end : ZSTD_e_continue)
                    (position, produced) = (input.pos, output.pos)
                }
            }
            guard ZSTD_isError(rest) == 0 else { throw CommandFailure("cannot compress `\(path)`") }
            try write(piece[..<produced])
            if isLast ? rest == 0 : position == pending.count { return }
        }
    }

    private func write(_ bytes: ArraySlice<UInt8>) throws {
        var rest = bytes
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure }
            rest = rest.dropFirst(written)
        }
    }
}
