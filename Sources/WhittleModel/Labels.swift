/// metadata.labels, kept as the canonical JSON object that the database stores: few objects are ever asked for a label.
public struct Labels: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    /// A JSON object of strings, keys in byte order; `{}` for none.
    public let json: String

    /// Labels from pairs; of a repeated key the last one counts.
    public init(_ pairs: [(key: String, value: String)]) {
        guard !pairs.isEmpty else {
            json = "{}"
            return
        }
        var sorted = pairs
        if pairs.count > 1 {
            // The sort is stable, so that of equal keys the last one stands last.
            sorted.sort { bytesPrecede($0.key, $1.key) }
        }
        var text = "{"
        text.reserveCapacity(sorted.reduce(2) { $0 + $1.key.utf8.count + $1.value.utf8.count + 6 })
        for (offset, pair) in sorted.enumerated() {
            if offset + 1 < sorted.count, sorted[offset + 1].key.isSameBytes(as: pair.key) { continue }
            if text.utf8.count > 1 { text += "," }
            appendJSONQuoted(pair.key, to: &text)
            text += ":"
            appendJSONQuoted(pair.value, to: &text)
        }
        json = text + "}"
    }

    /// Labels from what `json` gave.
    package init(json: String) { self.json = json }

    /// Labels as a literal.
    public init(dictionaryLiteral elements: (String, String)...) { self.init(elements.map { (key: $0.0, value: $0.1) }) }

    /// Byte-wise equality.
    public static func == (left: Labels, right: Labels) -> Bool { left.json.isSameBytes(as: right.json) }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(ByteString(json)) }

    /// Whether there is no label.
    public var isEmpty: Bool { json.utf8.count == 2 }

    /// Keys and values in byte order of the keys.
    public var pairs: [(key: String, value: String)] {
        guard !isEmpty else { return [] }
        let texts = strings(inJSON: json) ?? []
        return stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) }
    }

    /// The value of a label; `nil` absent.
    public subscript(key: String) -> String? {
        // An object without the label is told by its text alone: inside a string a quote is escaped.
        isEmpty || !mentions(key) ? nil : pairs.first { $0.key.isSameBytes(as: key) }?.value
    }

    private func mentions(_ key: String) -> Bool {
        let pattern = Array((jsonQuoted(key) + ":").utf8)
        return json.utf8.withContiguousStorageIfAvailable { text in
            (0..<max(text.count - pattern.count, 0)).contains { start in
                text[start] == pattern[0] && text[start..<start + pattern.count].elementsEqual(pattern)
            }
        } ?? true
    }
}
