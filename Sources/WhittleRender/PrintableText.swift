extension String {
    /// The text as a terminal may show it: what would move its cursor, colour it or turn its direction is spelled `\u{1b}`.
    ///
    /// - Parameter keepsLines: whether line feeds and tabs stay.
    public func printable(keepsLines: Bool = false) -> String {
        guard utf8.contains(where: { $0 < 0x20 || $0 >= 0x7F }) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            if Self.isPrintable(scalar) || keepsLines && (scalar == "\n" || scalar == "\t") {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return result
    }

    /// The same for Markdown, where nothing in it is HTML or a link.
    var markdown: String { ["<", "["].reduce(printable()) { $0.replacing($1, with: "\\\($1)") } }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}

/// As `1 rule`, `2 rules`.
package func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
