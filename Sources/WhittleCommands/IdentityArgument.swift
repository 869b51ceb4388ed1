import ArgumentParser
import WhittleAnalysis
import WhittleModel

/// A person or thing as people write it: `sa/NAME`, `pod/NAME`, `deploy/NAME`, `user/NAME`, `group/NAME`, `node/NAME`.
///
/// Namespaced ones may carry their namespace: `sa/NS/NAME`.
struct IdentityArgument: ExpressibleByArgument {
    /// `ServiceAccount`, `Pod`, `User`, `Group`, `Node`, or a workload kind.
    var kind: String
    /// `nil` = not written.
    var namespace: String?
    /// The name.
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
        guard let slash = argument.firstIndex(of: "/") else { return nil }
        let word = argument[..<slash].lowercased()
        let rest = argument[argument.index(after: slash)...]
        guard let kind = Self.kinds[word], !rest.isEmpty else { return nil }
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

    /// The namespace as written here, else as given by `-n`, else `default`.
    func namespace(or given: String?) -> String { namespace ?? given ?? "default" }
}

extension ArgumentHelp {
    static let identity: ArgumentHelp =
        "sa/NAME, pod/NAME, deploy/NAME (any workload kind), user/NAME, group/NAME or node/NAME; sa/NS/NAME carries its namespace."
}
