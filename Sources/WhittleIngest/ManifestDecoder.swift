import WhittleModel

/// One Kubernetes object in a `DocumentTree` → model value.
///
/// Only what Whittle uses is read. Of a Secret that is its type and two annotations: data never leaves the input.
final class ManifestDecoder {
    /// What objects are collected in.
    var builder: ClusterStateBuilder
    /// Where objects without a namespace go.
    let defaultNamespace: String

    private var types = TypeMetaCache()
    /// Whether objects may hold a `$patch` directive below their top, so that each is searched for one.
    var mayHoldPatches = false
    /// Whether plain documents are read without libyaml; tests compare both ways.
    var readsPlainYAML = true
    /// Called now and then with the bytes read since it was called last.
    var onProgress: (@Sendable (Int) -> Void)?

    /// Mappings that were handed in so far.
    private(set) var decodedCount = 0

    /// Creates a decoder that holds nothing yet.
    init(defaultNamespace: String) {
        self.defaultNamespace = defaultNamespace
        builder = ClusterStateBuilder()
    }

    /// Creates a decoder for a part of what `whole` reads; `merge` brings the two together.
    init(forPartOf whole: ManifestDecoder) {
        defaultNamespace = whole.defaultNamespace
        mayHoldPatches = whole.mayHoldPatches
        readsPlainYAML = whole.readsPlainYAML
        builder = ClusterStateBuilder(isPart: true)
    }

    /// Decodes an object, a list of objects or a discovery document.
    ///
    /// - Parameter list: of the list that the object stands in; it holds for what the object leaves out.
    func decode(_ object: DocumentValue, in list: TypeMeta? = nil) {
        guard object.kind == .object else {
            if !object.isNull { builder.state.notObjects += 1 }
            return
        }
        decodedCount += 1
        guard let meta = typeMeta(of: object, in: list) else {
            if object.value("gitVersion") != nil, object.value("major") != nil {
                builder.state.serverVersion = object.value("gitVersion")?.string
            } else {
                builder.state.notObjects += 1
            }
            return
        }
        if mayHoldPatches, holdsPatchDirective(object) {
            builder.state.notObjects += 1
            return
        }
        if meta.type.isRBAC || (object.hasWrittenLines && meta.type != .secret) { reportDuplicateKeys(in: object) }
        switch meta.type {
        case .role, .clusterRole: decodeRole(object, meta.type)
        case .roleBinding, .clusterRoleBinding: decodeBinding(object, meta)
        case .serviceAccount: decodeServiceAccount(object)
        case .namespace: if let meta = self.meta(of: object, "Namespace", isNamespaced: false) { builder.add(namespace: meta) }
        case .node: if let meta = self.meta(of: object, "Node", isNamespaced: false) { builder.add(node: meta) }
        case .pod: decodePod(object)
        case .secret: decodeSecret(object)
        case .deployment, .statefulSet, .daemonSet, .replicaSet, .replicationController, .job, .cronJob, .podTemplate:
            decodeWorkload(object, meta)
        case .validatingAdmissionPolicy, .mutatingAdmissionPolicy: decodePolicy(object, meta)
        case .validatingWebhookConfiguration, .mutatingWebhookConfiguration: decodeWebhooks(object, meta)
        case .customResourceDefinition: decodeCustomResourceDefinition(object)
        case .resourceList: decodeResourceList(object)
        case .aggregatedDiscovery: decodeAggregatedDiscovery(object)
        case .otherDiscovery: break
        case .other where meta.kind.hasSuffix("List") && object["items"] != nil: decodeList(object, meta)
        case .other: builder.state.skipped[meta.qualifiedKind, default: 0] += 1
        }
    }

    /// Whether a `$patch` directive stands anywhere in it: what a strategic merge changes, not what there is. The items of a
    /// list are asked one by one.
    private func holdsPatchDirective(_ value: DocumentValue, isTop: Bool = true) -> Bool {
        value.members.contains { key, member in
            key.isText("$patch") || !(isTop && key.isText("items")) && holdsPatchDirective(member, isTop: false)
        } || value.elements.contains { holdsPatchDirective($0, isTop: false) }
    }

    /// apiVersion and kind of an object; `nil` when neither it nor its list names a kind.
    func typeMeta(of object: DocumentValue, in list: TypeMeta?) -> TypeMeta? {
        guard let kind = object.value("kind"), kind.kind == .string else {
            guard let list else { return nil }
            guard let own = object.value("apiVersion")?.string, !own.isSameBytes(as: list.apiVersion) else { return list }
            return TypeMeta(apiVersion: own, kind: list.kind)
        }
        return types.meta(apiVersion: object.value("apiVersion"), kind: kind, in: list)
    }

