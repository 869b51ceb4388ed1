extension LabelSelector {
    /// Reads a selector as kubectl's `-l` takes it: `app=cart,tier!=web,env in (a,b),team notin (c),debug,!legacy,rank>3`.
    ///
    /// Follows apimachinery's labels.Parse; `nil` when the text is none.
    public init?(text: String) {
        self.init()
        for part in Self.parts(of: text) {
            guard let requirement = Self.requirement(part) else { return nil }
            matchExpressions.append(requirement)
        }
    }

    /// The text cut at commas outside parentheses.
    private static func parts(of text: String) -> [Substring] {
        var depth = 0
        return text.isEmpty
            ? []
            : text.split(omittingEmptySubsequences: false) { character in
                if character == "(" { depth += 1 }
                if character == ")" { depth -= 1 }
                return character == "," && depth == 0
            }
    }

    private static func requirement(_ part: Substring) -> Requirement? {
        let text = trimmed(part)
        if text.hasPrefix("!"), !text.contains("=") {
            let key = trimmed(text.dropFirst())
            return isKey(key) ? Requirement(key: key, operator: "DoesNotExist", values: []) : nil
        }
        for (sign, operation) in [("!=", "NotIn"), ("==", "In"), ("=", "In")] {
            guard let range = text.firstRange(of: sign) else { continue }
            let (key, value) = (trimmed(text[..<range.lowerBound]), trimmed(text[range.upperBound...]))
            return isKey(key) && !value.contains(where: { "=!(), ".contains($0) })
                ? Requirement(key: key, operator: operation, values: [value]) : nil
        }
        for (sign, operation) in [(">", "Gt"), ("<", "Lt")] {
            guard let range = text.firstRange(of: sign) else { continue }
            let (key, value) = (trimmed(text[..<range.lowerBound]), trimmed(text[range.upperBound...]))
            return isKey(key) && Int64(value) != nil ? Requirement(key: key, operator: operation, values: [value]) : nil
        }
        guard text.hasSuffix(")"), let open = text.firstIndex(of: "(") else {
            return isKey(text) ? Requirement(key: text, operator: "Exists", values: []) : nil
        }
        let words = text[..<open].split(separator: " ")
        guard words.count == 2, isKey(String(words[0])), words[1] == "in" || words[1] == "notin" else { return nil }
        let values = text[text.index(after: open)...].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
        return Requirement(key: String(words[0]), operator: words[1] == "in" ? "In" : "NotIn", values: values)
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    private static func isKey(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}
