import WhittleModel

/// Writes a `ClusterState` into an empty database, in input order so that equal inputs give equal files.
struct InventoryWriter {
    private let writer: BulkWriter
    private let state: ClusterState
    private let dictionaries: Dictionaries
    private var sourceIDs: [String: Int64] = [:]
    private var accounts: [ObjectKey: Account] = [:]
    /// Identities that have a row in service_account.
    private var accountIDs: Set<Int64> = []
    private var tokenSecrets: [ObjectKey: TokenSecret] = [:]
    private let insertUndeclaredAccount: BulkStatement
    /// Pods that hold an API token, by the identity that it speaks for.
    private var podsOfIdentity: [Int64: Int] = [:]

    /// Namespace and name.
    private struct ObjectKey: Hashable {
        var namespace: ByteString
        var name: ByteString

        init(_ namespace: String, _ name: String) {
            self.namespace = ByteString(namespace)
            self.name = ByteString(name)
        }
    }

    private struct Account {
        var id: Int64
        /// Place in the state; `nil` when the account is only referred to.
        var place: Int?
    }

    init(_ writer: BulkWriter, _ state: ClusterState, _ dictionaries: Dictionaries) {
        self.writer = writer
        self.state = state
        self.dictionaries = dictionaries
        insertUndeclaredAccount = writer.statement(
            "INSERT INTO service_account (identity_id, namespace_id, namespace, name, declared, labels) VALUES (?, ?, ?, ?, 0, '{}')")
        for (index, source) in state.sources.enumerated() { sourceIDs[source.path] = Int64(index + 1) }
    }

    mutating func write() throws {
        try writeSources()
        try writeNamespaces()
        try writeServiceAccounts()
        findTokenSecrets()
        let nodes = try writeNodes()
        let workloads = try writeWorkloads()
        try writePods(workloads, nodes)
        let roles = try writeRoles()
        try writeBindings(roles)
        try writeMemberships()
        try writePolicyChecks()
        try writeAPIResources()
        try writeStatements()
    }

    /// Where an object is written: source, line and column.
    private struct Place: BulkValue {
        static let none = Place()
        var source: Int64?
        var line: Int?
        var column: Int?

        @inline(__always)
        func write(to block: inout RowBlock) {
            source.write(to: &block)
            line.write(to: &block)
            column.write(to: &block)
        }
    }

    private func place(_ location: SourceLocation?) -> Place {
        guard let location else { return Place.none }
        let isOnly = state.sources.count == 1 && state.sources[0].path == location.file
        guard let source = isOnly ? 1 : sourceIDs[location.file] else { return Place.none }
        return Place(source: source, line: location.line, column: location.column)
    }

    private func time(_ seconds: Int64?) -> Int64? { seconds.map { $0 * 1_000_000 } }

    private func writeSources() throws {
        let insert = writer.insert(into: "source", columns: 4)
        for (index, source) in state.sources.enumerated() { try insert.run(index + 1, source.path, source.sha256, source.byteCount) }
    }

    private func writeNamespaces() throws {
        let update = writer.statement(
            "UPDATE namespace SET declared = 1, uid = ?2, created_at = ?3, labels = ?4, source_id = ?5, line = ?6, column = ?7 WHERE namespace_id = ?1"
        )
        for meta in state.namespaces {
            try update.run(
                try dictionaries.namespace(meta.name), meta.uid, time(meta.creationTimestamp), meta.labels.json, place(meta.location))
        }
    }

