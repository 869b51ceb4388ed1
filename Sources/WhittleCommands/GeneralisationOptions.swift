import ArgumentParser
import WhittleModel
import WhittlePropose

extension RoleMinimizer.Layout: ExpressibleByArgument {}

/// Which steps a proposal takes beyond what the usage proves; each one taken is told with its reason and size.
struct GeneralisationOptions: ParsableArguments {
    @Flag(help: "Exactly the needs: no step beyond them.")
    var exact = false

    @Flag(inversion: .prefixedNo, help: "Drop resourceNames that a controller or generateName made up.")
    var generatedNames = true

    @Flag(inversion: .prefixedNo, help: "Drop resourceNames of objects that the account itself creates under three or more names.")
    var createThenUse = true

    @Option(help: "Drop resourceNames where one verb and resource has more names than this; 0 = never.")
    var maxResourceNames = 50

    @Flag(inversion: .prefixedNo, help: "Add list to watch, and watch to list of a kind that is watched elsewhere.")
    var watchList = true

    @Flag(inversion: .prefixedNo, help: "Add what is checked inside requests that were seen, as far as the account holds it.")
    var hidden = true

    @Flag(help: "Add get to list and watch.")
    var readClosure = false

    @Flag(help: "Add patch to update and update to patch.")
    var writeClosure = false

    @Flag(help: "Add delete to create.")
    var lifecycle = false

    @Option(
        help: ArgumentHelp(
            "What is needed in two or more namespaces with these labels is needed in all of them: team=shop,env!=test.",
            valueName: "selector"))
    var namespaceSelector: String?

    @Option(help: "Allow this refused request too, as its line says: 'get secrets in shop'; a * stands for any text.")
    var includeDenied: [String] = []

    func validate() throws {
        if maxResourceNames < 0 { throw ValidationError("--max-resource-names is at least 0") }
        if let namespaceSelector, LabelSelector(text: namespaceSelector) == nil {
            throw ValidationError("`\(namespaceSelector)` is no label selector")
        }
        if exact, readClosure || writeClosure || lifecycle || namespaceSelector != nil {
            throw ValidationError("--exact takes no step beyond the needs")
        }
    }

    /// The steps.
    var policy: GeneralisationPolicy {
        guard !exact else { return .exact }
        var policy = GeneralisationPolicy()
        (policy.generatedNames, policy.createThenUse, policy.maximumNames) = (generatedNames, createThenUse, maxResourceNames)
        (policy.watchList, policy.hidden) = (watchList, hidden)
        (policy.readClosure, policy.writeClosure, policy.lifecycle) = (readClosure, writeClosure, lifecycle)
        policy.namespaceSelector = namespaceSelector.flatMap { LabelSelector(text: $0) }
        return policy
    }
}
