import Foundation
import WhittleModel

/// Cases of `Fixtures/vectors` and of the folder that `WHITTLE_VECTORS` names.
package struct Vector: Sendable, CustomStringConvertible {
    package let id: String
    package let kind: String
    package let spec: [String]
    package let note: String?
    package let given: JSON
    package let when: JSON
    package let expect: JSON

    package var description: String { id }

    /// Every case of a kind; each is a named test case.
    package static func cases(_ kinds: String...) -> [Vector] { all.filter { kinds.contains($0.kind) } }

    /// Every case.
    package static let all: [Vector] = {
        var files = Vector.files(in: Fixtures.path("vectors"))
        if let more = ProcessInfo.processInfo.environment["WHITTLE_VECTORS"], !more.isEmpty { files += Vector.files(in: more) }
        return files.flatMap { file -> [Vector] in
            guard let data = FileManager.default.contents(atPath: file), let document = JSON(data: data),
                document["schemaVersion"].int == 1
            else { return [] }
            return document["cases"].array.map {
                Vector(
                    id: $0["id"].string ?? "", kind: $0["kind"].string ?? "", spec: $0["spec"].strings, note: $0["note"].string,
                    given: $0["given"], when: $0["when"], expect: $0["expect"])
            }
        }
    }()

    private static func files(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".json") }.sorted().map { "\(folder)/\($0)" }
    }
}

/// A JSON value that answers "absent" instead of failing.
package indirect enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSON])
    case map([String: JSON])

    package init?(data: Data) {
        guard let value = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) else { return nil }
        self = JSON(value)
    }

    private init(_ value: Any) {
        switch value {
        case let text as String: self = .text(text)
        case let number as NSNumber:
            self = CFBooleanLike.isBool(number) ? .bool(number.boolValue) : .number(number.doubleValue)
        case let list as [Any]: self = .list(list.map(JSON.init))
        case let map as [String: Any]: self = .map(map.mapValues(JSON.init))
        default: self = .null
        }
    }

    private enum CFBooleanLike {
        static func isBool(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
    }

    package subscript(_ key: String) -> JSON {
        if case .map(let map) = self { map[key] ?? .null } else { .null }
    }

    package var string: String? { if case .text(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var int: Int? { if case .number(let value) = self { Int(value) } else { nil } }
    package var array: [JSON] { if case .list(let list) = self { list } else { [] } }
    package var strings: [String] { array.compactMap(\.string) }
    package var stringsIfPresent: [String]? { if case .list = self { strings } else { nil } }
    package var labels: Labels {
        guard case .map(let map) = self else { return [:] }
        return Labels(map.compactMapValues(\.string).map { (key: $0.key, value: $0.value) })
    }
    package var keys: [String] { if case .map(let map) = self { map.keys.sorted() } else { [] } }

    /// The value as JSON text.
    package var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let value): value == value.rounded() ? String(Int(value)) : String(value)
        case .text(let text): jsonQuoted(text)
        case .list(let list): "[" + list.map(\.text).joined(separator: ",") + "]"
        case .map(let map):
            "{" + map.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)):\($0.value.text)" }.joined(separator: ",") + "}"
        }
    }
}

extension JSON {
    package var rule: PolicyRule {
        PolicyRule(
            verbs: self["verbs"].stringsIfPresent, apiGroups: self["apiGroups"].stringsIfPresent,
            resources: self["resources"].stringsIfPresent, resourceNames: self["resourceNames"].stringsIfPresent,
            nonResourceURLs: self["nonResourceURLs"].stringsIfPresent)
    }

    package var rules: [PolicyRule] { array.map(\.rule) }

    package var subject: Subject {
        Subject(
            kind: self["kind"].string ?? "", namespace: self["namespace"].string, name: self["name"].string ?? "",
            apiGroup: self["apiGroup"].string)
    }

    package var user: UserInfo { UserInfo(name: self["name"].string ?? "", groups: self["groups"].strings) }

    /// The attributes of a request.
    package var request: Request {
        let verb = self["verb"].string ?? ""
        if self["resourceRequest"].bool == false { return Request(verb: verb, path: self["path"].string ?? "") }
        if let path = self["path"].string, !path.isEmpty { return Request(verb: verb, path: path) }
        return Request(
            verb: verb, apiGroup: self["apiGroup"].string ?? "", resource: self["resource"].string ?? "",
            subresource: self["subresource"].string ?? "", namespace: self["namespace"].string ?? "", name: self["name"].string ?? "")
    }

    package var authorizer: Authorizer { Authorizer(roles: roles, bindings: bindings) }

    package var roles: [Role] {
        (self["clusterRoles"].array + self["roles"].array).map { role in
            let selectors = role["aggregationRule"]
            return Role(
                meta: ObjectMeta(
                    namespace: role["namespace"].string ?? "", name: role["name"].string ?? "", labels: role["labels"].labels),
                rules: role["rules"].rules.map { WrittenRule($0) },
                aggregationSelectors: selectors == .null ? nil : selectors["clusterRoleSelectors"].array.map(\.selector))
        }
    }

    private var bindings: [Binding] {
        (self["clusterRoleBindings"].array + self["roleBindings"].array).map { binding in
            Binding(
                meta: ObjectMeta(namespace: binding["namespace"].string ?? "", name: binding["name"].string ?? ""),
                roleRef: RoleRef(kind: binding["roleRef"]["kind"].string ?? "", name: binding["roleRef"]["name"].string ?? ""),
                subjects: binding["subjects"].array.map { WrittenSubject($0.subject) })
        }
    }

    package var selector: LabelSelector? {
        guard case .map = self else { return nil }
        return LabelSelector(
            matchLabels: self["matchLabels"].labels,
            matchExpressions: self["matchExpressions"].array.map {
                LabelSelector.Requirement(
                    key: $0["key"].string ?? "", operator: $0["operator"].string ?? "", values: $0["values"].strings)
            })
    }
}

extension Sequence where Element: Hashable {
    /// How often each element occurs.
    package var multiset: [Element: Int] { reduce(into: [:]) { $0[$1, default: 0] += 1 } }
}
