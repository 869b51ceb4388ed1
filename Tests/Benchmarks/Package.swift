// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that what benchmarks are compared with is no dependency of the product.
let package = Package(
    name: "whittle-benchmarks",
    dependencies: [.package(name: "whittle", path: "../..")],
    targets: [
        .executableTarget(name: "WhittleBench", dependencies: [.product(name: "Whittle", package: "whittle")])
    ]
)
