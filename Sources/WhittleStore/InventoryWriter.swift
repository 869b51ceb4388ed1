import GRDB
import WhittleModel

/// Writes a `ClusterState` into an empty database, in input order so that equal inputs give equal files.
struct InventoryWriter {
    private let database: Database
    private let state: ClusterState
    private let dictionaries: Dictionaries
    private var sourceIDs: [String: Int64] = [:]
    private var accounts: [String: [ByteString: ServiceAccount]] = [:]
    private var accountsWithRow: Set<Int64> = []

    init(_ database: Database, _ state: ClusterState, _ dictionaries: Dictionaries) {
        self.database = database
        self.state = state
        self.dictionaries = dictionaries
        for (index, source) in state.sources.enumerated() { sourceIDs[source.path] = Int64(index + 1) }
        for account in state.serviceAccounts {
            accounts[account.meta.namespace, default: [:]][ByteString(account.meta.name)] = account
        }
    }

    mutating func write() throws {
        try writeSources()
        try writeNamespaces()
        try writeServiceAccounts()
        try writeNodes()
        let workloads = try writeWorkloads()
        try writePods(workloads)
        let roles = try writeRoles()
        try writeBindings(roles)
        try writeMemberships()
        try writeAPIResources()
        try writeStatements()
    }

    private func place(_ location: SourceLocation?) -> (BulkValue, BulkValue, BulkValue) {
        guard let location, let source = sourceIDs[location.file] else { return (.null, .null, .null) }
        return (.integer(source), .integer(Int64(location.line)), .integer(Int64(location.column)))
    }

    private func time(_ seconds: Int64?) -> BulkValue { .optional(seconds.map { $0 * 1_000_000 }) }

    private func writeSources() throws {
        let insert = try BulkStatement(database, "INSERT INTO source VALUES (?, ?, ?, ?)")
        for (index, source) in state.sources.enumerated() {
            try insert.run(.integer(Int64(index + 1)), .text(source.path), .text(source.sha256), .integer(Int64(source.byteCount)))
        }
    }

    private func writeNamespaces() throws {
        let update = try BulkStatement(
            database,
            "UPDATE namespace SET declared = 1, uid = ?2, created_at = ?3, labels = ?4, source_id = ?5, line = ?6, column = ?7 WHERE namespace_id = ?1"
        )
        for meta in state.namespaces {
            let (source, line, column) = place(meta.location)
            try update.run(
                .integer(try dictionaries.namespace(meta.name)), .optional(meta.uid), time(meta.creationTimestamp),
                .text(jsonObject(meta.labels)), source, line, column)
        }
    }

    private mutating func writeServiceAccounts() throws {
        let insert = try BulkStatement(
            database, "INSERT INTO service_account VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)")
        for account in state.serviceAccounts {
            let meta = account.meta
            let id = try dictionaries.identity(
                Identity(.user, ServiceAccountName.username(namespace: meta.namespace, name: meta.name)))
            accountsWithRow.insert(id)
            let (source, line, column) = place(meta.location)
            try insert.run(
                .integer(id), .integer(try dictionaries.namespace(meta.namespace)), .text(meta.namespace), .text(meta.name),
                .flag(account.automount), .optional(meta.uid), time(meta.creationTimestamp), .text(jsonObject(meta.labels)),
                source, line, column)
        }
    }

    /// The identity of an account that something refers to; it gets a row even when its object is not in the input.
    private mutating func account(_ namespace: String, _ name: String) throws -> Int64 {
        let id = try dictionaries.identity(Identity(.user, ServiceAccountName.username(namespace: namespace, name: name)))
        guard accountsWithRow.insert(id).inserted else { return id }
        let insert = try BulkStatement(
            database,
            "INSERT INTO service_account (identity_id, namespace_id, namespace, name, declared, labels) VALUES (?, ?, ?, ?, 0, '{}')"
        )
        try insert.run(.integer(id), .integer(try dictionaries.namespace(namespace)), .text(namespace), .text(name))
        return id
    }

