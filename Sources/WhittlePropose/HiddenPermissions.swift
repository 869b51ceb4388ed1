import WhittleModel

/// Permissions that are checked inside a request and leave no event of their own (semantics HID-1 to HID-14).
///
/// Nothing is added that the subject does not hold already: what it worked with must have been enough.
struct HiddenPermissions {
    /// Permissions that the evidence calls for.
    private(set) var steps: [Generalisation] = []
    /// What may be needed and cannot be said exactly.
    private(set) var warnings: [String] = []

    let needs: [Need]
    let user: UserInfo
    let current: Authorizer?
    let resources: [APIResource]
    private let created: [Write]

    private static let rbacGroup = "rbac.authorization.k8s.io"
    private static let certificatesGroup = "certificates.k8s.io"

    /// - Parameters:
    ///   - needs: observed ones.
    ///   - hints: flags of the usage, see `UsageFlag`.
    ///   - current: all that the subject holds now; `nil` = not known, then permissions are named in warnings only.
    ///   - policyChecks: what admission policies ask the authorizer.
    init(
        needs: [Need], hints: [String], user: UserInfo, current: Authorizer?, resources: [APIResource], policyChecks: [PolicyCheck] = []
    ) {
        self.needs = needs.sorted(by: Need.precedes)
        self.user = user
        self.current = current
        self.resources = resources
        created = Self.created(hints)
        addOwners(hints)
        addRoleWrites()
        addBindingWrites()
        addHeld(
            "certificatesigningrequests/approval", ["update", "patch"], group: Self.certificatesGroup,
            also: [("approve", Self.certificatesGroup, "signers")], why: "approving a CertificateSigningRequest is checked for its signer")
        addHeld(
            "certificatesigningrequests/status", ["update", "patch"], group: Self.certificatesGroup,
            also: [("sign", Self.certificatesGroup, "signers")], why: "signing a CertificateSigningRequest is checked for its signer")
        addHeld(
            "podcertificaterequests/status", ["update", "patch"], group: Self.certificatesGroup,
            also: [("sign", Self.certificatesGroup, "signers")], why: "signing a PodCertificateRequest is checked for its signer")
        addHeld(
            "clustertrustbundles", ["create", "update", "patch"], group: Self.certificatesGroup,
            also: [("attest", Self.certificatesGroup, "signers")], why: "a ClusterTrustBundle of a signer is checked for that signer")
        addHeld(
            "certificatesigningrequests", ["create"], group: Self.certificatesGroup,
            also: ["nodeclient", "selfnodeclient"].map { ("create", Self.certificatesGroup, "certificatesigningrequests/\($0)") },
            why: "the approver of node certificates asks whether the requester may have them", warnsOfMissing: false)
        for verb in ["update", "patch"] {
            addHeld(
                "resourceclaims/status", [verb], group: "resource.k8s.io",
                also: [
                    (verb, "resource.k8s.io", "resourceclaims/binding"),
                    ("associated-node:\(verb)", "resource.k8s.io", "resourceclaims/driver"),
                    ("arbitrary-node:\(verb)", "resource.k8s.io", "resourceclaims/driver"),
                ], why: "allocation and devices of a ResourceClaim are checked apart")
        }
        addPolicyChecks(policyChecks)
        warnOfPolicies(policyChecks)
        warnOfHints(hints)
    }

    // MARK: What is held now

    private func heldRules(in scope: String, by other: UserInfo? = nil) -> [PolicyRule] {
        current?.rules(for: other ?? user, namespace: scope).rules ?? []
    }

    /// Whether all of the atoms are held.
    ///
    /// - Parameter other: who holds them, when it is not the subject as it makes requests.
    func holds(_ atoms: [RuleAtom], in scope: String, by other: UserInfo? = nil) -> Bool {
        RuleCoverage.uncovered(owner: heldRules(in: scope, by: other), servant: atoms.map(\.rule)).isEmpty
    }

