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
