import Foundation
import WhittleIngest
import WhittleModel
import WhittlePropose

/// The fewest rules: how long they take, and how many they are for roles that people wrote.
extension Bench {
    func proposing(_ add: ([Figure]) -> Void) throws {
        let defaults = try defaultRoles()
        let staying = Authorizer(roles: defaults.roles, bindings: defaults.bindings)
        let costs = costsOfAccounts(staying)
        add([
            Figure(
                name: "propose: 1,000 accounts with 60 needs", value: costs.one.seconds, unit: "s", limit: .atMost(2),
                detail: "CPU of one thread; \(costs.one.rules) rules, \(costs.one.unproven) accounts not proven the fewest"),
            Figure(
                name: "propose: 10,000 accounts against 1,000", value: costs.ten.seconds / costs.one.seconds, unit: "x",
                limit: .atMost(11), detail: "\(milliseconds(costs.one.seconds)) -> \(milliseconds(costs.ten.seconds))"),
            hardestScope(),
        ])
        add(try tabulate(defaults))
    }

    // MARK: Accounts

    private struct AccountCost {
        var seconds = 0.0
        var rules = 0
        var unproven = 0
    }

    /// What the first 1,000 accounts cost, and all 10,000: taken in turns, so that both see the machine in the same state.
    private func costsOfAccounts(_ staying: Authorizer) -> (one: AccountCost, ten: AccountCost) {
        let first = (0..<1_000).map { GeneratedNeeds(account: $0) }
        var ones: [AccountCost] = []
        var ten = AccountCost()
        for thousand in 0..<10 {
            ones.append(cost(of: first, staying))
            let part = cost(of: (0..<1_000).map { GeneratedNeeds(account: thousand * 1_000 + $0) }, staying)
            ten.seconds += part.seconds
            ten.rules += part.rules
            ten.unproven += part.unproven
        }
        var one = ones[0]
        one.seconds = ones.reduce(0) { $0 + $1.seconds } / Double(ones.count)
        return (one, ten)
    }

    /// Proposals one after the other in this thread; making up the needs is not counted.
    private func cost(of accounts: [GeneratedNeeds], _ staying: Authorizer) -> AccountCost {
        var result = AccountCost()
        let before = WhittleBench.cpuSeconds(of: RUSAGE_SELF)
        for account in accounts {
            let proposal = RoleProposal(namespace: account.namespace, name: account.name, needs: account.needs, staying: staying)
            result.rules += proposal.roles.reduce(0) { $0 + $1.rules.count }
            if !proposal.isProvenMinimal { result.unproven += 1 }
        }
        result.seconds = WhittleBench.cpuSeconds(of: RUSAGE_SELF) - before
        return result
    }

    /// Shapes that spend the whole budget: what a scope can cost at most.
    private func hardestScope() -> Figure {
        var slowest = (seconds: 0.0, name: "", rules: 0)
        func measure(_ name: String, _ needs: [Need]) {
            let before = WhittleBench.cpuSeconds(of: RUSAGE_SELF)
            let rules = RoleMinimizer.minimize(needs).reduce(0) { $0 + $1.rules.count }
            let seconds = WhittleBench.cpuSeconds(of: RUSAGE_SELF) - before
            if seconds > slowest.seconds { slowest = (seconds, name, rules) }
        }
        func grid(_ rows: Int, _ columns: Int, _ isNeeded: (Int, Int) -> Bool) -> [Need] {
            (0..<rows).flatMap { row in
                (0..<columns).filter { isNeeded(row, $0) }.map { Need(Request(verb: "v\($0)", resource: "r\(row)", namespace: "shop")) }
            }
        }
        measure("crown of 18", grid(18, 18) { $0 != $1 })
        measure("chain of 300", grid(300, 301) { $1 == $0 || $1 == $0 + 1 })
        for density in [50, 90] {
            var random = SeededNumbers(seed: UInt64(density))
            for (rows, columns) in [(300, 8), (20, 20), (40, 40), (300, 300)] {
                measure(
                    "random \(rows) × \(columns), \(density) %",
                    grid(rows, columns) { _, _ in Int.random(in: 0..<100, using: &random) < density })
            }
            let named = (0..<1_000).flatMap { name in
                (0..<24).filter { _ in Int.random(in: 0..<100, using: &random) < density }.map {
                    Need(Request(verb: "v\($0 % 6)", resource: "r\($0 / 6)", namespace: "shop", name: "n\(name)"))
                }
            }
            measure("1,000 names, \(density) %", named)
        }
        return Figure(
            name: "propose: the hardest scope", value: slowest.seconds, unit: "s", limit: .atMost(3),
            detail: "CPU; \(slowest.name), \(slowest.rules) rules")
    }

