import WhittleModel

/// Audit policy files, YAML or JSON, as `--audit-policy-file` of an API server takes them.
public enum AuditPolicyReader {
    /// Reads a policy.
    ///
    /// A policy that the API server would not take, or that it would read otherwise than it looks, is no policy: a misspelt
    /// condition would let a rule match everything.
    /// - Returns: the policy, `nil` when there is an error among the diagnostics.
    /// - Throws: `IngestError.cannotOpen`.
    public static func read(_ path: String) throws(IngestError) -> (policy: AuditPolicy?, diagnostics: [Diagnostic]) {
        let input = try InputFile(path: path)
        var bytes = input.bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
        var decoder = AuditPolicyDecoder(file: path)
        if firstInvalidUTF8(in: bytes) != nil {
            decoder.diagnostics.append(
                Diagnostic(
                    .error, id: "not-utf8", "the file is not UTF-8 text", at: SourceLocation(file: path, line: 1, column: 1),
                    help: "convert it to UTF-8"))
            return (nil, decoder.diagnostics)
        }
        var yaml = YAMLText(bytes, file: path)
        var failures: [Diagnostic] = []
        yaml.parse(
            onItem: { _ in }, onDocument: { decoder.decode($0) },
            onFailure: { failure, _ in
                failures.append(
                    Diagnostic(
                        .error, id: "invalid-yaml", "the document cannot be read: \(failure.message)",
                        at: SourceLocation(file: path, line: failure.line, column: failure.column)))
            })
        let diagnostics = failures + decoder.finish(hasFailed: !failures.isEmpty)
        return (diagnostics.isEmpty ? decoder.policy : nil, diagnostics)
    }
}

/// One document → policy.
private struct AuditPolicyDecoder {
    let file: String
    var policy: AuditPolicy?
    var diagnostics: [Diagnostic] = []

    private static let help = "the API server would not take it, or read it otherwise; see docs/coverage.md#the-audit-policy"
    private static let versions: Set = ["audit.k8s.io/v1", "audit.k8s.io/v1beta1", "audit.k8s.io/v1alpha1"]

    init(file: String) { self.file = file }

    private mutating func report(_ message: String, at location: SourceLocation) {
        diagnostics.append(Diagnostic(.error, id: "invalid-audit-policy", message, at: location, help: Self.help))
    }

    private mutating func report(_ message: String, at value: DocumentValue) { report(message, at: value.location) }

    /// Says that there was no policy, unless something else explains it.
    mutating func finish(hasFailed: Bool) -> [Diagnostic] {
        if policy == nil, diagnostics.isEmpty, !hasFailed {
            report("the file holds no audit policy", at: SourceLocation(file: file, line: 1, column: 1))
        }
        return diagnostics
    }

    mutating func decode(_ document: DocumentValue) {
        guard !document.isNull else { return }
        guard policy == nil else { return report("the file holds more than one document", at: document) }
        guard document.kind == .object else { return report("the document is no audit policy", at: document) }
        let kind = document.value("kind")?.string ?? ""
        let version = document.value("apiVersion")?.string ?? ""
        guard kind == "Policy", Self.versions.contains(version) else {
            return report("`\(version)` kind `\(kind)` is no audit policy: `audit.k8s.io/v1` kind `Policy`", at: document)
        }
        var policy = AuditPolicy(rules: [])
        var rules: DocumentValue?
        forEachField(of: document) { decoder, key, value in
            switch key {
            case "kind", "apiVersion", "metadata": break
            case "omitStages": policy.omitStages = decoder.stages(value)
            case "omitManagedFields": decoder.checkFlag(value)
            case "rules":
                rules = value
                policy.rules = decoder.list(value).compactMap { decoder.rule($0) }
            default: return false
            }
            return true
        }
        if rules.elements.first == nil { report("the policy has no rules", at: rules ?? document) }
        self.policy = policy
    }

    /// Calls `body` with every field that is not null; `false` from it = the field is unknown.
    private mutating func forEachField(
        of object: DocumentValue, _ body: (inout AuditPolicyDecoder, String, DocumentValue) -> Bool
    ) {
        var seen: Set<ByteString> = []
        for (key, value) in object.members {
            let name = key.string ?? String(decoding: key.bytes, as: UTF8.self)
            if !seen.insert(ByteString(name)).inserted { report("the field `\(name)` is written twice", at: key) }
            if !value.isNull, !body(&self, name, value) { report("the field `\(name)` is unknown", at: key) }
        }
    }

