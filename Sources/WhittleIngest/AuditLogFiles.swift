import Foundation

/// Which files are meant by the paths that a user gives: folders hold rotated logs, patterns are expanded.
public enum AuditLogFiles {
    /// What paths stand for.
    public struct Expansion {
        /// Files in the order in which they are to be read. What is in a folder or behind a pattern is ordered by the time of its first
        /// event, so that rotated logs come in the order in which they were written, whatever their names.
        public fileprivate(set) var files: [String] = []
        /// What of folders is not to be read, and why: hidden files, links to folders, databases, what is no file.
        public fileprivate(set) var skipped: [(path: String, reason: String)] = []
        /// Folders that hold empty files, with their count; these are logs without events.
        public fileprivate(set) var empty: [(path: String, count: Int)] = []
        /// `IngestError.cannotOpen` of each path or folder that cannot be opened, and each pattern that matches nothing.
        public fileprivate(set) var failures: [IngestError] = []
    }

    /// Finds the files that paths stand for.
    public static func expand(_ paths: [String]) -> Expansion {
        var result = Expansion()
        for path in paths {
            var isDirectory: ObjCBool = false
            if path == "-" || FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) {
                result.files += path != "-" && isDirectory.boolValue ? ordered(contents(of: path, &result)) : [path]
            } else if path.contains(where: { "*?[".contains($0) }) {
                let matches = matches(of: path)
                if matches.isEmpty { result.failures.append(.cannotOpen(path: path, reason: whyNothingMatches(path))) }
                if path.contains("**") {
                    result.skipped.append(
                        (path, "what is deeper: `**` stands for one folder, as `*` does; give the folder itself for all in it"))
                }
                var inner: [String] = []
                for match in matches {
                    var status = stat()
                    let kind = stat(match, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
                    switch kind {
                    case S_IFDIR: inner += contents(of: match, &result)
                    case S_IFREG: inner.append(match)
                    // To open a pipe would wait for its writer.
                    default: result.skipped.append((match, "no file"))
                    }
                }
                result.files += ordered(inner)
            } else {
                result.failures.append(.cannotOpen(path: path, reason: "No such file or directory"))
            }
        }
        return result
    }

    /// Whether what a path names cannot be read again: standard input, or a pipe.
    public static func isReadOnce(_ path: String) -> Bool {
        var status = stat()
        return path == "-" || stat(path, &status) == 0 && ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
    }

    private static func matches(of pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_BRACE, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
    }

    private static func whyNothingMatches(_ pattern: String) -> String {
        let parts = pattern.split(separator: "/", omittingEmptySubsequences: false)
        let folder = parts.prefix { !$0.contains { "*?[".contains($0) } }.joined(separator: "/")
        let isReadable = folder.isEmpty || access(folder, R_OK | X_OK) == 0 || errno != EACCES
        return isReadable ? "no file matches" : "the folder `\(folder)` cannot be read"
    }

    /// Every file in the folder and below, but none that is hidden.
    private static func contents(of folder: String, _ result: inout Expansion) -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            result.failures.append(.cannotOpen(path: folder, reason: "the folder cannot be read"))
            return []
        }
        if names.isEmpty { result.skipped.append((folder, "the folder is empty")) }
        var files: [String] = []
        var emptyCount = 0
        for name in names.sorted() {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            var status = stat()
            guard !name.hasPrefix(".") else {
                result.skipped.append((path, "hidden"))
                continue
            }
            guard stat(path, &status) == 0 else {
                result.skipped.append((path, "it is not there, or its name is no UTF-8"))
                continue
            }
            // Links to folders are not followed: they may lead back.
            let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
            switch status.st_mode & S_IFMT {
            case S_IFDIR where !isLink: files += contents(of: path, &result)
            case S_IFDIR: result.skipped.append((path, "a link to a folder"))
            case S_IFREG where status.st_size == 0: emptyCount += 1
            // The database that the logs are loaded into may stand beside them.
            case S_IFREG where FileContent(path: path) == .database: result.skipped.append((path, "an SQLite database"))
            case S_IFREG: files.append(path)
            default: result.skipped.append((path, "no file"))
            }
        }
        if emptyCount > 0 { result.empty.append((folder, emptyCount)) }
        return files
    }

    private static func ordered(_ files: [String]) -> [String] {
        let time = #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/#.asciiOnlyDigits()
        return files.map { (time: firstTime(in: $0, like: time) ?? .max, path: $0) }
            .sorted { ($0.time, $0.path) < ($1.time, $1.path) }.map(\.path)
    }

    /// The first time that stands at the beginning of a log.
    private static func firstTime(in path: String, like time: Regex<(Substring, Substring?, Substring)>) -> Int64? {
        let size = 1 << 16
        var status = stat()
        // What is no file is gone when it is read.
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        guard let stream = try? ByteStream.open(path: path) else { return nil }
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        defer { bytes.deallocate() }
        var count = 0
        while count < size, let got = try? stream.read(into: bytes + count, count: size - count), got > 0 { count += got }
        let text = String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
        // Other times may stand in URLs and bodies.
        var rest = text.firstRange(of: "requestReceivedTimestamp").map { text[$0.upperBound...] } ?? text[...]
        while let found = rest.firstMatch(of: time) {
            if let time = Timestamp.microseconds(String(found.output.0)) { return time }
            rest = rest[found.range.upperBound...]
        }
        return nil
    }
}
