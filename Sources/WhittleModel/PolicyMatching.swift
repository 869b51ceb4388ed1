/// How the API server decides whether a policy or webhook is asked about a request (pkg/admission/plugin/webhook/predicates/rules).
extension PolicyCheck {
    /// Whether the check may be made when a request is.
    ///
    /// Namespace and object selectors, other match conditions, bindings of the policy and equivalent groups are not weighed.
    /// - Parameters:
    ///   - request: a write, or a connection such as `pods/exec`.
    ///   - name: of its object; `nil` = without one or not known, which matches every name.
    ///   - versions: that the resource is served in; empty = not known.
    public func mayConcern(_ request: Request, name: String?, versions: @autoclosure () -> [String] = []) -> Bool {
        guard let operation = request.admissionOperation, target == .parameter || !isExempt(request) else { return false }
        return rules.contains { $0.matches(request, operation) && $0.holds(name: name, orUnknown: true) }
            && !excludedRules.contains { $0.matches(request, operation) && $0.holds(name: name, orUnknown: false) && $0.holds(versions()) }
    }

    /// Policies and webhooks are never asked about themselves, policies not about reviews either (pkg/kubeapiserver/admission/exclusion).
    private func isExempt(_ request: Request) -> Bool {
        let resources: [String] =
            switch request.apiGroup {
            case "admissionregistration.k8s.io":
                [
                    "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
                    "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
                ]
            case "authentication.k8s.io" where !policyKind.hasSuffix("WebhookConfiguration"): ["selfsubjectreviews", "tokenreviews"]
            case "authorization.k8s.io" where !policyKind.hasSuffix("WebhookConfiguration"):
                ["localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"]
            default: []
            }
        return resources.containsBytes(request.resource)
    }
}

extension PolicyCheck.MatchRule {
    private static func holds(_ list: [String], _ text: String) -> Bool {
        list.contains { $0.isSameBytes(as: "*") || $0.isSameBytes(as: text) }
    }

    fileprivate func matches(_ request: Request, _ operation: String) -> Bool {
        guard Self.holds(operations, operation), Self.holds(apiGroups, request.apiGroup) else { return false }
        // A request for a Namespace carries its name as namespace.
        let isNamespace = request.apiGroup.isEmpty && request.resource.isSameBytes(as: "namespaces")
        switch scope {
        case "Namespaced": if isNamespace || request.namespace.isEmpty { return false }
        case "Cluster": if !isNamespace && !request.namespace.isEmpty { return false }
        case "*": break
        default: return false
        }
        return resources.contains { written in
            let (resource, subresource) = written.splitBytes(at: "/")
            return Self.holds([resource], request.resource) && Self.holds([subresource ?? ""], request.subresource)
        }
    }

    fileprivate func holds(name: String?, orUnknown: Bool) -> Bool {
        resourceNames.isEmpty || name.map { resourceNames.containsBytes($0) } ?? orUnknown
    }

    fileprivate func holds(_ versions: @autoclosure () -> [String]) -> Bool {
        if apiVersions.containsBytes("*") { return true }
        let versions = versions()
        return !versions.isEmpty && versions.allSatisfy { Self.holds(apiVersions, $0) }
    }
}

extension Request {
    /// Subresources that are connections, whatever the verb.
    private static let connections = ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"]

    /// The operation that admission takes the request for; `nil` for one that admission does not see.
    fileprivate var admissionOperation: String? {
        guard path == nil else { return nil }
        if apiGroup.isEmpty, Self.connections.containsBytes(combinedResource) { return "CONNECT" }
        switch verb {
        case "create": return "CREATE"
        case "update", "patch": return "UPDATE"
        case "delete", "deletecollection": return "DELETE"
        default: return nil
        }
    }
}