    /// Takes over what another decoder read of the same input, behind what this one has read so far.
    func merge(_ later: ManifestDecoder) {
        decodedCount += later.decodedCount
        builder.merge(later.builder)
    }

    /// Notes that a list of `kind` was read, even when it has no items.
    func noteList(kind: String) {
        guard kind.hasSuffix("List"), kind != "List" else { return }
        builder.state.listedKinds.insert(String(kind.dropLast(4)))
    }

    private func decodeList(_ object: DocumentValue, _ meta: TypeMeta) {
        noteList(kind: meta.kind)
        let itemMeta = meta.kind == "List" ? nil : TypeMeta(apiVersion: meta.apiVersion, kind: String(meta.kind.dropLast(4)))
        for item in object.value("items").elements { decode(item, in: itemMeta) }
    }

    // MARK: Shared parts

    func report(_ id: String, _ message: String, at value: DocumentValue, help: String? = nil) {
        builder.state.diagnostics.append(Diagnostic(.error, id: id, message, at: value.location, help: help))
    }

    func warn(_ id: String, _ message: String, at value: DocumentValue, help: String? = nil) {
        builder.state.diagnostics.append(Diagnostic(.warning, id: id, message, at: value.location, help: help))
    }

    /// Reports keys that a mapping holds twice: kubectl rejects such a file, and the last value counts.
    private func reportDuplicateKeys(in value: DocumentValue) {
        var count = 0
        for (key, member) in value.members {
            count += 1
            if member.kind == .object || member.kind == .array { reportDuplicateKeys(in: member) }
            if count > Self.fewMembers { continue }
            if let earlier = value.members.prefix(count - 1).first(where: { $0.key.isSameText(as: key) })?.key {
                report(duplicate: key, of: earlier)
            }
        }
        if count > Self.fewMembers {
            var first: [ByteString: DocumentValue] = [:]
            for (offset, member) in value.members.enumerated() {
                guard let text = member.key.string else { continue }
                let earlier = first.updateValue(member.key, forKey: ByteString(text))
                if let earlier, offset >= Self.fewMembers { report(duplicate: member.key, of: earlier) }
            }
        }
        for element in value.elements where element.kind == .object || element.kind == .array { reportDuplicateKeys(in: element) }
    }

    /// Up to so many members are compared each with each; of more a table is made.
    private static let fewMembers = 16

    private func report(duplicate key: DocumentValue, of earlier: DocumentValue) {
        guard let text = key.string, text != "<<" else { return }
        builder.state.diagnostics.append(
            Diagnostic(
                .error, id: "duplicate-key", "key `\(text)` stands twice in one mapping; the last value counts",
                at: key.location, notes: ["first at \(earlier.location)"], help: "keep one of them; kubectl rejects the file"))
    }

    func meta(of object: DocumentValue, _ kind: String, isNamespaced: Bool) -> ObjectMeta? {
        let metadata = object.value("metadata")
        guard let nameValue = metadata?.value("name") else {
            warn("missing-name", "\(kind) has no metadata.name and is not loaded", at: object, help: "give it a name")
            return nil
        }
        guard let name = nameValue.string else {
            report("wrong-type", "metadata.name must be a string", at: nameValue, help: "quote the value")
            return nil
        }
        var namespace = ""
        if isNamespaced {
            let written = metadata?.value("namespace")
            if let written, written.string == nil {
                report("wrong-type", "metadata.namespace must be a string", at: written, help: "quote the value")
                return nil
            }
            namespace = written?.string ?? ""
            if namespace.isEmpty { namespace = defaultNamespace }
        }
        return ObjectMeta(
            namespace: namespace, name: name, uid: metadata?.value("uid")?.string,
            creationTimestamp: metadata?.value("creationTimestamp").flatMap { Timestamp.microseconds($0.bytes) }.map { $0 / 1_000_000 },
            labels: labels(metadata?.value("labels")), location: object.location)
    }

    private func labels(_ value: DocumentValue?) -> Labels {
        var pairs: [(key: String, value: String)] = []
        for (key, value) in value.members {
            if let key = key.string, let value = value.string { pairs.append((key, value)) }
        }
        return Labels(pairs)
    }

