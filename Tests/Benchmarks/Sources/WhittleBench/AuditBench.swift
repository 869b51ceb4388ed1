import Foundation

/// Folding of generated audit logs.
extension Bench {
    /// What folding one log took, each time.
    private struct Costs {
        var all: [ProcessCost] = []

        var seconds: Double { Samples(all.map(\.seconds)).median }
        var cpuSeconds: Double { Samples(all.map(\.cpuSeconds)).median }
        var megabytes: Double { all.map(\.megabytes).max() ?? 0 }
    }

    func auditing(_ add: ([Figure]) -> Void) throws {
        let small = try auditLog("100MB")
        var (one, oneCore, twoCores) = (Costs(), Costs(), Costs())
        var (decoder, simdjson, folding): ([Double], [Double], [Double]) = ([], [], [])
        // Taken in turns, so that all see the machine in the same state.
        for _ in 0..<rounds {
            one.all.append(try fold(small, threads: 1))
            oneCore.all.append(try fold(small, threads: 1, cores: 1))
            twoCores.all.append(try fold(small, threads: 2, cores: 2))
            decoder.append(try cpuSeconds(of: .decoder, small))
            simdjson.append(try cpuSeconds(of: .simdjson, small))
            folding.append(try cpuSeconds(of: .folding, small))
        }
        add([
            timesFaster(Samples(decoder).median, than: oneCore.cpuSeconds),
            share(ofRate: simdjson, by: folding, one, size: "100 MB"), cores("100 MB", oneCore.seconds, twoCores.seconds),
            memory("100 MB", one.megabytes, twoCores.megabytes),
        ])
        try addQuestions(against: oneCore.seconds, add)
        try addCompressed(small, add)
        try addForms(small, add)
        try addLarge(against: one, add)
    }

    /// What asks for every fact of the log that was folded last: as long as a fact costs the same however many there are, asking takes
    /// about as long as folding.
    private func addQuestions(against fold: Double, _ add: ([Figure]) -> Void) throws {
        for (name, question) in [
            ("usage list", "usage list -o csv"), ("usage export", "usage export"), ("query needs", "query needs -o csv"),
        ] {
            var times: [Double] = []
            for _ in 0..<rounds {
                times.append(try run(["sh", "-c", "exec \(whittle) \(question) --db \(folder)/audit.db > /dev/null"]).seconds)
            }
            let own = Samples(times).median
            add([
                Figure(
                    name: "\(name), 100 MB: against folding on one core", value: own / fold, unit: "x", limit: .atMost(5),
                    detail: milliseconds(own))
            ])
        }
    }

    private func addLarge(against small: Costs, _ add: ([Figure]) -> Void) throws {
        let log = try auditLog("1GB")
        var (one, oneCore, twoCores) = (Costs(), Costs(), Costs())
        var (simdjson, folding, pairs): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<rounds {
            one.all.append(try fold(log, threads: 1))
            oneCore.all.append(try fold(log, threads: 1, cores: 1))
            twoCores.all.append(try fold(log, threads: 2, cores: 2))
            pairs.append(try foldTwice(log))
            simdjson.append(try cpuSeconds(of: .simdjson, log))
            folding.append(try cpuSeconds(of: .folding, log))
        }
        add([
            share(ofRate: simdjson, by: folding, one, size: "1 GB"),
            cores("1 GB", oneCore.seconds, twoCores.seconds, pair: Samples(pairs).median),
            memory("1 GB", one.megabytes, twoCores.megabytes),
            Figure(
                name: "usage load: CPU of 1 GB against 100 MB", value: one.cpuSeconds / small.cpuSeconds, unit: "x", limit: .atMost(10.5),
                detail: "\(milliseconds(small.cpuSeconds)) -> \(milliseconds(one.cpuSeconds))"),
        ])
    }

    /// Compressed logs: decompressing and folding go on side by side, so that the slower of both decides.
    private func addCompressed(_ log: String, _ add: ([Figure]) -> Void) throws {
        for tool in ["gzip", "zstd"] {
            let packed = "\(log).\(tool)"
            _ = try run(["sh", "-c", "\(tool) -q -c \(log) > \(packed)"])
            var (own, plain) = (Costs(), Costs())
            var unpacking: [Double] = []
            for _ in 0..<rounds {
                own.all.append(try fold(packed))
                plain.all.append(try fold(log, threads: 1))
                unpacking.append(try run(["sh", "-c", "exec \(tool) -q -dc \(packed) > /dev/null"]).seconds)
            }
            let slower = max(Samples(unpacking).median, plain.seconds)
            add([
                Figure(
                    name: "usage load, \(tool): against the slower part", value: own.seconds / slower, unit: "x", limit: .atMost(1.25),
                    detail:
                        "\(milliseconds(own.seconds)); \(tool) -dc \(milliseconds(Samples(unpacking).median)), plain \(milliseconds(plain.seconds))"
                ),
                Figure(name: "usage load, \(tool): peak memory", value: own.megabytes, unit: "MB", limit: .atMost(150), detail: ""),
            ])
        }
    }

