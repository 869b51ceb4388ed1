import WhittleModel

/// Declared needs for people and programs.
public enum DeclaredRenderer {
    /// One row per resource or URL, scope, account and place, its verbs together.
    public static func table(_ needs: [DeclaredNeed]) -> Table {
        let rows = grouped(needs).map { need in
            (
                row: [
                    need.serviceAccount.map { "\($0.namespace)/\($0.name)" } ?? "", scopeText(need), "", targetText(need),
                    need.atom.resourceName ?? "", need.origin.rawValue, need.location?.description ?? "",
                ], verb: need.atom.verb
            )
        }
        return Table(
            columns: ["serviceAccount", "scope", "verbs", "resource", "name", "origin", "source"],
            rows: Table.joiningVerbs(of: rows, inColumn: 2),
            wideColumns: needs.contains { $0.serviceAccount != nil } ? [] : ["serviceAccount"])
    }

    /// The needs in input order, those of one place that differ in the verb only next to each other.
    private static func grouped(_ needs: [DeclaredNeed]) -> [DeclaredNeed] {
        var order: [DeclaredNeed: Int] = [:]
        var groups: [[DeclaredNeed]] = []
        for need in needs {
            var key = need
            key.atom.verb = ""
            if let place = order[key] {
                groups[place].append(need)
            } else {
                order[key] = groups.count
                groups.append([need])
            }
        }
        return groups.flatMap { $0 }
    }

    private static func scopeText(_ need: DeclaredNeed) -> String { need.namespace.isEmpty ? "all namespaces" : need.namespace }

    private static func targetText(_ need: DeclaredNeed) -> String {
        WhittleModel.targetText(resource: need.atom.resource, apiGroup: need.atom.apiGroup, url: need.atom.nonResourceURL)
    }

    /// The needs as a document.
    ///
    /// - Parameters:
    ///   - roles: what controller-gen writes for markers.
    ///   - isComplete: whether the whole input was understood.
    public static func document(_ needs: [DeclaredNeed], roles: [Role], isComplete: Bool, _ diagnostics: [Diagnostic]) -> JSONValue {
        .members([
            "complete": .bool(isComplete), "needs": .array(needs.map(document)),
            "roles": .array(roles.map { ManifestRenderer.document($0) }),
            "diagnostics": .array(diagnostics.map(\.document)),
        ])
    }

    /// One need as a document.
    static func document(_ need: DeclaredNeed) -> JSONValue {
        .members([
            "serviceAccount": need.serviceAccount.map {
                .members(["namespace": .string($0.namespace), "name": .string($0.name)])
            },
            "scope": need.namespace.isEmpty ? .null : .string(need.namespace), "verb": .string(need.atom.verb),
            "apiGroup": need.atom.apiGroup.map(JSONValue.string), "resource": need.atom.resource.map(JSONValue.string),
            "resourceName": need.atom.resourceName.map(JSONValue.string),
            "nonResourceURL": need.atom.nonResourceURL.map(JSONValue.string), "origin": .string(need.origin.rawValue),
            "source": need.location.map { .string($0.description) } ?? .null,
        ])
    }

    /// Roles as controller-gen writes them: keys in alphabetical order, lists in block style, `---` before each document.
    public static func controllerGenYAML(_ roles: [Role]) -> String {
        roles.map { role in
            var text = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: \(role.kind)\nmetadata:\n  name: \(scalar(role.meta.name))\n"
            if !role.meta.namespace.isEmpty { text += "  namespace: \(scalar(role.meta.namespace))\n" }
            text += "rules:\n"
            for written in role.rules {
                let rule = written.rule
                var lines: [String] = []
                func add(_ key: String, _ list: [String]?) {
                    guard let list else { return }
                    lines.append("\(key):")
                    lines += list.map { "- " + scalar($0) }
                }
                add("apiGroups", rule.apiGroups)
                add("nonResourceURLs", rule.nonResourceURLs)
                add("resourceNames", rule.resourceNames)
                add("resources", rule.resources)
                add("verbs", rule.verbs)
                if rule.verbs == nil { lines.append("verbs: null") }
                for (index, line) in lines.enumerated() { text += (index == 0 ? "- " : "  ") + line + "\n" }
            }
            return text
        }.joined()
    }

