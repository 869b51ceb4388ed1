// swift-tools-version: 6.1
import PackageDescription

// A package of its own that builds the sources of the parser once more, for libFuzzer: every edge and comparison is reported to it,
// and every access to memory is checked. What `Sources` links to is the product's.
let instrumented: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"])]

let package = Package(
    name: "whittle-fuzzing",
    targets: [
        .systemLibrary(name: "CLibFuzzer"),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
        .target(name: "CScan", cSettings: [.unsafeFlags(["-fsanitize=fuzzer-no-link,address"])]),
        .target(name: "Crypto"),
        .executableTarget(name: "WhittleEmbed"),
        .plugin(name: "EmbedPlugin", capability: .buildTool(), dependencies: ["WhittleEmbed"], path: "Sources/EmbedPlugin"),
        .target(name: "WhittleModel", swiftSettings: instrumented),
        .target(
            name: "WhittleIngest", dependencies: ["WhittleModel", "CScan", "CYAML", "CZlib", "CZstd", "Crypto"],
            exclude: ["BuiltIn", "generate-api-resources.py"], swiftSettings: instrumented, plugins: ["EmbedPlugin"]),
        .executableTarget(
            name: "WhittleFuzz", dependencies: ["CLibFuzzer", "WhittleModel", "WhittleIngest"],
            // Not instrumented: what the checks do is not what is looked for.
            swiftSettings: [.unsafeFlags(["-sanitize=address", "-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
)
