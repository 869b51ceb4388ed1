import CSimdjsonYardstick
import Foundation
import WhittleIngest

/// What else reads an audit log; each runs in a process of its own, named by its option.
enum AuditYardstick: String {
    /// Decodes each line into a struct and does nothing else.
    case decoder = "--decode"
    /// Reads what Whittle keeps with the fastest general parser and counts it.
    case simdjson = "--simdjson"
    /// Whittle's own reader, on one thread and without a database: what simdjson is to be compared with.
    case folding = "--fold"

    private struct Event: Decodable {
        struct User: Decodable {
            var username: String
            var groups: [String]?
            var extra: [String: [String]]?
        }
        struct ObjectRef: Decodable {
            var resource: String?
            var namespace: String?
            var name: String?
            var apiGroup: String?
            var subresource: String?
        }
        struct Status: Decodable {
            var code: Int?
            var message: String?
        }
        var stage: String
        var requestURI: String
        var verb: String
        var user: User
        var impersonatedUser: User?
        var userAgent: String?
        var objectRef: ObjectRef?
        var responseStatus: Status?
        var requestReceivedTimestamp: String
        var annotations: [String: String]?
    }

    /// The events of a log.
    func read(_ path: String) throws -> Int {
        switch self {
        case .decoder: return try Self.decode(path)
        case .simdjson: return simdjson_fold(path)
        case .folding:
            var options = AuditLogReader.Options()
            options.threads = 1
            return try AuditLogReader.fold(path, options: options).logs.reduce(0) { $0 + $1.events }
        }
    }

    private static func decode(_ path: String) throws -> Int {
        let decoder = JSONDecoder()
        var events = 0
        for line in try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe).split(separator: UInt8(ascii: "\n")) {
            events += try decoder.decode(Event.self, from: line).stage.isEmpty ? 0 : 1
        }
        return events
    }
}
