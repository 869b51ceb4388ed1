import ArgumentParser
import WhittleModel
import WhittleStore

/// Which of many objects are meant.
struct SelectionOptions: ParsableArguments {
    @Option(
        name: [.customShort("l"), .customLong("selector")],
        help: "Label selector of pods, workloads or service accounts, as kubectl takes it: app=cart,tier!=web. Give TYPE without a name.")
    var selector: String?

    @Flag(name: [.customShort("A"), .customLong("all-namespaces")], help: "In every namespace.")
    var allNamespaces = false

    func validate() throws {
        if let selector, LabelSelector(text: selector) == nil { throw ValidationError("`\(selector)` is no label selector") }
    }

    /// The objects of a kind that the options select, by namespace and name.
    ///
    /// - Throws: `CommandFailure` when there are none.
    func objects(of kind: String, namespace: String?, in database: WhittleDatabase) throws -> [(namespace: String, name: String)] {
        let space = allNamespaces ? nil : namespace ?? "default"
        let rows = try database.run("labelled-objects", ["kind": .text(kind), "namespace": .optional(space)])
        let wanted = selector.flatMap { LabelSelector(text: $0) } ?? LabelSelector()
        let found = rows.named.filter { wanted.matches(Labels(json: $0["labels"].string ?? "{}")) }
            .map { (namespace: $0["namespace"].string ?? "", name: $0["name"].string ?? "") }
        guard !found.isEmpty else {
            let place = space.map { " in namespace `\($0)`" } ?? ""
            throw CommandFailure("no \(kind)\(selector.map { " with labels `\($0)`" } ?? "")\(place) in the input")
        }
        return found
    }
}

/// A pattern that names of subjects must match.
struct MatchOptions: ParsableArguments {
    @Option(help: "Only subjects whose name, or NAMESPACE/NAME, this regular expression matches.")
    var match: String?

    func validate() throws {
        if let match, (try? Regex(match)) == nil { throw ValidationError("`\(match)` is no regular expression") }
    }

    /// Whether a subject is meant; every one is when no pattern was given.
    func matches(namespace: String?, name: String) -> Bool {
        guard let match, let pattern = try? Regex(match) else { return true }
        return name.contains(pattern) || (namespace.map { "\($0)/\(name)".contains(pattern) } ?? false)
    }
}