    /// A list of strings, `nil` when absent or null; anything else is an error that the caller learns through `isValid`.
    func strings(_ object: DocumentValue, _ key: StaticString, isValid: inout Bool) -> [String]? {
        guard let value = object.value(key) else { return nil }
        guard value.kind == .array else {
            report(
                "wrong-type", "`\(key)` must be a list of strings", at: value,
                help: "write it as a list: `\(key): [\"…\"]`; the API server rejects it otherwise")
            isValid = false
            return nil
        }
        var result: [String] = []
        for element in value.elements {
            guard let text = element.string else {
                report(
                    "wrong-type", "an entry of `\(key)` is not a string", at: element,
                    help: "quote it; the API server rejects numbers, booleans and null here")
                isValid = false
                continue
            }
            result.append(text)
        }
        return result
    }

    // MARK: RBAC

    private static let ruleFields: [StaticString] = ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs", "<<"]

    private func decodeRole(_ object: DocumentValue, _ type: ObjectType) {
        let kind = type == .role ? "Role" : "ClusterRole"
        guard var meta = meta(of: object, kind, isNamespaced: type == .role) else { return }
        meta.manager = ObjectManager(metadata: object.value("metadata"))
        var rules: [WrittenRule] = []
        var readable: [WrittenRule] = []
        for rule in elements(object, "rules") {
            // The API server rejects a rule that cannot be read, so it grants nothing: an empty one keeps its place, so that the
            // numbers of its neighbours are those of the file.
            let unreadable = WrittenRule(PolicyRule(), location: rule.location)
            guard rule.kind == .object else {
                report("wrong-type", "an entry of `rules` is not a mapping", at: rule)
                rules.append(unreadable)
                continue
            }
            for (key, _) in rule.members {
                guard !Self.ruleFields.contains(where: { key.isText($0) }), let name = key.string else { continue }
                warn(
                    "unknown-field", "a rule has no field `\(name)`; it is ignored", at: key,
                    help: "use verbs, apiGroups, resources, resourceNames or nonResourceURLs")
            }
            var isValid = true
            let decoded = PolicyRule(
                verbs: strings(rule, "verbs", isValid: &isValid), apiGroups: strings(rule, "apiGroups", isValid: &isValid),
                resources: strings(rule, "resources", isValid: &isValid),
                resourceNames: strings(rule, "resourceNames", isValid: &isValid),
                nonResourceURLs: strings(rule, "nonResourceURLs", isValid: &isValid))
            let written = isValid ? WrittenRule(decoded, location: rule.location) : unreadable
            if isValid {
                let problems = Validation.problems(of: decoded, at: "rules[\(rules.count)]", isNamespaced: type == .role)
                report(problems, "\(kind) `\(meta.name)`", at: written.location)
                lint(written, after: readable)
                readable.append(written)
            }
            rules.append(written)
        }
        var selectors: [LabelSelector?]?
        if type == .clusterRole, let aggregation = object.value("aggregationRule") {
            selectors = aggregation.value("clusterRoleSelectors").elements.map { $0.isNull ? nil : selector($0) }
        }
        let role = Role(meta: meta, rules: rules, aggregationSelectors: selectors)
        report(Validation.problems(of: meta, kind: kind), "\(kind) `\(meta.name)`", at: object.location)
        builder.add(role, type)
    }

    /// Says what the API server would reject; it is evaluated all the same.
    private func report(_ problems: [Validation.Problem], _ name: String, at location: SourceLocation?) {
        for problem in problems {
            builder.state.diagnostics.append(
                Diagnostic(
                    .warning, id: "would-be-rejected", "the API server would reject \(name): \(problem)", at: location,
                    help: "it is evaluated as it stands"))
        }
    }

    private func lint(_ written: WrittenRule, after earlier: [WrittenRule]) {
        for finding in RuleLint.findings(written.rule) {
            builder.state.diagnostics.append(
                Diagnostic(.note, id: finding.id, finding.message, at: written.location, help: finding.help))
        }
        // Roles have few rules: comparing is cheaper than hashing, as most differ in their first list.
        if let first = earlier.first(where: { $0.rule.isSame(as: written.rule) }) {
            builder.state.diagnostics.append(
                Diagnostic(
                    .note, id: "duplicate-rule", "the role has this rule twice", at: written.location,
                    notes: first.location.map { ["first at \($0)"] } ?? [], help: "keep one of them"))
        }
    }

