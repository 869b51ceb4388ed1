import CSimdjsonYardstick
import Foundation

/// What else reads an audit log; each runs in a process of its own, named by its option.
enum AuditYardstick: String {
    /// Decodes each line into a struct and does nothing else.
    case decoder = "--decode"
    /// Reads what Whittle keeps with the fastest general parser and counts it.
    case simdjson = "--simdjson"

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
        case .decoder: try Self.decode(path)
        case .simdjson: simdjson_fold(path)
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