    /// Roles and bindings that give the needs to the accounts they name; needs of nobody become roles without a binding.
    ///
    /// - Parameter roleName: of roles for nobody in particular.
    public static func manifests(_ needs: [DeclaredNeed], roleName: String) -> [JSONValue] {
        struct Key: Hashable {
            var account: DeclaredNeed.Account?
            var namespace: ByteString
        }
        var order: [Key] = []
        var byKey: [Key: [DeclaredNeed]] = [:]
        for need in grouped(needs) {
            let key = Key(account: need.serviceAccount, namespace: ByteString(need.namespace))
            if byKey[key] == nil { order.append(key) }
            byKey[key, default: []].append(need)
        }
        return order.flatMap { key -> [JSONValue] in
            var rules: [WrittenRule] = []
            var last: DeclaredNeed?
            for need in byKey[key] ?? [] {
                var other = need
                other.atom.verb = ""
                if other == last, let index = rules.indices.last {
                    rules[index].rule.verbs?.append(need.atom.verb)
                } else {
                    rules.append(WrittenRule(need.atom.rule))
                }
                last = other
            }
            // A ClusterRole is shared by all namespaces, so its name tells the account's.
            let name = key.account.map { key.namespace.string.isEmpty ? "\($0.namespace):\($0.name)" : $0.name } ?? roleName
            let meta = ObjectMeta(namespace: key.namespace.string, name: name)
            let role = Role(meta: meta, rules: rules)
            guard let account = key.account else { return [ManifestRenderer.document(role)] }
            let binding = Binding(
                meta: meta, roleRef: RoleRef(kind: role.kind, name: name),
                subjects: [WrittenSubject(Subject(kind: "ServiceAccount", namespace: account.namespace, name: account.name))])
            return [ManifestRenderer.document(role), ManifestRenderer.document(binding)]
        }
    }

    /// A text as go-yaml writes it in block style: plain where it can only be a text, otherwise in quotes.
    static func scalar(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return "\"\"" }
        let isPrintable = bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        if !isPrintable || isOtherType(text) { return jsonQuoted(text) }
        let next = bytes.count > 1 ? bytes[1] : 0x20
        let isIndicator =
            "#,[]{}&*!|>'\"%@`".utf8.contains(first) || ("-?:".utf8.contains(first) && next == 0x20)
            || text.hasPrefix("---") || text.hasPrefix("...")
        let holdsSeparator = zip(bytes, bytes.dropFirst() + [0x20]).contains { pair in
            pair.0 == UInt8(ascii: ":") && pair.1 == 0x20 || pair.0 == 0x20 && pair.1 == UInt8(ascii: "#")
        }
        guard isIndicator || holdsSeparator || first == 0x20 || last == 0x20 else { return text }
        return "'" + text.replacing("'", with: "''") + "'"
    }

    /// Whether a plain text would be read as null, a boolean, a number or a date.
    private static func isOtherType(_ text: String) -> Bool {
        let words: Set = ["~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf", "-.inf", "+.inf", "<<", "="]
        if words.contains(text.lowercased()) { return true }
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return false }
        let digits = text.replacing("_", with: "")
        if Double(digits) != nil { return true }
        let isBased = ["0x", "0o", "0b"].contains { digits.lowercased().hasPrefix($0) } && digits.count > 2
        let isBase60 = text.utf8.contains(UInt8(ascii: ":")) && text.utf8.allSatisfy { "0123456789:._+-".utf8.contains($0) }
        let isDate = text.utf8.count >= 8 && text.wholeMatch(of: #/\d{4}-\d{1,2}-\d{1,2}([Tt ].*)?/#) != nil
        return isBased || isBase60 || isDate
    }
}
