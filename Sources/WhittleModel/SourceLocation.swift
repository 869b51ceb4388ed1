/// A place in an input: `file:line:column`.
///
/// Lines and columns are 1-based; columns count characters (Unicode scalars), not bytes.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// The path as the user gave it, or `-` for standard input.
    public var file: String
    /// 1-based line.
    public var line: Int
    /// 1-based column in characters.
    public var column: Int

    /// Creates a location from its three parts.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`.
    public var description: String { "\(file):\(line):\(column)" }
}
