/// Who writes an object besides the people who edit its manifest, as its labels, annotations and ownerReferences tell.
///
/// An edit of an object that something else writes is undone by it, so that nothing is proposed there.
public indirect enum ObjectManager: Hashable, Sendable {
    /// Label `kubernetes.io/bootstrapping`: the API server makes it at its start. `restored` is `false` where annotation
    /// `rbac.authorization.kubernetes.io/autoupdate` says that the API server leaves it alone afterwards.
    case bootstrap(restored: Bool)
    /// A Helm release; `""` where only a label of the chart tells that there is one.
    case helm(release: String, namespace: String)
    /// The Operator Lifecycle Manager, through a ClusterServiceVersion, OperatorGroup or operator; `""` unknown.
    case olm(owner: String)
    /// The object that controls it, or the first owner when none does.
    case owner(kind: String, name: String)
    /// An Argo CD application, which copies a source.
    case argo(application: String)
    /// A Kustomization of Flux, which copies a source.
    case flux(kustomization: String, namespace: String)

    /// Whether a changed manifest lasts: Argo CD and Flux bring it to the cluster, all others write it anew.
    public var isEditable: Bool {
        switch self {
        case .argo, .flux: true
        case .bootstrap, .helm, .olm, .owner: false
        }
    }

    /// For a sentence: `Helm release shop/cart`.
    public var description: String {
        func path(_ namespace: String, _ name: String) -> String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
        switch self {
        case .bootstrap: return "the API server"
        case .helm("", _): return "a Helm chart"
        case .helm(let release, let namespace): return "Helm release \(path(namespace, release))"
        case .olm(""): return "the Operator Lifecycle Manager"
        case .olm(let owner): return "the Operator Lifecycle Manager (\(owner))"
        case .owner(let kind, let name): return "\(kind) \(name)"
        case .argo(let application): return "Argo CD application \(application)"
        case .flux(let kustomization, let namespace): return "Flux Kustomization \(path(namespace, kustomization))"
        }
    }

    /// What to change instead of the object; `nil` when it can be edited.
    public var advice: String? {
        switch self {
        case .bootstrap(restored: true): "the API server restores it at its next start"
        case .bootstrap: "it belongs to Kubernetes itself"
        case .helm: "change its chart values or template"
        case .olm: "change what its ClusterServiceVersion or OperatorGroup asks for"
        case .owner(let kind, _): "change the \(kind), or the program that writes it"
        case .argo, .flux: nil
        }
    }

    /// A JSON object of texts, as the database stores it: `{"by":"helm","name":"cart","namespace":"shop"}`.
    package var json: String {
        switch self {
        case .bootstrap(let restored): Labels([("by", "bootstrap"), ("restored", restored ? "true" : "false")]).json
        case .helm(let release, let namespace): Labels([("by", "helm"), ("name", release), ("namespace", namespace)]).json
        case .olm(let owner): Labels([("by", "olm"), ("name", owner)]).json
        case .owner(let kind, let name): Labels([("by", "owner"), ("kind", kind), ("name", name)]).json
        case .argo(let application): Labels([("by", "argo"), ("name", application)]).json
        case .flux(let name, let namespace): Labels([("by", "flux"), ("name", name), ("namespace", namespace)]).json
        }
    }

    /// Reads what `json` gave; `nil` for anything else.
    package init?(json: String) {
        let pairs = Labels(json: json).pairs
        func value(_ key: String) -> String { pairs.first { $0.key.isSameBytes(as: key) }?.value ?? "" }
        switch value("by") {
        case "bootstrap": self = .bootstrap(restored: value("restored") != "false")
        case "helm": self = .helm(release: value("name"), namespace: value("namespace"))
        case "olm": self = .olm(owner: value("name"))
        case "owner": self = .owner(kind: value("kind"), name: value("name"))
        case "argo": self = .argo(application: value("name"))
        case "flux": self = .flux(kustomization: value("name"), namespace: value("namespace"))
        default: return nil
        }
    }
}
