import Foundation
import WhittleModel
import WhittlePropose
import WhittleTestSupport

/// Needs made up from a seed, of the shapes that accounts have and of those that are hard to cover.
struct RandomNeeds: CustomStringConvertible {
    let seed: Int
    private(set) var needs: [Need] = []
    private var random: SeededGenerator

    /// The seeds of a test: `count` of them, a tenth without optimisation; the one of `WHITTLE_SEED` when that is set.
    static func seeds(_ count: Int) -> [Int] {
        if let seed = ProcessInfo.processInfo.environment["WHITTLE_SEED"].flatMap({ Int($0) }) { return [seed] }
        #if DEBUG
            return Array(0..<count / 10)
        #else
            return Array(0..<count)
        #endif
    }

    /// `seeds` in parts that can run at the same time.
    static func batches(_ count: Int) -> [[Int]] {
        let seeds = seeds(count)
        let size = max(1, seeds.count / 8)
        return stride(from: 0, to: seeds.count, by: size).map { Array(seeds[$0..<min(seeds.count, $0 + size)]) }
    }

    var description: String {
        let lines = needs.prefix(40).map { need in
            let atom = need.atom
            let target = [atom.apiGroup, atom.resource, atom.nonResourceURL].compactMap { $0 }.joined(separator: "|")
            return "\(need.scope): \(atom.verb) \(target) \(atom.resourceName.map { "[\($0)]" } ?? "")"
        }
        return "WHITTLE_SEED=\(seed)\n" + lines.joined(separator: "\n")
    }

    init(seed: Int) {
        self.seed = seed
        random = SeededGenerator(seed: UInt64(seed))
        switch seed % 12 {
        case 0: grid(groups: 1, resources: 4, verbs: 4, names: 0)
        case 1: grid(groups: 2, resources: 4, verbs: 4, names: 0)
        case 2: grid(groups: 1, resources: 3, verbs: 3, names: 3)
        case 3: products()
        case 4: crown()
        case 5: chain()
        case 6: leaderElection()
        case 7: controller()
        case 8: oddNames()
        case 9: urls()
        case 10: wildcards()
        default: scopes()
        }
    }

    /// One more random need of the same kind.
    mutating func another() -> Need {
        add(verb(), resource(), in: ["", "shop", "bank"].randomElement(using: &random) ?? "", name: maybeName())
        return needs.removeLast()
    }

    mutating func shuffled() -> [Need] { (needs + needs.prefix(3)).shuffled(using: &random) }

    mutating func half() -> [Need] { needs.filter { _ in Bool.random(using: &random) } }

    mutating func number(below count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    // MARK: Shapes

    private static let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use"]
    private static let resources = [
        ("", "pods"), ("", "pods/log"), ("", "pods/status"), ("", "secrets"), ("", "events"), ("events.k8s.io", "events"),
        ("apps", "deployments"), ("apps", "deployments/scale"), ("apps", "statefulsets"), ("batch", "jobs"),
        ("coordination.k8s.io", "leases"), ("shop.example", "carts"), ("shop.example", "carts/status"),
        ("shop.example", "carts/finalizers"),
    ]

    private mutating func verb() -> String { Self.verbs.randomElement(using: &random) ?? "get" }
    private mutating func resource() -> (String, String) { Self.resources.randomElement(using: &random) ?? ("", "pods") }
    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    private mutating func maybeName() -> String? { chance(30) ? ["cart", "cart-2", "till"].randomElement(using: &random) : nil }

    private mutating func add(_ verb: String, _ resource: (String, String), in namespace: String, name: String? = nil) {
        let (plural, subresource) = resource.1.splitBytes(at: "/")
        needs.append(
            Need(
                Request(
                    verb: verb, apiGroup: resource.0, resource: plural, subresource: subresource ?? "", namespace: namespace,
                    name: name ?? "")))
    }

    private mutating func grid(groups: Int, resources: Int, verbs: Int, names: Int) {
        let density = [25, 50, 75, 90][number(below: 4)]
        for group in 0..<groups {
            for resource in 0..<resources {
                for verb in 0..<verbs {
                    for name in 0..<max(1, names) where chance(density) {
                        add("v\(verb)", ("g\(group)", "r\(resource)"), in: "shop", name: names > 0 && chance(90) ? "n\(name)" : nil)
                    }
                }
            }
        }
    }

    private mutating func products() {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let verbs = Self.verbs.filter { _ in Bool.random(using: &random) }
            let resources = Self.resources.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
            let name = maybeName()
            for resource in resources { for verb in verbs where chance(95) { add(verb, resource, in: "shop", name: name) } }
        }
        for _ in 0..<number(below: 4) { add(verb(), resource(), in: "shop", name: maybeName()) }
    }

