import WhittleModel

/// Changes one rule where it is written: lists that stay keep their bytes, and so do the entries of a list that stay.
struct RuleEdit {
    let text: ManifestText
    let style: RuleStyle

    /// The edits that make the rule at `node` say `rule`.
    func edits(_ node: ManifestNode, to rule: PolicyRule) throws(ManifestEdit.Refusal) -> [TextEdit] {
        guard node.isMapping else { throw ManifestEdit.Refusal("a rule is no mapping") }
        guard !node.holdsReference else { throw ManifestEdit.Refusal("a rule uses anchors, aliases or tags") }
        if node.isFlow { return [TextEdit(node.range, try flow(node, rule))] }
        return try block(node, rule) ?? [rewriting(node, rule)]
    }

    private func rewriting(_ node: ManifestNode, _ rule: PolicyRule) -> TextEdit {
        let margin = [UInt8](repeating: 0x20, count: max(node.column - 1, 0))
        var bytes: [UInt8] = []
        for (index, line) in style.lines(rule).enumerated() {
            if index > 0 { bytes += text.lineBreak + margin }
            bytes += Array(line.utf8)
        }
        return TextEdit(node.range, bytes)
    }

    /// What becomes of the entries of a list, and which are new.
    private func changes(_ value: ManifestNode, to list: [String]) -> (changes: [ElementChange], added: [String]) {
        var open: [ByteString: Int] = [:]
        for entry in list { open[ByteString(entry), default: 0] += 1 }
        func take(_ entry: String) -> Bool {
            guard let count = open[ByteString(entry)], count > 0 else { return false }
            open[ByteString(entry)] = count - 1
            return true
        }
        let changes = value.elements.map { take($0.text ?? "") ? ElementChange.keep : .remove }
        return (changes, list.filter(take))
    }

    private func isSimpleList(_ value: ManifestNode) -> Bool {
        value.isSequence && value.elements.allSatisfy { $0.text != nil && $0.style != .blockScalar }
    }

    // MARK: A rule by indentation

    /// `nil` when it is simpler to write the whole rule anew.
    private func block(_ node: ManifestNode, _ rule: PolicyRule) throws(ManifestEdit.Refusal) -> [TextEdit]? {
        var edits: [TextEdit] = []
        var written: [(field: RuleField, member: ManifestNode.Member)] = []
        for (index, member) in node.members.enumerated() {
            guard let field = member.key.text.flatMap(RuleField.init(rawValue:)), isSimpleList(member.value) else { return nil }
            let list = field.list(of: rule)
            if list.isEmpty, !member.value.elements.isEmpty {
                guard index > 0, let lines = lines(of: member, from: index > 0 ? node.members[index - 1].value.range.upperBound : 0) else {
                    return nil
                }
                edits.append(TextEdit(lines))
                continue
            }
            written.append((field, member))
            let (changes, added) = changes(member.value, to: list)
            guard !added.isEmpty || changes.contains(where: \.isRemoval) else { continue }
            let scalars = added.map { style.scalar($0, in: field) }
            if member.value.isFlow {
                edits.append(
                    TextEdit(
                        member.value.range, try FlowCollection(member.value, in: text).text(changes, adding: scalars.map { Array($0.utf8) })
                    ))
            } else {
                edits += try BlockSequence(member.value, in: text).edits(
                    changes, adding: scalars.map { [$0] }, colon: member.key.range.upperBound)
            }
        }
        let order = style.fields
        for field in order where !field.list(of: rule).isEmpty && !written.contains(where: { $0.field == field }) {
            let before =
                written.last { entry in
                    (order.firstIndex(of: entry.field) ?? 0) < (order.firstIndex(of: field) ?? 0)
                } ?? written.last
            guard let before, text.endsLine(before.member.value.range.upperBound) else { return nil }
            edits.append(insertion(style.lines(field, field.list(of: rule)), after: before.member, indent: node.column - 1))
        }
        return edits
    }

    /// The lines of a member that starts its own, with comments right above it.
    private func lines(of member: ManifestNode.Member, from floor: Int) -> Range<Int>? {
        guard text.startsLine(member.key.range.lowerBound), text.endsLine(member.value.range.upperBound) else { return nil }
        var start = text.lineStart(member.key.range.lowerBound)
        while start > 0, case let above = text.lineStart(start - 1), above >= floor, text.commentIndent(above) != nil { start = above }
        return start..<text.nextLine(member.value.range.upperBound)
    }

    private func insertion(_ lines: [String], after member: ManifestNode.Member, indent: Int) -> TextEdit {
        let place = text.nextLine(member.value.range.upperBound)
        let margin = [UInt8](repeating: 0x20, count: max(indent, 0))
        var bytes = lines.flatMap { margin + Array($0.utf8) + text.lineBreak }
        if place > 0, text.bytes[place - 1] != UInt8(ascii: "\n") {
            bytes = text.lineBreak + bytes
            bytes.removeLast(text.lineBreak.count)
        }
        return TextEdit(place..<place, bytes)
    }

    // MARK: A rule in brackets

    private func flow(_ node: ManifestNode, _ rule: PolicyRule) throws(ManifestEdit.Refusal) -> [UInt8] {
        let collection = try FlowCollection(node, in: text)
        var changes: [ElementChange] = []
        var written: Set<RuleField> = []
        for member in node.members {
            guard let field = member.key.text.flatMap(RuleField.init(rawValue:)) else {
                changes.append(.keep)
                continue
            }
            guard isSimpleList(member.value), member.value.isFlow else { throw ManifestEdit.Refusal("a rule is no mapping of lists") }
            let list = field.list(of: rule)
            written.insert(field)
            if list.isEmpty, !member.value.elements.isEmpty {
                changes.append(.remove)
                continue
            }
            let (inner, added) = self.changes(member.value, to: list)
            guard !added.isEmpty || inner.contains(where: \.isRemoval) else {
                changes.append(.keep)
                continue
            }
            let scalars = added.map { Array(style.scalar($0, in: field).utf8) }
            changes.append(
                .edit([TextEdit(member.value.range, try FlowCollection(member.value, in: text).text(inner, adding: scalars))]))
        }
        let margin = collection.margin.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let added = style.fields.filter { !$0.list(of: rule).isEmpty && !written.contains($0) }
        return collection.text(
            changes, adding: added.map { text.broken(style.member($0, $0.list(of: rule), margin: margin)) })
    }
}

extension ManifestText {
    /// A text with the line ends of the file.
    func broken(_ string: String) -> [UInt8] {
        string.utf8.flatMap { $0 == UInt8(ascii: "\n") ? lineBreak : [$0] }
    }
}
