import ArgumentParser
import WhittleIngest
import WhittleModel
import WhittleStore

/// The options that belong to `VERB TYPE[/X]` or `VERB /PATH`.
struct RequestOptions: ParsableArguments {
    @Option(help: "Subresource; TYPE/X is then an object name.")
    var subresource: String?

    @Option(help: "Object name; TYPE/X is then a subresource.")
    var name: String?

    @Option(name: [.short, .customLong("namespace")], help: "Namespace of the request (default: default).")
    var namespace: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "In every namespace.")
    var allNamespaces = false

    func validate() throws {
        if namespace != nil, allNamespaces { throw ValidationError("give either -n or -A, not both") }
    }

    /// What the words mean.
    enum Meaning {
        /// `name` `nil` = not given, `namespace` `nil` = every namespace.
        case resource(apiGroup: String, resource: String, subresource: String, name: String?, namespace: String?)
        case url(String)
    }

    /// Understands the words through the catalogue; what was guessed is said on standard error.
    ///
    /// - Parameters:
    ///   - verb: `get`, `list`, …; for a URL the lower-case HTTP method.
    ///   - target: `TYPE`, `TYPE.group`, `TYPE/SUBRESOURCE`, `TYPE/NAME` or `/PATH`.
    func meaning(of verb: String, _ target: String, in database: WhittleDatabase) throws -> Meaning {
        if target.hasPrefix("/") {
            if subresource != nil || name != nil { throw ValidationError("a URL has neither subresource nor name") }
            return .url(target)
        }
        let catalogue = ResourceCatalogue.builtIn(extendedBy: try database.apiResources())
        let slash = target.firstIndex(of: "/")
        let type = String(target[..<(slash ?? target.endIndex)])
        let after = slash.map { String(target[target.index(after: $0)...]) }
        let found = catalogue.resolve(type)
        if found.isNamespaced == nil, type != "*" {
            note(
                "the catalogue does not know `\(type)`; taken literally as resource `\(found.resource)` in API group \"\(found.apiGroup)\"")
        }
        var subresource = subresource ?? ""
        var name = name
        if let after {
            if name != nil, self.subresource == nil {
                subresource = after
            } else if self.subresource == nil, catalogue.knows(subresource: after, of: found.resource, apiGroup: found.apiGroup) {
                subresource = after
                note("`\(after)` is taken as a subresource; use --name \(after) for an object of that name")
            } else if name == nil {
                name = after
                if self.subresource == nil { note("`\(after)` is taken as an object name; use --subresource \(after) for a subresource") }
            } else {
                throw ValidationError("`\(target)` with both --name and --subresource names too much")
            }
        }
        return .resource(
            apiGroup: found.apiGroup, resource: found.resource, subresource: subresource, name: name,
            namespace: scope(of: found, verb: verb, name: name))
    }

    /// The namespace that the authorizer sees; `nil` = every one.
    private func scope(of found: ResourceCatalogue.Resolution, verb: String, name: String?) -> String? {
        guard found.isNamespaced == false else { return allNamespaces ? nil : namespace ?? "default" }
        // A named Namespace object is judged in the namespace of its name (semantics URL-5), so -A means any of them.
        if found.resource == "namespaces", found.apiGroup.isEmpty, !["create", "list", "watch", "deletecollection"].contains(verb) {
            if let name { return name }
            if allNamespaces { return nil }
        }
        if namespace != nil { note("`\(found.resource)` is cluster-scoped; -n is ignored") }
        return ""
    }

    private func note(_ text: String) { Console.current.error("whittle: note: \(text)\n") }
}