    private mutating func writeServiceAccounts() throws {
        let insert = writer.insert(into: "service_account", columns: 12)
        accounts.reserveCapacity(state.serviceAccounts.count)
        accountIDs.reserveCapacity(state.serviceAccounts.count)
        dictionaries.reserve(identities: state.serviceAccounts.count + state.nodes.count)
        for (index, account) in state.serviceAccounts.enumerated() {
            let meta = account.meta
            let known = dictionaries.identityCount
            let id = try dictionaries.identity(
                Identity(.user, ServiceAccountName.username(namespace: meta.namespace, name: meta.name)))
            // Names with a colon, which no API server takes, may spell the user name of another account.
            guard id >= known else { continue }
            accountIDs.insert(id)
            accounts[ObjectKey(meta.namespace, meta.name)] = Account(id: id, place: index)
            try insert.run(
                id, try dictionaries.namespace(meta.namespace), meta.namespace, meta.name, true, account.automount, meta.uid,
                time(meta.creationTimestamp), meta.labels.json, place(meta.location))
        }
    }

    /// The identity of an account that something refers to; it gets a row even when its object is not in the input.
    private mutating func account(_ namespace: String, _ name: String) throws -> Int64 {
        let key = ObjectKey(namespace, name)
        if let known = accounts[key] { return known.id }
        let id = try dictionaries.identity(Identity(.user, ServiceAccountName.username(namespace: namespace, name: name)))
        accounts[key] = Account(id: id, place: nil)
        guard accountIDs.insert(id).inserted else { return id }
        try insertUndeclaredAccount.run(id, try dictionaries.namespace(namespace), namespace, name)
        return id
    }

    private func declaredAccount(_ namespace: String, _ name: String) -> ServiceAccount? {
        accounts[ObjectKey(namespace, name)]?.place.map { state.serviceAccounts[$0] }
    }

    private mutating func findTokenSecrets() {
        for secret in state.tokenSecrets {
            // A token Secret counts only while its account is the one it was made for (semantics POD-8).
            if let uid = secret.serviceAccountUID, let live = declaredAccount(secret.namespace, secret.serviceAccountName)?.meta.uid,
                uid != live
            {
                continue
            }
            let key = ObjectKey(secret.namespace, secret.name)
            if tokenSecrets[key] == nil { tokenSecrets[key] = secret }
        }
    }

    private func writeNodes() throws -> [ByteString: Int64] {
        let insert = writer.insert(into: "node", columns: 9)
        var ids: [ByteString: Int64] = [:]
        func add(_ meta: ObjectMeta, isDeclared: Bool) throws {
            guard ids[ByteString(meta.name)] == nil else { return }
            let id = Int64(ids.count + 1)
            ids[ByteString(meta.name)] = id
            try insert.run(
                id, meta.name, isDeclared, try dictionaries.identity(Identity(.user, ImplicitGroup.nodeUserPrefix + meta.name)), meta.uid,
                time(meta.creationTimestamp), place(meta.location))
        }
        for node in state.nodes { try add(node, isDeclared: true) }
        for pod in state.pods {
            if let name = pod.spec.nodeName, ids[ByteString(name)] == nil { try add(ObjectMeta(name: name), isDeclared: false) }
        }
        return ids
    }

    private struct WorkloadKey: Hashable {
        var kind: ByteString
        var object: ObjectKey

        init(_ namespace: String, _ kind: String, _ name: String) {
            self.kind = ByteString(kind)
            object = ObjectKey(namespace, name)
        }

        init(_ namespace: String, _ owner: OwnerReference) { self.init(namespace, owner.kind, owner.name) }
    }

