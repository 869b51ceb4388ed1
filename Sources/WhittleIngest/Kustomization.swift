import Foundation
import WhittleModel

/// What a kustomization.yaml among the inputs says about the files beside it: a file that it names as a patch holds changes
/// to objects, not objects.
enum Kustomization {
    /// The names kustomize knows for the file.
    private static let fileNames: Set = ["kustomization.yaml", "kustomization.yml", "Kustomization"]

    /// Whether kustomize reads the file as one of its own.
    static func isOne(_ path: String) -> Bool { fileNames.contains((path as NSString).lastPathComponent) }

    /// Files that one of the kustomization files names as patches and none as resources; paths are normalized.
    static func patchFiles(of kustomizations: [String]) -> Set<String> {
        var patches: Set<String> = []
        var resources: Set<String> = []
        for path in kustomizations {
            guard let input = try? InputFile(path: path) else { continue }
            defer { withExtendedLifetime(input) {} }
            let folder = (path as NSString).deletingLastPathComponent as NSString
            var yaml = YAMLText(input.bytes, file: path)
            yaml.parse(
                onItem: { _ in },
                onDocument: { document in
                    patches.formUnion(patchPaths(document).map { normalized(folder.appendingPathComponent($0)) })
                    resources.formUnion(strings(document.value("resources")).map { normalized(folder.appendingPathComponent($0)) })
                },
                onFailure: { _, _ in })
        }
        return patches.subtracting(resources)
    }

    /// The absolute path without `.` and `..`.
    static func normalized(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    /// `patches` (`path:`, in old files a list of paths), `patchesStrategicMerge` and `patchesJson6902`.
    private static func patchPaths(_ document: DocumentValue) -> [String] {
        let lists = [document.value("patches"), document.value("patchesStrategicMerge"), document.value("patchesJson6902")]
        return lists.flatMap { list in
            strings(list) + list.elements.compactMap { $0.value("path")?.string }
        }
    }

    private static func strings(_ list: DocumentValue?) -> [String] { list.elements.compactMap(\.string) }
}

extension ManifestDecoder {
    /// Counts the documents of a file of patches; what cannot be read in it is said.
    func skip(_ input: InputFile, file: String) {
        let other = ManifestDecoder(defaultNamespace: defaultNamespace)
        ManifestReader.read(input.bytes, file: file, into: other)
        builder.state.notObjects += max(other.decodedCount, other.builder.state.notObjects)
        builder.state.diagnostics += other.builder.state.diagnostics.filter { Diagnostic.unreadableIDs.contains($0.id) }
    }
}
