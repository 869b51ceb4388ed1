// swift-tools-version: 6.1
import PackageDescription

// Data flows one way: Ingest and Model feed Store, Store feeds Analysis, Analysis and Propose feed Render.
// Only WhittleCommands touches standard output, standard error, the environment and the exit status.
let package = Package(
    name: "whittle",
    products: [
        .executable(name: "whittle", targets: ["whittle"]),
        .library(
            name: "Whittle",
            targets: ["WhittleModel", "WhittleIngest", "WhittleStore", "WhittleAnalysis", "WhittlePropose", "WhittleRender"]
        ),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .target(name: "CScan"),
        .executableTarget(name: "WhittleEmbed"),
        .plugin(name: "EmbedPlugin", capability: .buildTool(), dependencies: ["WhittleEmbed"], path: "Sources/EmbedPlugin"),
        .target(name: "WhittleModel"),
        .target(
            name: "WhittleIngest",
            dependencies: [
                "WhittleModel", "CScan", "CYAML", "CZlib", "CZstd",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            exclude: ["BuiltIn", "generate-api-resources.py"],
            plugins: ["EmbedPlugin"]
        ),
        .target(name: "WhittleQueries", plugins: ["EmbedPlugin"]),
        .target(
            name: "WhittleStore",
            dependencies: [
                "WhittleModel", "WhittleQueries",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "OrderedCollections", package: "swift-collections"),
            ],
            exclude: ["SQL"],
            plugins: ["EmbedPlugin"]
        ),
        .target(name: "WhittleAnalysis", dependencies: ["WhittleModel", "WhittleStore"]),
        .target(name: "WhittlePropose", dependencies: ["WhittleModel"]),
        .target(name: "WhittleRender", dependencies: ["WhittleModel", "WhittleStore", "WhittleAnalysis", "WhittlePropose"]),
        .target(
            name: "WhittleCommands",
            dependencies: [
                "WhittleModel", "WhittleIngest", "WhittleStore", "WhittleAnalysis", "WhittlePropose", "WhittleRender", "CZstd",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .executableTarget(name: "whittle", dependencies: ["WhittleCommands", "CScan"]),
        .target(name: "WhittleTestSupport", dependencies: ["WhittleModel", "WhittleIngest"], path: "Tests/WhittleTestSupport"),
        .testTarget(name: "WhittleModelTests", dependencies: ["WhittleTestSupport", "WhittleModel"]),
        .testTarget(name: "WhittleIngestTests", dependencies: ["WhittleTestSupport", "WhittleModel", "WhittleIngest", "WhittleRender"]),
        .testTarget(
            name: "WhittleStoreTests",
            dependencies: [
                .product(name: "GRDB", package: "GRDB.swift"), "WhittleTestSupport", "WhittleModel", "WhittleIngest", "WhittleStore",
                "WhittleQueries",
            ]),
        .testTarget(
            name: "WhittleAnalysisTests",
            dependencies: ["WhittleTestSupport", "WhittleModel", "WhittleIngest", "WhittleStore", "WhittleAnalysis"]),
        .testTarget(
            name: "WhittleProposeTests",
            dependencies: ["WhittleTestSupport", "WhittleModel", "WhittleIngest", "WhittleStore", "WhittlePropose", "WhittleRender"]),
        .testTarget(
            name: "WhittleRenderTests",
            dependencies: ["WhittleTestSupport", "WhittleModel", "WhittleIngest", "WhittlePropose", "WhittleRender"]),
        .testTarget(
            name: "WhittleCommandsTests",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"), "WhittleTestSupport", "WhittleModel", "WhittleIngest",
                "WhittleStore", "WhittleQueries", "WhittleAnalysis", "WhittleRender", "WhittleCommands", "whittle",
            ]),
    ]
)