    /// Whether a rule spells the verb, rather than including it in a `*`.
    private func holdsByName(_ verb: String, in scope: String) -> Bool {
        heldRules(in: scope).contains { ($0.verbs ?? []).contains(verb) }
    }

    /// The held atoms that give `verb` on a resource, as narrow as they are held; without the patterns `*` around them.
    func heldAtoms(_ verb: String, _ apiGroup: String, _ resource: String, in scope: String) -> [RuleAtom] {
        let wanted = RuleAtom(verb: verb, apiGroup: apiGroup, resource: resource)
        let rules = heldRules(in: scope)
        if rules.contains(where: { RuleCoverage.covers($0, wanted) }) { return [wanted] }
        var names: [String] = []
        for rule in rules {
            var unnamed = rule
            unnamed.resourceNames = nil
            if RuleCoverage.covers(unnamed, wanted) { names += rule.resourceNames ?? [] }
        }
        return names.uniqued().sorted(by: bytesPrecede)
            .map { RuleAtom(verb: verb, apiGroup: apiGroup, resource: resource, resourceName: $0) }
    }

    mutating func add(_ atoms: [RuleAtom], in scope: String, _ reason: String) {
        let step = Generalisation(step: .hidden, namespace: scope, atoms: atoms, reason: reason)
        if !steps.contains(step) { steps.append(step) }
    }

    /// Adds what is held of the permissions that go with writing a resource.
    ///
    /// - Parameter warnsOfMissing: whether the request fails without them.
    private mutating func addHeld(
        _ resource: String, _ verbs: [String], group: String, also: [(verb: String, group: String, resource: String)], why: String,
        warnsOfMissing: Bool = true
    ) {
        guard
            needs.contains(where: {
                verbs.contains($0.request.verb) && $0.request.apiGroup == group && $0.request.combinedResource == resource
            })
        else { return }
        for other in also {
            let atoms = heldAtoms(other.verb, other.group, other.resource, in: "")
            if atoms.isEmpty, !warnsOfMissing {
                continue
            } else if atoms.isEmpty {
                warnings.append(
                    "\(why): `\(other.verb) \(targetText(resource: other.resource, apiGroup: other.group, url: nil))`, which it does not hold, may be asked for"
                )
            } else {
                add(atoms, in: "", why)
            }
        }
    }

    // MARK: Owners

    private mutating func addOwners(_ hints: [String]) {
        var owners: [Need: [String]] = [:]
        for hint in hints {
            guard let text = hint.removingBytePrefix("hidden:update ") else { continue }
            var words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            guard let place = words.firstIndex(where: { $0.hasSuffix("/finalizers") }), place <= 1, words.count > place + 1 else {
                continue
            }
            let apiGroup = place == 1 ? words.removeFirst() : ""
            let kind = String(words[0].dropLast("/finalizers".count))
            guard let known = resources.first(where: { $0.apiGroup == apiGroup && $0.kind == kind && !$0.resource.contains("/") }) else {
                warnings.append(
                    "it sets ownerReferences with blockOwnerDeletion to \(kind) \(words[1] == UsageFlag.anyName ? "objects" : words[1]): where OwnerReferencesPermissionEnforcement is on it needs `update` on the finalizers of that kind, whose resource is not known"
                )
                continue
            }
            let scope = known.isNamespaced && words.count > 2 ? words[2] : ""
            let need = Need(
                Request(verb: "update", apiGroup: apiGroup, resource: known.resource, subresource: "finalizers", namespace: scope))
            owners[need, default: []].append(words[1])
        }
        for (need, names) in owners.sorted(by: { Need.precedes($0.key, $1.key) }) {
            let names = names.uniqued().sorted(by: bytesPrecede)
            let shown =
                names[0] == UsageFlag.anyName ? "many owners" : "`\(names[0])`\(names.count > 1 ? " and \(names.count - 1) more" : "")"
            let reason =
                "ownerReferences with blockOwnerDeletion to \(shown), checked where OwnerReferencesPermissionEnforcement is on"
            // Owners come and go: several names, or made-up ones, are no fixed set.
            let isFixed =
                names.count < 3 && !names.contains(UsageFlag.anyName)
                && names.allSatisfy { GeneratedName.reason($0, owner: nil, siblings: names) == nil }
            let atoms = (isFixed ? names.map(Optional.some) : [nil]).map { name in
                var atom = need.atom
                atom.resourceName = name
                return atom
            }
            if holds(atoms, in: need.scope) {
                add(atoms, in: need.scope, reason)
            } else {
                warnings.append(
                    "\(reason): it would need `update \(targetText(resource: need.atom.resource, apiGroup: need.atom.apiGroup, url: nil))`, which it does not hold"
                )
            }
        }
    }

