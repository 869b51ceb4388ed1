import WhittleIngest
import WhittleModel
import WhittleRender

/// What shall become of one object, and where it is written.
package struct ObjectEdit: Sendable {
    /// What shall become of it.
    package enum Goal: Sendable {
        case rules([PolicyRule])
        case subjects(removed: [SourceLocation], left: [Subject])
        case delete
    }

    package var object: PatchPlan.ObjectName
    package var goal: Goal
    package var location: SourceLocation

    package init(object: PatchPlan.ObjectName, goal: Goal, location: SourceLocation) {
        self.object = object
        self.goal = goal
        self.location = location
    }
}

/// A manifest with changed objects. Each text was read back: it holds what was wanted and, besides, what it held before.
package struct EditedManifest {
    /// The text; `nil` = nothing is left of the file.
    package private(set) var bytes: [UInt8]?
    /// Edits that were not made, with the reason as part of a sentence.
    package private(set) var refused: [(edit: ObjectEdit, reason: String)] = []
    private let file: String

    /// Starts with the text as it is.
    package init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private struct Failure: Error {
        var reason: String
        /// The number of the edit that cannot be made; `nil` when the edits together do not do what was wanted.
        var index: Int?
    }

    /// Makes all edits that can be made exactly.
    package func applying(_ edits: [ObjectEdit]) -> EditedManifest {
        // From the end of the file on: what was edited never moves what is still to be edited.
        var open = edits.sorted { ($1.location.line, $1.location.column) < ($0.location.line, $0.location.column) }
        var result = self
        while open.count > 1 {
            do throws(Failure) {
                try result.apply(open)
                open = []
            } catch {
                guard let index = error.index else { break }
                result.refused.append((open.remove(at: index), error.reason))
            }
        }
        for edit in open {
            do throws(Failure) {
                try result.apply([edit])
            } catch {
                result.refused.append((edit, error.reason))
            }
        }
        result.refused.sort { ($0.edit.location.line, $0.edit.location.column) < ($1.edit.location.line, $1.edit.location.column) }
        return result
    }

    private mutating func apply(_ edits: [ObjectEdit]) throws(Failure) {
        // Where objects without a namespace go decides only which of them are the same.
        let loader = ManifestLoader(
            defaultNamespace: edits.first { !$0.object.namespace.isEmpty }?.object.namespace ?? "default", usesDefaults: false)
        var text = bytes
        var expected = loader.load(text: String(decoding: text ?? [], as: UTF8.self), file: file)
        for (index, edit) in edits.enumerated() {
            do throws(ManifestEdit.Refusal) {
                guard let current = text else { throw ManifestEdit.Refusal("nothing is left of the file") }
                text = try changed(current, edit, in: &expected)
            } catch {
                throw Failure(reason: error.reason, index: index)
            }
        }
        let found = loader.load(text: String(decoding: text ?? [], as: UTF8.self), file: file)
        guard LoadedObjects(found) == LoadedObjects(expected) else {
            throw Failure(reason: "an edit would change more than was wanted", index: nil)
        }
        bytes = text
    }

    /// The text with one edit, and the state with the same.
    private func changed(_ text: [UInt8], _ edit: ObjectEdit, in state: inout ClusterState) throws(ManifestEdit.Refusal) -> [UInt8]? {
        let document: ManifestDocument
        do throws(ManifestSyntax.Failure) {
            document = try ManifestSyntax.document(atLine: edit.location.line, in: text)
        } catch {
            throw ManifestEdit.Refusal(error.reason)
        }
        return try change(try ManifestEdit(text, document), edit, in: &state)
    }

    private func change(_ manifest: ManifestEdit, _ edit: ObjectEdit, in state: inout ClusterState)
        throws(ManifestEdit.Refusal) -> [UInt8]?
    {
        func isMeant(_ meta: ObjectMeta) -> Bool {
            meta.location?.line == edit.location.line && meta.location?.column == edit.location.column
                && meta.name.isSameBytes(as: edit.object.name)
        }
        let role = state.roles.firstIndex { isMeant($0.meta) && edit.object.isRole }
        let binding = state.bindings.firstIndex { isMeant($0.meta) && !edit.object.isRole }
        switch edit.goal {
        case .rules(let rules):
            guard let role else { throw ManifestEdit.Refusal("the object is not found at its place") }
            let current = state.roles[role].rules.map(\.rule)
            state.roles[role].rules = rules.map { WrittenRule($0) }
            return try manifest.settingRules(rules, ofObjectAt: edit.location, from: current)
        case .subjects(let removed, _):
            guard let binding else { throw ManifestEdit.Refusal("the object is not found at its place") }
            state.bindings[binding].subjects.removeAll { subject in
                removed.contains { $0.line == subject.location?.line && $0.column == subject.location?.column }
            }
            return try manifest.removingSubjects(at: removed, ofObjectAt: edit.location)
        case .delete:
            if let role {
                state.roles.remove(at: role)
            } else if let binding {
                state.bindings.remove(at: binding)
            } else {
                throw ManifestEdit.Refusal("the object is not found at its place")
            }
            return try manifest.removingObject(at: edit.location)
        }
    }
}

/// What a text loads to, without places, and the rules of a role in no order.
private struct LoadedObjects: Equatable {
    private struct LoadedRole: Equatable {
        var role: Role
        var rules: [SortedRule: Int]
    }

    private let roles: [LoadedRole]
    private let bindings: [Binding]
    private let accounts: [ServiceAccount]
    private let metas: [[ObjectMeta]]
    private let pods: [Pod]
    private let workloads: [Workload]
    private let secrets: [TokenSecret]
    private let checks: [PolicyCheck]
    private let resources: [APIResource]
    private let skipped: [String: Int]
    private let notObjects: Int
    private let unreadable: [String: Int]

    init(_ state: ClusterState) {
        func placeless(_ meta: ObjectMeta) -> ObjectMeta {
            var copy = meta
            copy.location = nil
            return copy
        }
        roles = state.roles.map { role in
            var copy = role
            copy.meta.location = nil
            copy.rules = []
            copy.computedRules = nil
            return LoadedRole(role: copy, rules: role.rules.reduce(into: [:]) { $0[SortedRule($1.rule), default: 0] += 1 })
        }
        bindings = state.bindings.map { binding in
            var copy = binding
            copy.meta.location = nil
            for index in copy.subjects.indices { copy.subjects[index].location = nil }
            return copy
        }
        accounts = state.serviceAccounts.map { account in
            var copy = account
            copy.meta.location = nil
            return copy
        }
        metas = [state.namespaces.map(placeless), state.nodes.map(placeless)]
        pods = state.pods.map { pod in
            var copy = pod
            copy.meta.location = nil
            return copy
        }
        workloads = state.workloads.map { workload in
            var copy = workload
            copy.meta.location = nil
            return copy
        }
        secrets = state.tokenSecrets
        checks = state.policyChecks.map { check in
            var copy = check
            copy.location = nil
            return copy
        }
        resources = state.apiResources
        skipped = state.skipped.filter { $0.value > 0 }
        notObjects = state.notObjects
        unreadable = state.diagnostics.filter { Diagnostic.unreadableIDs.contains($0.id) }.reduce(into: [:]) { $0[$1.id, default: 0] += 1 }
    }
}