    private mutating func writeWorkloads() throws -> [WorkloadKey: Int] {
        // Places in `order`; ids are one more.
        var places: [WorkloadKey: Int] = [:]
        var order: [(key: WorkloadKey, declared: Int?)] = []
        func add(_ key: WorkloadKey, declared: Int?) -> Int {
            let next = order.count
            if let known = places[key] { return known }
            places[key] = next
            order.append((key, declared))
            return next
        }
        for (index, workload) in state.workloads.enumerated() {
            _ = add(WorkloadKey(workload.meta.namespace, workload.kind, workload.meta.name), declared: index)
        }
        // Undeclared owners have no owner themselves.
        var owners = [Int?](repeating: nil, count: order.count)
        for place in owners.indices {
            guard let workload = order[place].declared.map({ state.workloads[$0] }), let owner = workload.owner else { continue }
            owners[place] = add(WorkloadKey(workload.meta.namespace, owner), declared: nil)
        }
        for pod in state.pods { if let owner = pod.owner { _ = add(WorkloadKey(pod.meta.namespace, owner), declared: nil) } }
        let insert = writer.insert(into: "workload", columns: 17)
        let insertToken = writer.insert(into: "workload_token", columns: 5)
        for (place, entry) in order.enumerated() {
            func owner(of place: Int) -> Int? { place < owners.count ? owners[place] : nil }
            var root = place
            // An owner chain has a handful of links; a cycle in bad input must not hang.
            for _ in 0..<16 { root = owner(of: root) ?? root }
            let namespace = entry.key.object.namespace.string
            let workload = entry.declared.map { state.workloads[$0] }
            let identity = try workload.map { try account(namespace, $0.spec.effectiveServiceAccountName) }
            try insert.run(
                place + 1, entry.key.kind.string, try dictionaries.namespace(namespace), namespace, entry.key.object.name.string,
                workload != nil, owner(of: place).map { $0 + 1 }, root + 1, identity, workload?.spec.automount, workload?.replicas,
                workload?.meta.uid, time(workload?.meta.creationTimestamp), workload?.meta.labels.json ?? "{}",
                self.place(workload?.meta.location))
            guard let workload else { continue }
            let tokens = self.identity(of: workload.spec, namespace: namespace, isMirror: false).tokens
            for (ordinal, token) in tokens.enumerated() {
                try insertToken.run(
                    place + 1, ordinal, try account(namespace, token.serviceAccountName), token.exposure.rawValue, token.audience)
            }
        }
        return places
    }

    private func identity(of spec: PodSpec, namespace: String, isMirror: Bool) -> PodIdentity {
        PodIdentity(
            spec: spec, isMirror: isMirror, account: { declaredAccount(namespace, $0) },
            tokenAccount: { tokenSecrets.isEmpty ? nil : tokenSecrets[ObjectKey(namespace, $0)]?.serviceAccountName })
    }

    private mutating func writePods(_ workloads: [WorkloadKey: Int], _ nodes: [ByteString: Int64]) throws {
        let insert = writer.insert(into: "pod", columns: 18)
        let insertToken = writer.insert(into: "pod_token", columns: 5)
        for (index, pod) in state.pods.enumerated() {
            let meta = pod.meta
            let identity = identity(of: pod.spec, namespace: meta.namespace, isMirror: pod.isMirror)
            let owner = pod.owner.flatMap { workloads[WorkloadKey(meta.namespace, $0)] }
            try insert.run(
                index + 1, try dictionaries.namespace(meta.namespace), meta.namespace, meta.name, meta.uid, time(meta.creationTimestamp),
                pod.spec.nodeName.flatMap { nodes[ByteString($0)] }, owner.map { $0 + 1 },
                try identity.serviceAccountName.map { try account(meta.namespace, $0) }, pod.spec.automount, pod.phase,
                pod.spec.hostNetwork, pod.spec.privileged, meta.labels.json, place(meta.location),
                pod.addresses.isEmpty || pod.spec.hostNetwork || pod.isFinished ? "[]" : jsonArray(pod.addresses))
            var holders: [Int64] = []
            for (ordinal, token) in identity.tokens.enumerated() {
                let holder = try account(meta.namespace, token.serviceAccountName)
                try insertToken.run(index + 1, ordinal, holder, token.exposure.rawValue, token.audience)
                if token.audience == nil, !holders.contains(holder) { holders.append(holder) }
            }
            for holder in holders { podsOfIdentity[holder, default: 0] += 1 }
        }
    }

    private static let bootstrapLabel = "kubernetes.io/bootstrapping"

