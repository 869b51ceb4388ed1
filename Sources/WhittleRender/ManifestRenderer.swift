import WhittleModel
import WhittlePropose

/// Roles and bindings as YAML that `kubectl apply` accepts.
public enum ManifestRenderer {
    /// The documents of one proposal, each starting with `---`; empty when nothing is needed beyond what stays.
    ///
    /// Each rule has a comment that says what it is there for.
    public static func yaml(_ proposal: RoleProposal, digest: String? = nil) -> String {
        objects(proposal).map { "---\n" + yaml($0, proposal, digest: digest) }.joined()
    }

    /// The objects of a proposal in the order of their documents: each role before what binds it.
    static func objects(_ proposal: RoleProposal) -> [Object] {
        var written: Set<ByteString> = []
        return proposal.bindings.flatMap { binding -> [Object] in
            let role = proposal.roles.first {
                $0.kind == binding.roleRef.kind && $0.meta.name == binding.roleRef.name
                    && ($0.meta.namespace.isEmpty || $0.meta.namespace.isSameBytes(as: binding.meta.namespace))
            }
            guard let role, written.insert(ByteString("\(role.meta.namespace)/\(role.meta.name)")).inserted else {
                return [.binding(binding)]
            }
            return [.role(role), .binding(binding)]
        }
    }

    enum Object {
        case role(Role)
        case binding(Binding)
    }

    static func yaml(_ object: Object, _ proposal: RoleProposal, digest: String?) -> String {
        switch object {
        case .binding(let binding): return document(binding, digest: digest).yaml
        case .role(let role):
            // Rules are the only list at the margin of a role's document.
            let scope = proposal.bindings.first { $0.roleRef.name == role.meta.name && $0.roleRef.kind == role.kind }?.meta.namespace ?? ""
            var rules = role.rules.makeIterator()
            return document(role, digest: digest).yaml.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                guard line.hasPrefix("- "), let rule = rules.next() else { return String(line) }
                let reason = ProposalText.reason(
                    for: rule.rule, in: role.meta.namespace.isEmpty ? scope : role.meta.namespace, of: proposal)
                return ProposalText.comment(reason) + line
            }.joined(separator: "\n")
        }
    }

    /// A `v1` List of all objects, with what they are made of beside them.
    ///
    /// - Parameters:
    ///   - digests: of what each proposal is made of.
    ///   - coverage: what the evidence of each covers.
    ///   - more: further objects, which come first.
    public static func list(
        _ proposals: [RoleProposal], digests: [String?] = [], coverage: [JSONValue?] = [], more: [JSONValue] = []
    ) -> JSONValue {
        func padded<Value>(_ values: [Value?]) -> [Value?] { values + Array(repeating: nil, count: max(0, proposals.count - values.count)) }
        let digests = padded(digests)
        return .members([
            "apiVersion": .string("v1"), "kind": .string("List"),
            "items": .array(
                more + zip(proposals, digests).flatMap { proposal, digest in objects(proposal).map { document($0, digest: digest) } }),
            "proposals": .array(zip(proposals, padded(coverage)).map { ProposalText.document($0, coverage: $1) }),
        ])
    }

    static func document(_ object: Object, digest: String?) -> JSONValue {
        switch object {
        case .role(let role): document(role, digest: digest)
        case .binding(let binding): document(binding, digest: digest)
        }
    }

    static func document(_ role: Role, digest: String? = nil) -> JSONValue {
        .members([
            "apiVersion": .string("rbac.authorization.k8s.io/v1"), "kind": .string(role.kind), "metadata": metadata(role.meta, digest),
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

    static func document(_ binding: Binding, digest: String? = nil) -> JSONValue {
        .members([
            "apiVersion": .string("rbac.authorization.k8s.io/v1"), "kind": .string(binding.kind),
            "metadata": metadata(binding.meta, digest),
            "roleRef": .members([
                "apiGroup": .string("rbac.authorization.k8s.io"), "kind": .string(binding.roleRef.kind),
                "name": .string(binding.roleRef.name),
            ]),
            "subjects": .array(
                binding.subjects.map {
                    .members([
                        "kind": .string($0.subject.kind), "name": .string($0.subject.name),
                        "namespace": $0.subject.namespace.map(JSONValue.string),
                        "apiGroup": $0.subject.kind == "ServiceAccount" ? nil : .string("rbac.authorization.k8s.io"),
                    ])
                }),
        ])
    }

    private static func metadata(_ meta: ObjectMeta, _ digest: String?) -> JSONValue {
        .members([
            "name": .string(meta.name), "namespace": meta.namespace.isEmpty ? nil : .string(meta.namespace),
            "labels": meta.labels.isEmpty
                ? nil
                : .object(meta.labels.pairs.map { JSONValue.Member(key: $0.key, value: .string($0.value)) }),
            "annotations": digest.map { .members(["whittle.dev/inputs-sha256": .string($0)]) },
        ])
    }
}
