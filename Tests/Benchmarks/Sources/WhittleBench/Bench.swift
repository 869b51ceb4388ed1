import Foundation
import WhittleAnalysis
import WhittleStore

/// Compares Whittle with yardsticks in the same run and holds the figures against their limits.
///
/// usage: WhittleBench [--check] [load|yaml|questions|growth|propose|audit]… — all groups but audit when none is named; with --check the exit status is
/// 1 when a figure misses its limit.
@main
struct Bench {
    let whittle = ProcessInfo.processInfo.environment["WHITTLE"] ?? ".build/release/whittle"
    let folder: String
    let rounds = 5

    static func main() throws {
        if CommandLine.arguments.count == 3, let yardstick = AuditYardstick(rawValue: CommandLine.arguments[1]) {
            let before = cpuSeconds(of: RUSAGE_SELF)
            guard try yardstick.read(CommandLine.arguments[2]) > 0 else { exit(1) }
            return print(cpuSeconds(of: RUSAGE_SELF) - before)
        }
        let bench = try Bench()
        defer { try? FileManager.default.removeItem(atPath: bench.folder) }
        let figures = try bench.figures()
        let failed = figures.filter { !$0.isKept }
        print("\n\(figures.count - failed.count) of \(figures.count) figures keep their limit (medians of \(bench.rounds))")
        if CommandLine.arguments.contains("--check"), !failed.isEmpty { exit(1) }
    }

    private init() throws {
        folder = NSTemporaryDirectory() + "/whittle-bench-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func figures() throws -> [Figure] {
        var all: [Figure] = []
        func add(_ figures: [Figure]) {
            for figure in figures { print(figure.line) }
            all += figures
        }
        let groups = CommandLine.arguments.dropFirst().filter { !$0.hasPrefix("--") }
        func isWanted(_ group: String) -> Bool { groups.isEmpty || groups.contains(group) }
        if groups.contains("audit") { try auditing(add) }
        if isWanted("propose") { try proposing(add) }
        guard groups.isEmpty || !Set(groups).isSubset(of: ["audit", "propose"]) else { return all }
        let one = try cluster(scale: "1", format: "json-list")
        if isWanted("load") { add(try loading(one)) }
        if isWanted("yaml") { add(try loadingYAML()) }
        if isWanted("questions") { try askQuestions(of: one, add) }
        if isWanted("growth") { add(try growth(from: one)) }
        return all
    }

    private func askQuestions(of one: String, _ add: ([Figure]) -> Void) throws {
        let small = try questions(of: one)
        add(small.figures)
        let five = try questions(of: try cluster(scale: "5", format: "json-list"))
        add(
            zip(small.seconds, five.seconds).map { before, after in
                // From scale 1 to 5 nothing may grow faster than linearly.
                Figure(
                    name: "\(before.name), scale 5 against 1", value: after.seconds / before.seconds, unit: "x", limit: .atMost(5.5),
                    detail: "\(milliseconds(before.seconds)) -> \(milliseconds(after.seconds))")
            })
        // Memory is slower the more of it is touched: a mere list of the accounts grows by 4.7 to 6.1.
        let (own, listing) = (five.pass.seconds / small.pass.seconds, five.pass.listing / small.pass.listing)
        add([
            Figure(
                name: "pass over every identity, scale 5 against 1: growth against that of a list", value: own / listing, unit: "x",
                limit: .atMost(1.15),
                detail: String(format: "%.2f against %.2f", own, listing))
        ])
    }

