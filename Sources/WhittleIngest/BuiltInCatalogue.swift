import WhittleModel

extension ResourceCatalogue {
    /// The Kubernetes version whose resources the built-in catalogue lists.
    public static let builtInVersion = "v1.36"

    /// What an API server of `builtInVersion` serves, extended by what the input serves.
    public static func builtIn(extendedBy more: [APIResource] = []) -> ResourceCatalogue {
        let text = EmbeddedBuiltIn.files.first { $0.name == "api-resources.tsv" }?.text ?? ""
        let resources = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line -> APIResource? in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 8 else { return nil }
            func list(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
            return APIResource(
                apiGroup: fields[0], version: fields[1], resource: fields[2], kind: fields[3], singular: fields[4],
                shortNames: list(fields[5]), isNamespaced: fields[6] == "true", verbs: list(fields[7]), origin: .builtIn)
        }
        return ResourceCatalogue(resources + more)
    }
}
