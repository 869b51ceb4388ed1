import WhittleModel

/// One Kubernetes object in a `DocumentTree` → model value.
///
/// Only what Whittle uses is read. Of a Secret that is its type and two annotations: data never leaves the input.
final class ManifestDecoder {
    /// What objects are collected in.
    var builder = ClusterStateBuilder()
    /// Where objects without a namespace go.
    let defaultNamespace: String

    /// Mappings that were handed in so far.
    private(set) var decodedCount = 0

    init(defaultNamespace: String) { self.defaultNamespace = defaultNamespace }

    /// Decodes an object, a list of objects or a discovery document.
    func decode(_ object: DocumentValue, listKind: String? = nil, listVersion: String? = nil) {
        guard object.kind == .object else {
            if !object.isNull { builder.state.notObjects += 1 }
            return
        }
        decodedCount += 1
        guard let kind = object.value("kind")?.string ?? listKind else {
            if object.value("gitVersion") != nil, object.value("major") != nil {
                builder.state.serverVersion = object.value("gitVersion")?.string
            } else {
                builder.state.notObjects += 1
            }
            return
        }
        let apiVersion = object.value("apiVersion")?.string ?? listVersion ?? ""
        let slash = apiVersion.firstIndex(of: "/")
        let group = slash.map { String(apiVersion[..<$0]) } ?? ""
        let version = slash.map { String(apiVersion[apiVersion.index(after: $0)...]) } ?? apiVersion
        if object["$patch"] != nil {
            builder.state.notObjects += 1
            return
        }
        if group == "rbac.authorization.k8s.io" || (object.tree.hasWrittenLines && kind != "Secret") { reportDuplicateKeys(in: object) }
        switch (group, kind) {
        case ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "ClusterRole"): decodeRole(object, kind)
        case ("rbac.authorization.k8s.io", "RoleBinding"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"):
            decodeBinding(object, kind, version)
        case ("", "ServiceAccount"): decodeServiceAccount(object)
        case ("", "Namespace"): if let meta = meta(of: object, kind, isNamespaced: false) { builder.add(namespace: meta) }
        case ("", "Node"): if let meta = meta(of: object, kind, isNamespaced: false) { builder.add(node: meta) }
        case ("", "Pod"): decodePod(object)
        case ("", "Secret"): decodeSecret(object)
        case ("apiextensions.k8s.io", "CustomResourceDefinition"): decodeCustomResourceDefinition(object)
        case ("", "APIResourceList"): decodeResourceList(object)
        case ("apidiscovery.k8s.io", "APIGroupDiscoveryList"): decodeAggregatedDiscovery(object)
        case ("", "APIGroupList"), ("", "APIVersions"), ("", "APIGroup"): break
        case (_, _) where Self.templatePath(group, kind) != nil: decodeWorkload(object, kind)
        case (_, _) where kind.hasSuffix("List") && object["items"] != nil: decodeList(object, kind, apiVersion)
        default: builder.state.skipped[group.isEmpty ? kind : "\(kind).\(group)", default: 0] += 1
        }
    }

    /// Notes that a list of `kind` was read, even when it has no items.
    func noteList(kind: String) {
        guard kind.hasSuffix("List"), kind != "List" else { return }
        builder.state.listedKinds.insert(String(kind.dropLast(4)))
    }