    private mutating func crown() {
        let size = Int.random(in: 3...6, using: &random)
        for row in 0..<size { for column in 0..<size where column != row { add("v\(column)", ("", "r\(row)"), in: "shop") } }
    }

    private mutating func chain() {
        for link in 0..<Int.random(in: 2...9, using: &random) {
            add("v\(link)", ("", "r\(link)"), in: "shop")
            add("v\(link)", ("", "r\(link + 1)"), in: "shop")
        }
    }

    private mutating func leaderElection() {
        for kind in [("coordination.k8s.io", "leases"), ("", "configmaps"), ("", "endpoints")] where chance(70) {
            add("create", kind, in: "shop")
            for verb in ["get", "update", "patch"] where chance(80) { add(verb, kind, in: "shop", name: "shop-leader") }
        }
        for group in ["", "events.k8s.io"] {
            for verb in ["create", "patch"] where chance(80) { add(verb, (group, "events"), in: "shop") }
        }
    }

    private mutating func controller() {
        for verb in ["get", "list", "watch"] {
            for resource in Self.resources where chance(60) && !resource.1.contains("/") { add(verb, resource, in: "") }
        }
        for verb in ["update", "patch"] {
            for part in ["carts", "carts/status", "carts/finalizers"] where chance(70) {
                add(verb, ("shop.example", part), in: ["", "shop"].randomElement(using: &random) ?? "")
            }
        }
        for resource in Self.resources where chance(30) { add(verb(), resource, in: "shop", name: maybeName()) }
    }

    private mutating func oddNames() {
        let names = ["a", "ab", "abc", "a:b", "system:a", "a.b", "*", "", "\u{e9}", "e\u{301}", "*/a"]
        for _ in 0..<Int.random(in: 2...14, using: &random) {
            let name = names.randomElement(using: &random) ?? "a"
            let atom = RuleAtom(
                verb: ["get", "update", "delete"].randomElement(using: &random) ?? "get", apiGroup: "",
                resource: ["secrets", "configmaps"].randomElement(using: &random) ?? "secrets",
                resourceName: chance(90) ? name : nil)
            needs.append(Need(atom, namespace: "shop"))
        }
    }

    private mutating func urls() {
        let paths = ["/metrics", "/metrics/", "/metrics/a", "/healthz", "/a*b", "/*a", "/"]
        let patterns = ["/metrics/*", "/healthz*", "/healthz**", "*", "/*"]
        for _ in 0..<Int.random(in: 1...10, using: &random) {
            let verb = ["get", "post", "head"].randomElement(using: &random) ?? "get"
            if chance(15) {
                needs.append(Need(RuleAtom(verb: verb, nonResourceURL: patterns.randomElement(using: &random) ?? "/"), namespace: ""))
            } else {
                needs.append(Need(Request(verb: verb, path: paths.randomElement(using: &random) ?? "/")))
            }
        }
        if chance(30) { add("get", ("", "pods"), in: "shop") }
    }

    private mutating func wildcards() {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let (group, resource) = self.resource()
            let atom = RuleAtom(
                verb: chance(40) ? "*" : verb(), apiGroup: chance(20) ? "*" : group,
                resource: chance(20) ? "*" : chance(15) ? "*/status" : resource, resourceName: maybeName())
            needs.append(Need(atom, namespace: chance(50) ? "shop" : ""))
        }
        for _ in 0..<number(below: 12) { add(verb(), resource(), in: "shop", name: maybeName()) }
    }

    private mutating func scopes() {
        for namespace in ["", "shop", "bank"] {
            for _ in 0..<number(below: 14) { add(verb(), resource(), in: namespace, name: maybeName()) }
        }
    }
}
