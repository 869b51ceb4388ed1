import WhittleAnalysis
import WhittleModel

extension Grant {
    /// Where the grant holds, for people.
    var scopeText: String { scopeNamespace ?? "all namespaces" }

    /// Limits and marks of the grant, for people.
    var noteText: String {
        ([names.map { "only: " + $0.map { $0.isEmpty ? "\"\"" : $0 }.joined(separator: ", ") }, isAssumed ? "assumed" : nil]
            .compactMap { $0 }).joined(separator: "; ")
    }

    /// Where the rule is written, for people.
    var sourceText: String { location?.description ?? (isAssumed ? "built-in defaults" : "") }

    /// The grant as a document.
    var document: JSONValue {
        .members([
            "scope": scopeNamespace.map(JSONValue.string) ?? .null,
            "binding": Self.object(bindingKind, namespace: bindingKind == "RoleBinding" ? scopeNamespace : nil, binding),
            "role": Self.object(roleKind, namespace: roleKind == "Role" ? scopeNamespace : nil, role),
            "rule": .integer(rule),
            "resourceNames": names.map(JSONValue.strings),
            "source": location.map { .string($0.description) } ?? .null,
            "assumed": .bool(isAssumed),
        ])
    }

    static func object(_ kind: String, namespace: String?, _ name: String) -> JSONValue {
        .members(["kind": .string(kind), "namespace": .string(namespace ?? ""), "name": .string(name)])
    }
}

extension SubjectName {
    /// The subject as a document.
    var document: JSONValue { Grant.object(kind, namespace: namespace, name) }
}

extension WhoCan {
    /// One row per subject and binding; members and pods on rows of their own when they were asked for.
    public var table: Table {
        var rows: [[String]] = []
        for answer in answers {
            let grant = answer.grant
            let pods = counted(answer.pods, "pod")
            let behind = grant.subject.kind == "Group" ? "\(counted(answer.serviceAccounts, "account")), \(pods)" : pods
            rows.append([
                grant.subject.description, grant.scopeText, grant.bindingText, grant.roleText, String(grant.rule), behind,
                grant.noteText, grant.sourceText,
            ])
            for member in answer.members {
                if grant.subject.kind == "Group" {
                    rows.append(["  ServiceAccount \(member.namespace)/\(member.name)"] + [String](repeating: "", count: 7))
                }
                for runner in member.pods {
                    let text = runner.pod.map { "Pod \(member.namespace)/\($0)" + (runner.workload.map { " (\($0))" } ?? "") }
                    rows.append(
                        ["    " + (text ?? "\(runner.workload ?? "") (no pods)")] + [String](repeating: "", count: 7))
                }
            }
        }
        return Table(
            columns: ["subject", "scope", "binding", "role", "rule", "behind", "note", "source"], rows: rows)
    }

    /// The answers as a document, see docs/json-output.md.
    public var document: JSONValue {
        .members([
            "complete": .bool(missingKinds.isEmpty),
            "missingKinds": .strings(missingKinds),
            "answers": .array(
                answers.map { answer in
                    .members([
                        "subject": answer.grant.subject.document,
                        "grant": answer.grant.document,
                        "serviceAccounts": .integer(answer.serviceAccounts),
                        "pods": .integer(answer.pods),
                        "members": answer.members.isEmpty ? nil : .array(answer.members.map(\.document)),
                    ])
                }),
        ])
    }
}

extension WhoCan.Member {
    fileprivate var document: JSONValue {
        .members([
            "namespace": .string(namespace), "name": .string(name),
            "pods": pods.isEmpty
                ? nil
                : .array(
                    pods.map {
                        .members([
                            "pod": $0.pod.map(JSONValue.string) ?? .null, "workload": $0.workload.map(JSONValue.string) ?? .null,
                            "node": $0.node.map(JSONValue.string) ?? .null, "exposure": .string($0.exposure),
                        ])
                    }),
        ])
    }
}

extension CanI {
    /// One row per allowing binding.
    public var table: Table {
        Table(
            columns: ["subject", "scope", "binding", "role", "rule", "note", "source"],
            rows: grants.map {
                [$0.subject.description, $0.scopeText, $0.bindingText, $0.roleText, String($0.rule), $0.noteText, $0.sourceText]
            })
    }

    /// The answer as a document, see docs/json-output.md.
    public var document: JSONValue {
        .members([
            "allowed": .bool(isAllowed),
            "by": bypass.map(JSONValue.string),
            "complete": .bool(isAllowed || missingKinds.isEmpty),
            "missingKinds": .strings(missingKinds),
            "grants": .array(grants.map { .members(["subject": $0.subject.document, "grant": $0.document]) }),
        ])
    }
}

extension EffectivePermissions {
    /// One row per resource and path, its verbs together.
    public var table: Table {
        let rows = permissions.map { permission in
            let grant = permission.grant
            return (
                row: [
                    permission.actsAs ?? "", grant.scopeText, "", permission.resourceText, grant.subject.description, grant.bindingText,
                    grant.roleText, String(grant.rule), grant.noteText, grant.sourceText,
                ], verb: permission.verb
            )
        }
        return Table(
            columns: ["actsAs", "scope", "verbs", "resource", "subject", "binding", "role", "rule", "note", "source"],
            rows: Table.joiningVerbs(of: rows, inColumn: 2),
            wideColumns: identities.count > 1 ? ["subject"] : ["actsAs", "subject"])
    }

    /// Resources × verbs.
    public var matrixTable: Table {
        let common = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
        return Table(
            columns: ["scope", "resource"] + common + ["others", "names"],
            rows: matrix.map { row in
                let others = row.verbs.filter { !common.contains($0) && $0 != "*" }.sorted() + (row.verbs.contains("*") ? ["*"] : [])
                return [row.scopeNamespace ?? "all namespaces", row.resource]
                    + common.map { row.verbs.contains($0) || row.verbs.contains("*") ? "✔" : "" }
                    + [others.joined(separator: ","), (row.names ?? []).joined(separator: ",")]
            })
    }

    /// The permissions as a document, see docs/json-output.md.
    public var document: JSONValue {
        .members([
            "identities": .strings(identities),
            "complete": .bool(missingKinds.isEmpty),
            "missingKinds": .strings(missingKinds),
            "permissions": .array(
                permissions.map { permission in
                    .members([
                        "actsAs": permission.actsAs.map(JSONValue.string),
                        "verb": .string(permission.verb),
                        "apiGroup": permission.apiGroup.map(JSONValue.string),
                        "resource": permission.resource.map(JSONValue.string),
                        "nonResourceURL": permission.url.map(JSONValue.string),
                        "subject": permission.grant.subject.document,
                        "grant": permission.grant.document,
                    ])
                }),
        ])
    }

    /// The matrix as a document.
    public var matrixDocument: JSONValue {
        .array(
            matrix.map { row in
                .members([
                    "scope": row.scopeNamespace.map(JSONValue.string) ?? .null, "resource": .string(row.resource),
                    "verbs": .strings(row.verbs.sorted()), "resourceNames": row.names.map(JSONValue.strings),
                ])
            })
    }
}

extension EffectivePermissions.Permission {
    /// `pods/exec`, `deployments.apps/scale`, or the URL.
    fileprivate var resourceText: String { targetText(resource: resource, apiGroup: apiGroup, url: url) }
}
