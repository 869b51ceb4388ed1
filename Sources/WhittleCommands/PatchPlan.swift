import Foundation
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleStore

/// How wanted changes of RBAC objects reach the files that people edit: as a unified diff where the manifest can be edited
/// exactly, as patches of kustomize where it cannot, and as advice where something else writes the object.
///
/// Every file is read again and must be the one that was loaded; every edit is read back and must say what was wanted.
package struct PatchPlan: Sendable {
    /// Which object.
    package struct ObjectName: Hashable, Sendable, CustomStringConvertible {
        package var kind: String
        /// `""` for a cluster-scoped object.
        package var namespace: String
        package var name: String

        package init(kind: String, namespace: String, name: String) {
            self.kind = kind
            self.namespace = kind.hasPrefix("Cluster") ? "" : namespace
            self.name = name
        }

        /// The name of a role.
        package init(_ role: Role) { self.init(kind: role.kind, namespace: role.meta.namespace, name: role.meta.name) }

        /// The name of a binding.
        package init(_ binding: Binding) { self.init(kind: binding.kind, namespace: binding.meta.namespace, name: binding.meta.name) }

        /// Whether it is a Role or ClusterRole.
        var isRole: Bool { kind == "Role" || kind == "ClusterRole" }

        /// `Role shop/cart`.
        package var description: String { namespace.isEmpty ? "\(kind) \(name)" : "\(kind) \(namespace)/\(name)" }
    }

    /// What is wanted of an object.
    package enum Change: Sendable, Hashable {
        /// A role shall have these rules, in any order.
        case rules([PolicyRule])
        /// The object is no longer needed.
        case delete
        /// A binding shall lose a subject; with its last one it goes.
        case removeSubject(Subject)
    }

    /// A change that stands in a patch of kustomize, and why.
    package struct Kustomized: Sendable {
        package var patch: KustomizePatch
        /// `it comes from a live dump`: part of a sentence.
        package var reason: String
    }

    /// The unified diff of all files, for `patch -p1` or `git apply` in the directory; `""` when no file changes.
    package private(set) var diff = ""
    /// What goes into patches of kustomize.
    package private(set) var kustomized: [Kustomized] = []
    /// One sentence for each object that something else writes: what to change instead.
    package private(set) var advice: [String] = []
    /// One sentence for each change that was not planned.
    package private(set) var refusals: [String] = []
    /// Sentences for who applies the diff.
    package private(set) var notes: [String] = []

    /// Plans the changes; several of one object count together.
    ///
    /// - Parameters:
    ///   - database: what the changes were found in. It holds the places of objects, not their text.
    ///   - directory: where the diff shall be applied.
    /// - Throws: `StoreError` when the database cannot be read.
    package init(
        _ changes: [(object: ObjectName, change: Change)], in database: WhittleDatabase,
        directory: String = FileManager.default.currentDirectoryPath
    ) throws {
        var edits: [String: [ObjectEdit]] = [:]
        var files: [String] = []
        for (object, wanted) in Self.grouped(changes) {
            guard let edit = try plan(object, wanted, in: database) else { continue }
            if edits[edit.location.file] == nil { files.append(edit.location.file) }
            edits[edit.location.file, default: []].append(edit)
        }
        for file in files.sorted(by: bytesPrecede) {
            try patch(file, edits[file] ?? [], source: database.source(path: file), directory: directory)
        }
    }

    private static func grouped(_ changes: [(object: ObjectName, change: Change)]) -> [(ObjectName, [Change])] {
        var order: [ObjectName] = []
        var grouped: [ObjectName: [Change]] = [:]
        for (object, change) in changes {
            if grouped[object] == nil { order.append(object) }
            grouped[object, default: []].append(change)
        }
        return order.map { ($0, grouped[$0] ?? []) }
    }

    // MARK: One object

    /// The edit of its manifest; `nil` when something else was decided.
    private mutating func plan(_ object: ObjectName, _ changes: [Change], in database: WhittleDatabase) throws -> ObjectEdit? {
        let role = object.isRole ? try database.role(namespace: object.namespace, name: object.name) : nil
        let binding = object.isRole ? nil : try database.binding(namespace: object.namespace, name: object.name)
        guard let meta = role?.meta ?? binding?.meta else {
            refusals.append("\(object) is not in the input")
            return nil
        }
        guard let goal = goal(object, changes, role, binding) else { return nil }
        if let sentence = Self.advice(object, meta, role, isAssumed: role?.isAssumed ?? binding?.isAssumed ?? false, goal) {
            advice.append(sentence)
            return nil
        }
        var edit = ObjectEdit(object: object, goal: goal, location: SourceLocation(file: "-", line: 0, column: 0))
        guard !meta.isLive else {
            let source = meta.manager.map { "; its source is that of \($0.description)" } ?? ""
            kustomize(edit, because: "it comes from a live dump\(source)")
            return nil
        }
        guard let location = meta.location, location.file != "-" else {
            kustomize(edit, because: "it was read from standard input")
            return nil
        }
        edit.location = location
        return edit
    }

    /// All changes of an object as one; `nil` when it was refused or there is nothing to do.
    private mutating func goal(_ object: ObjectName, _ changes: [Change], _ role: Role?, _ binding: Binding?) -> ObjectEdit.Goal? {
        if changes.contains(.delete) { return .delete }
        if let role {
            guard case .rules(let rules) = changes.last else {
                refusals.append("\(object) has no subjects")
                return nil
            }
            let known = Set(role.rules.map { SortedRule($0.rule) })
            let problems = rules.enumerated().filter { !known.contains(SortedRule($1)) }.flatMap {
                Validation.problems(of: $1, at: "rules[\($0)]", isNamespaced: !object.namespace.isEmpty)
            }
            guard problems.isEmpty else {
                refusals.append("the API server would reject \(object): \(problems[0])")
                return nil
            }
            return .rules(rules)
        }
        guard let binding else { return nil }
        var removed: [Int] = []
        for change in changes {
            guard case .removeSubject(let subject) = change else {
                refusals.append("\(object) has no rules")
                return nil
            }
            let found = binding.subjects.indices.filter { Self.isSame(binding.subjects[$0].subject, subject, in: object.namespace) }
            if found.isEmpty { refusals.append("\(object) has no subject \(subject.kind) \(subject.name)") }
            removed += found.filter { !removed.contains($0) }
        }
        guard !removed.isEmpty else { return nil }
        guard removed.count < binding.subjects.count else { return .delete }
        return .subjects(
            removed: removed.compactMap { binding.subjects[$0].location },
            left: binding.subjects.indices.filter { !removed.contains($0) }.map { binding.subjects[$0].subject })
    }

    private static func isSame(_ left: Subject, _ right: Subject, in namespace: String) -> Bool {
        if left.kind.isSameBytes(as: right.kind), left.name.isSameBytes(as: right.name), left.kind != "ServiceAccount" { return true }
        guard let identity = left.identity(inBindingOf: namespace) else { return false }
        return identity == right.identity(inBindingOf: namespace)
    }

    private static func advice(
        _ object: ObjectName, _ meta: ObjectMeta, _ role: Role?, isAssumed: Bool, _ goal: ObjectEdit.Goal
    ) -> String? {
        let instead = object.isRole ? "the proposal re-binds instead" : "it is left as it is"
        if let manager = meta.manager, let advice = manager.advice {
            return "\(object) is managed by \(manager.description): \(advice); \(instead)"
        }
        if isAssumed { return "\(object) is a default of Kubernetes that the input does not hold; \(instead)" }
        if case .rules = goal, role?.aggregationSelectors != nil {
            return "\(object) takes its rules from the ClusterRoles that its aggregationRule selects: change those; \(instead)"
        }
        return nil
    }

    private mutating func kustomize(_ edit: ObjectEdit, because reason: String) {
        let change: KustomizePatch.Change =
            switch edit.goal {
            case .rules(let rules): .rules(rules)
            case .subjects(_, let left): .subjects(left)
            case .delete: .delete
            }
        kustomized.append(
            Kustomized(
                patch: KustomizePatch(
                    kind: edit.object.kind, namespace: edit.object.namespace, name: edit.object.name, change: change), reason: reason))
    }

    // MARK: One file

    private mutating func patch(_ file: String, _ edits: [ObjectEdit], source: InputSource?, directory: String) {
        let url = URL(fileURLWithPath: file, relativeTo: URL(fileURLWithPath: directory, isDirectory: true))
        guard let data = try? Data(contentsOf: url) else {
            for edit in edits { kustomize(edit, because: "\(file) cannot be read") }
            return
        }
        guard let source, InputSource.sha256(of: Array(data)) == source.sha256 else {
            for edit in edits { refusals.append("\(edit.object): \(file) has changed since it was loaded") }
            return
        }
        let edited = EditedManifest(Array(data), file: file).applying(edits)
        for (edit, reason) in edited.refused { kustomize(edit, because: "in \(file) \(reason)") }
        let (path, isInside) = Self.relative(url.standardizedFileURL.path, to: directory)
        let hidden = ManifestSyntax.secretLines(in: Array(data))
        guard let text = UnifiedDiff.text(path: path, from: Array(data), to: edited.bytes, hiding: hidden) else {
            for edit in edits where !edited.refused.contains(where: { $0.edit.location == edit.location }) {
                kustomize(edit, because: "a diff of \(file) would show a part of a Secret")
            }
            return
        }
        guard !text.isEmpty else { return }
        diff += text
        if !isInside { notes.append("\(file) lies outside of \(directory): apply its part with `patch -p1 -d /`") }
        if edited.bytes == nil, let kustomization = Self.kustomization(naming: url) {
            notes.append("\(file) is removed: take it out of \(kustomization) beside it")
        }
    }

    /// The path below the directory, or the whole path without its first `/`.
    private static func relative(_ path: String, to directory: String) -> (path: String, isInside: Bool) {
        let folder = URL(fileURLWithPath: directory, isDirectory: true).standardizedFileURL.path
        let prefix = folder.hasSuffix("/") ? folder : folder + "/"
        guard path.hasBytePrefix(prefix) else { return (String(path.drop { $0 == "/" }), false) }
        return (String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self), true)
    }

    /// The kustomization file beside a manifest that speaks of it.
    private static func kustomization(naming url: URL) -> String? {
        let folder = url.deletingLastPathComponent()
        return ["kustomization.yaml", "kustomization.yml", "Kustomization"].map { folder.appendingPathComponent($0) }.first {
            (try? String(contentsOf: $0, encoding: .utf8))?.contains(url.lastPathComponent) ?? false
        }?.lastPathComponent
    }

    /// A file name that tells an account: letters, digits, `.` and `-` stay.
    package static func fileName(_ namespace: String, _ name: String) -> String {
        KustomizePatch(kind: namespace, namespace: "", name: name, change: .delete).fileName.replacing(".yaml", with: "")
    }

    // MARK: Kustomize

    /// Each patch with a path of its own below a folder: `patches/role-shop-cart.yaml`.
    package func patchFiles(in folder: String) -> [(path: String, patch: KustomizePatch, reason: String)] {
        var used: Set<String> = []
        return kustomized.map { entry in
            let name = entry.patch.fileName
            var path = "\(folder)/\(name)"
            var number = 1
            while !used.insert(path.lowercased()).inserted {
                number += 1
                path = "\(folder)/\(name.dropLast(5))-\(number).yaml"
            }
            return (path, entry.patch, entry.reason)
        }
    }

    /// The patches as documents with what they are for, and a kustomization.yaml that lists them; `""` when there is none.
    package var kustomizeText: String {
        let files = patchFiles(in: "patches")
        guard !files.isEmpty else { return "" }
        let documents = files.map { path, patch, reason in
            let object = ObjectName(kind: patch.kind, namespace: patch.namespace, name: patch.name)
            return "---\n# \(path): \(Self.comment("\(object), as \(reason)"))\n" + patch.document.yaml
        }
        let kustomization = KustomizePatch.kustomization(resources: [], patches: files.map { ($0.path, $0.patch) })
        return documents.joined() + "---\n# kustomization.yaml\n" + kustomization
    }

    private static func comment(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}