    private mutating func rule(_ value: DocumentValue) -> AuditPolicy.Rule? {
        guard value.kind == .object else {
            report("a rule is no mapping", at: value)
            return nil
        }
        var rule = AuditPolicy.Rule(.none)
        var level: AuditPolicy.Level?
        var urls: DocumentValue?
        forEachField(of: value) { decoder, key, field in
            switch key {
            case "level": level = decoder.level(field)
            case "users": rule.users = decoder.strings(field)
            case "userGroups": rule.userGroups = decoder.strings(field)
            case "verbs": rule.verbs = decoder.strings(field)
            case "resources": rule.resources = decoder.list(field).compactMap { decoder.groupResources($0) }
            case "namespaces": rule.namespaces = decoder.strings(field)
            case "nonResourceURLs":
                urls = field
                rule.nonResourceURLs = decoder.urls(field)
            case "omitStages": rule.omitStages = decoder.stages(field)
            case "omitManagedFields": decoder.checkFlag(field)
            default: return false
            }
            return true
        }
        if let urls, !rule.nonResourceURLs.isEmpty, !rule.resources.isEmpty || !rule.namespaces.isEmpty {
            report("a rule cannot have `nonResourceURLs` beside `resources` or `namespaces`", at: urls)
        }
        if value.value("level") == nil { report("the rule has no level", at: value) }
        guard let level else { return nil }
        rule.level = level
        return rule
    }

    private mutating func level(_ value: DocumentValue) -> AuditPolicy.Level? {
        if let level = value.string.flatMap(AuditPolicy.Level.init(rawValue:)) { return level }
        let levels = AuditPolicy.Level.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        report("`\(text(value))` is no level: \(levels)", at: value)
        return nil
    }

    private mutating func stages(_ value: DocumentValue) -> Set<AuditPolicy.Stage> {
        var stages: Set<AuditPolicy.Stage> = []
        for element in list(value) {
            if let stage = element.string.flatMap(AuditPolicy.Stage.init(rawValue:)) {
                stages.insert(stage)
            } else {
                let known = AuditPolicy.Stage.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
                report("`\(text(element))` is no stage: \(known)", at: element)
            }
        }
        return stages
    }

    private mutating func urls(_ value: DocumentValue) -> [String] {
        var urls: [String] = []
        for element in list(value) {
            guard let url = string(element) else { continue }
            urls.append(url)
            if url != "*", !url.hasBytePrefix("/") {
                report("`\(url)` does not begin with `/`", at: element)
            } else if url.utf8.dropLast().contains(UInt8(ascii: "*")) {
                report("`\(url)` has a `*` before its end", at: element)
            }
        }
        return urls
    }

    private mutating func groupResources(_ value: DocumentValue) -> AuditPolicy.GroupResources? {
        guard value.kind == .object else {
            report("an element of `resources` is no mapping with `group` and `resources`", at: value)
            return nil
        }
        var result = AuditPolicy.GroupResources()
        var names: DocumentValue?
        forEachField(of: value) { decoder, key, field in
            switch key {
            case "group":
                result.group = decoder.string(field) ?? ""
                // Upstream wants a DNS subdomain: neither a wildcard nor `group/version`.
                let isValid = result.group.utf8.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                }
                if !isValid { decoder.report("`\(result.group)` is no API group", at: field) }
            case "resources": result.resources = decoder.strings(field)
            case "resourceNames":
                names = field
                result.resourceNames = decoder.strings(field)
            default: return false
            }
            return true
        }
        if let names, !result.resourceNames.isEmpty, result.resources.isEmpty {
            report("`resourceNames` needs `resources` beside it", at: names)
        }
        return result
    }

    // MARK: Values

    private func text(_ value: DocumentValue) -> String {
        switch value.kind {
        case .object, .array: "…"
        default: value.string ?? String(decoding: value.bytes, as: UTF8.self)
        }
    }

    private mutating func list(_ value: DocumentValue) -> [DocumentValue] {
        guard value.kind == .array else {
            report("`\(text(value))` is no list", at: value)
            return []
        }
        return Array(value.elements)
    }

    private mutating func string(_ value: DocumentValue) -> String? {
        if let string = value.string { return string }
        report("`\(text(value))` is no text", at: value)
        return nil
    }

    private mutating func strings(_ value: DocumentValue) -> [String] { list(value).compactMap { string($0) } }

    private mutating func checkFlag(_ value: DocumentValue) {
        if value.bool == nil { report("`\(text(value))` is neither true nor false", at: value) }
    }
}
