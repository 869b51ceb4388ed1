/// Something about an input that the user should know, with its place and what to do.
///
/// Input problems are values beside the result, never thrown: grants only add up, so the rest is still true.
public struct Diagnostic: Hashable, Sendable {
    /// How much of the input is lost.
    public enum Severity: String, Sendable {
        /// Part of the input was not understood and does not count.
        case error
        /// The input counts, but probably does not mean what was intended.
        case warning
        /// Information about how the input was read.
        case note
    }

    /// How much of the input is lost.
    public var severity: Severity
    /// Kebab-case, stable; a heading in docs/diagnostics.md.
    public var id: String
    /// One sentence in lower case without a final stop; text of the input stands in backticks.
    public var message: String
    /// Where; `nil` when no single place is meant.
    public var location: SourceLocation?
    /// Further places and facts.
    public var notes: [String]
    /// How to mend it; `nil` when nothing helps.
    public var help: String?

    /// Creates a diagnostic.
    public init(
        _ severity: Severity, id: String, _ message: String, at location: SourceLocation?, notes: [String] = [],
        help: String? = nil
    ) {
        self.severity = severity
        self.id = id
        self.message = message
        self.location = location
        self.notes = notes
        self.help = help
    }

    /// The ids that say that a document or file could not be read and may have held anything.
    package static let unreadableIDs: Set = ["invalid-yaml", "invalid-json", "not-utf8", "cannot-open"]
}
