import WhittleModel

/// A value for JSON and YAML output; object members keep their order.
public indirect enum JSONValue: Hashable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number.
    case integer(Int)
    /// A number with three decimals, in thousandths.
    case thousandths(Int)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Members in output order.
    case object([Member])

    /// A named value of an object.
    public struct Member: Hashable, Sendable {
        /// The key.
        public var key: String
        /// The value.
        public var value: JSONValue
    }

    /// An object; members whose value is `nil` are left out.
    public static func members(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        .object(members.compactMap { key, value in value.map { Member(key: key, value: $0) } })
    }

    /// A list of texts.
    public static func strings(_ list: [String]) -> JSONValue { .array(list.map(JSONValue.string)) }

    /// A number of thousandths, none below 0, as `0.875`.
    public static func decimal(_ thousandths: Int) -> String {
        "\(thousandths / 1000).\(String(1000 + thousandths % 1000).dropFirst())"
    }

    /// One line of JSON.
    public var line: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .thousandths(let value): JSONValue.decimal(value)
        case .string(let value): jsonQuoted(value)
        case .array(let values): "[" + values.map(\.line).joined(separator: ",") + "]"
        case .object(let members): "{" + members.map { "\(jsonQuoted($0.key)):\($0.value.line)" }.joined(separator: ",") + "}"
        }
    }

    /// Indented JSON with a line end.
    public var indented: String { indented(by: "") + "\n" }

    private func indented(by margin: String) -> String {
        switch self {
        case .array(let values) where !values.isEmpty:
            let lines = values.map { "\(margin)  \($0.indented(by: margin + "  "))" }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(margin)]"
        case .object(let members) where !members.isEmpty:
            let lines = members.map { "\(margin)  \(jsonQuoted($0.key)): \($0.value.indented(by: margin + "  "))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(margin)}"
        default: return line
        }
    }

    /// Block-style YAML with a line end; texts are quoted unless they can only be texts.
    public var yaml: String {
        switch self {
        case .array(let values) where !values.isEmpty: YAMLRenderer.block(values, margin: "")
        case .object(let members) where !members.isEmpty: YAMLRenderer.block(members, margin: "")
        default: YAMLRenderer.scalar(self) + "\n"
        }
    }
}

/// YAML text of values.
enum YAMLRenderer {
    static func block(_ values: [JSONValue], margin: String) -> String {
        values.map { value in
            switch value {
            case .object(let members) where !members.isEmpty:
                let block = block(members, margin: margin + "  ")
                return "\(margin)- " + block.dropFirst(margin.count + 2)
            case .array(let inner) where !inner.isEmpty:
                return inner.allSatisfy(isScalar) ? "\(margin)- \(flow(inner))\n" : "\(margin)-\n" + block(inner, margin: margin + "  ")
            default: return "\(margin)- \(scalar(value))\n"
            }
        }.joined()
    }

    static func block(_ members: [JSONValue.Member], margin: String) -> String {
        members.map { member in
            let key = margin + text(member.key) + ":"
            switch member.value {
            case .object(let inner) where !inner.isEmpty: return "\(key)\n" + block(inner, margin: margin + "  ")
            case .array(let inner) where !inner.isEmpty && inner.allSatisfy(isScalar): return "\(key) \(flow(inner))\n"
            case .array(let inner) where !inner.isEmpty: return "\(key)\n" + block(inner, margin: margin)
            default: return "\(key) \(scalar(member.value))\n"
            }
        }.joined()
    }

    private static func isScalar(_ value: JSONValue) -> Bool {
        switch value {
        case .array, .object: false
        default: true
        }
    }

    private static func flow(_ values: [JSONValue]) -> String { "[" + values.map(scalar).joined(separator: ", ") + "]" }

    static func scalar(_ value: JSONValue) -> String {
        if case .string(let string) = value { text(string) } else { value.line }
    }

    /// A text plain where no YAML version could read it as something else, in double quotes otherwise.
    static func text(_ string: String) -> String {
        let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        guard let first = string.utf8.first, isLetter(first), !reserved.contains(string.lowercased()),
            string.utf8.allSatisfy({ isLetter($0) || $0.isDigit || "-_./".utf8.contains($0) })
        else { return jsonQuoted(string) }
        return string
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
}
