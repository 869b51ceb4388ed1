import WhittleModel

extension ManifestDecoder {
    /// Where the pod template of a kind stands; `nil` for kinds without one (semantics POD-6).
    static func templatePath(_ group: String, _ kind: String) -> [StaticString]? {
        switch (group, kind) {
        case ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"),
            ("extensions", "Deployment"), ("extensions", "DaemonSet"), ("extensions", "ReplicaSet"),
            ("", "ReplicationController"), ("batch", "Job"):
            ["spec", "template", "spec"]
        case ("batch", "CronJob"): ["spec", "jobTemplate", "spec", "template", "spec"]
        case ("", "PodTemplate"): ["template", "spec"]
        default: nil
        }
    }

    func decodePod(_ object: DocumentValue) {
        guard let meta = meta(of: object, "Pod", isNamespaced: true) else { return }
        let metadata = object.value("metadata")
        builder.add(
            Pod(
                meta: meta, spec: podSpec(object.value("spec")), phase: object.value("status")?.value("phase")?.string,
                isMirror: metadata?.value("annotations")?.value("kubernetes.io/config.mirror") != nil,
                owner: owner(metadata)))
    }

    func decodeWorkload(_ object: DocumentValue, _ kind: String) {
        guard let meta = meta(of: object, kind, isNamespaced: true) else { return }
        let group = object.value("apiVersion")?.string?.split(separator: "/").first.map(String.init) ?? ""
        var spec: DocumentValue? = object
        for key in Self.templatePath(group, kind) ?? Self.templatePath("", kind) ?? Self.templatePath("apps", kind)
            ?? Self.templatePath("batch", kind) ?? []
        {
            spec = spec?.value(key)
        }
        let isCounted = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"].contains(kind)
        builder.add(
            Workload(
                kind: kind, meta: meta, spec: podSpec(spec),
                replicas: isCounted ? object.value("spec")?.value("replicas")?.integer ?? 1 : nil,
                owner: owner(object.value("metadata"))))
    }

    private func owner(_ metadata: DocumentValue?) -> OwnerReference? {
        for reference in metadata?.value("ownerReferences")?.elements ?? [] {
            guard reference.value("controller")?.bool ?? false, let kind = reference.value("kind")?.string,
                let name = reference.value("name")?.string
            else { continue }
            return OwnerReference(kind: kind, name: name)
        }
        return nil
    }

    /// Reads what decides a pod's identity; everything else of the spec, environment values included, is left unread.
    func podSpec(_ spec: DocumentValue?) -> PodSpec {
        var result = PodSpec()
        guard let spec else { return result }
        if let old = spec.value("serviceAccount"), let new = spec.value("serviceAccountName"), old.string != new.string {
            warn(
                "service-account-mismatch", "serviceAccount and serviceAccountName differ; serviceAccountName counts", at: old,
                help: "remove the deprecated serviceAccount")
        }
        result.serviceAccountName = spec.value("serviceAccountName")?.string
        result.serviceAccount = spec.value("serviceAccount")?.string
        result.automount = spec.value("automountServiceAccountToken")?.bool
        result.nodeName = spec.value("nodeName")?.string
        result.hostNetwork = spec.value("hostNetwork")?.bool ?? false
        result.imagePullSecrets = spec.value("imagePullSecrets")?.elements.compactMap { $0.value("name")?.string } ?? []
        for list in ["containers", "initContainers", "ephemeralContainers"] as [StaticString] {
            for container in spec.value(list)?.elements ?? [] {
                let mounts = container.value("volumeMounts")?.elements ?? []
                result.containers.append(
                    PodSpec.Container(
                        list: list.description,
                        mountsTokenPath: mounts.contains {
                            $0.value("mountPath")?.isText("/var/run/secrets/kubernetes.io/serviceaccount") ?? false
                        }))
                result.privileged = result.privileged || container.value("securityContext")?.value("privileged")?.bool ?? false
                for source in container.value("envFrom")?.elements ?? [] {
                    if let name = source.value("secretRef")?.value("name")?.string { result.secretEnvironment.append(name) }
                }
                for variable in container.value("env")?.elements ?? [] {
                    guard let reference = variable.value("valueFrom")?.value("secretKeyRef") else { continue }
                    if let name = reference.value("name")?.string { result.secretEnvironment.append(name) }
                }
            }
        }
        for volume in spec.value("volumes")?.elements ?? [] {
            let name = volume.value("name")?.string ?? ""
            if let secret = volume.value("secret")?.value("secretName")?.string { result.secretVolumes.append(secret) }
            if let driver = volume.value("csi")?.value("driver")?.string { result.csiDrivers.append(driver) }
            for source in volume.value("projected")?.value("sources")?.elements ?? [] {
                if let token = source.value("serviceAccountToken") {
                    let audience = token.value("audience")?.string ?? ""
                    result.tokenProjections.append(
                        PodSpec.TokenProjection(volume: name, audience: audience.isEmpty ? nil : audience))
                }
                if let secret = source.value("secret")?.value("name")?.string { result.secretVolumes.append(secret) }
            }
        }
        return result
    }
}
