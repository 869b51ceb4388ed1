import Testing
import WhittleModel
import WhittlePropose
import WhittleTestSupport

@Suite("RoleMinimizer")
struct RoleMinimizerTests {
    @Test("minimal-rules", arguments: Vector.cases("minimal-rules"))
    func minimalRules(_ vector: Vector) {
        let needs = vector.given["needs"].array.map { Need($0.request) }
        let scopes = RoleMinimizer.minimize(needs)
        #expect(scopes.reduce(0) { $0 + $1.rules.count } == vector.expect["minRules"].int)
        expectExact(scopes, needs)
    }

    /// A peer's tests as inputs: what it leaves out because existing roles give it is left out here too.
    @Test("audit2rbac-generate: the exact minimum of the note, nothing beyond the needs", arguments: Vector.cases("audit2rbac-generate"))
    func audit2rbac(_ vector: Vector) throws {
        let counts = try #require(vector.note).split(separator: " ").reduce(into: [Substring: Int]()) { counts, part in
            let sides = part.split(separator: "=")
            if sides.count == 2 { counts[sides[0]] = Int(sides[1].filter(\.isNumber)) }
        }
        let existing = vector.given["existing"].authorizer
        let needs = Set(
            vector.when["requests"].array.filter { existing.grants(for: $0.request, by: $0["user"].user).isEmpty }.map { Need($0.request) })
        #expect(needs.count == counts["needs"])
        let scopes = RoleMinimizer.minimize(needs)
        #expect(scopes.reduce(0) { $0 + $1.rules.count } == counts["exact-minimum-without-over-grant"])
        #expect(scopes.allSatisfy { $0.isProvenMinimal })
        expectExact(scopes, Array(needs))
    }

    @Test("the certificate is by independent needs where that is enough, else by search")
    func certificates() throws {
        func crown(_ size: Int) -> [Need] {
            (0..<size).flatMap { row in
                (0..<size).filter { $0 != row }.map { Need(Request(verb: "v\($0)", resource: "r\(row)", namespace: "shop")) }
            }
        }
        let three = try #require(RoleMinimizer.minimize(crown(3)).first)
        #expect(three.certificate == .lowerBound(3))
        #expect(three.independentNeeds.count == 3)
        let six = try #require(RoleMinimizer.minimize(crown(6)).first)
        #expect(six.certificate == .searchExhausted)
        #expect(six.method == .exact)
        #expect(six.rules.count == 4)
        let spent = try #require(RoleMinimizer.minimize(crown(6), layout: .compact, stepLimit: 100).first)
        #expect(spent.method == .greedy)
        let grouped = try #require(RoleMinimizer.minimize(crown(6), layout: .grouped).first)
        #expect(grouped.method == .grouped)
        #expect(grouped.certificate == .lowerBound(4))
        #expect(!grouped.isProvenMinimal)
    }

    @Test("grouped: one rule per group and resource, names with equal verbs together")
    func groupedLayout() {
        func need(_ verb: String, _ resource: String, _ name: String = "") -> Need {
            Need(Request(verb: verb, resource: resource, namespace: "shop", name: name))
        }
        let needs = [
            need("list", "pods"), need("get", "pods"), need("get", "services"), need("list", "services"), need("get", "secrets", "a"),
            need("get", "secrets", "b"), need("get", "secrets", "c"), need("update", "secrets", "c"), need("get", "pods", "a"),
        ]
        let rules = RoleMinimizer.minimize(needs, layout: .grouped).first?.rules
        func rule(_ verbs: [String], _ resource: String, _ names: [String]? = nil) -> PolicyRule {
            PolicyRule(verbs: verbs, apiGroups: [""], resources: [resource], resourceNames: names)
        }
        #expect(
            rules == [
                rule(["get", "list"], "pods"), rule(["get"], "secrets", ["a", "b"]), rule(["get", "update"], "secrets", ["c"]),
                rule(["get", "list"], "services"),
            ])
    }

    @Test("what a declared wildcard covers is free for boxes")
    func wildcardsAreFree() {
        // {a.example, b.example} × {carts, tills} × get: two of the four cells are covered by `*` verbs only.
        let atoms = [
            RuleAtom(verb: "*", apiGroup: "a.example", resource: "tills"), RuleAtom(verb: "*", apiGroup: "b.example", resource: "carts"),
            RuleAtom(verb: "get", apiGroup: "a.example", resource: "carts"),
            RuleAtom(verb: "get", apiGroup: "b.example", resource: "tills"),
        ]
        let needs = atoms.map { Need($0, namespace: "shop") }
        let scopes = RoleMinimizer.minimize(needs)
        #expect(scopes.first?.rules.count == 3)
        expectExact(scopes, needs)
    }

    /// Small grids with every shape of product, noise and names: the count is what exhaustive search finds.
    @Test("as few rules as exhaustive search, exact, in any order", arguments: 0..<150)
    func matchesBruteForce(_ seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let verbs = ["get", "list", "watch"]
        let resources = ["pods", "secrets", "services"]
        var needs: [Need] = []
        for verb in verbs {
            for resource in resources where Bool.random(using: &random) {
                let isNamed = seed % 3 == 0 && Bool.random(using: &random)
                needs.append(
                    Need(
                        Request(
                            verb: verb, resource: resource, namespace: "shop",
                            name: isNamed ? ["a", "b"][Int.random(in: 0...1, using: &random)] : "")))
            }
        }
        let scopes = RoleMinimizer.minimize(needs)
        expectExact(scopes, needs)
        #expect(RoleMinimizer.minimize(needs.shuffled(using: &random) + needs) == scopes)
        guard !needs.contains(where: { $0.name != nil }) else { return }
        let cells = Set(needs.map { verbs.firstIndex(of: $0.request.verb)! * 3 + resources.firstIndex(of: $0.request.resource)! })
        #expect(scopes.first?.rules.count ?? 0 == Self.fewestRectangles(cells))
    }

    /// Exhaustive: all verb sets × resource sets inside the cells, then the smallest family that covers.
    private static func fewestRectangles(_ cells: Set<Int>) -> Int {
        var boxes: [Set<Int>] = []
        for rows in 1..<8 {
            for columns in 1..<8 {
                let box = Set((0..<9).filter { rows >> ($0 / 3) & 1 == 1 && columns >> ($0 % 3) & 1 == 1 })
                if box.isSubset(of: cells) { boxes.append(box) }
            }
        }
        func canCover(_ rest: Set<Int>, with count: Int) -> Bool {
            guard let cell = rest.min() else { return true }
            guard count > 0 else { return false }
            return boxes.contains { $0.contains(cell) && canCover(rest.subtracting($0), with: count - 1) }
        }
        return (0...9).first { canCover(cells, with: $0) } ?? 9
    }

    private func expectExact(_ scopes: [RoleMinimizer.Scope], _ needs: [Need]) {
        let cluster = needs.filter { $0.scope.isEmpty }.map(\.atom.rule)
        let clusterRules = scopes.first { $0.namespace.isEmpty }?.rules ?? []
        for scope in scopes {
            let local = needs.filter { $0.scope == scope.namespace }.map(\.atom.rule)
            #expect(RuleCoverage.uncovered(owner: local + cluster, servant: scope.rules).isEmpty, "nothing beyond the needs")
            for index in scope.rules.indices {
                var fewer = scope.rules
                fewer.remove(at: index)
                #expect(
                    !RuleCoverage.uncovered(owner: fewer + (scope.namespace.isEmpty ? [] : clusterRules), servant: local).isEmpty,
                    "no rule is redundant")
            }
        }
        for need in needs {
            let rules = (scopes.first { $0.namespace == need.scope }?.rules ?? []) + clusterRules
            #expect(rules.contains { RuleCoverage.covers($0, need.atom) }, "every need is allowed")
        }
    }

    @Test("a cluster-wide need is not repeated in a namespace and is free for its boxes")
    func clusterNeedsAreFree() {
        let needs = [
            Need(Request(verb: "get", resource: "pods")),
            Need(Request(verb: "get", resource: "pods", namespace: "shop")),
            Need(Request(verb: "get", resource: "secrets", namespace: "shop")),
        ]
        let scopes = RoleMinimizer.minimize(needs)
        #expect(scopes.map(\.namespace) == ["", "shop"])
        #expect(scopes[1].rules == [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["secrets"])])
    }

    @Test("an unrestricted need absorbs named ones, a named one never widens")
    func namesAreKept() {
        let scopes = RoleMinimizer.minimize([
            Need(Request(verb: "get", resource: "secrets", namespace: "shop", name: "tls")),
            Need(Request(verb: "list", resource: "secrets", namespace: "shop")),
            Need(Request(verb: "list", resource: "secrets", namespace: "shop", name: "tls")),
        ])
        #expect(
            scopes.first?.rules == [
                PolicyRule(verbs: ["list"], apiGroups: [""], resources: ["secrets"]),
                PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["tls"]),
            ])
    }
}