    // MARK: RBAC writes

    /// A role or binding that was written.
    private struct Write {
        var resource: String
        var scope: String
        /// `nil` = it was created, and nothing tells under which name.
        var name: String?
        var isCreate: Bool
        /// What a created binding refers to, where its body was logged.
        var roleRef: RoleRef?

        /// As `roles `shop/made``.
        var text: String {
            let place = scope.isEmpty ? "" : "\(scope)/"
            return name.map { "\(resource) `\(place)\($0)`" } ?? (scope.isEmpty ? resource : "\(resource) in `\(scope)`")
        }
    }

    /// What was written of a resource, each object once.
    private func writes(_ resource: String) -> [Write] {
        let all = needs.filter {
            $0.request.apiGroup == Self.rbacGroup && $0.request.combinedResource == resource
                && ["create", "update", "patch"].contains($0.request.verb)
        }
        var result: [Write] = []
        for need in all {
            let isCreate = need.request.verb == "create"
            var write = Write(resource: resource, scope: need.scope, name: need.name, isCreate: isCreate)
            let created =
                isCreate && need.name == nil ? created.filter { $0.resource == resource && $0.scope.isSameBytes(as: need.scope) } : []
            if !created.isEmpty {
                result += created
            } else if let known = result.firstIndex(where: { $0.text.isSameBytes(as: write.text) }) {
                result[known].isCreate = result[known].isCreate || isCreate
            } else {
                write.isCreate = isCreate
                result.append(write)
            }
        }
        return result
    }

    /// Roles and bindings whose creation told a name, from hints `written:`.
    private static func created(_ hints: [String]) -> [Write] {
        hints.compactMap { hint in
            guard let words = hint.removingBytePrefix("written:").flatMap({ strings(fromJSONArray: $0) }), words.count >= 3 else {
                return nil
            }
            let role = words.count == 5 ? RoleRef(kind: words[3], name: words[4]) : nil
            let name = words[2] == UsageFlag.anyName ? nil : words[2]
            return Write(resource: words[0], scope: words[1], name: name, isCreate: true, roleRef: role)
        }
    }

    private func role(_ kind: String, in scope: String, _ name: String?) -> Role? {
        guard let name else { return nil }
        let space = kind == "Role" ? scope : ""
        return current?.roles.first { $0.meta.namespace.isSameBytes(as: space) && $0.meta.name.isSameBytes(as: name) }
    }

    private mutating func addRoleWrites() {
        for write in writes("clusterroles") + writes("roles") {
            let wanted = RuleAtom(
                verb: "escalate", apiGroup: Self.rbacGroup, resource: write.resource, resourceName: write.isCreate ? nil : write.name)
            let written = role(write.resource == "roles" ? "Role" : "ClusterRole", in: write.scope, write.name)
            let contents = written?.effectiveRules.flatMap(\.rule.atoms).uniquedAtoms ?? []
            let isHeld = written.map {
                Escalation.missing(toWrite: $0, by: user, held: heldRules(in: write.scope), isAuthorized: { _ in false }).isEmpty
            }
            // What a wildcard happens to include gives way to what is really handed out.
            if !contents.isEmpty, !holdsByName("escalate", in: write.scope), isHeld ?? false {
                add(contents, in: write.scope, "it writes \(write.text) and must hold all that is in there")
            } else if holds([wanted], in: write.scope) {
                add([wanted], in: write.scope, "it writes \(write.text) and holds `escalate`")
            } else {
                warnings.append(
                    "it writes \(write.text): it must hold everything that these contain, or `escalate \(write.resource).\(Self.rbacGroup)`"
                )
            }
        }
    }

