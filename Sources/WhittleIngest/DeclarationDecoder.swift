import WhittleModel

/// Documents of kind `Needs` and `ClusterServiceVersion` → declared needs and the roles they amount to.
///
/// Unlike the API server's decoder this one takes nothing in silence: a field of `Needs` that it does not know is an error, and
/// so is everything that is no rule.
struct DeclarationDecoder {
    /// The group of `Needs`.
    static let group = "whittle.dev"
    /// Its only version.
    static let version = "v1alpha1"
    /// Words of which one stands in every file with such a document.
    static let words = [group, "ClusterServiceVersion"]

    let defaultNamespace: String
    private(set) var items: [DeclaredNeed] = []
    private(set) var diagnostics: [Diagnostic] = []

    init(defaultNamespace: String) { self.defaultNamespace = defaultNamespace }

    /// Decodes a document of either kind, or a list of them; anything else is left alone.
    mutating func decode(_ document: DocumentValue) {
        guard document.kind == .object, let kind = document.value("kind") else {
            for element in document.elements { decode(element) }
            return
        }
        let (group, version) = (document.value("apiVersion")?.string ?? "").splitBytes(at: "/")
        if kind.isText("Needs"), group.isSameBytes(as: Self.group) {
            guard version?.isSameBytes(as: Self.version) ?? false else {
                report(
                    "Needs has no version `\(version ?? "")`", at: document.value("apiVersion") ?? document,
                    "write \(Self.group)/\(Self.version)")
                return
            }
            decodeNeeds(document)
        } else if kind.isText("ClusterServiceVersion"), group.isSameBytes(as: "operators.coreos.com") {
            decodeServiceVersion(document)
        } else if kind.string?.hasSuffix("List") ?? false {
            for item in document.value("items").elements { decode(item) }
        }
    }

    private mutating func report(_ message: String, at value: DocumentValue, _ help: String = "the entry does not count; others do") {
        diagnostics.append(Diagnostic(.error, id: "invalid-declaration", message, at: value.location, help: help))
    }

    // MARK: Needs

    private static let fields: [StaticString] = [
        "serviceAccount", "namespace", "clusterWide", "apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs",
    ]

    private mutating func decodeNeeds(_ document: DocumentValue) {
        for (key, _) in document.members where !["apiVersion", "kind", "metadata", "needs"].contains(where: { key.string == $0 }) {
            report("Needs has no field `\(key.string ?? "")`", at: key, "use apiVersion, kind, metadata and needs")
        }
        guard let list = document["needs"], list.kind == .array else {
            report("`needs` must be a list", at: document["needs"] ?? document, "nothing is declared by it")
            return
        }
        for need in list.elements { decodeNeed(need) }
    }

    private mutating func decodeNeed(_ need: DocumentValue) {
        guard need.kind == .object else { return report("an entry of `needs` is not a mapping", at: need) }
        var isValid = true
        for (key, _) in need.members where !Self.fields.contains(where: { key.isText($0) }) {
            report(
                "a need has no field `\(key.string ?? "")`", at: key,
                "use \(Self.fields.map(\.description).joined(separator: ", ")); the entry does not count")
            isValid = false
        }
        let account = account(of: need, &isValid)
        let namespace = text(need, "namespace", &isValid) ?? ""
        var isClusterWide = false
        if let value = need.value("clusterWide") {
            if let bool = value.bool {
                isClusterWide = bool
            } else {
                report("`clusterWide` must be true or false", at: value)
                isValid = false
            }
        }
        let rule = rule(need, &isValid)
        guard isValid else { return }
        func isEmpty(_ list: [String]?) -> Bool { list?.isEmpty ?? true }
        if isClusterWide, !namespace.isEmpty { return report("a need has both `namespace` and `clusterWide`", at: need) }
        if isEmpty(rule.verbs) { return report("a need has no verbs", at: need) }
        let isURL = !isEmpty(rule.nonResourceURLs)
        if isURL {
            guard isEmpty(rule.resources), isEmpty(rule.apiGroups), isEmpty(rule.resourceNames) else {
                return report("a need has both resources and URLs", at: need)
            }
            guard namespace.isEmpty else { return report("a need of URLs has a namespace, URLs have none", at: need) }
        } else {
            guard !isEmpty(rule.resources) else { return report("a need has neither resources nor nonResourceURLs", at: need) }
            guard !isEmpty(rule.apiGroups) else {
                return report("a need has resources and no apiGroups", at: need, "the core group is apiGroups: [\"\"]")
            }
        }
        let scope = isURL || isClusterWide ? "" : !namespace.isEmpty ? namespace : account?.namespace ?? defaultNamespace
        add(rule, namespace: scope, account, at: need.location, .needs)
    }