    /// The same events as clouds and shippers write them: CPU for as many bytes as they have one a line.
    private func addForms(_ log: String, _ add: ([Figure]) -> Void) throws {
        for (form, name) in [
            ("text", "texts in objects"), ("list", "a list"), ("pretty", "an indented list"), ("flat", "members on one level"),
            ("column", "a column of CSV"), ("table", "AKSAudit as CSV"), ("entry", "LogEntry of GKE"),
        ] {
            let path = "\(folder)/audit-\(form).log"
            _ = try run(["sh", "-c", "python3 \(yardstick("audit_forms.py")) \(log) \(form) > \(path)"])
            var (own, plain) = (Costs(), Costs())
            for _ in 0..<rounds {
                own.all.append(try fold(path, threads: 1, cores: 1))
                plain.all.append(try fold(log, threads: 1, cores: 1))
            }
            let (size, rate) = (try bytes(of: path), plain.cpuSeconds / Double(try bytes(of: log)))
            add([
                Figure(
                    name: "usage load, \(name): against events one a line", value: own.cpuSeconds / Double(size) / rate, unit: "x",
                    limit: .atMost(10), detail: "\(size >> 20) MiB, \(Int(Double(size) / own.cpuSeconds / 1e6)) MB per second of CPU")
            ])
        }
    }

    private func bytes(of path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    private func timesFaster(_ decoder: Double, than own: Double) -> Figure {
        Figure(
            name: "usage load: times less CPU than JSONDecoder", value: decoder / own, unit: "x", limit: .atLeast(15),
            detail: "\(milliseconds(own)) against \(milliseconds(decoder))")
    }

    /// Neither writes a database.
    private func share(ofRate simdjson: [Double], by folding: [Double], _ whole: Costs, size: String) -> Figure {
        let (other, own) = (Samples(simdjson).median, Samples(folding).median)
        return Figure(
            name: "folding, \(size): share of simdjson's rate", value: other / own, unit: "x", limit: .atLeast(0.6),
            detail: "CPU \(milliseconds(own)) against \(milliseconds(other)); with database \(milliseconds(whole.cpuSeconds))")
    }

    /// - Parameter pair: time of two folds at once; half of it is what two cores can reach when nothing has to be done one after the other.
    private func cores(_ size: String, _ one: Double, _ two: Double, pair: Double? = nil) -> Figure {
        let best = pair.map { String(format: "; two folds at once, a core each: %.2f for each", $0 / one / 2) } ?? ""
        return Figure(
            name: "usage load, \(size): two cores against one", value: two / one, unit: "x", limit: .atMost(0.6),
            detail: "\(milliseconds(one)) -> \(milliseconds(two))\(best)")
    }

    private func memory(_ size: String, _ one: Double, _ two: Double) -> Figure {
        Figure(
            name: "usage load, \(size): peak memory", value: max(one, two), unit: "MB", limit: .atMost(150),
            detail: "\(Int(one)) MB with one thread, \(Int(two)) MB with two")
    }

    /// A generated audit log; the same arguments give the same bytes.
    private func auditLog(_ size: String) throws -> String {
        let path = "\(folder)/audit-\(size).log"
        _ = try run(["python3", yardstick("gen_audit.py"), "--seed", "1", "--size", size, "-o", path])
        return path
    }

    /// Folds a log into a database that holds no usage.
    ///
    /// - Parameter cores: cores that the process may use. One thread that folds is not one core: another writes.
    private func fold(_ log: String, threads: Int? = nil, cores: Int? = nil) throws -> ProcessCost {
        let database = "\(folder)/audit.db"
        try? FileManager.default.removeItem(atPath: database)
        _ = try run([whittle, "load", yardstick("one-account.yaml"), "-o", database])
        return try run(
            (cores.map { ["taskset", "-c", "0-\($0 - 1)"] } ?? []) + [whittle, "usage", "load", log, "--db", database]
                + (threads.map { ["--threads", "\($0)"] } ?? []))
    }

    /// Seconds until two processes have folded the same log, each on a core of its own.
    private func foldTwice(_ log: String) throws -> Double {
        let databases = (0..<2).map { "\(folder)/audit-\($0).db" }
        for database in databases {
            try? FileManager.default.removeItem(atPath: database)
            _ = try run([whittle, "load", yardstick("one-account.yaml"), "-o", database])
        }
        let folds = databases.enumerated().map { "taskset -c \($0) \(whittle) usage load \(log) --db \($1) --threads 1 &" }
        return try run(["sh", "-c", folds.joined(separator: " ") + " wait"]).seconds
    }

    private func cpuSeconds(of yardstick: AuditYardstick, _ log: String) throws -> Double {
        try number(of: [CommandLine.arguments[0], yardstick.rawValue, log])
    }
}
