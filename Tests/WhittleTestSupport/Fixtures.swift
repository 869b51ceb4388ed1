import Foundation
import WhittleIngest
import WhittleModel

/// Finds what tests need; `Fixtures/` is part of the repository, the large recorded data is not.
package enum Fixtures {
    /// The repository.
    package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The path of a fixture.
    package static func path(_ name: String) -> String { root.appendingPathComponent("Fixtures/\(name)").path }

    /// The folder of recorded data that users do not have; `nil` unless `WHITTLE_REFERENCE_DATA` names it.
    package static var referenceData: String? {
        guard let path = ProcessInfo.processInfo.environment["WHITTLE_REFERENCE_DATA"], !path.isEmpty,
            FileManager.default.fileExists(atPath: path + "/apiserver/dump/all.json")
        else { return nil }
        return path
    }

    /// The representative part of a cluster recorded from a real API server.
    package static func recordedCluster() throws -> ClusterState {
        try ManifestLoader().load([path("clusters/recorded/cluster.json")])
    }

    /// The lines of a text file, gzip or plain.
    package static func lines(_ path: String) throws -> [String] {
        String(decoding: try contents(path), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The bytes of a file, decompressed when it is gzip.
    package static func contents(_ path: String) throws -> Data {
        guard path.hasSuffix(".gz") else { return try Data(contentsOf: URL(fileURLWithPath: path)) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc", path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return data
    }

    /// A folder of its own for a test, removed with `remove()`.
    package struct TemporaryFolder {
        package let path: String

        package init() throws {
            path = NSTemporaryDirectory() + "/whittle-test-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        package func file(_ name: String) -> String { "\(path)/\(name)" }

        package func write(_ text: String, to name: String) throws -> String {
            let target = file(name)
            try FileManager.default.createDirectory(
                atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try text.write(toFile: target, atomically: true, encoding: .utf8)
            return target
        }

        /// Runs a line of shell and waits for its end.
        package func shell(_ line: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", line]
            try process.run()
            process.waitUntilExit()
        }

        package func remove() { try? FileManager.default.removeItem(atPath: path) }
    }
}

/// A sequence of numbers that is the same in every run (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
