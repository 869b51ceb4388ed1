import WhittleModel

extension ManifestDecoder {
    func decodePod(_ object: DocumentValue) {
        guard let meta = meta(of: object, "Pod", isNamespaced: true) else { return }
        let (metadata, status) = (object.value("metadata"), object.value("status"))
        let addresses = (status?.value("podIPs")).elements.compactMap { $0.value("ip")?.string }
        builder.add(
            Pod(
                meta: meta, spec: podSpec(object.value("spec")), phase: status?.value("phase")?.string,
                addresses: addresses.isEmpty ? (status?.value("podIP")?.string).map { [$0] } ?? [] : addresses,
                isMirror: metadata?.value("annotations")?.value("kubernetes.io/config.mirror") != nil,
                owner: owner(metadata)))
    }

    func decodeWorkload(_ object: DocumentValue, _ typeMeta: TypeMeta) {
        guard let meta = meta(of: object, typeMeta.kind, isNamespaced: true) else { return }
        var spec: DocumentValue? = object
        for key in typeMeta.type.templatePath ?? [] { spec = spec?.value(key) }
        builder.add(
            Workload(
                kind: typeMeta.kind, meta: meta, spec: podSpec(spec),
                replicas: typeMeta.type.hasReplicas ? object.value("spec")?.value("replicas")?.integer ?? 1 : nil,
                owner: owner(object.value("metadata"))), typeMeta.type)
    }

    private func owner(_ metadata: DocumentValue?) -> OwnerReference? {
        for reference in (metadata?.value("ownerReferences")).elements {
            guard reference.value("controller")?.bool ?? false, let kind = reference.value("kind")?.string,
                let name = reference.value("name")?.string
            else { continue }
            return OwnerReference(kind: kind, name: name)
        }
        return nil
    }

    private static let containerLists: [(StaticString, PodSpec.ContainerList)] = [
        ("containers", .containers), ("initContainers", .initContainers), ("ephemeralContainers", .ephemeralContainers),
    ]

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
        result.imagePullSecrets = spec.value("imagePullSecrets").elements.compactMap { $0.value("name")?.string }
        for (key, list) in Self.containerLists {
            for container in spec.value(key).elements {
                let mounts = container.value("volumeMounts").elements
                result.containers.append(
                    PodSpec.Container(
                        list: list,
                        mountsTokenPath: mounts.contains {
                            $0.value("mountPath")?.isText("/var/run/secrets/kubernetes.io/serviceaccount") ?? false
                        }))
                result.privileged = result.privileged || container.value("securityContext")?.value("privileged")?.bool ?? false
                for source in container.value("envFrom").elements {
                    if let name = source.value("secretRef")?.value("name")?.string { result.secretEnvironment.append(name) }
                }
                for variable in container.value("env").elements {
                    guard let reference = variable.value("valueFrom")?.value("secretKeyRef") else { continue }
                    if let name = reference.value("name")?.string { result.secretEnvironment.append(name) }
                }
            }
        }
        for volume in spec.value("volumes").elements {
            let name = volume.value("name")?.string ?? ""
            if let secret = volume.value("secret")?.value("secretName")?.string { result.secretVolumes.append(secret) }
            if let driver = volume.value("csi")?.value("driver")?.string { result.csiDrivers.append(driver) }
            for source in (volume.value("projected")?.value("sources")).elements {
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