    private func decodeList(_ object: DocumentValue, _ kind: String, _ apiVersion: String) {
        noteList(kind: kind)
        let itemKind = kind == "List" ? nil : String(kind.dropLast(4))
        for item in object.value("items")?.elements ?? [] {
            decode(item, listKind: itemKind, listVersion: itemKind == nil ? nil : apiVersion)
        }
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
        let members = value.members
        if members.count > 1 {
            var first: [ByteString: DocumentValue] = [:]
            for (key, _) in members {
                guard let text = key.string, text != "<<" else { continue }
                if let earlier = first.updateValue(key, forKey: ByteString(text)) {
                    builder.state.diagnostics.append(
                        Diagnostic(
                            .error, id: "duplicate-key", "key `\(text)` stands twice in one mapping; the last value counts",
                            at: key.location, notes: ["first at \(earlier.location)"], help: "keep one of them; kubectl rejects the file"))
                }
            }
        }
        for (_, member) in members where member.kind == .object || member.kind == .array { reportDuplicateKeys(in: member) }
        for element in value.elements where element.kind == .object || element.kind == .array { reportDuplicateKeys(in: element) }
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
            creationTimestamp: metadata?.value("creationTimestamp")?.string.flatMap(Timestamp.microseconds).map { $0 / 1_000_000 },
            labels: stringMap(metadata?.value("labels")), location: object.location)
    }

    func stringMap(_ value: DocumentValue?) -> [String: String] {
        var result: [String: String] = [:]
        for (key, value) in value?.members ?? [] {
            if let key = key.string, let value = value.string { result[key] = value }
        }
        return result
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

    private func decodeRole(_ object: DocumentValue, _ kind: String) {
        guard let meta = meta(of: object, kind, isNamespaced: kind == "Role") else { return }
        var rules: [WrittenRule] = []
        for rule in elements(object, "rules") {
            guard rule.kind == .object else {
                report("wrong-type", "an entry of `rules` is not a mapping", at: rule)
                continue
            }
            for (key, _) in rule.members {
                let known = ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs", "<<"]
                guard let name = key.string, !known.contains(name) else { continue }
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
            // The API server rejects such a rule, so it grants nothing; its neighbours are judged on their own.
            if isValid { rules.append(WrittenRule(decoded, location: rule.location)) }
        }
        var selectors: [LabelSelector?]?
        if kind == "ClusterRole", let aggregation = object.value("aggregationRule") {
            selectors = aggregation.value("clusterRoleSelectors")?.elements.map { $0.isNull ? nil : selector($0) } ?? []
        }
        let role = Role(meta: meta, rules: rules, aggregationSelectors: selectors)
        report(Validation.problems(of: role, kind: kind), "\(kind) `\(meta.name)`", at: object)
        lint(role)
        builder.add(role)
    }

    /// Says what the API server would reject; it is evaluated all the same.
    private func report(_ problems: [Validation.Problem], _ name: String, at object: DocumentValue) {
        for problem in problems {
            warn(
                "would-be-rejected", "the API server would reject \(name): \(problem.field) is \(problem.type.lowercased())", at: object,
                help: "it is evaluated as it stands")
        }
    }

    private func lint(_ role: Role) {
        var places: [PolicyRule: SourceLocation?] = [:]
        for written in role.rules {
            for finding in RuleLint.findings(written.rule) {
                builder.state.diagnostics.append(
                    Diagnostic(.note, id: finding.id, finding.message, at: written.location, help: finding.help))
            }
            if let first = places.updateValue(written.location, forKey: written.rule.normalized) {
                builder.state.diagnostics.append(
                    Diagnostic(
                        .note, id: "duplicate-rule", "the role has this rule twice", at: written.location,
                        notes: first.map { ["first at \($0)"] } ?? [], help: "keep one of them"))
            }
        }
    }

    private func elements(_ object: DocumentValue, _ key: StaticString) -> [DocumentValue] {
        guard let value = object.value(key) else { return [] }
        guard value.kind == .array else {
            report("wrong-type", "`\(key)` must be a list", at: value)
            return []
        }
        return value.elements
    }

    private func selector(_ value: DocumentValue) -> LabelSelector {
        LabelSelector(
            matchLabels: stringMap(value.value("matchLabels")),
            matchExpressions: value.value("matchExpressions")?.elements.map { expression in
                LabelSelector.Requirement(
                    key: expression.value("key")?.string ?? "", operator: expression.value("operator")?.string ?? "",
                    values: expression.value("values")?.elements.compactMap(\.string) ?? [])
            } ?? [])
    }

    private func decodeBinding(_ object: DocumentValue, _ kind: String, _ version: String) {
        guard let meta = meta(of: object, kind, isNamespaced: kind == "RoleBinding") else { return }
        let reference = object.value("roleRef")
        if reference == nil {
            warn("missing-role-ref", "\(kind) `\(meta.name)` has no roleRef and grants nothing", at: object, help: "name a role")
        }
        var subjects: [WrittenSubject] = []
        for subject in elements(object, "subjects") {
            guard let name = subject.value("name")?.string else {
                report("wrong-type", "a subject has no name that is a string", at: subject, help: "name the subject")
                continue
            }
            var decoded = Subject(
                kind: subject.value("kind")?.string ?? "", namespace: subject.value("namespace")?.string, name: name,
                apiGroup: subject.value("apiGroup")?.string)
            if version == "v1alpha1", decoded.kind == "User", name == "*" {
                // The removed v1alpha1 API wrote "everybody" so (pkg/apis/rbac/v1alpha1/conversion.go).
                decoded = Subject(kind: "Group", name: ImplicitGroup.authenticated, apiGroup: decoded.apiGroup)
            }
            if decoded.kind == "ServiceAccount", meta.namespace.isEmpty, (decoded.namespace ?? "").isEmpty {
                warn(
                    "subject-without-namespace",
                    "ServiceAccount `\(name)` in a ClusterRoleBinding has no namespace and matches nobody", at: subject,
                    help: "add `namespace:` to the subject")
            }
            subjects.append(WrittenSubject(decoded, location: subject.location))
        }
        let binding = Binding(
            meta: meta, roleRef: RoleRef(kind: reference?.value("kind")?.string ?? "", name: reference?.value("name")?.string ?? ""),
            subjects: subjects)
        let problems = Validation.problems(of: binding, kind: kind, roleRefGroup: reference?.value("apiGroup")?.string)
        // A missing roleRef and a missing namespace have diagnostics of their own.
        report(
            problems.filter { problem in
                !(reference == nil && problem.field.hasPrefix("roleRef")) && !problem.field.hasSuffix(".namespace")
            }, "\(kind) `\(meta.name)`", at: object)
        builder.add(binding)
    }

    private func decodeServiceAccount(_ object: DocumentValue) {
        guard let meta = meta(of: object, "ServiceAccount", isNamespaced: true) else { return }
        builder.add(
            ServiceAccount(
                meta: meta, automount: object.value("automountServiceAccountToken")?.bool,
                imagePullSecrets: object.value("imagePullSecrets")?.elements.compactMap { $0.value("name")?.string } ?? []))
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
