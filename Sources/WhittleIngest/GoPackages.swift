import Foundation
import WhittleModel

/// Go files → their `+kubebuilder:rbac` markers.
struct GoPackages {
    private(set) var markers: [RBACMarker] = []
    private(set) var diagnostics: [Diagnostic] = []
    /// Whether a comment that looks like a marker was found, read or not.
    private(set) var hasMarkers = false

    /// The folder that `FOLDER`, `FOLDER/...` or `...` means; `nil` when it is none.
    static func folder(_ path: String) -> String? {
        var path = path
        if path == "..." { path = "." }
        if path.hasSuffix("/...") { path = String(path.dropLast(4)) }
        if path.isEmpty { path = "/" }
        var isDirectory: ObjCBool = false
        guard path != "-", FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue else {
            return nil
        }
        return path
    }

    /// Reads all packages in and below a folder, as `FOLDER/...` does: without `_test.go` files, vendor, testdata, folders that
    /// start with `_` or `.`, and other modules.
    ///
    /// - Throws: `IngestError.cannotOpen` when the folder cannot be read.
    mutating func read(folder: String) throws(IngestError) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw .cannotOpen(path: folder, reason: (error as NSError).localizedFailureReason ?? "it cannot be read")
        }
        for name in names.sorted(by: bytesPrecede) where !name.hasPrefix("_") && !name.hasPrefix(".") {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            do throws(IngestError) {
                if status.st_mode & S_IFMT == S_IFDIR {
                    guard name != "vendor", name != "testdata", !FileManager.default.fileExists(atPath: "\(path)/go.mod") else { continue }
                    try read(folder: path)
                } else if name.hasSuffix(".go"), !name.hasSuffix("_test.go"), stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
                    try read(file: path)
                }
            } catch {
                diagnostics.append(
                    Diagnostic(
                        .error, id: "cannot-open", error.description, at: SourceLocation(file: path, line: 1, column: 1),
                        help: "check the permissions of the file"))
            }
        }
    }

    /// Reads one file.
    mutating func read(file path: String) throws(IngestError) {
        let input = try InputFile(path: path)
        read(input.bytes, file: path)
        withExtendedLifetime(input) {}
    }

    /// Reads the bytes of one file.
    mutating func read(_ bytes: UnsafeBufferPointer<UInt8>, file: String) {
        guard bytes.holds(RBACMarker.name) else { return }
        let places = Places(bytes, file: file)
        if let offset = firstInvalidUTF8(in: bytes) {
            diagnostics.append(
                Diagnostic(.error, id: "not-utf8", "the file is not UTF-8 text", at: places[offset], help: "convert it to UTF-8"))
            return
        }
        let source: GoSource
        do throws(GoSource.Failure) {
            source = try GoSource(bytes)
        } catch {
            hasMarkers = true
            diagnostics.append(
                Diagnostic(
                    .error, id: "invalid-go", "the Go source cannot be read: \(error.message)", at: places[error.offset],
                    help: "its markers do not count"))
            return
        }
        let header = String(decoding: bytes[..<source.packageOffset], as: UTF8.self)
        let name = (file as NSString).lastPathComponent
        let isBuilt = GoBuildConstraint.allows(fileName: name) && GoBuildConstraint.allows(header: header)
        for comment in source.comments {
            let text = source.text(comment)
            guard comment.isLineComment else {
                read(block: text, from: comment.range.lowerBound, places)
                continue
            }
            let inner = text.utf8.dropFirst(2).drop { [0x20, 0x09, 0x0D].contains($0) }
            guard inner.first == UInt8(ascii: "+") else { continue }
            var words = String(Substring(inner.dropFirst()))
            while let last = words.utf8.last, [0x20, 0x09, 0x0D].contains(last) { words.unicodeScalars.removeLast() }
            let offset = comment.range.lowerBound + text.utf8.count - inner.count + 1
            read(words, at: offset, comment, isBuilt: isBuilt, places)
        }
    }

    private mutating func read(_ text: String, at offset: Int, _ comment: GoSource.Comment, isBuilt: Bool, _ places: Places) {
        let location = places[comment.range.lowerBound]
        guard RBACMarker.isMarker(text) else {
            if text.hasBytePrefix(RBACMarker.name) { ignore("names no argument before `=`", at: location, help: Self.example) }
            return
        }
        hasMarkers = true
        if let reason = comment.elsewhere { return ignore(reason, at: location) }
        guard isBuilt else {
            return ignore(
                "is in a file that build constraints leave out", at: location,
                help: "move it to a file that is built for linux and amd64 without tags")
        }
        do throws(RBACMarker.Failure) {
            let marker = try RBACMarker(text, at: location)
            let problems = Validation.problems(of: marker.rule, at: "rule", isNamespaced: !marker.namespace.isEmpty)
            if !problems.isEmpty {
                diagnostics.append(
                    Diagnostic(
                        .warning, id: "would-be-rejected",
                        "the API server would reject what the marker declares: \(problems.map(\.description).joined(separator: ", "))",
                        at: location,
                        help: marker.urls.isEmpty
                            ? "the core group is written `groups=\"\"` or `groups=core`"
                            : "write one marker for resources and one, without namespace, for URLs"))
            }
            if let space = marker.spaceOffset {
                diagnostics.append(
                    Diagnostic(
                        .warning, id: "marker-word-kept",
                        "controller-gen loses the end of the word before this space, and with it what the marker declares; here it counts",
                        at: places[offset + space], help: "remove the space"))
            }
            markers.append(marker)
        } catch {
            diagnostics.append(
                Diagnostic(
                    .error, id: "invalid-marker", "the marker cannot be read: \(error.message)", at: places[offset + error.offset],
                    help: "\(Self.example); controller-gen stops at such a marker"))
        }
    }

    private static let example = "write +kubebuilder:rbac:groups=apps,resources=deployments;replicasets,verbs=get;list"

    private mutating func ignore(
        _ reason: String, at location: SourceLocation,
        help: String = "put it into a `//` comment of its own at the top level, with a blank line before the next declaration"
    ) {
        hasMarkers = true
        diagnostics.append(
            Diagnostic(
                .note, id: "marker-ignored", "controller-gen ignores the marker: it \(reason)", at: location, help: help))
    }

    /// Markers in `/* */`, which are none.
    private mutating func read(block text: String, from start: Int, _ places: Places) {
        var offset = start
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let inner = line.drop { [0x20, 0x09, 0x0D, UInt8(ascii: "*"), UInt8(ascii: "/")].contains($0) }
            if inner.starts(with: "+\(RBACMarker.name)".utf8) {
                ignore("stands in a block comment", at: places[offset + line.count - inner.count])
            }
            offset += line.count + 1
        }
    }

    /// Takes over what another reader found.
    mutating func add(_ other: GoPackages) {
        markers += other.markers
        diagnostics += other.diagnostics
        hasMarkers = hasMarkers || other.hasMarkers
    }

    /// Says that manifests beside Go markers were left alone.
    mutating func noteUnread(_ files: [String]) {
        guard let first = files.first else { return }
        diagnostics.append(
            Diagnostic(
                .note, id: "manifests-not-read",
                "\(files.count) YAML or JSON \(files.count == 1 ? "file is" : "files are") not read, as the folder has Go markers",
                at: SourceLocation(file: first, line: 1, column: 1), help: "name the file or its folder to read it"))
    }

    /// Offsets → lines and columns.
    private struct Places {
        private let bytes: UnsafeBufferPointer<UInt8>
        private let file: String
        /// Offset of the first byte of each line.
        private let starts: [Int]

        init(_ bytes: UnsafeBufferPointer<UInt8>, file: String) {
            self.bytes = bytes
            self.file = file
            starts = [0] + bytes.indices.lazy.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        }

        subscript(offset: Int) -> SourceLocation {
            var (low, high) = (0, starts.count)
            while high - low > 1 {
                let middle = (low + high) / 2
                if starts[middle] <= offset { low = middle } else { high = middle }
            }
            let before = bytes[starts[low]..<min(max(offset, starts[low]), bytes.count)]
            return SourceLocation(file: file, line: low + 1, column: 1 + before.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) })
        }
    }
}
