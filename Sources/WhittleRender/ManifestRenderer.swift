import WhittleModel
import WhittlePropose

/// Roles and bindings as YAML that `kubectl apply` accepts.
public enum ManifestRenderer {
    /// The documents of one proposal, each starting with `---`; empty when nothing is needed beyond what stays.
    public static func yaml(_ proposal: RoleProposal) -> String {
        let objects = zip(proposal.roles, proposal.bindings).flatMap { [document($0), document($1)] }
        return objects.map { "---\n" + $0.yaml }.joined()
    }

    /// A `v1` List of all objects.
    public static func list(_ proposals: [RoleProposal]) -> JSONValue {
        .members([
            "apiVersion": .string("v1"), "kind": .string("List"),
            "items": .array(proposals.flatMap { zip($0.roles, $0.bindings).flatMap { [document($0), document($1)] } }),
        ])
    }

    static func document(_ role: Role) -> JSONValue {
        .members([
            "apiVersion": .string("rbac.authorization.k8s.io/v1"), "kind": .string(role.kind), "metadata": metadata(role.meta),
            "rules": .array(role.rules.map { document($0.rule) }),
        ])
    }

    static func document(_ rule: PolicyRule) -> JSONValue {
        .members([
            "apiGroups": rule.apiGroups.map(JSONValue.strings), "resources": rule.resources.map(JSONValue.strings),
            "resourceNames": rule.resourceNames.map(JSONValue.strings),
            "nonResourceURLs": rule.nonResourceURLs.map(JSONValue.strings), "verbs": rule.verbs.map(JSONValue.strings),
        ])
    }

    static func document(_ binding: Binding) -> JSONValue {
        .members([
            "apiVersion": .string("rbac.authorization.k8s.io/v1"), "kind": .string(binding.kind),
            "metadata": metadata(binding.meta),
            "roleRef": .members([
                "apiGroup": .string("rbac.authorization.k8s.io"), "kind": .string(binding.roleRef.kind),
                "name": .string(binding.roleRef.name),
            ]),
            "subjects": .array(
                binding.subjects.map {
                    .members([
                        "kind": .string($0.subject.kind), "name": .string($0.subject.name),
                        "namespace": $0.subject.namespace.map(JSONValue.string),
                    ])
                }),
        ])
    }

    private static func metadata(_ meta: ObjectMeta) -> JSONValue {
        .members([
            "name": .string(meta.name), "namespace": meta.namespace.isEmpty ? nil : .string(meta.namespace),
            "labels": meta.labels.isEmpty
                ? nil
                : .object(meta.labels.pairs.map { JSONValue.Member(key: $0.key, value: .string($0.value)) }),
        ])
    }
}
