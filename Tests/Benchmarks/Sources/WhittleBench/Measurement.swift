import Foundation

/// Times in seconds, sorted.
struct Samples {
    private let sorted: [Double]

    init(_ values: [Double]) { sorted = values.sorted() }

    var median: Double { percentile(50) }

    func percentile(_ percent: Int) -> Double { sorted[min(sorted.count - 1, sorted.count * percent / 100)] }
}

/// What a process took.
struct ProcessCost {
    var seconds: Double
    /// Of all its threads, in the kernel too.
    var cpuSeconds: Double
    /// Peak resident memory.
    var megabytes: Double
    var output: String
}

enum BenchError: Error {
    case failed(command: String, status: Int32)
    case noNumber(command: String)
}

/// Runs a command to its end; its standard error goes nowhere.
func run(_ command: [String]) throws -> ProcessCost {
    let outputPath = NSTemporaryDirectory() + "/whittle-bench-output-\(getpid())"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child = pid_t()
    var status: Int32 = 0
    var usage = rusage()
    let start = ContinuousClock.now
    guard posix_spawnp(&child, command[0], &actions, nil, &arguments, environ) == 0, wait4(child, &status, 0, &usage) == child,
        status == 0
    else { throw BenchError.failed(command: command.joined(separator: " "), status: status) }
    let elapsed = start.duration(to: .now)
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    let output = (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? ""
    unlink(outputPath)
    return ProcessCost(seconds: seconds, cpuSeconds: usage.cpuSeconds, megabytes: Double(usage.ru_maxrss) / 1_024, output: output)
}

extension rusage {
    var cpuSeconds: Double {
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return seconds(ru_utime) + seconds(ru_stime)
    }
}

/// CPU seconds of this process so far.
func cpuSeconds(of who: __rusage_who) -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(who.rawValue), &usage)
    return usage.cpuSeconds
}

/// The number that a yardstick prints.
func number(of command: [String]) throws -> Double {
    let cost = try run(command)
    guard let value = Double(cost.output.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw BenchError.noNumber(command: command.joined(separator: " "))
    }
    return value
}

/// The time of one call.
func time(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    let elapsed = start.duration(to: .now)
    return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
}

/// One line of the result: a figure and the limit it must keep.
struct Figure {
    enum Limit {
        case atLeast(Double)
        case atMost(Double)
    }

    var name: String
    var value: Double
    var unit: String
    var limit: Limit
    /// What the figure was made from.
    var detail: String

    var isKept: Bool {
        switch limit {
        case .atLeast(let floor): value >= floor
        case .atMost(let ceiling): value <= ceiling
        }
    }

    var line: String {
        let limit =
            switch limit {
            case .atLeast(let floor): ">= \(Self.text(floor))"
            case .atMost(let ceiling): "<= \(Self.text(ceiling))"
            }
        let cells = [
            name.padded(to: 44), "\(Self.text(value)) \(unit)".padded(to: 12), limit.padded(to: 9), isKept ? "ok  " : "FAIL", detail,
        ]
        return cells.joined(separator: "  ")
    }

    private static func text(_ value: Double) -> String { String(format: value < 10 ? "%.2f" : value < 20 ? "%.1f" : "%.0f", value) }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
