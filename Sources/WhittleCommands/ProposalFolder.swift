import Foundation
import WhittleModel
import WhittlePropose
import WhittleRender

/// A folder for a GitOps repository: `NAMESPACE/ACCOUNT/` with manifests, kustomization and PROPOSAL.md, and the same for the whole.
///
/// Files hold usage data, so only their owner may read them.
struct ProposalFolder {
    private let path: String
    private let items: [(proposed: Proposed, digest: String)]
    private let shared: ProposalInput.Shared
    /// What leaves the present bindings; `nil` = nothing may, the evidence is too thin.
    private let removals: RemovalPatches?

    /// - Throws: `CommandFailure` when the folder holds something else, or a name would lead out of it.
    init(_ path: String, _ proposed: [Proposed], digests: [String], _ shared: ProposalInput.Shared, removals: RemovalPatches?) throws {
        self.path = path
        self.removals = removals
        self.shared = shared
        items = Array(zip(proposed, digests))
        var isFolder: ObjCBool = true
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue {
            throw CommandFailure("\(path) is a file: give a folder")
        }
        let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
        if let contents, !contents.isEmpty, !contents.contains("PROPOSAL.md") {
            throw CommandFailure("\(path) is not empty and holds no proposal: give a folder of its own")
        }
        for item in proposed {
            for part in [item.account.namespace, item.account.name] {
                guard part.utf8.first != UInt8(ascii: "."), !part.isEmpty, part.utf8.allSatisfy(Self.isNamePart) else {
                    throw CommandFailure(
                        "`\(jsonQuoted(part))` is no name of a namespace or service account; leave the account out with --match")
                }
            }
        }
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// Takes away what an earlier run wrote, so that nothing of it is applied with this one.
    private func clear() {
        let earlier = Self.accounts(of: path) ?? []
        let files = FileManager.default
        for account in earlier {
            for name in ["rbac.yaml", "kustomization.yaml", "PROPOSAL.md", "run-as"] {
                try? files.removeItem(atPath: "\(path)/\(account.namespace)/\(account.name)/\(name)")
            }
        }
        if !earlier.isEmpty { try? files.removeItem(atPath: "\(path)/replaced") }
    }

    /// The accounts that a folder was written for, as its PROPOSAL.md lists them; `nil` = it is no such folder.
    static func accounts(of folder: String) -> [ProposalInput.Account]? {
        guard let text = try? String(contentsOfFile: "\(folder)/PROPOSAL.md", encoding: .utf8), text.hasPrefix(title) else { return nil }
        return text.matches(of: /\n\| \[([a-z0-9.-]+)\/([a-z0-9.-]+)\]\(/).map {
            ProposalInput.Account(namespace: String($0.output.1), name: String($0.output.2))
        }
    }

    private static let title = "# Proposed Roles\n"

    /// What stands in kustomization files that were edited, or lack; empty = kustomize applies what is judged.
    static func editedKustomizations(of folder: String, _ accounts: [ProposalInput.Account]) -> [String] {
        let folders = accounts.map { "\($0.namespace)/\($0.name)" }
        let wanted =
            [("kustomization.yaml", kustomization(folders))] + folders.map { ("\($0)/kustomization.yaml", kustomization(["rbac.yaml"])) }
        return wanted.filter { (try? String(contentsOfFile: "\(folder)/\($0.0)", encoding: .utf8)) != $0.1 }.map(\.0)
    }

    /// Writes everything and says on standard error what was written.
    func write() throws {
        clear()
        for (item, digest) in items {
            let folder = "\(item.account.namespace)/\(item.account.name)"
            let comments = (ProposalText.comments(item.proposal) + item.notes).map(ProposalText.comment).joined()
            let account = item.serviceAccount.map { "---\n" + $0.yaml } ?? ""
            try write(comments + account + ManifestRenderer.yaml(item.proposal, digest: digest), to: "\(folder)/rbac.yaml")
            try write(Self.kustomization(["rbac.yaml"]), to: "\(folder)/kustomization.yaml")
            if let (workload, patch) = item.workloadPatch {
                let name = "\(workload.kind.lowercased())-\(workload.name).yaml"
                try write("---\n" + patch.yaml, to: "\(folder)/run-as/\(name)")
                try write(component(["patches": .array([.members(["path": .string(name)])])]), to: "\(folder)/run-as/kustomization.yaml")
            }
            let staying = shared.stayingBindings(of: item.account)
            let removed = shared.removedRights(of: item.account, by: item.proposal)
            try write(
                ProposalMarkdown(item.proposal, digest: digest, notes: item.notes + staying, removed: removed).text,
                to: "\(folder)/PROPOSAL.md")
        }
        let folders = items.map { "\($0.proposed.account.namespace)/\($0.proposed.account.name)" }
        try write(Self.kustomization(folders), to: "kustomization.yaml")
        try write(overview, to: "PROPOSAL.md")
        try writeRemovals()
        Console.current.error("whittle: \(counted(items.count, "proposal")) written to \(path)\n")
    }

    /// A component that takes the accounts out of their present bindings, for the kustomization that brings these.
    private func writeRemovals() throws {
        guard let removals, !removals.patches.isEmpty else { return }
        var names: Set<String> = []
        var entries: [JSONValue] = []
        for patch in removals.patches {
            let base = patch.fileName.dropLast(".yaml".count)
            var name = patch.fileName
            var number = 1
            while !names.insert(name.lowercased()).inserted {
                number += 1
                name = "\(base)-\(number).yaml"
            }
            try write("---\n" + patch.document.yaml, to: "replaced/\(name)")
            entries.append(patch.entry(path: name))
        }
        try write(component(["patches": .array(entries)]), to: "replaced/kustomization.yaml")
    }

    private static func kustomization(_ resources: [String]) -> String {
        JSONValue.members([
            "apiVersion": .string("kustomize.config.k8s.io/v1beta1"), "kind": .string("Kustomization"), "resources": .strings(resources),
        ]).yaml
    }

    private func component(_ content: KeyValuePairs<String, JSONValue?>) -> String {
        JSONValue.members(["apiVersion": .string("kustomize.config.k8s.io/v1alpha1"), "kind": .string("Component")]).yaml
            + JSONValue.members(content).yaml
    }

    private var overview: String {
        let rows = items.map { item, digest in
            let account = "\(item.account.namespace)/\(item.account.name)"
            let proposal = item.proposal
            return
                "| [\(account)](\(account)/PROPOSAL.md) | \(proposal.needs.count) | \(proposal.ruleCount) | \(proposal.generalisations.count) | \(proposal.attempts.count) | `\(digest.prefix(12))` |"
        }
        return Self.title + """

            | service account | needs | rules | steps beyond the needs | refused requests left out | inputs |
            |---|---|---|---|---|---|
            \(rows.joined(separator: "\n"))

            \(replaced.joined(separator: "\n\n"))

            """
    }

    /// What becomes of the present bindings, one paragraph each.
    private var replaced: [String] {
        guard let removals else {
            return ["The evidence is too thin to take the present bindings away, or they are not known: these Roles come on top of them."]
        }
        var paragraphs: [String] = []
        if !removals.patches.isEmpty {
            paragraphs.append(
                "`replaced/` is a kustomize component for the kustomization that brings the present bindings: it deletes or narrows \(removals.patches.count) of them."
            )
        }
        paragraphs += removals.advice.map { "- \($0)" }
        return paragraphs.isEmpty ? ["No present binding names these accounts."] : paragraphs
    }

    private func write(_ text: String, to name: String) throws {
        let file = "\(path)/\(name)"
        let folder = (file as NSString).deletingLastPathComponent
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try Data(text.utf8).write(to: URL(filePath: file), options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        } catch {
            throw CommandFailure("cannot write \(file): \(error.localizedDescription)")
        }
    }
}

extension ProposalInput.Shared {
    /// Bindings that give the account rights whatever becomes of the proposal, one sentence each.
    func stayingBindings(of account: ProposalInput.Account) -> [String] {
        guard let current else { return [] }
        let user = ServiceAccountName.user(namespace: account.namespace, name: account.name)
        let own = Set(current.attachments(of: UserInfo(name: user.name, groups: []), in: nil).map(\.binding))
        return current.attachments(of: user, in: nil).compactMap { attachment in
            let binding = current.bindings[attachment.binding]
            let name = "\(binding.kind) \(binding.meta.name)\(binding.meta.namespace.isEmpty ? "" : " in \(binding.meta.namespace)")"
            if own.contains(attachment.binding) {
                guard let manager = binding.meta.manager, !manager.isEditable else { return nil }
                return "rights that stay: \(name) is written by \(manager.description)"
            }
            if case .bootstrap = binding.meta.manager { return nil }
            guard !binding.isAssumed else { return nil }
            return "rights that stay: \(name) binds \(binding.subjects[attachment.subject].subject.name), which the account belongs to"
        }
    }

    /// What the account's own bindings give and the proposal with what stays does not, one line each; `nil` = not known.
    func removedRights(of account: ProposalInput.Account, by proposal: RoleProposal) -> [String]? {
        guard let current else { return nil }
        let user = ServiceAccountName.user(namespace: account.namespace, name: account.name)
        let proposed = Authorizer(roles: proposal.roles, bindings: proposal.bindings)
        let own = UserInfo(name: user.name, groups: [])
        // Verbs of one resource and binding go on one line.
        var verbs: [(place: String, verbs: [String])] = []
        var lines: [ByteString: Int] = [:]
        for attachment in current.attachments(of: own, in: nil) {
            let binding = current.bindings[attachment.binding]
            // What something else writes stays until that is changed.
            guard binding.meta.manager?.isEditable ?? true else { continue }
            guard let role = current.roleOfBinding[attachment.binding] else { continue }
            let scope = binding.meta.namespace
            let kept = proposed.rules(for: own, namespace: scope).rules + staying.rules(for: user, namespace: scope).rules
            for atom in RuleCoverage.uncovered(owner: kept, servant: current.roles[role].effectiveRules.map(\.rule)) {
                let target = targetText(resource: atom.resource, apiGroup: atom.apiGroup, url: atom.nonResourceURL)
                let name = atom.resourceName.map { " named \($0)" } ?? ""
                let space = scope.isEmpty ? "in all namespaces" : "in \(scope)"
                let place = "\(target)\(name) \(space), from \(binding.kind) \(binding.meta.name)"
                let next = verbs.count
                let line = lines[ByteString(place)] ?? next
                if line == next {
                    verbs.append((place, []))
                    lines[ByteString(place)] = next
                }
                verbs[line].verbs.append(atom.verb)
            }
        }
        return verbs.map { "\($0.verbs.uniqued().joined(separator: ", ")) \($0.place)" }
    }
}