    private func writeRoles() throws -> [ObjectKey: Int64] {
        var ids: [ObjectKey: Int64] = [:]
        let insert = writer.insert(into: "role", columns: 16)
        let insertSelector = writer.insert(into: "aggregation_selector", columns: 3)
        let insertRule = writer.insert(into: "rule", columns: 12)
        var rules = RuleWriter(writer, dictionaries)
        for (index, role) in state.roles.enumerated() {
            let id = Int64(index + 1)
            let meta = role.meta
            let namespaceID = try dictionaries.namespace(meta.namespace)
            ids[ObjectKey(meta.namespace, meta.name)] = id
            try insert.run(
                id, role.kind, namespaceID, meta.namespace, meta.name, meta.uid, time(meta.creationTimestamp), meta.labels.json,
                role.aggregationSelectors != nil, role.computedRules == nil ? "stored" : "computed",
                meta.labels[Self.bootstrapLabel] == "rbac-defaults", role.isAssumed, place(meta.location), meta.manager?.json)
            for (ordinal, selector) in (role.aggregationSelectors ?? []).enumerated() {
                try insertSelector.run(id, ordinal, selector?.json ?? "null")
            }
            for (ordinal, written) in (role.rules + (role.computedRules ?? [])).enumerated() {
                let rule = written.rule
                let isComputed = ordinal >= role.rules.count
                func list(_ list: [String]?) -> String? { list.map(jsonArray) }
                try insertRule.run(
                    id, ordinal, isComputed ? "computed" : "stored", list(rule.verbs), list(rule.apiGroups), list(rule.resources),
                    list(rule.resourceNames), list(rule.nonResourceURLs), written.aggregatedFrom, place(written.location))
                if isComputed == (role.computedRules != nil) { try rules.collect(rule, ordinal: ordinal) }
            }
            try rules.write(role: id, namespace: namespaceID)
        }
        return ids
    }

    private mutating func writeBindings(_ roles: [ObjectKey: Int64]) throws {
        let insert = writer.insert(into: "binding", columns: 17)
        let insertSubject = writer.insert(into: "binding_subject", columns: 9)
        for (index, binding) in state.bindings.enumerated() {
            let id = Int64(index + 1)
            let meta = binding.meta
            let roleID: Int64? =
                switch (binding.roleRef.kind, meta.namespace.isEmpty) {
                case ("ClusterRole", _): roles[ObjectKey("", binding.roleRef.name)]
                case ("Role", false): roles[ObjectKey(meta.namespace, binding.roleRef.name)]
                default: nil
                }
            try insert.run(
                id, binding.kind, try dictionaries.namespace(meta.namespace), meta.namespace, meta.name, binding.roleRef.kind,
                binding.roleRef.name, roleID, meta.uid, time(meta.creationTimestamp), meta.labels.json,
                meta.labels[Self.bootstrapLabel] == "rbac-defaults", binding.isAssumed, place(meta.location), meta.manager?.json)
            for (ordinal, written) in binding.subjects.enumerated() {
                let subject = written.subject
                try insertSubject.run(
                    id, ordinal, subject.kind, subject.namespace, subject.name, try identity(of: subject, in: meta.namespace),
                    place(written.location))
            }
        }
    }

    /// The identity that a subject means, and a row for its service account.
    private mutating func identity(of subject: Subject, in namespace: String) throws -> Int64? {
        if subject.kind == "ServiceAccount" {
            let own = (subject.namespace ?? "").isEmpty ? namespace : subject.namespace ?? ""
            if let known = accounts[ObjectKey(own, subject.name)] { return known.id }
        }
        guard let identity = subject.identity(inBindingOf: namespace) else { return nil }
        if identity.kind == .user, let name = ServiceAccountName.split(identity.name) { return try account(name.namespace, name.name) }
        return try dictionaries.identity(identity)
    }