    private mutating func addBindingWrites() {
        for write in writes("clusterrolebindings") + writes("rolebindings") {
            let written = current?.bindings.first {
                $0.meta.namespace.isSameBytes(as: write.scope) && write.name.map($0.meta.name.isSameBytes) ?? false
            }
            guard let reference = write.roleRef ?? written?.roleRef else {
                let held = ["clusterroles", "roles"].flatMap { heldAtoms("bind", Self.rbacGroup, $0, in: write.scope) }
                if held.isEmpty {
                    warnings.append("it writes \(write.text): it must hold everything in the roles that these bind, or `bind` on them")
                } else {
                    add(held, in: write.scope, "it writes \(write.text) and holds `bind`")
                }
                continue
            }
            let resource = reference.kind == "Role" ? "roles" : "clusterroles"
            let bind = RuleAtom(verb: "bind", apiGroup: Self.rbacGroup, resource: resource, resourceName: reference.name)
            let contents = role(reference.kind, in: write.scope, reference.name)?.effectiveRules.flatMap(\.rule.atoms).uniquedAtoms ?? []
            let what = "it binds \(reference.kind) `\(reference.name)` by \(write.text)"
            if !contents.isEmpty, !holdsByName("bind", in: write.scope), holds(contents, in: write.scope) {
                add(contents, in: write.scope, "\(what) and must hold all that is in there")
            } else if holds([bind], in: write.scope) {
                add([bind], in: write.scope, "\(what) and holds `bind`")
            } else {
                warnings.append("\(what): it must hold everything in that role, or `bind` on it")
            }
        }
    }

    // MARK: Only named

    mutating func warn(_ text: String) { warnings.append(text) }

    mutating func removeRepeatedWarnings(from first: Int) { warnings = warnings[..<first] + Array(warnings[first...]).uniqued() }

    private mutating func warnOfPolicies(_ checks: [PolicyCheck]) {
        let policies = [
            "validatingadmissionpolicies", "mutatingadmissionpolicies", "validatingadmissionpolicybindings",
            "mutatingadmissionpolicybindings",
        ]
        let written = needs.filter { need in
            let isRead = checks.contains { $0.target == .parameter && need.name != nil && $0.mayConcern(need.request, name: need.name) }
            return need.request.apiGroup == "admissionregistration.k8s.io" && policies.contains(need.request.resource)
                && ["create", "update", "patch"].contains(need.request.verb) && !isRead
        }.map(\.request.resource).uniqued()
        for resource in written {
            let what = resource.hasSuffix("bindings") ? "`get` on the parameter that it names" : "`get` on every object of its paramKind"
            warnings.append("it writes \(resource).admissionregistration.k8s.io: one with parameters needs \(what)")
        }
    }

    private mutating func warnOfHints(_ hints: [String]) {
        for hint in hints.sorted(by: bytesPrecede) {
            if let text = hint.removingBytePrefix("later-denial:") {
                warnings.append("a request was authorized and refused later for want of `\(text)`")
            } else if let namespace = hint.removingBytePrefix("self-check:rules ") {
                warnings.append(
                    "it asks the API server what it may do in `\(namespace)`: the answer changes, and maybe with it what it does")
            } else if let text = hint.removingBytePrefix("self-check:") {
                warnings.append("it asks the API server whether it may `\(text)`: the answer may change, and with it what it does")
            }
        }
    }
}

extension [RuleAtom] {
    /// Each atom once, in order of first appearance.
    fileprivate var uniquedAtoms: [RuleAtom] {
        var seen: Set<RuleAtom> = []
        return filter { seen.insert($0).inserted }
    }
}
