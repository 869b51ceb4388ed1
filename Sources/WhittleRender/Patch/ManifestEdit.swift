import WhittleModel

/// Edits of one document of a manifest that leave every byte outside the changed part as it is.
///
/// An edit is a proposal until its result has been read again: who calls this compares what it loads to.
package struct ManifestEdit {
    /// Why a text is not edited: a part of a sentence in lower case.
    package struct Refusal: Error, Equatable {
        /// `a rule uses anchors, aliases or tags`.
        package var reason: String

        package init(_ reason: String) { self.reason = reason }
    }

    private let text: ManifestText
    private let document: ManifestDocument

    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - document: the document of it that holds the object.
    package init(_ bytes: [UInt8], _ document: ManifestDocument) throws(Refusal) {
        text = ManifestText(bytes)
        self.document = document
        if Self.holdsTemplate(bytes[document.range]) { throw Refusal("the document is a template") }
    }

    private static func holdsTemplate(_ bytes: ArraySlice<UInt8>) -> Bool {
        zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: "{") && $1 == UInt8(ascii: "{") }
    }

    /// An object and the list that it is an element of; `nil` where it is the document itself.
    private struct Place {
        var object: ManifestNode
        var list: ManifestNode?
        /// Behind the key of that list.
        var colon: Int
        var index = 0
    }

    private func place(of location: SourceLocation) throws(Refusal) -> Place {
        func isMeant(_ node: ManifestNode) -> Bool { node.isMapping && node.line == location.line && node.column == location.column }
        func find(_ node: ManifestNode, _ colon: Int) -> Place? {
            if let index = node.elements.firstIndex(where: isMeant) {
                return Place(object: node.elements[index], list: node, colon: colon, index: index)
            }
            for element in node.elements { if let found = find(element, colon) { return found } }
            for member in node.members { if let found = find(member.value, member.key.range.upperBound) { return found } }
            return nil
        }
        if isMeant(document.root) { return Place(object: document.root, list: nil, colon: 0) }
        guard let found = find(document.root, document.range.lowerBound) else {
            throw Refusal("the object is not found at its place")
        }
        return found
    }

    /// The value of a field that the object has once, and the place behind its colon.
    private func list(_ name: String, of object: ManifestNode) throws(Refusal) -> (node: ManifestNode, colon: Int) {
        let members = object.members(named: name)
        guard members.count < 2 else { throw Refusal("`\(name)` stands twice") }
        guard let member = members.first, object.members(named: "<<").isEmpty else { throw Refusal("it has no `\(name)` of its own") }
        if case .alias = member.value.content { throw Refusal("`\(name)` uses anchors, aliases or tags") }
        guard !member.value.isMarked else { throw Refusal("`\(name)` uses anchors, aliases or tags") }
        guard member.value.isSequence else { throw Refusal("`\(name)` is no list") }
        return (member.value, try colon(after: member.key))
    }

    private func colon(after key: ManifestNode) throws(Refusal) -> Int {
        let place = text.contentStart(key.range.upperBound)
        guard place < text.bytes.count, text.bytes[place] == UInt8(ascii: ":") else { throw Refusal("a key is written in an unusual way") }
        return place + 1
    }

    /// JSON on one line: a diff of it would show the whole object.
    private func refuseOneLine(_ object: ManifestNode) throws(Refusal) {
        if object.isFlow, !text.bytes[object.range].contains(UInt8(ascii: "\n")) {
            throw Refusal("the object is written on one line")
        }
    }

    // MARK: Rules

    /// The file with other rules in one role.
    ///
    /// Rules that stay keep their bytes and their order, a rule that is narrowed is changed in place, new ones stand last.
    /// - Parameters:
    ///   - location: where the role is written, as the loader gives it.
    ///   - current: its stored rules as loaded, unreadable ones included.
    ///   - wanted: the rules it shall have, in any order.
    package func settingRules(_ wanted: [PolicyRule], ofObjectAt location: SourceLocation, from current: [PolicyRule])
        throws(Refusal) -> [UInt8]
    {
        let pairing = RulePairing(current, wanted)
        guard !pairing.added.isEmpty || pairing.fates.contains(where: { $0 != .keep }) else { return text.bytes }
        let object = try place(of: location).object
        let (rules, colon) = try list("rules", of: object)
        guard rules.elements.count == current.count else { throw Refusal("its rules are not found at their places") }
        try refuseOneLine(object)
        let style = RuleStyle(of: rules, in: text)
        let edit = RuleEdit(text: text, style: style)
        var changes: [ElementChange] = []
        for (node, fate) in zip(rules.elements, pairing.fates) {
            switch fate {
            case .keep: changes.append(.keep)
            case .remove:
                guard !node.holdsReference else { throw Refusal("a rule uses anchors, aliases or tags") }
                changes.append(.remove)
            case .change(let rule): changes.append(.edit(try edit.edits(node, to: rule)))
            }
        }
        return try changing(rules, changes, colon: colon) { margin in
            pairing.added.map { rule -> [String] in
                guard let margin else { return style.lines(rule) }
                return [String(decoding: text.broken(style.flow(rule, margin: margin)), as: UTF8.self)]
            }
        }
    }

    /// - Parameter added: gives new elements: text for a list in brackets, given what stands before its elements, or lines.
    private func changing(
        _ list: ManifestNode, _ changes: [ElementChange], colon: Int, adding added: (_ flowMargin: String?) -> [[String]] = { _ in [] }
    ) throws(Refusal) -> [UInt8] {
        if list.isFlow {
            let collection = try FlowCollection(list, in: text)
            guard !collection.holdsComment else { throw Refusal("comments stand between elements in brackets") }
            let margin = collection.margin.map { String(decoding: $0, as: UTF8.self) } ?? ""
            let elements = added(margin).map { Array($0.joined().utf8) }
            return text.applying([TextEdit(list.range, collection.text(changes, adding: elements))])
        }
        return text.applying(try BlockSequence(list, in: text).edits(changes, adding: added(nil), colon: colon))
    }

    // MARK: Subjects and whole objects

    /// The file without some subjects of a binding.
    ///
    /// - Parameter subjects: where they are written, as the loader gives it.
    package func removingSubjects(at subjects: [SourceLocation], ofObjectAt location: SourceLocation) throws(Refusal) -> [UInt8] {
        let object = try place(of: location).object
        let (list, colon) = try list("subjects", of: object)
        try refuseOneLine(object)
        var changes: [ElementChange] = []
        for node in list.elements {
            let isMeant = subjects.contains { $0.line == node.line && $0.column == node.column }
            guard !isMeant || !node.holdsReference else { throw Refusal("a subject uses anchors, aliases or tags") }
            changes.append(isMeant ? .remove : .keep)
        }
        guard changes.count(where: \.isRemoval) == subjects.count else { throw Refusal("its subjects are not found at their places") }
        return try changing(list, changes, colon: colon)
    }

    /// The file without an object; `nil` when nothing but comments would be left.
    package func removingObject(at location: SourceLocation) throws(Refusal) -> [UInt8]? {
        let place = try place(of: location)
        if let list = place.list, list.elements.count > 1 {
            guard !place.object.holdsReference else { throw Refusal("the object uses anchors, aliases or tags") }
            try refuseOneLine(list)
            var changes = list.elements.map { _ in ElementChange.keep }
            changes[place.index] = .remove
            return try changing(list, changes, colon: place.colon)
        }
        let lines = text.bytes[document.range].split(separator: UInt8(ascii: "\n"))
        guard !lines.contains(where: { $0.starts(with: "...".utf8) || $0.first == UInt8(ascii: "%") }) else {
            throw Refusal("the document has directives or an end mark")
        }
        let rest = text.applying([TextEdit(headerEnd()..<document.range.upperBound)])
        return Self.holdsContent(rest) ? rest : nil
    }

    /// Where the document starts behind the comments that open the file and stand apart from it.
    private func headerEnd() -> Int {
        let start = document.range.lowerBound
        guard start <= 3, !text.bytes[start...].starts(with: "---".utf8) else { return start }
        var end = start
        var line = start
        while line < document.root.range.lowerBound, text.isBlank(line) || text.commentIndent(line) != nil {
            if text.isBlank(line) { end = text.nextLine(line) }
            line = text.nextLine(line)
        }
        return end
    }

    private static func holdsContent(_ bytes: [UInt8]) -> Bool {
        let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        return bytes.split(separator: UInt8(ascii: "\n")).contains { line in
            guard let first = line.first(where: { $0 > 0x20 }) else { return false }
            return first != UInt8(ascii: "#") && !line.starts(with: "---".utf8)
        }
    }
}
