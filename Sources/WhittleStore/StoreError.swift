/// Why a database cannot be used.
public enum StoreError: Error, CustomStringConvertible, Equatable {
    /// The file does not exist or cannot be opened.
    case cannotOpen(path: String, reason: String)
    /// The file cannot be written.
    case cannotWrite(path: String, reason: String)
    /// Another process is writing the file, and goes on for longer than was waited.
    case locked(path: String)
    /// The file is no database of Whittle.
    case notWhittle(path: String)
    /// The file was written by a newer version.
    case newerSchema(path: String, found: Int, supported: Int)
    /// The file was written by an older version and cannot be brought to the schema of this one.
    case olderSchema(path: String, found: Int, supported: Int)
    /// A file without its usage took its place while it was open.
    case replaced(path: String)
    /// Another load has added the log, another state of it, or some of its events since it was read.
    case overtaken(log: String)
    /// The file holds usage of another cluster than the input.
    case otherCluster(path: String, found: String, given: String)
    /// A file of another cluster took its place while it was open.
    case becameOther(path: String, was: String, now: String)
    /// SQLite refused a statement; values are hidden.
    case sql(code: Int32, message: String)
    /// A query was run with a parameter it does not have, or without one of its own.
    case parameter(query: String, name: String)
    /// No query of this name.
    case unknownQuery(String)

    /// One sentence for people, with what to do.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "cannot open the database `\(path)`: \(reason)"
        case .cannotWrite(let path, let reason): "cannot write the database `\(path)`: \(reason)"
        case .locked(let path): "another process is writing the database `\(path)`; run the command again"
        case .notWhittle(let path): "`\(path)` is not a database of whittle; make one with `whittle load PATH -o \(path)`"
        case .newerSchema(let path, let found, let supported):
            "`\(path)` has schema \(found), this whittle knows schemas up to \(supported); use the newer whittle that wrote it"
        case .olderSchema(let path, let found, let supported):
            "`\(path)` has schema \(found), this whittle needs schema \(supported) and cannot bring the file to it; make it writable once, or load the input into a new file"
        case .replaced(let path): "`\(path)` was replaced by a file without its usage; nothing was added to that; run the command again"
        case .overtaken(let log): "another load has added some of `\(log)` meanwhile, and nothing was added twice; run the command again"
        case .otherCluster(let path, let found, let given):
            "`\(path)` holds usage of cluster \(found), the input is of cluster \(given); write another file, or drop the usage with --fresh"
        case .becameOther(let path, let was, let now):
            "`\(path)` was replaced by the database of another cluster, \(now) instead of \(was); nothing was added to that; give the one to write with --db"
        case .sql(let code, let message): "SQLite error \(code): \(message)"
        case .parameter(let query, let name): "query `\(query)`: parameter `\(name)` is unknown or missing"
        case .unknownQuery(let name): "there is no query `\(name)`; `whittle query --list` shows all"
        }
    }
}
