import WhittleModel

/// Roles with their bindings, ClusterServiceVersions and `Needs` of any number of files → declared needs.
struct ManifestDeclarations {
    private let decoder: ManifestDecoder
    private var declarations: DeclarationDecoder
    private(set) var diagnostics: [Diagnostic] = []

    init(defaultNamespace: String) {
        decoder = ManifestDecoder(defaultNamespace: defaultNamespace)
        declarations = DeclarationDecoder(defaultNamespace: defaultNamespace)
    }

    /// Reads the files of a folder.
    mutating func read(_ files: [ManifestLoader.File], _ kustomizations: [String]) throws(IngestError) {
        let patches = Kustomization.patchFiles(of: kustomizations)
        for file in files {
            do throws(IngestError) {
                let input = try InputFile(path: file.path)
                if !patches.isEmpty, patches.contains(Kustomization.normalized(file.path)) {
                    decoder.skip(input, file: file.path)
                } else {
                    read(input.bytes, file: file.path)
                }
                withExtendedLifetime(input) {}
            } catch {
                guard !file.isNamed else { throw error }
                decoder.builder.state.diagnostics.append(
                    Diagnostic(
                        .error, id: "cannot-open", error.description, at: SourceLocation(file: file.path, line: 1, column: 1),
                        help: "check the permissions of the file"))
            }
        }
    }

    /// Reads the bytes of one file.
    mutating func read(_ bytes: UnsafeBufferPointer<UInt8>, file: String) {
        ManifestReader.read(bytes, file: file, into: decoder)
        guard DeclarationDecoder.words.contains(where: bytes.holds), firstInvalidUTF8(in: bytes) == nil else { return }
        var yaml = YAMLText(bytes, file: file)
        var declarations = declarations
        // What cannot be read was said by the first reader.
        yaml.parse(
            onItem: { declarations.decode($0) }, onDocument: { declarations.decode($0) }, onFailure: { _, _ in })
        self.declarations = declarations
    }

    /// The needs of all files that were read; bindings are resolved only now.
    ///
    /// A rule that bindings give belongs to the accounts they name, where they hold; a rule of a role without any binding to the
    /// account that is asked about.
    mutating func finish() -> [DeclaredNeed] {
        var state = decoder.builder.state
        DefaultRoles.addReferenced(to: &state)
        state.resolveAggregation()
        diagnostics = state.diagnostics + declarations.diagnostics
        let roleOfBinding = Authorizer(roles: state.roles, bindings: state.bindings).roleOfBinding
        var bound: [Int: [(binding: Binding, accounts: [DeclaredNeed.Account])]] = [:]
        for (binding, role) in zip(state.bindings, roleOfBinding) where !binding.isAssumed {
            let accounts = binding.subjects.compactMap { written -> DeclaredNeed.Account? in
                guard let identity = written.subject.identity(inBindingOf: binding.meta.namespace), identity.kind == .user else {
                    return nil
                }
                return ServiceAccountName.split(identity.name).map { DeclaredNeed.Account(namespace: $0.namespace, name: $0.name) }
            }
            if accounts.isEmpty {
                diagnostics.append(
                    Diagnostic(
                        .note, id: "declared-for-others", "\(binding.kind) `\(binding.meta.name)` names no service account",
                        at: binding.meta.location, help: "what it gives is declared for nobody that is asked about"))
            }
            if let role { bound[role, default: []].append((binding, accounts)) }
        }
        var items: [DeclaredNeed] = []
        for (index, role) in state.roles.enumerated() {
            guard let bindings = bound[index] else {
                if !role.isAssumed { items += Self.items(role, namespace: role.meta.namespace, nil, nil) }
                continue
            }
            for (binding, accounts) in bindings {
                for account in accounts { items += Self.items(role, namespace: binding.meta.namespace, account, binding.meta.location) }
            }
        }
        return items + declarations.items
    }

    private static func items(
        _ role: Role, namespace: String, _ account: DeclaredNeed.Account?, _ binding: SourceLocation?
    ) -> [DeclaredNeed] {
        role.effectiveRules.flatMap { written in
            written.rule.atoms.filter { $0.nonResourceURL == nil || namespace.isEmpty }.map {
                DeclaredNeed(
                    $0, namespace: namespace, serviceAccount: account, location: written.location ?? binding, origin: .manifest)
            }
        }
    }
}
