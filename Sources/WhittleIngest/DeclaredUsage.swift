import Foundation
import WhittleModel

/// What an author says that service accounts need: Go markers, ClusterServiceVersions, Roles with their bindings, `Needs`
/// lists, or requests one per line. docs/declared-usage.md describes the forms.
public enum DeclaredUsage {
    /// A declared atom with its scope, account and place.
    public typealias Item = DeclaredNeed

    /// How declarations are read.
    public struct Options: Sendable {
        /// Where objects without a namespace go, and accounts and needs that name none.
        public var defaultNamespace: String
        /// The name of roles whose markers name none.
        public var roleName: String
        /// Which controller-gen writes the roles of markers.
        public var controllerGen: ControllerGen

        /// Creates options.
        public init(
            defaultNamespace: String = "default", roleName: String = "manager-role", controllerGen: ControllerGen = .current
        ) {
            self.defaultNamespace = defaultNamespace
            self.roleName = roleName
            self.controllerGen = controllerGen
        }
    }

    /// What was read.
    public struct Declaration: Sendable {
        /// Every atom once per scope and account, in input order.
        public var items: [Item] = []
        /// The roles that controller-gen writes for the markers, in its order; empty when there are none.
        public var markerRoles: [Role] = []
        /// What could not be read, what does not count, and what probably is not meant.
        public var diagnostics: [Diagnostic] = []

        /// Creates a declaration of nothing.
        public init() {}

        /// Whether part of the input was not understood.
        public var isIncomplete: Bool { diagnostics.contains { $0.severity == .error } }
    }

    /// Reads a declaration of any form, as its content says.
    ///
    /// A folder (also `FOLDER/...`) is read with all folders below it: its Go markers when it has any, its manifests otherwise.
    /// A file ending in `.go` is Go; one whose first line is a JSON object that names a verb and no `kind` is a list of requests
    /// with the keys `verb`, `apiGroup`, `resource`, `subresource`, `namespace`, `name`, or `path`, and `user`; anything else is
    /// YAML or JSON documents.
    /// - Throws: `IngestError.cannotOpen`.
    public static func read(_ path: String, defaultNamespace: String) throws(IngestError) -> (items: [Item], diagnostics: [Diagnostic]) {
        let declaration = try read([path], options: Options(defaultNamespace: defaultNamespace))
        return (declaration.items, declaration.diagnostics)
    }

    /// Reads several declarations as one: a binding of one file may name a role of another, and markers of all Go packages make
    /// one set of roles.
    ///
    /// - Throws: `IngestError.cannotOpen` when a path that was named cannot be opened.
    public static func read(_ paths: [String], options: Options) throws(IngestError) -> Declaration {
        var packages = GoPackages()
        var manifests = ManifestDeclarations(defaultNamespace: options.defaultNamespace)
        var result = Declaration()
        for path in paths {
            if let folder = GoPackages.folder(path) {
                var here = GoPackages()
                try here.read(folder: folder)
                let files = try ManifestLoader.expand([folder])
                if here.hasMarkers || files.files.isEmpty {
                    packages.add(here)
                    if !files.files.isEmpty { packages.noteUnread(files.files.map(\.path)) }
                } else {
                    result.diagnostics += here.diagnostics
                    try manifests.read(files.files, files.kustomizations)
                }
                continue
            }
            let input = try InputFile(path: path)
            defer { withExtendedLifetime(input) {} }
            if path.hasSuffix(".go") {
                packages.read(input.bytes, file: path)
            } else if isRequestList(input.bytes) {
                let (items, diagnostics) = requests(input.bytes, file: path)
                result.items += items
                result.diagnostics += diagnostics
            } else {
                manifests.read(input.bytes, file: path)
            }
        }
        let roles = MarkerRoles(packages.markers, roleName: options.roleName, by: options.controllerGen)
        result.markerRoles = roles.roles
        result.items = packages.markers.flatMap(items) + manifests.finish() + result.items
        result.diagnostics = packages.diagnostics + roles.diagnostics + manifests.diagnostics + result.diagnostics
        // Paths may overlap.
        var said: Set<Diagnostic> = []
        result.diagnostics = result.diagnostics.filter { said.insert($0).inserted }
        var seen: Set<Item> = []
        result.items = result.items.filter { item in
            var key = item
            (key.location, key.origin) = (nil, .marker)
            return seen.insert(key).inserted
        }
        return result
    }

    /// The atoms of a marker; those of a Role without its URLs, which a Role cannot give.
    private static func items(_ marker: RBACMarker) -> [Item] {
        marker.rule.atoms.filter { $0.nonResourceURL == nil || marker.namespace.isEmpty }.map {
            Item($0, namespace: marker.namespace, location: marker.location, origin: .marker)
        }
    }

    // MARK: Requests

    private static func requests(_ bytes: UnsafeBufferPointer<UInt8>, file: String) -> (items: [Item], diagnostics: [Diagnostic]) {
        var items: [Item] = []
        var diagnostics: [Diagnostic] = []
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            let location = SourceLocation(file: file, line: number, column: 1)
            switch RequestLines.parse(UnsafeBufferPointer(rebasing: line)) {
            case .request(_, let user, let request):
                let account = ServiceAccountName.split(user.name).map { Item.Account(namespace: $0.namespace, name: $0.name) }
                guard user.name.isEmpty || account != nil else {
                    diagnostics.append(
                        Diagnostic(
                            .note, id: "declared-for-others", "the request is of user `\(user.name)`, no service account", at: location,
                            help: "leave out `user`, or write system:serviceaccount:NAMESPACE:NAME"))
                    continue
                }
                items.append(item(request, account, at: location))
            case .bad(let message):
                diagnostics.append(
                    Diagnostic(
                        .error, id: "invalid-declaration", "the line is no request: \(message)", at: location, help: "other lines were read"
                    ))
            }
        }
        return (items, diagnostics)
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

    private static func item(_ request: Request, _ account: Item.Account?, at location: SourceLocation) -> Item {
        if let path = request.path {
            return Item(
                RuleAtom(verb: request.verb, nonResourceURL: path), namespace: "", serviceAccount: account, location: location,
                origin: .request)
        }
        return Item(
            RuleAtom(
                verb: request.verb, apiGroup: request.apiGroup, resource: request.combinedResource,
                resourceName: request.name.isEmpty ? nil : request.name),
            namespace: request.namespace, serviceAccount: account, location: location, origin: .request)
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether a word stands anywhere in the bytes.
    func holds(_ word: String) -> Bool {
        guard let base = baseAddress, let first = word.utf8.first else { return false }
        var position = 0
        while position < count, let found = memchr(base + position, Int32(first), count - position) {
            let place = UnsafeRawPointer(base).distance(to: found)
            if self[place...].starts(with: word.utf8) { return true }
            position = place + 1
        }
        return false
    }
}
