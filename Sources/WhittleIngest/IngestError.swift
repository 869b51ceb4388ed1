/// No result at all: the input cannot be opened. Bad documents are `Diagnostic`s instead.
public enum IngestError: Error, CustomStringConvertible, Equatable {
    /// The path does not exist or may not be read.
    case cannotOpen(path: String, reason: String)
    /// A compressed input is damaged.
    case cannotDecompress(path: String, reason: String)

    /// One sentence for people.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "cannot open `\(path)`: \(reason)"
        case .cannotDecompress(let path, let reason): "cannot decompress `\(path)`: \(reason)"
        }
    }
}
