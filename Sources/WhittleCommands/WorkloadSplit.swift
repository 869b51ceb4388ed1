import WhittleAnalysis
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

/// A shared service account divided among the workloads that run as it.
struct WorkloadSplit {
    /// One for each workload, by kind and name.
    private(set) var proposed: [Proposed] = []

    /// Whether more than one workload runs as the account; otherwise there is nothing to divide.
    var isShared: Bool { !proposed.isEmpty }
    /// Why there is nothing to divide.
    private(set) var whyNot = ""

    init(_ account: ProposalInput.Account, _ usage: AccountEvidence, _ basis: ProposalBasis, in database: WhittleDatabase) throws {
        let known = try ProposalInput.workloads(of: account, in: database)
        let attribution = WorkloadAttribution(usage, workloads: known)
        let attributed = usage.facts.map { ($0, attribution.workload(of: $0)?.workload) }
        let seen = attributed.compactMap(\.1).uniqued().filter { text in !known.contains { $0.text == text } }
            .map { text -> WorkloadAttribution.Workload in
                let (kind, name) = text.splitBytes(at: "/")
                return WorkloadAttribution.Workload(kind: kind, name: name ?? "")
            }
        let workloads = (known + seen).sorted { bytesPrecede($0.text, $1.text) }
        guard workloads.count > 1 else {
            whyNot =
                "\(account.text) is not shared: \(workloads.first.map { "only \($0.text) runs as it" } ?? "no workload runs as it"); leave out --by workload"
            return
        }
        let unattributed = attributed.filter { $0.1 == nil && $0.0.decision == .allow }.map(\.0)
        let others = try database.serviceAccounts().filter { $0.namespace == account.namespace && $0.name != account.name }.map(\.name)
        let names = Dictionary(grouping: workloads, by: { ByteString(Self.newName(for: $0, account)) })
        for workload in workloads {
            let own = attributed.filter { $0.1 == nil || $0.1 == workload.text }.map(\.0)
            var name = Self.newName(for: workload, account)
            // Names that workloads of this or another account would get too, or that are too long for a label, get a hash.
            let isShared = names[ByteString(name)]?.count ?? 0 > 1 || others.contains { $0 == name || name.hasBytePrefix($0 + "-") }
            if isShared || name.utf8.count > 63 {
                let hash = sha256(of: jsonArray([account.namespace, account.name, workload.text])).prefix(8)
                name = "\(String(decoding: name.utf8.prefix(54), as: UTF8.self).trimmingDashes)-\(hash)"
            }
            let new = ProposalInput.Account(namespace: account.namespace, name: name)
            proposed.append(Self.proposal(workload, as: new, of: account, own, usage, unattributed, basis, attribution))
        }
    }

    private static func proposal(
        _ workload: WorkloadAttribution.Workload, as new: ProposalInput.Account, of account: ProposalInput.Account,
        _ own: [AccountEvidence.Fact], _ usage: AccountEvidence,
        _ unattributed: [AccountEvidence.Fact], _ basis: ProposalBasis, _ attribution: WorkloadAttribution
    ) -> Proposed {
        var basis = basis
        basis.observed = ProposalInput.needs(own.filter { $0.decision == .allow }, attribution: attribution)
        basis.denied = ProposalInput.needs(own.filter { $0.decision != .allow }, attribution: attribution)
        // The rights that hidden checks ask for are those of the shared account.
        basis.holder = ServiceAccountName.user(namespace: account.namespace, name: account.name)
        let proposal = new.proposal(basis)
        var item = Proposed(account: new, basis: basis, proposal: proposal)
        item.serviceAccount = .members([
            "apiVersion": .string("v1"), "kind": .string("ServiceAccount"),
            "metadata": .members([
                "name": .string(new.name), "namespace": .string(new.namespace),
                "labels": .members([RoleProposal.managedByLabel: .string(RoleProposal.manager)]),
            ]),
        ])
        let all = Set(ProposalInput.needs(usage.facts.filter { $0.decision == .allow }).map(\.need))
        let lost = all.subtracting(basis.observed.map(\.need)).sorted { bytesPrecede(ProposalText.text($0), ProposalText.text($1)) }
        item.notes = ["for \(workload.text), which runs as \(account.text) now, shared with others"]
        if unattributed.isEmpty {
            item.notes.append("every request could be attributed to a workload")
        } else {
            let requests = unattributed.reduce(0) { $0 + $1.count }
            item.notes.append(
                "\(requests) requests could not be attributed to a workload; what they need is in the proposal of every workload")
        }
        item.notes += lost.map { "it loses: \(ProposalText.text($0)), needed by others only" }
        if let patch = patch(workload, account: new) {
            item.workloadPatch = (workload, patch)
            item.notes.append(
                "then: kubectl patch \(workload.kind.lowercased()) \(workload.name) -n \(account.namespace) --type strategic -p '\(patch.spec.line)'"
            )
        } else {
            item.notes.append(
                "\(workload.text) has no template that could be patched: make its pods run as \(new.name) where they are made")
        }
        return item
    }

    /// A name that tells both: `cart-worker` for the workload `worker` or `cart-worker` of account `cart`.
    private static func newName(for workload: WorkloadAttribution.Workload, _ account: ProposalInput.Account) -> String {
        let isPrefixed = workload.name == account.name || workload.name.hasBytePrefix(account.name + "-")
        return isPrefixed && workload.name != account.name ? workload.name : "\(account.name)-\(workload.name)"
    }

    /// The strategic merge patch that makes a workload's pods run as an account; `nil` = it has no template that is known.
    private static func patch(_ workload: WorkloadAttribution.Workload, account: ProposalInput.Account) -> JSONValue? {
        let versions = [
            "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
            "CronJob": "batch/v1", "ReplicationController": "v1",
        ]
        guard let version = versions[workload.kind] else { return nil }
        var spec = JSONValue.members(["template": .members(["spec": .members(["serviceAccountName": .string(account.name)])])])
        if workload.kind == "CronJob" { spec = .members(["jobTemplate": .members(["spec": spec])]) }
        return .members([
            "apiVersion": .string(version), "kind": .string(workload.kind),
            "metadata": .members(["name": .string(workload.name), "namespace": .string(account.namespace)]), "spec": spec,
        ])
    }
}

extension JSONValue {
    /// The patch without what kubectl is told otherwise.
    fileprivate var spec: JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.key == "spec" })
    }
}

extension String {
    fileprivate var trimmingDashes: String {
        var text = self
        while text.hasSuffix("-") || text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
