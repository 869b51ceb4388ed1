/// A value of a manifest and the bytes it is written with, so that a part of a file can be changed and the rest left alone.
package struct ManifestNode: Sendable {
    /// What the value is.
    package indirect enum Content: Sendable {
        /// The text as it is understood, quotes and escapes resolved.
        case scalar(String)
        case sequence([ManifestNode])
        case mapping([Member])
        /// `*name`: the value stands elsewhere.
        case alias
    }

    /// A key with its value.
    package struct Member: Sendable {
        package var key: ManifestNode
        package var value: ManifestNode

        package init(key: ManifestNode, value: ManifestNode) {
            self.key = key
            self.value = value
        }
    }

    /// How it is written.
    package enum Style: Sendable {
        case plain, singleQuoted, doubleQuoted
        /// A scalar behind `|` or `>`.
        case blockScalar
        /// A collection in brackets, such as every one of JSON.
        case flow
        /// A collection by indentation.
        case block
    }

    package var content: Content
    package var style: Style
    /// Offsets of its bytes in the file; those of a block collection reach from its first to the end of its last scalar.
    package var range: Range<Int>
    /// 1-based line and column of its start, as the loader gives them.
    package var line: Int
    package var column: Int
    /// Whether it carries an anchor or a tag.
    package var isMarked: Bool

    package init(content: Content, style: Style, range: Range<Int>, line: Int, column: Int, isMarked: Bool) {
        self.content = content
        self.style = style
        self.range = range
        self.line = line
        self.column = column
        self.isMarked = isMarked
    }

    /// Elements of a sequence; empty for anything else.
    package var elements: [ManifestNode] { if case .sequence(let elements) = content { elements } else { [] } }
    /// Members of a mapping; empty for anything else.
    package var members: [Member] { if case .mapping(let members) = content { members } else { [] } }
    /// The text of a scalar; `nil` for anything else.
    package var text: String? { if case .scalar(let text) = content { text } else { nil } }

    package var isSequence: Bool { if case .sequence = content { true } else { false } }
    package var isMapping: Bool { if case .mapping = content { true } else { false } }
    package var isFlow: Bool { style == .flow }

    /// Members with this key.
    package func members(named key: String) -> [Member] { members.filter { $0.key.text?.isSameBytes(as: key) ?? false } }

    /// Whether an anchor, alias, tag or merge key stands anywhere in it.
    package var holdsReference: Bool {
        if isMarked { return true }
        switch content {
        case .alias: return true
        case .scalar: return false
        case .sequence(let elements): return elements.contains(where: \.holdsReference)
        case .mapping(let members):
            return members.contains { $0.key.text == "<<" || $0.key.holdsReference || $0.value.holdsReference }
        }
    }
}

/// One document of a file of manifests.
package struct ManifestDocument: Sendable {
    /// Its value.
    package var root: ManifestNode
    /// Its bytes with the lines around it: from its `---` to before the next.
    package var range: Range<Int>

    package init(root: ManifestNode, range: Range<Int>) {
        self.root = root
        self.range = range
    }
}
