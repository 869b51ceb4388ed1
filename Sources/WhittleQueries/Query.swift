/// One question: a name, what its header says, and the SQL.
public struct Query: Sendable {
    /// A parameter or a column of the result.
    public struct Field: Hashable, Sendable {
        /// Without the colon.
        public var name: String
        /// `text`, `integer`; a `?` after it means that NULL occurs.
        public var type: String
        /// What it means, with unit.
        public var meaning: String
    }

    /// The file's name without extension.
    public var name: String
    /// One line.
    public var title: String
    /// What one row says.
    public var answers: String
    /// What happens when parameters are left out.
    public var unset: String
    /// Parameters in order of the header.
    public var parameters: [Field]
    /// Columns in order of the result.
    public var columns: [Field]
    /// The whole file.
    public var sql: String

    /// Reads a query file; the header lines are `-- key: value`.
    public init(name: String, sql: String) {
        self.name = name
        self.sql = sql
        title = ""
        answers = ""
        unset = ""
        parameters = []
        columns = []
        for line in sql.split(separator: "\n") {
            guard line.hasPrefix("-- ") else { break }
            let body = line.dropFirst(3)
            guard let colon = body.firstIndex(of: ":") else { continue }
            let value = body[body.index(after: colon)...].drop { $0 == " " }
            switch body[..<colon] {
            case "title": title = String(value)
            case "answers": answers = String(value)
            case "unset": unset = String(value)
            case "param": parameters.append(Self.field(value.drop { $0 == ":" }))
            case "column": columns.append(Self.field(value))
            default: break
            }
        }
    }

    private static func field(_ text: Substring) -> Field {
        let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
        return Field(
            name: String(words.first ?? ""), type: words.count > 1 ? String(words[1]) : "",
            meaning: words.count > 2 ? String(words[2].drop { $0 == " " }) : "")
    }
}

/// The queries that the binary carries: every file of `Queries/`.
public enum QueryCatalogue {
    /// All queries, by name.
    public static let all: [Query] = EmbeddedQueries.files.filter { $0.name.hasSuffix(".sql") }
        .map { Query(name: String($0.name.dropLast(4)), sql: $0.text) }

    /// The query of this name; `nil` when there is none.
    public static func named(_ name: String) -> Query? { all.first { $0.name == name } }
}
