import WhittleModel

/// What an API server serves: discovery documents and CustomResourceDefinitions.
extension ManifestDecoder {
    private static let objectVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    func decodeCustomResourceDefinition(_ object: DocumentValue) {
        guard let spec = object.value("spec"), let group = spec.value("group")?.string, let names = spec.value("names"),
            let plural = names.value("plural")?.string, let kind = names.value("kind")?.string
        else {
            warn("incomplete-crd", "CustomResourceDefinition lacks group, names.plural or names.kind and is not used", at: object)
            return
        }
        var versions = spec.value("versions").elements.filter { $0.value("served")?.bool ?? true }
        if versions.isEmpty { versions = [spec] }
        for version in versions {
            let resource = APIResource(
                apiGroup: group, version: version.value("name")?.string ?? version.value("version")?.string ?? "", resource: plural,
                kind: kind, singular: names.value("singular")?.string ?? kind.lowercased(),
                shortNames: names.value("shortNames").elements.compactMap(\.string),
                isNamespaced: spec.value("scope")?.isText("Namespaced") ?? true, verbs: Self.objectVerbs, origin: .crd)
            builder.state.apiResources.append(resource)
            let subresources = version.value("subresources") ?? spec.value("subresources")
            for name in ["status", "scale"] as [StaticString] where subresources?.value(name) != nil {
                var subresource = resource
                subresource.resource = "\(plural)/\(name)"
                (subresource.singular, subresource.shortNames) = ("", [])
                subresource.verbs = ["get", "patch", "update"]
                builder.state.apiResources.append(subresource)
            }
        }
    }

    func decodeResourceList(_ object: DocumentValue) {
        let groupVersion = object.value("groupVersion")?.string ?? ""
        let parts = groupVersion.split(separator: "/").map(String.init)
        for resource in object.value("resources").elements {
            guard let name = resource.value("name")?.string else { continue }
            builder.state.apiResources.append(
                APIResource(
                    apiGroup: parts.count == 2 ? parts[0] : "", version: parts.last ?? "", resource: name,
                    kind: resource.value("kind")?.string ?? "", singular: resource.value("singularName")?.string ?? "",
                    shortNames: resource.value("shortNames").elements.compactMap(\.string),
                    isNamespaced: resource.value("namespaced")?.bool ?? false,
                    verbs: resource.value("verbs").elements.compactMap(\.string), origin: .discovery))
        }
    }

    func decodeAggregatedDiscovery(_ object: DocumentValue) {
        for group in object.value("items").elements {
            let groupName = group.value("metadata")?.value("name")?.string ?? ""
            for version in group.value("versions").elements {
                let versionName = version.value("version")?.string ?? ""
                for resource in version.value("resources").elements {
                    guard let name = resource.value("resource")?.string else { continue }
                    let isNamespaced = resource.value("scope")?.isText("Namespaced") ?? false
                    func add(_ value: DocumentValue, _ name: String) {
                        builder.state.apiResources.append(
                            APIResource(
                                apiGroup: groupName, version: versionName, resource: name,
                                kind: value.value("responseKind")?.value("kind")?.string ?? "",
                                singular: value.value("singularResource")?.string ?? "",
                                shortNames: value.value("shortNames").elements.compactMap(\.string),
                                isNamespaced: isNamespaced,
                                verbs: value.value("verbs").elements.compactMap(\.string), origin: .discovery))
                    }
                    add(resource, name)
                    for subresource in resource.value("subresources").elements {
                        if let sub = subresource.value("subresource")?.string { add(subresource, "\(name)/\(sub)") }
                    }
                }
            }
        }
    }
}