    // MARK: Roles that people wrote

    /// What every API server starts with.
    private func defaultRoles() throws -> ClusterState {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return try ManifestLoader(usesDefaults: false).load([root.appending(path: "Sources/WhittleIngest/BuiltIn/default-rbac.json").path])
    }

    /// One line per ClusterRole without wildcards of the recorded cluster, or of the defaults where there is none.
    private func tabulate(_ defaults: ClusterState) throws -> [Figure] {
        let recorded = ProcessInfo.processInfo.environment["WHITTLE_REFERENCE_DATA"].map { "\($0)/apiserver/dump/all.json" }
        let path = recorded.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
        let state = try path.map { try ManifestLoader(usesDefaults: false).load([$0]) } ?? defaults
        let roles = state.roles.filter { $0.kind == "ClusterRole" && !$0.rules.contains { $0.rule.hasWildcard } }
        print("\nClusterRoles without wildcards of \(path == nil ? "the defaults" : "the recorded cluster")\n")
        print("ClusterRole".padded(to: 64), "written  grouped  fewest  certificate")
        var (written, grouped, fewest, worse, unproven) = (0, 0, 0, 0, 0)
        for role in roles.sorted(by: { $0.meta.name.utf8.lexicographicallyPrecedes($1.meta.name.utf8) }) {
            let rules = role.rules.map(\.rule)
            let byVerbSet = VerbSetGrouping(rules).count
            let scope = RoleMinimizer.minimize(rules.flatMap(\.atoms).map { Need($0, namespace: "") }).first
            let count = scope?.rules.count ?? 0
            written += rules.count
            grouped += byVerbSet
            fewest += count
            if count > byVerbSet { worse += 1 }
            if let scope, !scope.isProvenMinimal { unproven += 1 }
            let counts = [String(rules.count).leading(7), String(byVerbSet).leading(7), String(count).leading(6)]
            print(role.meta.name.padded(to: 64), counts.joined(separator: "  "), "", Self.text(scope))
        }
        let counts = [String(written).leading(7), String(grouped).leading(7), String(fewest).leading(6)]
        print("\(roles.count) ClusterRoles".padded(to: 64), counts.joined(separator: "  "), "\n")
        return [
            Figure(
                name: "propose: roles with more rules than grouped", value: Double(worse), unit: "", limit: .atMost(0),
                detail: "\(written) rules as written, \(grouped) grouped by verb set, \(fewest) ours"),
            Figure(name: "propose: roles not proven the fewest", value: Double(unproven), unit: "", limit: .atMost(0), detail: ""),
        ]
    }

    private static func text(_ scope: RoleMinimizer.Scope?) -> String {
        guard let scope else { return "nothing to allow" }
        switch scope.certificate {
        case .searchExhausted: return "search exhausted"
        case .lowerBound(let bound) where bound == scope.independentNeeds.count: return "\(bound) needs of which no two fit one rule"
        case .lowerBound(let bound): return "at least \(bound)"
        }
    }
}

/// Rules grouped as people do: per group, resources with the same verbs (and names) share a rule.
private struct VerbSetGrouping {
    private(set) var count = 0

    init(_ rules: [PolicyRule]) {
        let atoms = Set(rules.flatMap(\.atoms))
        var verbs: [[String]: Set<String>] = [:]
        for atom in atoms {
            if atom.resourceName != nil {
                var anyName = atom
                anyName.resourceName = nil
                if atoms.contains(anyName) { continue }
            }
            let target = [atom.apiGroup ?? "", atom.resource ?? "", atom.nonResourceURL ?? "", atom.resourceName.map { "=\($0)" } ?? ""]
            verbs[target, default: []].insert(atom.verb)
        }
        /// What the rules of one group have in common.
        struct Key: Hashable {
            var group: String
            var verbs: Set<String>
            var names: Set<String>
            var resource = ""
        }
        var names: [Key: Set<String>] = [:]
        for (target, verbs) in verbs where target[2].isEmpty {
            names[Key(group: target[0], verbs: verbs, names: [], resource: target[1]), default: []].insert(target[3])
        }
        // Any name and some names are never one rule.
        var result: Set<Key> = []
        for (key, names) in names {
            for part in [names.filter(\.isEmpty), names.filter { !$0.isEmpty }] where !part.isEmpty {
                result.insert(Key(group: key.group, verbs: key.verbs, names: part))
            }
        }
        count = result.count + Set(verbs.filter { !$0.key[2].isEmpty }.values).count
    }
}

