/// No result at all: the input cannot be opened or read. Bad documents are `Diagnostic`s instead.
public enum IngestError: Error, CustomStringConvertible, Equatable {
    /// The path does not exist or may not be read.
    case cannotOpen(path: String, reason: String)
    /// The system does not give the bytes of what was opened, or it was cut off meanwhile.
    case cannotRead(path: String, reason: String)
    /// A compressed input is damaged.
    case cannotDecompress(path: String, reason: String)

    /// A file of `whittle usage export` cannot be read.
    case notAnExport(path: String, line: Int, reason: String)

    /// One sentence for people.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "cannot open `\(path)`: \(reason)"
        case .cannotRead(let path, let reason): "cannot read `\(path)`: \(reason)"
        case .notAnExport(let path, let line, let reason): "\(path):\(line): \(reason)"
        case .cannotDecompress(let path, let reason): "cannot decompress `\(path)`: \(reason)"
        }
    }
}