    private func elements(_ object: DocumentValue, _ key: StaticString) -> DocumentValue.Elements {
        guard let value = object.value(key) else { return DocumentValue.Elements() }
        guard value.kind == .array else {
            report("wrong-type", "`\(key)` must be a list", at: value)
            return DocumentValue.Elements()
        }
        return value.elements
    }

    private func selector(_ value: DocumentValue) -> LabelSelector {
        LabelSelector(
            matchLabels: labels(value.value("matchLabels")),
            matchExpressions: value.value("matchExpressions").elements.map { expression in
                LabelSelector.Requirement(
                    key: expression.value("key")?.string ?? "", operator: expression.value("operator")?.string ?? "",
                    values: expression.value("values").elements.compactMap(\.string))
            })
    }

    private func decodeBinding(_ object: DocumentValue, _ typeMeta: TypeMeta) {
        let kind = typeMeta.kind
        guard var meta = meta(of: object, kind, isNamespaced: typeMeta.type == .roleBinding) else { return }
        meta.manager = ObjectManager(metadata: object.value("metadata"))
        let reference = object.value("roleRef")
        if reference == nil {
            warn("missing-role-ref", "\(kind) `\(meta.name)` has no roleRef and grants nothing", at: object, help: "name a role")
        }
        var subjects: [WrittenSubject] = []
        for (index, subject) in elements(object, "subjects").enumerated() {
            guard let name = subject.value("name")?.string else {
                report("wrong-type", "a subject has no name that is a string", at: subject, help: "name the subject")
                continue
            }
            var decoded = Subject(
                kind: subject.value("kind")?.string ?? "", namespace: subject.value("namespace")?.string, name: name,
                apiGroup: subject.value("apiGroup")?.string)
            if typeMeta.version == "v1alpha1", decoded.kind == "User", name == "*" {
                // The removed v1alpha1 API wrote "everybody" so (pkg/apis/rbac/v1alpha1/conversion.go).
                decoded = Subject(kind: "Group", name: ImplicitGroup.authenticated, apiGroup: decoded.apiGroup)
            }
            if decoded.kind == "ServiceAccount", meta.namespace.isEmpty, (decoded.namespace ?? "").isEmpty {
                warn(
                    "subject-without-namespace",
                    "ServiceAccount `\(name)` in a ClusterRoleBinding has no namespace and matches nobody", at: subject,
                    help: "add `namespace:` to the subject")
            }
            let written = WrittenSubject(decoded, location: subject.location)
            let problems = Validation.problems(of: decoded, at: "subjects[\(index)]", isNamespaced: typeMeta.type == .roleBinding)
            // A missing namespace has a diagnostic of its own.
            report(problems.filter { !$0.field.hasSuffix(".namespace") }, "\(kind) `\(meta.name)`", at: written.location)
            subjects.append(written)
        }
        let binding = Binding(
            meta: meta, roleRef: RoleRef(kind: reference?.value("kind")?.string ?? "", name: reference?.value("name")?.string ?? ""),
            subjects: subjects)
        let problems =
            Validation.problems(of: meta, kind: kind)
            + (reference == nil
                ? [] : Validation.problems(of: binding.roleRef, of: kind, apiGroup: reference?.value("apiGroup")?.string))
        report(problems, "\(kind) `\(meta.name)`", at: object.location)
        builder.add(binding, typeMeta.type)
    }

    private func decodeServiceAccount(_ object: DocumentValue) {
        guard let meta = meta(of: object, "ServiceAccount", isNamespaced: true) else { return }
        builder.add(
            ServiceAccount(
                meta: meta, automount: object.value("automountServiceAccountToken")?.bool,
                imagePullSecrets: object.value("imagePullSecrets").elements.compactMap { $0.value("name")?.string }))
    }

    private func decodeSecret(_ object: DocumentValue) {
        builder.state.skipped["Secret", default: 0] += 1
        guard object.value("type")?.isText("kubernetes.io/service-account-token") ?? false,
            let name = object.value("metadata")?.value("name")?.string,
            let annotations = object.value("metadata")?.value("annotations"),
            let account = annotations.value("kubernetes.io/service-account.name")?.string
        else { return }
        let namespace = object.value("metadata")?.value("namespace")?.string ?? ""
        builder.state.skipped["Secret", default: 1] -= 1
        builder.add(
            TokenSecret(
                namespace: namespace.isEmpty ? defaultNamespace : namespace, name: name, serviceAccountName: account,
                serviceAccountUID: annotations.value("kubernetes.io/service-account.uid")?.string))
    }
}
