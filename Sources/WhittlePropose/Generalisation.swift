import WhittleModel

/// A step beyond what the evidence proves, made on purpose and told.
public struct Generalisation: Hashable, Sendable {
    /// Why atoms were added.
    public enum Step: String, CaseIterable, Sendable {
        /// Names that no second object will have: resourceNames are dropped.
        case generatedNames = "generated-names"
        /// Names of objects that the subject itself creates: resourceNames are dropped.
        case createThenUse = "create-then-use"
        /// More names than anybody reads: resourceNames are dropped.
        case manyNames = "many-names"
        /// The usage holds no names any more, because there were too many.
        case droppedNames = "dropped-names"
        /// An informer lists what it watches, and watches what it lists.
        case watchList = "watch-list"
        /// `get` of what is listed or watched anyway.
        case readClosure = "read-closure"
        /// `patch` of what is updated, and `update` of what is patched.
        case writeClosure = "write-closure"
        /// `delete` of what is created.
        case lifecycle
        /// What is needed in some namespaces of a label selector is needed in all of them.
        case namespaces
        /// A check inside a request that leaves no event of its own.
        case hidden
        /// A refused request that the user chose to allow.
        case includedDenied = "included-denied"
    }

    /// Why.
    public var step: Step
    /// Scope of the atoms; `""` = cluster-wide.
    public var namespace: String
    /// What is added, in canonical order; empty when the needs themselves were widened before (`droppedNames`).
    public var atoms: [RuleAtom]
    /// The evidence that led to it, one sentence.
    public var reason: String
    /// Requests of the reference universe that this allows and the needs do not.
    public var size = 0
    /// Whether objects or namespaces to come make it grow.
    public var isUnbounded = false
}

/// Which steps are taken.
public struct GeneralisationPolicy: Hashable, Sendable {
    /// See `Generalisation.Step.generatedNames`.
    public var generatedNames = true
    /// See `Generalisation.Step.createThenUse`.
    public var createThenUse = true
    /// Distinct names of one verb and resource beyond which resourceNames are dropped; 0 = never.
    public var maximumNames = 50
    /// See `Generalisation.Step.watchList`.
    public var watchList = true
    /// See `Generalisation.Step.readClosure`.
    public var readClosure = false
    /// See `Generalisation.Step.writeClosure`.
    public var writeClosure = false
    /// See `Generalisation.Step.lifecycle`.
    public var lifecycle = false
    /// See `Generalisation.Step.namespaces`; `nil` = not taken.
    public var namespaceSelector: LabelSelector?
    /// See `Generalisation.Step.hidden`.
    public var hidden = true

    /// The steps that are taken when nothing is said.
    public init() {}

    /// No step at all: exactly the needs.
    public static var exact: GeneralisationPolicy {
        var policy = GeneralisationPolicy()
        (policy.generatedNames, policy.createThenUse, policy.maximumNames) = (false, false, 0)
        (policy.watchList, policy.hidden) = (false, false)
        return policy
    }
}
