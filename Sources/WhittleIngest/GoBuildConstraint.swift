/// Whether a Go file belongs to a build for Linux on amd64 without further tags, which is how controller-gen loads packages.
enum GoBuildConstraint {
    private static let systems: Set = [
        "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd", "openbsd",
        "plan9", "solaris", "wasip1", "windows", "zos",
    ]
    private static let architectures: Set = [
        "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64", "mips64le", "mips64p32",
        "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm",
    ]

    private static func isSet(_ tag: String) -> Bool {
        ["linux", "amd64", "unix", "gc", "cgo"].contains(tag) || tag.hasPrefix("go1.")
    }

    /// Whether the name says another system: `probe_windows.go`, `probe_linux_arm64.go`.
    static func allows(fileName: String) -> Bool {
        let parts = fileName.dropLast(3).split(separator: "_", omittingEmptySubsequences: false).dropFirst().map(String.init)
        guard let last = parts.last else { return true }
        if architectures.contains(last) {
            guard last == "amd64" else { return false }
            guard parts.count > 1, systems.contains(parts[parts.count - 2]) else { return true }
            return isSet(parts[parts.count - 2])
        }
        return !systems.contains(last) || isSet(last)
    }

    /// Whether the lines before the package clause allow the build: `//go:build`, or `// +build` where there is none.
    ///
    /// A constraint that cannot be read allows it.
    static func allows(header: String) -> Bool {
        let lines = header.split(whereSeparator: \.isNewline).map { $0.trimming() }
        if let line = lines.first(where: { $0.hasPrefix("//go:build ") }) {
            var expression = Expression(line.dropFirst(11))
            return expression.value
        }
        let old = lines.compactMap { line -> Substring? in
            guard line.hasPrefix("//") else { return nil }
            let text = line.dropFirst(2).trimming()
            return text.hasPrefix("+build ") ? text.dropFirst(7) : nil
        }
        return old.allSatisfy { line in
            line.split(separator: " ").contains { option in
                option.split(separator: ",").allSatisfy { $0.hasPrefix("!") ? !isSet(String($0.dropFirst())) : isSet(String($0)) }
            }
        }
    }

    /// `linux && (!cgo || arm64)`.
    private struct Expression {
        private var rest: Substring
        private var isBroken = false

        init(_ text: Substring) { rest = text }

        var value: Bool {
            mutating get {
                let result = either()
                return isBroken || !rest.trimming().isEmpty ? true : result
            }
        }

        private mutating func take(_ text: String) -> Bool {
            rest = rest.trimming()
            guard rest.hasPrefix(text) else { return false }
            rest = rest.dropFirst(text.count)
            return true
        }

        private mutating func either() -> Bool {
            var result = both()
            while take("||") {
                let other = both()
                result = result || other
            }
            return result
        }

        private mutating func both() -> Bool {
            var result = one()
            while take("&&") {
                let other = one()
                result = result && other
            }
            return result
        }

        private mutating func one() -> Bool {
            if take("!") { return !one() }
            if take("(") {
                let result = either()
                if !take(")") { isBroken = true }
                return result
            }
            let tag = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
            if tag.isEmpty { isBroken = true }
            rest = rest.dropFirst(tag.count)
            return GoBuildConstraint.isSet(String(tag))
        }
    }
}

extension Substring {
    /// Without spaces, tabs and carriage returns at both ends.
    fileprivate func trimming() -> Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" || first == "\r" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
        return text
    }
}