/// Sixty needs of a made-up account; the same number gives the same needs.
private struct GeneratedNeeds {
    let namespace: String
    let name: String
    private(set) var needs: [Need] = []

    private static let kinds = [
        ("", "pods"), ("", "services"), ("", "configmaps"), ("", "secrets"), ("", "endpoints"), ("", "nodes"), ("", "namespaces"),
        ("", "persistentvolumeclaims"), ("", "serviceaccounts"), ("apps", "deployments"), ("apps", "statefulsets"), ("apps", "daemonsets"),
        ("apps", "replicasets"), ("batch", "jobs"), ("batch", "cronjobs"), ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"), ("storage.k8s.io", "storageclasses"), ("policy", "poddisruptionbudgets"),
        ("autoscaling", "horizontalpodautoscalers"),
    ]
    private static let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]

    init(account: Int) {
        namespace = "team-\(account % 97)"
        name = "account-\(account)"
        var random = SeededNumbers(seed: UInt64(account))
        var seen: Set<Need> = []
        func add(_ verb: String, _ kind: (String, String), _ namespace: String, _ name: String = "", sub: String = "") {
            guard needs.count < 60 else { return }
            let need = Need(
                Request(verb: verb, apiGroup: kind.0, resource: kind.1, subresource: sub, namespace: namespace, name: name))
            if seen.insert(need).inserted { needs.append(need) }
        }
        func some(_ count: Int) -> [(String, String)] { Array(Self.kinds.shuffled(using: &random).prefix(count)) }
        let own = ("shop.example", "carts\(account % 7)")
        // A quarter each: an operator, an application in its namespace, something that works in several, and no shape at all.
        switch account % 4 {
        case 0:
            for kind in some(8) { for verb in ["get", "list", "watch"] { add(verb, kind, "") } }
            for verb in Self.verbs.prefix(6) { add(verb, own, "") }
            for sub in ["status", "finalizers"] { for verb in ["update", "patch"] { add(verb, own, "", sub: sub) } }
            for verb in ["get", "update", "patch"] { add(verb, ("coordination.k8s.io", "leases"), namespace, "\(name)-leader") }
            add("create", ("coordination.k8s.io", "leases"), namespace)
            for group in ["", "events.k8s.io"] { for verb in ["create", "patch"] { add(verb, (group, "events"), namespace) } }
        case 1:
            for number in 0..<6 { for verb in ["get", "update"] { add(verb, ("", "secrets"), namespace, "secret-\(number)") } }
            for number in 0..<8 { add("get", ("", "configmaps"), namespace, "settings-\(number)") }
            for verb in ["list", "watch"] { add(verb, ("", "configmaps"), namespace) }
            for kind in some(4) { for verb in Self.verbs.prefix(5) { add(verb, kind, namespace) } }
        case 2:
            for part in 0..<4 {
                for kind in some(3) { for verb in ["get", "list", "patch"] { add(verb, kind, "team-\((account + part * 11) % 97)") } }
            }
        default: break
        }
        while needs.count < 60 {
            let kind = Self.kinds[Int.random(in: 0..<Self.kinds.count, using: &random)]
            let verb = Self.verbs[Int.random(in: 0..<Self.verbs.count, using: &random)]
            let isNamed = !["create", "list", "watch", "deletecollection"].contains(verb) && Int.random(in: 0..<3, using: &random) == 0
            let scope = Int.random(in: 0..<4, using: &random) == 0 ? "" : namespace
            add(verb, kind, scope, isNamed ? "object-\(Int.random(in: 0..<6, using: &random))" : "")
        }
    }
}

/// Numbers that are the same in every run (SplitMix64).
private struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension PolicyRule {
    /// Whether a list has a `*` that matches more than itself.
    fileprivate var hasWildcard: Bool {
        [verbs, apiGroups, resources].contains { $0?.contains("*") ?? false } || resources?.contains { $0.hasPrefix("*/") } ?? false
            || nonResourceURLs?.contains { $0.hasSuffix("*") } ?? false
    }
}

extension String {
    fileprivate func leading(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