    private func writeMemberships() throws {
        let insert = writer.insert(into: "group_membership", columns: 2)
        var groupsOfNamespace: [String: [Int64]] = [:]
        var sizes: [Int64: (accounts: Int, pods: Int)] = [:]
        for (name, id) in dictionaries.users() {
            let namespace = ServiceAccountName.split(name)?.namespace
            let known = namespace.flatMap { groupsOfNamespace[$0] }
            let groups =
                try known ?? ImplicitGroup.groups(ofUser: name).map { try dictionaries.identity(Identity(.group, $0)) }.sorted()
            if let namespace { groupsOfNamespace[namespace] = groups }
            for group in groups {
                try insert.run(id, group)
                guard accountIDs.contains(id) else { continue }
                sizes[group, default: (0, 0)].accounts += 1
                sizes[group, default: (0, 0)].pods += podsOfIdentity[id] ?? 0
            }
        }
        let insertSize = writer.insert(into: "group_size", columns: 3)
        for (group, size) in sizes.sorted(by: { $0.key < $1.key }) { try insertSize.run(group, size.accounts, size.pods) }
    }

    private func writePolicyChecks() throws {
        let insert = writer.insert(into: "policy_check", columns: 21)
        for (index, check) in state.policyChecks.enumerated() {
            var account: (isAsked: Bool, namespace: String?, name: String?) = (false, nil, nil)
            if case .serviceAccount(let namespace, let name) = check.subject { account = (true, namespace, name) }
            try insert.run(
                index + 1, check.policyKind, check.policyName, account.isAsked ? "account" : "requester", account.namespace, account.name,
                check.target.rawValue, check.verb, check.apiGroup, check.resource, check.subresource, check.namespace, check.name,
                check.path, check.parameterKind, check.expression, try PolicyCheck.json(check.rules),
                try PolicyCheck.json(check.excludedRules), place(check.location))
        }
    }

    private func writeAPIResources() throws {
        let insert = writer.statement("INSERT OR REPLACE INTO api_resource VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for resource in state.apiResources {
            try insert.run(
                resource.apiGroup, resource.resource, resource.version, resource.kind, resource.singular, jsonArray(resource.shortNames),
                resource.isNamespaced, jsonArray(resource.verbs), resource.origin.rawValue)
        }
    }

    private func writeStatements() throws {
        let insert = writer.insert(into: "completeness", columns: 3)
        let completeness = Completeness(state)
        for entry in completeness.entries {
            try insert.run(entry.kind, entry.namespace, entry.objects)
        }
        if completeness.unreadable > 0 {
            try insert.run(WhittleDatabase.unreadableKind, String?.none, completeness.unreadable)
        }
        let insertSkipped = writer.insert(into: "skipped_kind", columns: 2)
        for (kind, count) in state.skipped.sorted(by: { bytesPrecede($0.key, $1.key) }) where count > 0 {
            try insertSkipped.run(kind, count)
        }
        if state.notObjects > 0 { try insertSkipped.run("", state.notObjects) }
        let insertDiagnostic = writer.insert(into: "diagnostic", columns: 9)
        for (index, diagnostic) in state.diagnostics.enumerated() {
            try insertDiagnostic.run(
                index + 1, diagnostic.severity.rawValue, diagnostic.id, diagnostic.message,
                diagnostic.location?.file, diagnostic.location?.line,
                diagnostic.location?.column, jsonArray(diagnostic.notes), diagnostic.help)
        }
    }
}

extension LabelSelector {
    /// The selector as canonical JSON.
    var json: String {
        var parts: [String] = []
        if !matchExpressions.isEmpty {
            let list = matchExpressions.map {
                "{\"key\":\(jsonQuoted($0.key)),\"operator\":\(jsonQuoted($0.operator)),\"values\":\(jsonArray($0.values))}"
            }
            parts.append("\"matchExpressions\":[\(list.joined(separator: ","))]")
        }
        if !matchLabels.isEmpty { parts.append("\"matchLabels\":\(matchLabels.json)") }
        return "{\(parts.joined(separator: ","))}"
    }
}