    /// A generated cluster; the same arguments give the same bytes.
    private func cluster(scale: String, format: String) throws -> String {
        let path = "\(folder)/cluster-\(scale).\(format == "yaml" ? "yaml" : "json")"
        let generator = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "gen_cluster.py").path
        _ = try run(["python3", generator, "--seed", "1", "--scale", scale, "--format", format, "-o", path])
        return path
    }

    func yardstick(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: name).path
    }

    private func load(_ input: String) throws -> (seconds: Double, megabytes: Double) {
        let costs = try (0..<rounds).map { _ in try run([whittle, "load", input, "-o", "\(input).db"]) }
        return (Samples(costs.map(\.seconds)).median, costs.map(\.megabytes).max() ?? 0)
    }

    private func loading(_ input: String) throws -> [Figure] {
        // Taken in turns, so that both see the machine in the same state.
        var own: [Double] = []
        var others: [Double] = []
        var peak = 0.0
        for _ in 0..<rounds {
            let cost = try run([whittle, "load", input, "-o", "\(input).db"])
            own.append(cost.seconds)
            peak = max(peak, cost.megabytes)
            others.append(try number(of: ["python3", yardstick("json_load.py"), input]))
        }
        let (mine, python) = (Samples(own).median, Samples(others).median)
        return [
            Figure(
                name: "load, JSON: share of Python's json.load", value: mine / python, unit: "x", limit: .atMost(0.5),
                detail: "\(milliseconds(mine)) against \(milliseconds(python))"),
            Figure(name: "load, JSON: peak memory", value: peak, unit: "MB", limit: .atMost(300), detail: ""),
        ]
    }

    private func loadingYAML() throws -> [Figure] {
        let input = try cluster(scale: "0.1", format: "yaml")
        var own: [Double] = []
        var others: [Double] = []
        for _ in 0..<rounds {
            own.append(try run([whittle, "load", input, "-o", "\(input).db"]).seconds)
            others.append(try number(of: ["python3", yardstick("yaml_load.py"), input]))
        }
        let (mine, python) = (Samples(own).median, Samples(others).median)
        return [
            Figure(
                name: "load, YAML: times faster than CSafeLoader", value: python / mine, unit: "x", limit: .atLeast(8),
                detail: "\(milliseconds(mine)) against \(milliseconds(python))")
        ]
    }

    private func growth(from one: String) throws -> [Figure] {
        let ten = try cluster(scale: "10", format: "json-list")
        let (before, after) = (try load(one), try load(ten))
        return [
            Figure(
                name: "load: time at scale 10 against 1", value: after.seconds / before.seconds, unit: "x", limit: .atMost(11),
                detail: "\(milliseconds(before.seconds)) -> \(milliseconds(after.seconds))"),
            Figure(
                name: "load: memory at scale 10 against 1", value: after.megabytes / before.megabytes, unit: "x", limit: .atMost(11),
                detail: "\(Int(before.megabytes)) MB -> \(Int(after.megabytes)) MB"),
        ]
    }

    private struct Timing {
        var name: String
        var seconds: Double
    }

    /// The pass over every identity, and the yardstick: reading the same accounts and nothing about them.
    private struct Pass {
        var seconds: Double
        var listing: Double
    }

    /// Times of questions on an open database, and of one whole process.
    private func questions(of input: String) throws -> (figures: [Figure], seconds: [Timing], pass: Pass) {
        let path = "\(input).db"
        if !FileManager.default.fileExists(atPath: path) { _ = try run([whittle, "load", input, "-o", path]) }
        let database = try WhittleDatabase.open(path)
        var random = SystemRandomNumberGenerator()
        let namespaces = try database.serviceAccounts().map(\.namespace)
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
        let resources = [("", "pods"), ("", "secrets"), ("", "configmaps"), ("apps", "deployments"), ("batch", "jobs"), ("", "services")]
        let asked = try (0..<500).map { _ -> Double in
            guard let verb = verbs.randomElement(using: &random), let resource = resources.randomElement(using: &random),
                let namespace = namespaces.randomElement(using: &random)
            else { return 0 }
            return try time {
                _ = try WhoCan(
                    .resource(verb: verb, apiGroup: resource.0, resource: resource.1, subresource: "", name: nil, namespace: namespace),
                    in: database)
            }
        }
        let pods = try database.run("labelled-objects", ["kind": .text("Pod")]).named
        let permissions = try (0..<300).compactMap { _ -> Double? in
            guard let pod = pods.randomElement(using: &random) else { return nil }
            return try time {
                _ = try EffectivePermissions(
                    of: .runner(kind: "Pod", namespace: pod["namespace"].string ?? "", name: pod["name"].string ?? ""), in: database)
            }
        }
        // Taken in turns, so that both see the machine in the same state.
        let passes = try (0..<rounds * 3).map { _ in
            (
                pass: try time { _ = try database.run("service-account-report") },
                listing: try time { _ = try database.run("labelled-objects", ["kind": .text("ServiceAccount")]) }
            )
        }
        let pass = Samples(passes.map(\.pass)).median
        let process = try Samples(
            (0..<rounds * 4).map { _ in
                try run([whittle, "who-can", "get", "secrets", "-n", namespaces.first ?? "default", "--db", path, "-o", "csv"]).seconds
            }
        ).median
        let (whoCan, onePod) = (Samples(asked), Samples(permissions))
        let figures = [
            Figure(
                name: "who-can in a namespace: p50", value: whoCan.median * 1_000, unit: "ms", limit: .atMost(2),
                detail: "500 random questions"),
            Figure(name: "who-can in a namespace: p99", value: whoCan.percentile(99) * 1_000, unit: "ms", limit: .atMost(20), detail: ""),
            Figure(name: "who-can as a whole process", value: process * 1_000, unit: "ms", limit: .atMost(60), detail: ""),
            Figure(
                name: "permissions of one pod: p50", value: onePod.median * 1_000, unit: "ms", limit: .atMost(5), detail: "300 random pods"),
            Figure(
                name: "grants of every identity: one pass", value: pass, unit: "s", limit: .atMost(2),
                detail: "query service-account-report"),
        ]
        let timings = [
            Timing(name: "who-can p50", seconds: whoCan.median), Timing(name: "permissions of one pod p50", seconds: onePod.median),
        ]
        return (figures, timings, Pass(seconds: pass, listing: Samples(passes.map(\.listing)).median))
    }

    func milliseconds(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1_000) }
}
