import Foundation
import Synchronization
import WhittleModel

/// Files, directories and standard input → one `ClusterState`.
public struct ManifestLoader: Sendable {
    /// Where objects without a namespace go.
    public var defaultNamespace: String
    /// Whether default ClusterRoles and bindings that the input refers to but does not contain are assumed.
    public var usesDefaults: Bool
    /// Called with the bytes read so far and in all.
    public var progress: (@Sendable (Int, Int) -> Void)?
    /// Bytes of the parts that a big input is read in, on all cores; tests make it small.
    package var partSize = AheadReader.partSize
    /// Whether plain YAML documents are read without libyaml; tests compare both ways.
    package var readsPlainYAML = true

    /// Creates a loader.
    public init(
        defaultNamespace: String = "default", usesDefaults: Bool = true, progress: (@Sendable (Int, Int) -> Void)? = nil
    ) {
        self.defaultNamespace = defaultNamespace
        self.usesDefaults = usesDefaults
        self.progress = progress
    }

    /// Loads everything under `paths`; directories recursively in byte order, `-` is standard input.
    ///
    /// - Throws: `IngestError` when a path that was named cannot be opened. A file inside a named directory that cannot be
    ///   opened is a diagnostic.
    public func load(_ paths: [String]) throws(IngestError) -> ClusterState {
        let decoder = ManifestDecoder(defaultNamespace: defaultNamespace)
        decoder.readsPlainYAML = readsPlainYAML
        let (files, kustomizations) = try Self.expand(paths)
        let patches = Kustomization.patchFiles(of: kustomizations)
        let sizes = files.map { Self.size(of: $0.path) }
        let total = sizes.reduce(0, +)
        let counter = ProgressCounter(total: total, report: progress)
        decoder.onProgress = { counter.add($0) }
        var done = 0
        for (file, size) in zip(files, sizes) {
            do {
                let input = try InputFile(path: file.path)
                let digest = input.startDigest()
                if !patches.isEmpty, patches.contains(Kustomization.normalized(file.path)) {
                    decoder.skip(input, file: file.path)
                } else {
                    decoder.builder.reserve(forBytes: input.bytes.count)
                    ManifestReader.read(input.bytes, file: file.path, into: decoder, partSize: partSize)
                }
                decoder.builder.state.sources.append(
                    InputSource(path: file.path, sha256: digest.wait(), byteCount: input.bytes.count))
            } catch {
                guard !file.isNamed else { throw error }
                decoder.builder.state.diagnostics.append(
                    Diagnostic(
                        .error, id: "cannot-open", error.description,
                        at: SourceLocation(file: file.path, line: 1, column: 1), help: "check the permissions of the file"))
            }
            done += size
            counter.set(done)
        }
        decoder.builder.state.inputSHA256 = sha256(
            of: decoder.builder.state.sources.map { "\($0.sha256)  \($0.path)\n" }.joined())
        return Self.finish(decoder.builder.state, usesDefaults: usesDefaults)
    }

    /// Loads the text of one document stream, for tests and for embedding.
    public func load(text: String, file: String = "-") -> ClusterState {
        let decoder = ManifestDecoder(defaultNamespace: defaultNamespace)
        decoder.readsPlainYAML = readsPlainYAML
        var text = text
        text.withUTF8 { ManifestReader.read($0, file: file, into: decoder, partSize: partSize) }
        return Self.finish(decoder.builder.state, usesDefaults: usesDefaults)
    }

    private static func finish(_ state: ClusterState, usesDefaults: Bool) -> ClusterState {
        var state = state
        if usesDefaults { DefaultRoles.addReferenced(to: &state) }
        state.resolveAggregation()
        return state
    }

    /// Bytes read so far, counted on any thread.
    private final class ProgressCounter: Sendable {
        private let total: Int
        private let report: (@Sendable (Int, Int) -> Void)?
        private let done = Mutex(0)

        init(total: Int, report: (@Sendable (Int, Int) -> Void)?) {
            self.total = total
            self.report = report
        }

        func add(_ count: Int) {
            done.withLock {
                $0 += count
                report?($0, total)
            }
        }

        func set(_ count: Int) {
            done.withLock {
                $0 = count
                report?($0, total)
            }
        }
    }

    struct File {
        var path: String
        /// Whether the user named it, so that it must be there.
        var isNamed: Bool
    }

    private static func size(of path: String) -> Int {
        var status = stat()
        return path != "-" && stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// The files to read, and those that tell kustomize what the files beside them are.
    static func expand(_ paths: [String]) throws(IngestError) -> (files: [File], kustomizations: [String]) {
        var files: [File] = []
        var kustomizations = paths.filter(Kustomization.isOne)
        for path in paths {
            var isDirectory: ObjCBool = false
            guard path != "-", FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue else {
                files.append(File(path: path, isNamed: true))
                continue
            }
            // A folder that was named is followed, also through a link; links inside it lead to files only.
            let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            guard let entries = FileManager.default.enumerator(atPath: folder), access(path, R_OK | X_OK) == 0 else {
                throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
            }
            var found: [String] = []
            for case let entry as String in entries {
                let isRepository = entry.split(separator: "/").contains(".git")
                let suffix = entry.split(separator: ".").last.map { $0.lowercased() } ?? ""
                guard !isRepository else { continue }
                let full = path.hasSuffix("/") ? path + entry : "\(path)/\(entry)"
                if Kustomization.isOne(entry) { kustomizations.append(full) }
                guard ["yaml", "yml", "json"].contains(suffix) else {
                    // A folder that cannot be read would be left out without a word.
                    if access(full, R_OK) != 0, errno == EACCES { found.append(full) }
                    continue
                }
                var isFolder: ObjCBool = false
                if FileManager.default.fileExists(atPath: full, isDirectory: &isFolder), isFolder.boolValue { continue }
                found.append(full)
            }
            files += found.sorted(by: bytesPrecede).map { File(path: $0, isNamed: false) }
        }
        return (files, kustomizations)
    }
}
