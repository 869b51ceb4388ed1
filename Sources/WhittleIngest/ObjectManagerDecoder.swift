import WhittleModel

extension ObjectManager {
    /// What the metadata of an object tells; `nil` when nobody but its author is known to write it.
    ///
    /// Annotations are looked at and not kept: `last-applied-configuration` may be large and hold anything.
    init?(metadata: DocumentValue?) {
        let labels = metadata?.value("labels")
        let annotations = metadata?.value("annotations")
        let owners = metadata?.value("ownerReferences").elements
        if labels == nil, annotations == nil, owners == nil { return nil }
        if labels?.value("kubernetes.io/bootstrapping")?.isText("rbac-defaults") ?? false {
            let isLeftAlone = annotations?.value("rbac.authorization.kubernetes.io/autoupdate")?.isText("false") ?? false
            self = .bootstrap(restored: !isLeftAlone)
        } else if let manager = Self.olm(labels, owners) ?? Self.owner(owners) ?? Self.helm(labels, annotations) {
            self = manager
        } else if let application = Self.argoApplication(labels, annotations) {
            self = .argo(application: application)
        } else if let kustomization = labels?.value("kustomize.toolkit.fluxcd.io/name")?.string {
            self = .flux(
                kustomization: kustomization, namespace: labels?.value("kustomize.toolkit.fluxcd.io/namespace")?.string ?? "")
        } else {
            return nil
        }
    }

    private static func olm(_ labels: DocumentValue?, _ owners: DocumentValue.Elements?) -> ObjectManager? {
        for owner in owners ?? DocumentValue.Elements() {
            guard let kind = owner.value("kind"), ["ClusterServiceVersion", "OperatorGroup"].contains(kind.string) else { continue }
            return .olm(owner: owner.value("name")?.string ?? "")
        }
        if let owner = labels?.value("olm.owner")?.string { return .olm(owner: owner) }
        if labels?.value("olm.managed")?.string == "true" { return .olm(owner: "") }
        for (key, _) in labels.members {
            // `operators.coreos.com/<package>.<namespace>`.
            guard key.bytes.starts(with: "operators.coreos.com/".utf8) else { continue }
            return .olm(owner: key.string?.splitBytes(at: "/").after ?? "")
        }
        return nil
    }

    /// The controller, or the first owner: one that is no controller made the object, too.
    private static func owner(_ owners: DocumentValue.Elements?) -> ObjectManager? {
        let owners = owners ?? DocumentValue.Elements()
        guard let owner = owners.first(where: { $0.value("controller")?.bool ?? false }) ?? owners.first(where: { _ in true }),
            let kind = owner.value("kind")?.string
        else { return nil }
        return .owner(kind: kind, name: owner.value("name")?.string ?? "")
    }

    private static func helm(_ labels: DocumentValue?, _ annotations: DocumentValue?) -> ObjectManager? {
        if let release = annotations?.value("meta.helm.sh/release-name")?.string {
            return .helm(release: release, namespace: annotations?.value("meta.helm.sh/release-namespace")?.string ?? "")
        }
        let managers = [labels?.value("app.kubernetes.io/managed-by"), labels?.value("heritage")]
        guard managers.contains(where: { $0?.isText("Helm") ?? false || $0?.isText("Tiller") ?? false }) else { return nil }
        let release = labels?.value("app.kubernetes.io/instance") ?? labels?.value("release")
        return .helm(release: release?.string ?? "", namespace: "")
    }

    private static func argoApplication(_ labels: DocumentValue?, _ annotations: DocumentValue?) -> String? {
        // `<application>:<group>/<kind>:<namespace>/<name>`.
        annotations?.value("argocd.argoproj.io/tracking-id")?.string.map { $0.splitBytes(at: ":").before }
            ?? labels?.value("argocd.argoproj.io/instance")?.string
    }
}
