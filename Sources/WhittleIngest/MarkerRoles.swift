import WhittleModel

/// Which controller-gen writes the roles.
public enum ControllerGen: String, CaseIterable, Sendable {
    /// v0.16 and later: rules are merged over resources, groups and URLs.
    case current
    /// v0.15 and earlier: only rules about the same groups, resources, names and URLs are merged.
    case legacy
}

/// Markers → the Roles and ClusterRoles that controller-gen writes for them (controller-tools pkg/rbac/parser.go).
///
/// One difference: where two merged rules come to be about the same groups and resources, controller-gen keeps the verbs of one
/// of them, a different one from run to run. Here both stay, and a warning says so.
struct MarkerRoles {
    /// ClusterRoles first, then Roles by namespace and name.
    private(set) var roles: [Role] = []
    private(set) var diagnostics: [Diagnostic] = []

    private struct Rule {
        var groups: [String]
        var resources: [String]
        var names: [String]
        var urls: [String]
        var verbs: [String]
        /// The markers it was made of, the first one first.
        var places: [SourceLocation]

        mutating func normalize() {
            groups = MarkerRoles.sorted(groups)
            resources = MarkerRoles.sorted(resources)
            names = MarkerRoles.sorted(names)
            urls = MarkerRoles.sorted(urls)
            verbs = MarkerRoles.sorted(verbs)
        }

        var key: [ByteString] { [groups, resources, names, urls].map(Self.joined) }
        /// What rules are sorted by.
        var order: String { key.map(\.string).joined(separator: " + ") }

        static func joined(_ list: [String]) -> ByteString { ByteString(list.joined(separator: "&")) }

        mutating func addPlaces(of other: Rule) { places += other.places.filter { !places.contains($0) } }
    }

    /// - Parameter roleName: of roles whose markers name none.
    init(_ markers: [RBACMarker], roleName: String, by version: ControllerGen) {
        struct Key: Hashable {
            var namespace: ByteString
            var name: ByteString
        }
        var rules: [Key: [Rule]] = [:]
        for marker in markers {
            let key = Key(
                namespace: ByteString(marker.namespace), name: ByteString(marker.roleName.isEmpty ? roleName : marker.roleName))
            let whole = Rule(
                groups: marker.groups, resources: marker.resources, names: marker.resourceNames, urls: marker.urls, verbs: marker.verbs,
                places: [marker.location])
            guard version == .current, !marker.resources.isEmpty else {
                rules[key, default: []].append(whole)
                continue
            }
            for resource in marker.resources {
                var rule = whole
                rule.resources = [resource]
                rules[key, default: []].append(rule)
            }
        }
        let keys = rules.keys.sorted {
            $0.namespace == $1.namespace
                ? bytesPrecede($0.name.string, $1.name.string) : bytesPrecede($0.namespace.string, $1.namespace.string)
        }
        for key in keys {
            let merged = version == .current ? current(rules[key] ?? []) : legacy(rules[key] ?? [])
            roles.append(
                Role(
                    meta: ObjectMeta(namespace: key.namespace.string, name: key.name.string),
                    rules: merged.map { rule in
                        func list(_ list: [String]) -> [String]? { list.isEmpty ? nil : list }
                        return WrittenRule(
                            PolicyRule(
                                verbs: list(rule.verbs), apiGroups: list(rule.groups), resources: list(rule.resources),
                                resourceNames: list(rule.names), nonResourceURLs: list(rule.urls)),
                            location: rule.places.first)
                    }))
        }
    }

    private mutating func current(_ rules: [Rule]) -> [Rule] {
        var rules = withEqualKeysMerged(
            rules.map { rule in
                var rule = rule
                rule.groups = rule.groups.map { $0.isSameBytes(as: "core") ? "" : $0 }
                rule.normalize()
                return rule
            })
        for list in [\Rule.resources, \Rule.groups, \Rule.urls] { rules = merged(rules, over: list) }
        return rules.sorted { bytesPrecede($0.order, $1.order) }.map { rule in
            var rule = rule
            if rule.verbs.containsBytes("*") { rule.verbs = ["*"] }
            return rule
        }
    }

    /// Without splitting and merging; `core` is sorted as it is written and renamed last.
    private func legacy(_ rules: [Rule]) -> [Rule] {
        let merged = withEqualKeysMerged(
            rules.map { rule in
                var rule = rule
                rule.normalize()
                return rule
            })
        return merged.sorted { left, right in
            left.key.lexicographicallyPrecedes(right.key) { bytesPrecede($0.string, $1.string) }
        }.map { rule in
            var rule = rule
            rule.groups = rule.groups.map { $0.isSameBytes(as: "core") ? "" : $0 }
            return rule
        }
    }

    /// Rules about the same things become one with all their verbs.
    private func withEqualKeysMerged(_ rules: [Rule]) -> [Rule] {
        var result: [Rule] = []
        var places: [[ByteString]: Int] = [:]
        for rule in rules {
            guard let place = places[rule.key] else {
                places[rule.key] = result.count
                result.append(rule)
                continue
            }
            result[place].verbs = Self.sorted(result[place].verbs + rule.verbs)
            // `groups=,` and `groups=""` have one key; the one that grants something counts.
            result[place].groups = Self.sorted(result[place].groups + rule.groups)
            result[place].addPlaces(of: rule)
        }
        return result
    }

    /// Rules that differ in one list only become one that has all of it.
    private mutating func merged(_ rules: [Rule], over list: WritableKeyPath<Rule, [String]>) -> [Rule] {
        var together: [Rule] = []
        var places: [[ByteString]: Int] = [:]
        for rule in rules {
            var other = rule
            other[keyPath: list] = []
            let key = other.key + [Rule.joined(rule.verbs)]
            guard let place = places[key] else {
                places[key] = together.count
                together.append(rule)
                continue
            }
            together[place][keyPath: list] = Self.sorted(together[place][keyPath: list] + rule[keyPath: list])
            together[place].groups = Self.sorted(together[place].groups + rule.groups)
            together[place].addPlaces(of: rule)
        }
        var result: [Rule] = []
        var byKey: [[ByteString]: Int] = [:]
        for rule in together {
            guard let place = byKey[rule.key] else {
                byKey[rule.key] = result.count
                result.append(rule)
                continue
            }
            warn(result[place], rule)
            result[place].verbs = Self.sorted(result[place].verbs + rule.verbs)
            result[place].addPlaces(of: rule)
        }
        return result
    }

    private mutating func warn(_ kept: Rule, _ other: Rule) {
        func words(_ list: [String]) -> String { list.joined(separator: ",") }
        let target = kept.urls.isEmpty ? words(kept.resources) : words(kept.urls)
        diagnostics.append(
            Diagnostic(
                .warning, id: "marker-verbs-kept",
                "controller-gen writes one rule about `\(target)` with the verbs `\(words(kept.verbs))` or `\(words(other.verbs))`, by chance; here it has both",
                at: kept.places.first, notes: (kept.places.dropFirst() + other.places).map { "also made of \($0)" },
                help: "write all verbs into each of the markers"))
    }

    /// Sorted by bytes, each element once.
    fileprivate static func sorted(_ list: [String]) -> [String] { list.uniqued().sorted(by: bytesPrecede) }
}
