import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleStore

/// What a proposal for an account replaces: the bindings that name it, and roles that nothing else uses.
struct Replacement {
    /// Changes that narrow roles in place, for `--patch`; what has no place then is in `created`.
    private(set) var narrowing: [(object: PatchPlan.ObjectName, change: PatchPlan.Change)] = []
    /// Roles and bindings of the proposal that no narrowed role stands for.
    private(set) var created: RoleProposal
    /// Changes that take the account out of its present bindings, for a folder that brings roles of its own.
    private(set) var removal: [(object: PatchPlan.ObjectName, change: PatchPlan.Change)] = []

    /// A binding that names the account itself.
    private struct Held {
        var binding: Binding
        var role: Role?
        /// The account is its only subject.
        var isSole: Bool
        /// No other binding refers to the role, and no aggregated role takes its rules.
        var isExclusive: Bool

        /// Whether the role may be narrowed where it is written.
        var canNarrow: Bool {
            guard isSole, isExclusive, let role, role.aggregationSelectors == nil, !role.isAssumed else { return false }
            return (role.meta.manager?.isEditable ?? true) && (binding.meta.manager?.isEditable ?? true)
        }
    }

    /// - Parameter current: all roles and bindings of the input.
    init(of account: ProposalInput.Account, by proposal: RoleProposal, current: Authorizer, in database: WhittleDatabase) throws {
        created = proposal
        let user = UserInfo(name: ServiceAccountName.username(namespace: account.namespace, name: account.name), groups: [])
        var held: [Held] = []
        for attachment in current.attachments(of: user, in: nil) {
            let place = current.bindings[attachment.binding]
            guard !place.isAssumed, let binding = try database.binding(namespace: place.meta.namespace, name: place.meta.name) else {
                continue
            }
            if case .bootstrap = binding.meta.manager { continue }
            let roleNumber = current.roleOfBinding[attachment.binding]
            var role: Role?
            if let roleNumber {
                role = try database.role(namespace: current.roles[roleNumber].meta.namespace, name: current.roles[roleNumber].meta.name)
            }
            let users = current.roleOfBinding.filter { $0 != nil && $0 == roleNumber }.count
            let isAggregated = role.map { role in
                role.kind == "ClusterRole"
                    && current.roles.contains { $0.effectiveRules.contains { $0.aggregatedFrom?.isSameBytes(as: role.meta.name) ?? false } }
            }
            held.append(
                Held(
                    binding: binding, role: role,
                    isSole: binding.subjects.allSatisfy { $0.subject.identity(inBindingOf: binding.meta.namespace)?.name == user.name },
                    isExclusive: users == 1 && !(isAggregated ?? false)))
        }
        // What the proposal writes anew under the same name is not taken away.
        let renewed = Set(proposal.bindings.map(PatchPlan.ObjectName.init) + proposal.roles.map(PatchPlan.ObjectName.init))
        for item in held where !renewed.contains(PatchPlan.ObjectName(item.binding)) { remove(item, user, into: &removal) }
        removal.removeAll { renewed.contains($0.object) }
        narrow(held, proposal, user)
    }

    /// Takes the account out of a binding, and a role that nobody uses then out of the input.
    private func remove(
        _ item: Held, _ user: UserInfo, into changes: inout [(object: PatchPlan.ObjectName, change: PatchPlan.Change)]
    ) {
        let binding = PatchPlan.ObjectName(item.binding)
        guard item.isSole else {
            for written in item.binding.subjects where written.subject.identity(inBindingOf: item.binding.meta.namespace)?.name == user.name
            {
                changes.append((binding, .removeSubject(written.subject)))
            }
            return
        }
        changes.append((binding, .delete))
        if item.canNarrow, let role = item.role { changes.append((PatchPlan.ObjectName(role), .delete)) }
    }

    /// Gives the rules of each scope to a role that is there for this account alone, and takes away everything else.
    private mutating func narrow(_ held: [Held], _ proposal: RoleProposal, _ user: UserInfo) {
        var placed: Set<ByteString> = []
        for item in held {
            let scope = item.binding.meta.namespace
            let rules = proposal.scopes.first { $0.namespace.isSameBytes(as: scope) }?.rules
            let isBest = item.canNarrow && best(in: held, scope, rules ?? []) == PatchPlan.ObjectName(item.binding)
            guard let rules, let role = item.role, isBest else {
                remove(item, user, into: &narrowing)
                continue
            }
            placed.insert(ByteString(scope))
            narrowing.append((PatchPlan.ObjectName(role), .rules(rules)))
        }
        created.roles.removeAll { placed.contains(ByteString($0.meta.namespace)) }
        created.bindings.removeAll { placed.contains(ByteString($0.meta.namespace)) }
    }

    /// The binding in a scope whose role holds most of the rules already.
    private func best(in held: [Held], _ scope: String, _ rules: [PolicyRule]) -> PatchPlan.ObjectName? {
        let atoms = rules.flatMap(\.atoms)
        func overlap(_ item: Held) -> Int {
            let own = item.role?.rules.map(\.rule) ?? []
            return atoms.filter { atom in own.contains { RuleCoverage.covers($0, atom) } }.count
        }
        let candidates = held.filter { $0.canNarrow && $0.binding.meta.namespace.isSameBytes(as: scope) }
        var best: (item: Held, overlap: Int)?
        for item in candidates {
            let count = overlap(item)
            if best == nil || count > best?.overlap ?? 0 { best = (item, count) }
        }
        return best.map { PatchPlan.ObjectName($0.item.binding) }
    }
}

/// The removals of many replacements as a component of kustomize.
struct RemovalPatches {
    /// One for each object.
    private(set) var patches: [KustomizePatch] = []
    /// One sentence for each object that something else writes.
    private(set) var advice: [String] = []

    init(_ replacements: [Replacement], in database: WhittleDatabase) throws {
        var removed: [PatchPlan.ObjectName: [Subject]] = [:]
        var order: [PatchPlan.ObjectName] = []
        var deleted: Set<PatchPlan.ObjectName> = []
        for (object, change) in replacements.flatMap(\.removal) {
            if removed[object] == nil { order.append(object) }
            removed[object, default: []] += []
            switch change {
            case .delete: deleted.insert(object)
            case .removeSubject(let subject): removed[object, default: []].append(subject)
            case .rules: continue
            }
        }
        for object in order {
            let binding = object.isRole ? nil : try database.binding(namespace: object.namespace, name: object.name)
            let role = object.isRole ? try database.role(namespace: object.namespace, name: object.name) : nil
            if let manager = binding?.meta.manager ?? role?.meta.manager, let sentence = manager.advice {
                advice.append("\(object) is managed by \(manager.description): \(sentence)")
                continue
            }
            let rest = (binding?.subjects ?? []).map(\.subject).filter { !(removed[object] ?? []).contains($0) }
            let isGone = deleted.contains(object) || rest.isEmpty
            patches.append(
                KustomizePatch(
                    kind: object.kind, namespace: object.namespace, name: object.name, change: isGone ? .delete : .subjects(rest)))
        }
    }
}
