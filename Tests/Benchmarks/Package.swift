// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that what benchmarks are compared with is no dependency of the product.
let package = Package(
    name: "whittle-benchmarks",
    dependencies: [.package(name: "whittle", path: "../..")],
    targets: [
        // simdjson's On-Demand parser is made for the machine that it is compiled for.
        .target(
            name: "CSimdjsonYardstick", cxxSettings: [.unsafeFlags(["-O3", "-march=native"])],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .executableTarget(name: "WhittleBench", dependencies: ["CSimdjsonYardstick", .product(name: "Whittle", package: "whittle")]),
    ],
    cxxLanguageStandard: .cxx17
)
