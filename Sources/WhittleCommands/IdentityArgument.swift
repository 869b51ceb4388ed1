import ArgumentParser
import WhittleAnalysis
import WhittleModel

/// A person or thing as people write it: `sa/NAME`, `pod/NAME`, `deploy/NAME`, `user/NAME`, `group/NAME`, `node/NAME`.
///
/// Namespaced ones may carry their namespace: `sa/NS/NAME`. `NS:NAME`, `NS/NAME` and `system:serviceaccount:NS:NAME` are
/// service accounts. A TYPE alone means all of them that the other options select.
struct IdentityArgument: ExpressibleByArgument {
    /// `ServiceAccount`, `Pod`, `User`, `Group`, `Node`, or a workload kind.
    var kind: String
    /// `nil` = not written.
    var namespace: String?
    /// The name; `""` = every one that is selected.
    var name: String

    private static let kinds: [String: String] = {
        var kinds: [String: String] = [:]
        for (kind, words) in [
            ("ServiceAccount", ["sa", "serviceaccount", "serviceaccounts"]), ("Pod", ["po", "pod", "pods"]),
            ("User", ["user", "users"]), ("Group", ["group", "groups"]), ("Node", ["no", "node", "nodes"]),
            ("Deployment", ["deploy", "deployment", "deployments"]),
            ("StatefulSet", ["sts", "statefulset", "statefulsets"]), ("DaemonSet", ["ds", "daemonset", "daemonsets"]),
            ("ReplicaSet", ["rs", "replicaset", "replicasets"]), ("Job", ["job", "jobs"]), ("CronJob", ["cj", "cronjob", "cronjobs"]),
            ("ReplicationController", ["rc", "replicationcontroller", "replicationcontrollers"]),
            ("PodTemplate", ["podtemplate", "podtemplates"]),
        ] {
            for word in words { kinds[word] = kind }
        }
        return kinds
    }()

    init?(argument: String) {
        if let account = ServiceAccountName.split(argument) {
            (kind, namespace, name) = ("ServiceAccount", account.namespace, account.name)
            return
        }
        if let kind = Self.kinds[argument.lowercased()] {
            (self.kind, name) = (kind, "")
            return
        }
        guard let slash = argument.firstIndex(of: "/"), let kind = Self.kinds[argument[..<slash].lowercased()] else {
            guard let account = Self.account(argument) else { return nil }
            (kind, namespace, name) = ("ServiceAccount", account.namespace, account.name)
            return
        }
        let rest = argument[argument.index(after: slash)...]
        guard !rest.isEmpty else { return nil }
        self.kind = kind
        // Names of users and groups may hold slashes themselves.
        guard kind != "User", kind != "Group", kind != "Node", let second = rest.firstIndex(where: { $0 == "/" || $0 == ":" })
        else {
            name = String(rest)
            return
        }
        let (before, after) = (rest[..<second], rest[rest.index(after: second)...])
        guard !before.isEmpty, !after.isEmpty else { return nil }
        namespace = String(before)
        name = String(after)
    }

    /// `NS:NAME` and `NS/NAME`, as other tools write accounts.
    private static func account(_ text: String) -> (namespace: String, name: String)? {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "/" }
        // What starts with `system:` is a user or a group.
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, parts[0] != "system" else { return nil }
        return (String(parts[0]), String(parts[1]))
    }

    /// The namespace as written here, else as given by `-n`, else `default`.
    func namespace(or given: String?) -> String { namespace ?? given ?? "default" }
}

extension ArgumentHelp {
    static let identity: ArgumentHelp =
        "sa/NAME, NS:NAME, pod/NAME, deploy/NAME (any workload kind), user/NAME, group/NAME or node/NAME; sa/NS/NAME carries its namespace; TYPE alone with -l or -A."
}
