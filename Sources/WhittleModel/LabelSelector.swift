/// A label selector as an aggregationRule writes it.
public struct LabelSelector: Hashable, Sendable {
    /// One element of matchExpressions.
    public struct Requirement: Hashable, Sendable {
        /// The label key.
        public var key: String
        /// `In`, `NotIn`, `Exists`, `DoesNotExist`, in `-l` also `Gt` and `Lt`; anything else makes the selector invalid.
        public var `operator`: String
        /// The values; must be empty for Exists and DoesNotExist and not empty otherwise.
        public var values: [String]

        /// Creates a requirement.
        public init(key: String, operator: String, values: [String]) {
            self.key = key
            self.operator = `operator`
            self.values = values
        }

        var isValid: Bool {
            switch `operator` {
            case "In", "NotIn": !values.isEmpty
            case "Exists", "DoesNotExist": values.isEmpty
            default: false
            }
        }

        func matches(_ labels: Labels) -> Bool {
            switch `operator` {
            case "In": labels[key].map { values.contains($0) } ?? false
            case "NotIn": labels[key].map { !values.contains($0) } ?? true
            case "Exists": labels[key] != nil
            case "Gt", "Lt":
                // Whole numbers, as labels.Requirement compares them; only `-l` knows these two.
                zip([labels[key]].compactMap { $0.flatMap { Int64($0) } }, values.compactMap { Int64($0) })
                    .contains { `operator` == "Gt" ? $0 > $1 : $0 < $1 }
            default: labels[key] == nil
            }
        }
    }

    /// Labels that must have exactly these values.
    public var matchLabels: Labels
    /// Further conditions; all must hold.
    public var matchExpressions: [Requirement]

    /// Creates a selector; an empty one matches everything.
    public init(matchLabels: Labels = [:], matchExpressions: [Requirement] = []) {
        self.matchLabels = matchLabels
        self.matchExpressions = matchExpressions
    }

    /// Whether the API server can use it; one invalid selector stops the whole aggregation of its role.
    public var isValid: Bool { matchExpressions.allSatisfy(\.isValid) }

    /// Whether an object with these labels is selected.
    public func matches(_ labels: Labels) -> Bool {
        matchLabels.pairs.allSatisfy { labels[$0.key] == $0.value } && matchExpressions.allSatisfy { $0.matches(labels) }
    }
}
