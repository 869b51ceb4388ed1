import WhittleModel

/// Admission policies and webhook configurations: what their CEL expressions ask the authorizer, and for which requests.
///
/// Most ask nothing; those count as skipped objects.
extension ManifestDecoder {
    func decodePolicy(_ object: DocumentValue, _ typeMeta: TypeMeta) {
        let spec = object.value("spec")
        var found = PolicyExpressions(typeMeta.kind, object)
        for (list, fields) in Self.policyExpressions {
            for element in spec?.value(list).elements ?? DocumentValue.Elements() {
                for field in fields { found.add(element.value(field)) }
            }
        }
        for mutation in spec?.value("mutations").elements ?? DocumentValue.Elements() {
            for (_, part) in mutation.members { found.add(part.value("expression")) }
        }
        if !found.checks.isEmpty {
            let constraints = spec?.value("matchConstraints")
            found.apply(
                matchRules(constraints?.value("resourceRules")), excluding: matchRules(constraints?.value("excludeResourceRules")))
        }
        if let parameter = spec?.value("paramKind") { found.addParameter(parameter) }
        add(found.checks, of: object, typeMeta)
    }

    func decodeWebhooks(_ object: DocumentValue, _ typeMeta: TypeMeta) {
        var checks: [PolicyCheck] = []
        for webhook in object.value("webhooks").elements {
            var found = PolicyExpressions(typeMeta.kind, object)
            for condition in webhook.value("matchConditions").elements { found.add(condition.value("expression")) }
            guard !found.checks.isEmpty else { continue }
            found.apply(matchRules(webhook.value("rules")))
            checks += found.checks
        }
        add(checks, of: object, typeMeta)
    }

    private static let policyExpressions: [(list: StaticString, fields: [StaticString])] = [
        ("matchConditions", ["expression"]), ("variables", ["expression"]), ("validations", ["expression", "messageExpression"]),
        ("auditAnnotations", ["valueExpression"]),
    ]

    private func add(_ checks: [PolicyCheck], of object: DocumentValue, _ typeMeta: TypeMeta) {
        if checks.isEmpty {
            builder.state.skipped[typeMeta.qualifiedKind, default: 0] += 1
            // It may take the place of one that asks; nothing else is wanted of it.
            guard object.value("metadata")?.value("name")?.string != nil else { return }
        }
        guard let meta = meta(of: object, typeMeta.kind, isNamespaced: false) else { return }
        builder.add(AdmissionPolicy(kind: typeMeta.kind, meta: meta, checks: checks), typeMeta.type)
    }

    private func matchRules(_ list: DocumentValue?) -> [PolicyCheck.MatchRule] {
        list.elements.compactMap { rule in
            var isValid = true
            let decoded = PolicyCheck.MatchRule(
                apiGroups: strings(rule, "apiGroups", isValid: &isValid) ?? [],
                apiVersions: strings(rule, "apiVersions", isValid: &isValid) ?? [],
                operations: strings(rule, "operations", isValid: &isValid) ?? [],
                resources: strings(rule, "resources", isValid: &isValid) ?? [],
                resourceNames: strings(rule, "resourceNames", isValid: &isValid) ?? [], scope: rule.value("scope")?.string ?? "*")
            return isValid ? decoded : nil
        }
    }
}

/// The checks of one policy, or of one webhook.
private struct PolicyExpressions {
    private(set) var checks: [PolicyCheck] = []
    private let kind: String
    private let name: String

    init(_ kind: String, _ object: DocumentValue) {
        self.kind = kind
        name = object.value("metadata")?.value("name")?.string ?? ""
    }

    /// Adds what an expression asks.
    mutating func add(_ expression: DocumentValue?) {
        guard let expression, let text = expression.string else { return }
        var found = AuthorizerCalls.checks(in: text, like: PolicyCheck(policyKind: kind, policyName: name, target: .computed))
        guard !found.isEmpty else { return }
        let location = expression.location
        for index in found.indices { found[index].location = location }
        checks += found
    }

    /// Says which requests the checks are made for.
    mutating func apply(_ rules: [PolicyCheck.MatchRule], excluding excluded: [PolicyCheck.MatchRule] = []) {
        for index in checks.indices { (checks[index].rules, checks[index].excludedRules) = (rules, excluded) }
    }

    /// Adds what the API server itself asks about whoever writes the policy
    /// (pkg/registry/admissionregistration/validatingadmissionpolicy/authz.go).
    mutating func addParameter(_ parameter: DocumentValue) {
        guard let apiVersion = parameter.value("apiVersion")?.string, let parameterKind = parameter.value("kind")?.string else { return }
        let (first, second) = apiVersion.splitBytes(at: "/")
        let resource = kind == "MutatingAdmissionPolicy" ? "mutatingadmissionpolicies" : "validatingadmissionpolicies"
        var check = PolicyCheck(
            policyKind: kind, policyName: name, location: parameter.location,
            rules: [
                PolicyCheck.MatchRule(
                    apiGroups: [ObjectType.admissionGroup], operations: ["CREATE", "UPDATE"], resources: [resource], resourceNames: [name])
            ], target: .parameter)
        (check.verb, check.apiGroup, check.parameterKind) = ("get", second == nil ? "" : first, parameterKind)
        (check.subresource, check.namespace, check.name) = ("", "", "")
        check.expression = "paramKind \(parameterKind) of \(apiVersion)"
        checks.append(check)
    }
}