    private func writeNodes() throws {
        let insert = try BulkStatement(database, "INSERT INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        var known: Set<String> = []
        func add(_ meta: ObjectMeta, isDeclared: Bool) throws {
            guard known.insert(meta.name).inserted else { return }
            let (source, line, column) = place(meta.location)
            try insert.run(
                .integer(Int64(known.count)), .text(meta.name), .flag(isDeclared),
                .integer(try dictionaries.identity(Identity(.user, ImplicitGroup.nodeUserPrefix + meta.name))),
                .optional(meta.uid), time(meta.creationTimestamp), source, line, column)
        }
        for node in state.nodes { try add(node, isDeclared: true) }
        for pod in state.pods { if let name = pod.spec.nodeName { try add(ObjectMeta(name: name), isDeclared: false) } }
    }

    private struct WorkloadKey: Hashable {
        var namespace: String
        var kind: String
        var name: String
    }

    private mutating func writeWorkloads() throws -> [WorkloadKey: Int64] {
        var ids: [WorkloadKey: Int64] = [:]
        var owners: [WorkloadKey: WorkloadKey] = [:]
        var order: [WorkloadKey] = []
        func add(_ key: WorkloadKey) {
            guard ids[key] == nil else { return }
            ids[key] = Int64(ids.count + 1)
            order.append(key)
        }
        func key(_ namespace: String, _ owner: OwnerReference) -> WorkloadKey {
            WorkloadKey(namespace: namespace, kind: owner.kind, name: owner.name)
        }
        var declared: [WorkloadKey: Workload] = [:]
        for workload in state.workloads {
            let own = WorkloadKey(namespace: workload.meta.namespace, kind: workload.kind, name: workload.meta.name)
            add(own)
            declared[own] = workload
            if let owner = workload.owner { owners[own] = key(workload.meta.namespace, owner) }
        }
        for own in order { if let owner = owners[own] { add(owner) } }
        for pod in state.pods { if let owner = pod.owner { add(key(pod.meta.namespace, owner)) } }
        let insert = try BulkStatement(
            database, "INSERT INTO workload VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let insertToken = try BulkStatement(database, "INSERT INTO workload_token VALUES (?, ?, ?, ?, ?)")
        for own in order {
            var root = own
            // An owner chain has a handful of links; a cycle in bad input must not hang.
            for _ in 0..<16 { root = owners[root] ?? root }
            let workload = declared[own]
            let identity = try workload.map { try account(own.namespace, $0.spec.effectiveServiceAccountName) }
            let (source, line, column) = place(workload?.meta.location)
            try insert.run(
                .optional(ids[own]), .text(own.kind), .integer(try dictionaries.namespace(own.namespace)), .text(own.namespace),
                .text(own.name), .flag(workload != nil), .optional(owners[own].flatMap { ids[$0] }), .optional(ids[root]),
                .optional(identity), .flag(workload?.spec.automount), .optional(workload?.replicas.map(Int64.init)),
                .optional(workload?.meta.uid), time(workload?.meta.creationTimestamp),
                .text(jsonObject(workload?.meta.labels ?? [:])), source, line, column)
            guard let workload else { continue }
            let tokens = self.identity(of: workload.spec, namespace: own.namespace, isMirror: false).tokens
            for (ordinal, token) in tokens.enumerated() {
                try insertToken.run(
                    .optional(ids[own]), .integer(Int64(ordinal)), .integer(try account(own.namespace, token.serviceAccountName)),
                    .text(token.exposure.rawValue), .optional(token.audience))
            }
        }
        return ids
    }

    private func identity(of spec: PodSpec, namespace: String, isMirror: Bool) -> PodIdentity {
        PodIdentity(
            spec: spec, isMirror: isMirror, account: { accounts[namespace]?[ByteString($0)] },
            tokenAccount: { secret in
                state.tokenSecrets.first { candidate in
                    guard candidate.namespace == namespace, candidate.name == secret else { return false }
                    // A token Secret counts only while its account is the one it was made for (semantics POD-8).
                    guard let uid = candidate.serviceAccountUID,
                        let live = accounts[namespace]?[ByteString(candidate.serviceAccountName)]?.meta.uid
                    else { return true }
                    return uid == live
                }?.serviceAccountName
            })
    }

    private mutating func writePods(_ workloads: [WorkloadKey: Int64]) throws {
        let insert = try BulkStatement(
            database, "INSERT INTO pod VALUES (?, ?, ?, ?, ?, ?, (SELECT node_id FROM node WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let insertToken = try BulkStatement(database, "INSERT INTO pod_token VALUES (?, ?, ?, ?, ?)")
        for (index, pod) in state.pods.enumerated() {
            let meta = pod.meta
            let identity = identity(of: pod.spec, namespace: meta.namespace, isMirror: pod.isMirror)
            let owner = pod.owner.flatMap {
                workloads[WorkloadKey(namespace: meta.namespace, kind: $0.kind, name: $0.name)]
            }
            let (source, line, column) = place(meta.location)
            try insert.run(
                .integer(Int64(index + 1)), .integer(try dictionaries.namespace(meta.namespace)), .text(meta.namespace),
                .text(meta.name), .optional(meta.uid), time(meta.creationTimestamp), .optional(pod.spec.nodeName),
                .optional(owner), .optional(try identity.serviceAccountName.map { try account(meta.namespace, $0) }),
                .flag(pod.spec.automount), .optional(pod.phase), .flag(pod.spec.hostNetwork), .flag(pod.spec.privileged),
                .text(jsonObject(meta.labels)), source, line, column)
            for (ordinal, token) in identity.tokens.enumerated() {
                try insertToken.run(
                    .integer(Int64(index + 1)), .integer(Int64(ordinal)),
                    .integer(try account(meta.namespace, token.serviceAccountName)), .text(token.exposure.rawValue),
                    .optional(token.audience))
            }
        }
    }

    private struct RoleKey: Hashable {
        var namespace: ByteString
        var name: ByteString
    }

    private static let bootstrapLabel = "kubernetes.io/bootstrapping"

    private func writeRoles() throws -> [RoleKey: Int64] {
        var ids: [RoleKey: Int64] = [:]
        let insert = try BulkStatement(database, "INSERT INTO role VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let insertSelector = try BulkStatement(database, "INSERT INTO aggregation_selector VALUES (?, ?, ?)")
        let writer = try RuleWriter(database, dictionaries)
        for (index, role) in state.roles.enumerated() {
            let id = Int64(index + 1)
            let meta = role.meta
            let namespaceID = try dictionaries.namespace(meta.namespace)
            ids[RoleKey(namespace: ByteString(meta.namespace), name: ByteString(meta.name))] = id
            let (source, line, column) = place(meta.location)
            try insert.run(
                .integer(id), .text(role.kind), .integer(namespaceID), .text(meta.namespace), .text(meta.name), .optional(meta.uid),
                time(meta.creationTimestamp), .text(jsonObject(meta.labels)), .flag(role.aggregationSelectors != nil),
                .text(role.computedRules == nil ? "stored" : "computed"),
                .flag(meta.labels[Self.bootstrapLabel] == "rbac-defaults"), .flag(role.isAssumed), source, line, column)
            for (ordinal, selector) in (role.aggregationSelectors ?? []).enumerated() {
                try insertSelector.run(.integer(id), .integer(Int64(ordinal)), .text(selector?.json ?? "null"))
            }
            for (ordinal, written) in role.rules.enumerated() {
                try writer.write(
                    written, role: id, namespace: namespaceID, ordinal: ordinal, isComputed: false,
                    counts: role.computedRules == nil, place: place(written.location))
            }
            for (offset, written) in (role.computedRules ?? []).enumerated() {
                try writer.write(
                    written, role: id, namespace: namespaceID, ordinal: role.rules.count + offset, isComputed: true, counts: true,
                    place: place(written.location))
            }
        }
        return ids
    }

    private mutating func writeBindings(_ roles: [RoleKey: Int64]) throws {
        let insert = try BulkStatement(database, "INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        let insertSubject = try BulkStatement(database, "INSERT INTO binding_subject VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for (index, binding) in state.bindings.enumerated() {
            let id = Int64(index + 1)
            let meta = binding.meta
            let roleID: Int64? =
                switch (binding.roleRef.kind, meta.namespace.isEmpty) {
                case ("ClusterRole", _): roles[RoleKey(namespace: ByteString(""), name: ByteString(binding.roleRef.name))]
                case ("Role", false):
                    roles[RoleKey(namespace: ByteString(meta.namespace), name: ByteString(binding.roleRef.name))]
                default: nil
                }
            let (source, line, column) = place(meta.location)
            try insert.run(
                .integer(id), .text(binding.kind), .integer(try dictionaries.namespace(meta.namespace)), .text(meta.namespace),
                .text(meta.name), .text(binding.roleRef.kind), .text(binding.roleRef.name), .optional(roleID),
                .optional(meta.uid), time(meta.creationTimestamp), .text(jsonObject(meta.labels)),
                .flag(meta.labels[Self.bootstrapLabel] == "rbac-defaults"), .flag(binding.isAssumed), source, line, column)
            for (ordinal, written) in binding.subjects.enumerated() {
                let identity = written.subject.identity(inBindingOf: meta.namespace)
                if let identity, identity.kind == .user, let name = ServiceAccountName.split(identity.name) {
                    _ = try account(name.namespace, name.name)
                }
                let (source, line, column) = place(written.location)
                try insertSubject.run(
                    .integer(id), .integer(Int64(ordinal)), .text(written.subject.kind), .optional(written.subject.namespace),
                    .text(written.subject.name), .optional(try identity.map { try dictionaries.identity($0) }), source, line, column)
            }
        }
    }

    private func writeMemberships() throws {
        let insert = try BulkStatement(database, "INSERT INTO group_membership VALUES (?, ?)")
        for (name, id) in dictionaries.users {
            let groups = try ImplicitGroup.groups(ofUser: name).map { try dictionaries.identity(Identity(.group, $0)) }
            for group in groups.sorted() { try insert.run(.integer(id), .integer(group)) }
        }
    }

    private func writeAPIResources() throws {
        let insert = try BulkStatement(database, "INSERT OR REPLACE INTO api_resource VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for resource in state.apiResources {
            try insert.run(
                .text(resource.apiGroup), .text(resource.resource), .text(resource.version), .text(resource.kind),
                .text(resource.singular), .text(jsonArray(resource.shortNames)), .flag(resource.isNamespaced),
                .text(jsonArray(resource.verbs)), .text(resource.origin.rawValue))
        }
    }

    private func writeStatements() throws {
        let insert = try BulkStatement(database, "INSERT INTO completeness VALUES (?, ?, ?)")
        let completeness = Completeness(state)
        for entry in completeness.entries {
            try insert.run(.text(entry.kind), .optional(entry.namespace), .integer(Int64(entry.objects)))
        }
        if completeness.unreadable > 0 {
            try insert.run(.text(WhittleDatabase.unreadableKind), .null, .integer(Int64(completeness.unreadable)))
        }
        let insertSkipped = try BulkStatement(database, "INSERT INTO skipped_kind VALUES (?, ?)")
        for (kind, count) in state.skipped.sorted(by: { bytesPrecede($0.key, $1.key) }) where count > 0 {
            try insertSkipped.run(.text(kind), .integer(Int64(count)))
        }
        if state.notObjects > 0 { try insertSkipped.run(.text(""), .integer(Int64(state.notObjects))) }
        let insertDiagnostic = try BulkStatement(database, "INSERT INTO diagnostic VALUES (?, ?, ?, ?, ?, ?, ?)")
        for (index, diagnostic) in state.diagnostics.enumerated() {
            try insertDiagnostic.run(
                .integer(Int64(index + 1)), .text(diagnostic.severity.rawValue), .text(diagnostic.id), .text(diagnostic.message),
                .optional(diagnostic.location?.file), .optional(diagnostic.location.map { Int64($0.line) }),
                .optional(diagnostic.location.map { Int64($0.column) }))
        }
    }
}

/// Writes rules, as written and multiplied out.
private struct RuleWriter {
    let dictionaries: Dictionaries
    let insertRule: BulkStatement
    let insertAtom: BulkStatement
    let insertName: BulkStatement

    init(_ database: Database, _ dictionaries: Dictionaries) throws {
        self.dictionaries = dictionaries
        insertRule = try BulkStatement(database, "INSERT INTO rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        insertAtom = try BulkStatement(database, "INSERT OR IGNORE INTO rule_atom VALUES (?, ?, ?, ?, ?)")
        insertName = try BulkStatement(database, "INSERT OR IGNORE INTO rule_name VALUES (?, ?, ?)")
    }

    func write(
        _ written: WrittenRule, role: Int64, namespace: Int64, ordinal: Int, isComputed: Bool, counts: Bool,
        place: (BulkValue, BulkValue, BulkValue)
    ) throws {
        let rule = written.rule
        func list(_ list: [String]?) -> BulkValue { .optional(list.map(jsonArray)) }
        let ordinal = Int64(ordinal)
        try insertRule.run(
            .integer(role), .integer(ordinal), .text(isComputed ? "computed" : "stored"), list(rule.verbs), list(rule.apiGroups),
            list(rule.resources), list(rule.resourceNames), list(rule.nonResourceURLs), .optional(written.aggregatedFrom), place.0,
            place.1, place.2)
        guard counts else { return }
        let isNamed = !(rule.resourceNames ?? []).isEmpty
        for verb in rule.verbs ?? [] {
            for apiGroup in rule.apiGroups ?? [] {
                for resource in rule.resources ?? [] {
                    let atom = try dictionaries.atom(verb: verb, apiGroup: apiGroup, target: resource)
                    try insertAtom.run(.integer(role), .integer(atom), .integer(ordinal), .integer(namespace), .flag(isNamed))
                }
            }
            for url in rule.nonResourceURLs ?? [] {
                let atom = try dictionaries.atom(verb: verb, apiGroup: nil, target: url)
                try insertAtom.run(.integer(role), .integer(atom), .integer(ordinal), .integer(namespace), .integer(0))
            }
        }
        for name in rule.resourceNames ?? [] {
            try insertName.run(.integer(role), .integer(ordinal), .integer(try dictionaries.objectName(name)))
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
        if !matchLabels.isEmpty { parts.append("\"matchLabels\":\(jsonObject(matchLabels))") }
        return "{\(parts.joined(separator: ","))}"
    }
}
