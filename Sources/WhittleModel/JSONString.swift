/// JSON text of a string, quoted; everything outside ASCII stays as it is.
package func jsonQuoted(_ text: String) -> String {
    var result = ""
    appendJSONQuoted(text, to: &result)
    return result
}

/// Appends what `jsonQuoted` gives.
func appendJSONQuoted(_ text: String, to result: inout String) {
    let isPlain = text.utf8.allSatisfy { byte in
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
    if isPlain {
        result += "\""
        result += text
        result += "\""
    } else {
        result += jsonEscaped(text)
    }
}

private func jsonEscaped(_ text: String) -> String {
    var result: [UInt8] = [UInt8(ascii: "\"")]
    result.reserveCapacity(text.utf8.count + 16)
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\"".utf8
        case "\\": result += "\\\\".utf8
        case "\n": result += "\\n".utf8
        case "\t": result += "\\t".utf8
        case "\r": result += "\\r".utf8
        case _ where isUnsafeInText(scalar):
            let digits = String(scalar.value, radix: 16)
            result += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
        case _ where scalar.isASCII: result.append(UInt8(truncatingIfNeeded: scalar.value))
        default: result += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
        }
    }
    result.append(UInt8(ascii: "\""))
    return String(decoding: result, as: UTF8.self)
}

/// Whether a scalar must be escaped so that every JSON and YAML reader gives it back: controls, line separators that YAML
/// folds, the byte order mark, and what is no character.
private func isUnsafeInText(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF: true
    default: false
    }
}

/// JSON text of a list of strings.
package func jsonArray(_ list: [String]) -> String {
    var text = "["
    for (offset, element) in list.enumerated() {
        if offset > 0 { text += "," }
        appendJSONQuoted(element, to: &text)
    }
    return text + "]"
}

/// The strings of a JSON array as `jsonArray` writes it; `nil` for any other text.
package func strings(fromJSONArray text: String) -> [String]? {
    text.utf8.first == UInt8(ascii: "[") ? strings(inJSON: text) : nil
}

/// The strings of a flat JSON array or object in order, keys and values alike; `nil` for any other text.
func strings(inJSON text: String) -> [String]? {
    var result: [String] = []
    var scalars = Array(text.unicodeScalars)[...]
    guard let open = scalars.popFirst(), open == "[" || open == "{" else { return nil }
    while let next = scalars.popFirst() {
        switch next {
        case "]", "}": return result
        case ",", ":": continue
        case "\"":
            var element = String.UnicodeScalarView()
            while let scalar = scalars.popFirst(), scalar != "\"" {
                guard scalar == "\\" else {
                    element.append(scalar)
                    continue
                }
                switch scalars.popFirst() {
                case "n": element.append("\n")
                case "t": element.append("\t")
                case "r": element.append("\r")
                case "u":
                    let digits = String(String.UnicodeScalarView(scalars.prefix(4)))
                    scalars = scalars.dropFirst(4)
                    if let value = UInt32(digits, radix: 16), let scalar = UnicodeScalar(value) { element.append(scalar) }
                case let other?: element.append(other)
                case nil: return nil
                }
            }
            result.append(String(element))
        default: return nil
        }
    }
    return nil
}