    /// `NAMESPACE/NAME`, or `NAME` in the default namespace.
    private mutating func account(of need: DocumentValue, _ isValid: inout Bool) -> DeclaredNeed.Account? {
        guard let written = text(need, "serviceAccount", &isValid), let value = need.value("serviceAccount") else { return nil }
        let (first, second) = written.splitBytes(at: "/")
        guard !first.isEmpty, !(second?.isEmpty ?? false), !(second?.utf8.contains(UInt8(ascii: "/")) ?? false) else {
            report("`\(written)` is no service account", at: value, "write NAMESPACE/NAME, or NAME; the entry does not count")
            isValid = false
            return nil
        }
        return second.map { DeclaredNeed.Account(namespace: first, name: $0) }
            ?? DeclaredNeed.Account(namespace: defaultNamespace, name: first)
    }

    private mutating func text(_ object: DocumentValue, _ key: StaticString, _ isValid: inout Bool) -> String? {
        guard let value = object.value(key) else { return nil }
        if let text = value.string { return text }
        report("`\(key)` must be a string", at: value)
        isValid = false
        return nil
    }

    // MARK: ClusterServiceVersion

    private mutating func decodeServiceVersion(_ document: DocumentValue) {
        let spec = document.value("spec")?.value("install")?.value("spec")
        decodePermissions(spec?.value("permissions"), namespace: defaultNamespace)
        decodePermissions(spec?.value("clusterPermissions"), namespace: "")
    }

    private mutating func decodePermissions(_ list: DocumentValue?, namespace: String) {
        guard let list else { return }
        guard list.kind == .array else { return report("permissions must be a list", at: list) }
        for permission in list.elements {
            guard let name = permission.value("serviceAccountName")?.string, !name.isEmpty else {
                report("a permission has no serviceAccountName", at: permission)
                continue
            }
            if let rules = permission.value("rules"), rules.kind != .array {
                report("`rules` must be a list", at: rules)
                continue
            }
            for value in permission.value("rules").elements {
                var isValid = value.kind == .object
                if !isValid { report("an entry of `rules` is not a mapping", at: value) }
                let rule = rule(value, &isValid)
                guard isValid else { continue }
                let problems = Validation.problems(of: rule, at: "rule", isNamespaced: !namespace.isEmpty)
                if !problems.isEmpty {
                    diagnostics.append(
                        Diagnostic(
                            .warning, id: "would-be-rejected",
                            "the API server would reject a rule of ServiceAccount `\(name)`: \(problems.map(\.description).joined(separator: ", "))",
                            at: value.location, help: "it is evaluated as it stands"))
                }
                add(
                    rule, namespace: namespace, DeclaredNeed.Account(namespace: defaultNamespace, name: name), at: value.location, .csv)
            }
        }
    }

    // MARK: Shared parts

    private mutating func rule(_ object: DocumentValue, _ isValid: inout Bool) -> PolicyRule {
        PolicyRule(
            verbs: strings(object, "verbs", &isValid), apiGroups: strings(object, "apiGroups", &isValid),
            resources: strings(object, "resources", &isValid), resourceNames: strings(object, "resourceNames", &isValid),
            nonResourceURLs: strings(object, "nonResourceURLs", &isValid))
    }

    private mutating func strings(_ object: DocumentValue, _ key: StaticString, _ isValid: inout Bool) -> [String]? {
        guard let value = object.value(key) else { return nil }
        guard value.kind == .array else {
            report("`\(key)` must be a list of strings", at: value)
            isValid = false
            return nil
        }
        var result: [String] = []
        for element in value.elements {
            guard let text = element.string else {
                report("an entry of `\(key)` is not a string", at: element, "quote it; the entry does not count")
                isValid = false
                continue
            }
            result.append(text)
        }
        return result
    }

    private mutating func add(
        _ rule: PolicyRule, namespace: String, _ account: DeclaredNeed.Account?, at location: SourceLocation, _ origin: DeclaredNeed.Origin
    ) {
        for atom in rule.atoms {
            // A RoleBinding gives no URLs.
            guard atom.nonResourceURL == nil || namespace.isEmpty else { continue }
            items.append(DeclaredNeed(atom, namespace: namespace, serviceAccount: account, location: location, origin: origin))
        }
    }
}
