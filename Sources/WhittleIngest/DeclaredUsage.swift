import WhittleModel

/// What an author says a service account needs: Roles and ClusterRoles as manifests, or requests one per line.
public enum DeclaredUsage {
    /// A declared atom with its scope; `""` = cluster-wide.
    public struct Item: Hashable, Sendable {
        /// Namespace of the Role, or of the request.
        public var namespace: String
        /// Verb, group, resource, name, or verb and URL.
        public var atom: RuleAtom
    }

    /// Reads a declaration.
    ///
    /// A file whose first line is a JSON object without `kind` is a list of requests with the keys `verb`, `apiGroup`,
    /// `resource`, `subresource`, `namespace`, `name`, or `path`; anything else is manifests, of which the rules of Roles
    /// (in their namespace) and ClusterRoles (cluster-wide) count.
    /// - Throws: `IngestError.cannotOpen`.
    public static func read(_ path: String, defaultNamespace: String) throws(IngestError) -> (items: [Item], diagnostics: [Diagnostic]) {
        let input = try InputFile(path: path)
        if isRequestList(input.bytes) {
            var items: [Item] = []
            var diagnostics: [Diagnostic] = []
            var number = 0
            for line in input.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
                number += 1
                guard line.contains(where: { $0 > 0x20 }) else { continue }
                switch RequestLines.parse(UnsafeBufferPointer(rebasing: line)) {
                case .request(_, _, let request): items.append(item(request))
                case .bad(let message):
                    diagnostics.append(
                        Diagnostic(
                            .error, id: "invalid-declaration", "the line is no request: \(message)",
                            at: SourceLocation(file: path, line: number, column: 1), help: "other lines were read"))
                }
            }
            return (items, diagnostics)
        }
        let decoder = ManifestDecoder(defaultNamespace: defaultNamespace)
        ManifestReader.read(input.bytes, file: path, into: decoder)
        let state = decoder.builder.state
        let items = state.roles.flatMap { role in
            role.rules.flatMap(\.rule.atoms).map { Item(namespace: role.meta.namespace, atom: $0) }
        }
        return (items, state.diagnostics)
    }

    private static func isRequestList(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let line = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1).first, line.first == UInt8(ascii: "{") else {
            return false
        }
        if case .request(_, _, let request) = RequestLines.parse(UnsafeBufferPointer(rebasing: line)) {
            return !request.verb.isEmpty
        }
        return false
    }

    private static func item(_ request: Request) -> Item {
        if let path = request.path { return Item(namespace: "", atom: RuleAtom(verb: request.verb, nonResourceURL: path)) }
        return Item(
            namespace: request.namespace,
            atom: RuleAtom(
                verb: request.verb, apiGroup: request.apiGroup, resource: request.combinedResource,
                resourceName: request.name.isEmpty ? nil : request.name))
    }
}
