import WhittleModel

/// What stands before and behind events in lines, and lines around them.
extension AuditEnvelope {
    /// A line behind what a shipper wrote before it.
    package struct Prefixed {
        package var rest: UnsafeBufferPointer<UInt8>
        package var envelope: String
        /// Whether the container runtime split the line here: what follows stands in the next line of the same stream, whose
        /// rest begins anywhere.
        package var isPartial = false
        /// `stdout` or `stderr` of a container; lines that were split belong together only within one.
        package var stream = ""
    }

    private static let prefixLimit = 1_024

    /// Takes a line apart: the container runtime's `TIME STREAM TAG`, or a few words before an object.
    ///
    /// `nil` when there is no such prefix. Unlike `behindPrefix` also for lines that the container runtime split.
    package static func prefix(of line: UnsafeBufferPointer<UInt8>) -> Prefixed? {
        let head = line.prefix(prefixLimit)
        let words = head.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        if words.count == 4, words[0].count >= 20, words[0].first.map({ $0 &- UInt8(ascii: "0") < 10 }) ?? false {
            let stream = ["stdout", "stderr"].first { words[1].elementsEqual($0.utf8) }
            // Tags are separated by colons; the first tells whether the line goes on.
            let tag = words[2].prefix { $0 != UInt8(ascii: ":") }
            if let stream, tag.count == 1, let letter = tag.first, letter == UInt8(ascii: "P") || letter == UInt8(ascii: "F") {
                return Prefixed(
                    rest: UnsafeBufferPointer(rebasing: line[words[3].startIndex...]), envelope: "cri",
                    isPartial: letter == UInt8(ascii: "P"), stream: stream)
            }
        }
        // A prefix may hold braces of its own: those of the event are before a key.
        let braces = head.indices.filter { head[$0] == UInt8(ascii: "{") }
        let begins = { (brace: Int) in
            line[(brace + 1)...].prefix(prefixLimit).first { $0 > 0x20 } == UInt8(ascii: "\"")
                && " \t:=]>|\u{1E}".utf8.contains(line[brace - 1])
                || endsInColour(head[..<brace]) || head[..<brace].suffix(3).elementsEqual([0xEF, 0xBB, 0xBF])
        }
        guard braces.first != 0, let brace = braces.first(where: begins) else { return nil }
        let before = line[..<brace].drop { $0 <= 0x20 }
        let isGap = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard before.split(whereSeparator: isGap).count <= 32 else { return nil }
        // What begins with a quote and ends with a colon is a member of an object over many lines.
        if before.first == UInt8(ascii: "\""), before.last(where: { $0 > 0x20 }) == UInt8(ascii: ":") { return nil }
        let rest = withoutTail(UnsafeBufferPointer(rebasing: line[brace...]))
        return isInside(rest) ? nil : Prefixed(rest: rest, envelope: "prefixed")
    }

    /// Without what tools write behind an event that they wrote something before.
    private static func withoutTail(_ text: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        guard text.last(where: { $0 > 0x20 }) != UInt8(ascii: "}"), var json = try? JSONText(text), (try? json.skipValue()) != nil,
            isTail(text[json.position...])
        else { return text }
        return UnsafeBufferPointer(rebasing: text[..<json.position])
    }

    /// Whether it is what tools write behind an event: the bracket around it and what stands before it, numbers, the stream of
    /// CloudWatch Logs, or the end of a colour.
    static func isTail(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard text.count <= prefixLimit else { return false }
        return words(of: text).allSatisfy { word in
            word.elementsEqual("]".utf8) || word.allSatisfy { $0 &- UInt8(ascii: "0") < 10 }
                || word.starts(with: stream.utf8) && !word.contains(UInt8(ascii: "{"))
        }
    }

    /// The words of a text, without what sets the colour of a terminal.
    private static func words(of text: Slice<UnsafeBufferPointer<UInt8>>) -> [Slice<UnsafeBufferPointer<UInt8>>] {
        let words: [Slice<UnsafeBufferPointer<UInt8>>] = text.split { $0 <= 0x20 }
        return words.compactMap { word in
            guard word.startIndex > text.startIndex, text[word.startIndex - 1] == 0x1B, word.first == UInt8(ascii: "["),
                let end = word.dropFirst().firstIndex(where: { $0 &- UInt8(ascii: "0") >= 10 && $0 != UInt8(ascii: ";") }),
                word[end] == UInt8(ascii: "m") || word[end] == UInt8(ascii: "K")
            else { return word }
            let rest = word[(end + 1)...]
            return rest.isEmpty ? nil : rest
        }
    }

    /// How the streams of audit logs begin.
    private static let stream = "kube-apiserver-audit-"

    /// Whether a line is what AWS's tools write around messages: the stream of those that follow, or that one was searched.
    static func isHeading(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        if line.starts(with: "SEARCHEDLOGSTREAMS\t".utf8) { return true }
        guard place(of: stream, in: UnsafeBufferPointer(rebasing: line.prefix(prefixLimit))) != nil else { return false }
        let words = words(of: line.prefix(prefixLimit))
        return words.count == 2 && words[1].starts(with: stream.utf8)
            && Timestamp.microseconds(UnsafeBufferPointer(rebasing: words[0])) != nil
    }

    /// Where a text stands first.
    private static func place(of text: String, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard let first = text.utf8.first else { return nil }
        return bytes.indices.first { bytes[$0] == first && bytes[$0...].starts(with: text.utf8) }
    }

    /// Whether a line is nothing but a JSON string that holds an object.
    static func isQuoted(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard line.starts(with: "\"{".utf8), var json = try? JSONText(line), (try? json.skipValue()) != nil else { return false }
        return json.position == json.end || json.peek() == 0
    }

    /// Whether a text ends in what sets the colour of a terminal.
    private static func endsInColour(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard text.last == UInt8(ascii: "m") || text.last == UInt8(ascii: "K"), let escape = text.lastIndex(of: 0x1B),
            text[escape...].dropFirst().first == UInt8(ascii: "[")
        else { return false }
        return text[escape...].dropFirst(2).dropLast().allSatisfy { $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: ";") }
    }

    /// The bytes of a line behind what a shipper writes before the JSON, and the name of that envelope; `nil` when there is no
    /// such prefix.
    static func behindPrefix(_ line: UnsafeBufferPointer<UInt8>) -> (rest: UnsafeBufferPointer<UInt8>, envelope: String)? {
        guard let found = prefix(of: line), found.rest.first == UInt8(ascii: "{") else { return nil }
        return (found.rest, found.envelope)
    }

    /// Whether the rest of another object stands behind this one on its line: its beginning is missing, and what it holds proves nothing.
    private static func isInside(_ object: UnsafeBufferPointer<UInt8>) -> Bool {
        guard var json = try? JSONText(object), (try? json.skipValue()) != nil else { return false }
        let rest = object[json.position...].prefix { $0 != UInt8(ascii: "\n") }.filter { $0 > 0x20 }
        return rest.first == UInt8(ascii: "}") || rest.first == UInt8(ascii: "]") || rest.first == UInt8(ascii: ",") && rest.count > 1
    }

    /// A line, or a part of one, in a record of its own.
    package struct LogPart {
        package var text: String
        package var stream: String
        package var isPartial: Bool
        /// Whether the record says so itself; otherwise the end of the text tells.
        package var isMarked = true
        package var envelope = "fluent-bit"

        /// Whether it is as long as Docker makes parts. A character that was cut stands as a mark for each of its bytes.
        var isOfDockerLength: Bool {
            let cut =
                text.unicodeScalars.prefix { $0 == "\u{FFFD}" }.count + text.unicodeScalars.reversed().prefix { $0 == "\u{FFFD}" }.count
            let excess = text.utf8.count - 1 << 14
            return excess & 1 == 0 && (0...2 * cut).contains(excess)
        }

        /// Whether it cannot stand for itself: brackets are open at its end, or end that it has not begun, or it ends inside of a string.
        var isFragment: Bool {
            var nesting = Nesting()
            for byte in text.utf8 {
                nesting.advance(byte)
                if nesting.depth < 0 { return true }
            }
            return nesting.depth > 0 || nesting.isInString
        }
    }

    /// The text of a line that docker, journald, or a shipper behind a container runtime, may have split; `nil` for anything else.
    ///
    /// To be asked only for a value in which there is no record: a whole event may stand without its line end.
    static func logPart(of value: DocumentValue) -> LogPart? {
        if let text = value.value("MESSAGE")?.string, let stream = value.value("_STREAM_ID")?.string {
            let isPartial = value.value("_LINE_BREAK")?.isText("line-max") ?? false
            return LogPart(text: text, stream: "journal/\(stream)", isPartial: isPartial, envelope: "journald")
        }
        guard let text = value.value("log")?.string else { return messagePart(of: value) }
        guard let stream = value.value("stream")?.string else {
            // Docker's driver for fluentd.
            guard let id = value.value("partial_id")?.string, let last = value.value("partial_last") else { return nil }
            return LogPart(text: text, stream: id, isPartial: !(last.bool ?? last.isText("true")))
        }
        let tag = (value.value("logtag") ?? value.value("_p"))?.string
        return LogPart(
            text: text, stream: source(of: value, stream), isPartial: tag.map { $0.hasPrefix("P") } ?? (text.utf8.last != 0x0A),
            isMarked: tag != nil)
    }

    /// The text of a line in `message`, of which marks of Fluent Bit's parser or Vector tell whether it goes on.
    private static func messagePart(of value: DocumentValue) -> LogPart? {
        guard let text = value.value("message")?.string else { return nil }
        let isPartial = value.value("logtag")?.string?.hasPrefix("P") ?? value.value("_partial")?.bool ?? false
        return LogPart(
            text: text, stream: "message/" + source(of: value, value.value("stream")?.string ?? ""), isPartial: isPartial,
            envelope: "message")
    }

    /// What lines that were split belong together of.
    private static func source(of value: DocumentValue, _ stream: String) -> String {
        let pod = value.value("kubernetes")
        let owner = [pod?.value("pod_name"), pod?.value("container_name"), value.value("container_id"), value.value("file")]
        return ([stream] + owner.map { $0?.string ?? "" }).joined(separator: "/")
    }

    /// Whether a text is a word in brackets and something behind it.
    static func beginsWithWord(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        text.first == UInt8(ascii: "[") && (text.dropFirst().first.map { $0 | 0x20 &- UInt8(ascii: "a") < 26 } ?? false)
            && behindPrefix(text) != nil
    }

    /// Whether a text that cannot be read is the beginning of an event.
    static func isCutEvent(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let bytes = UnsafeBufferPointer(rebasing: text)
        guard bytes.first == UInt8(ascii: "{"), ByteSlice(bytes).contains("\"audit.k8s.io/") || ByteSlice(bytes).contains("\"auditID\"")
        else { return false }
        do throws(JSONText.Failure) {
            var json = try JSONText(bytes)
            try json.skipValue()
            return false
        } catch {
            return error.offset >= bytes.count - 1
        }
    }

    /// Whether a text is one object or list, and nothing else.
    static func isValue(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.first == UInt8(ascii: "{") || text.first == UInt8(ascii: "["), var json = try? JSONText(text),
            (try? json.skipValue()) != nil
        else { return false }
        return json.position == json.end || json.peek() == 0
    }

    /// Whether what there is of a value may end in a body of an event; before the names of its members others may stand (`audit.requestObject`).
    static func mayHoldBody(_ text: [UInt8]) -> Bool {
        text.withUnsafeBufferPointer { bytes in
            let slice = ByteSlice(bytes)
            return slice.contains("requestObject\"") || slice.contains("responseObject\"") || slice.contains("\"protoPayload\"")
        }
    }

    /// Whether a text is an event and nothing else.
    static func isEvent(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.first == UInt8(ascii: "{"), let base = text.baseAddress, var json = try? JSONText(text) else { return false }
        let tree = DocumentTree(file: "", base: base)
        defer { withExtendedLifetime(tree) {} }
        guard (try? json.parseValue(into: tree, DocumentTree.Bounds(nodes: valueLimit))) != nil, json.peek() == 0 else { return false }
        return AuditEvent(tree.root)?.isTold ?? false
    }

    /// Whether the first part of a split line may be the beginning of an event, with or without a prefix.
    static func mayBegin(_ part: String) -> Bool {
        part.utf8.prefix(prefixLimit).contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") }
    }

    /// Whether a line is of the text format that Kubernetes 1.7 and earlier wrote, and later ones do if asked to: `TIME AUDIT: id="…" …`.
    package static func isLegacy(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = line.first, first != UInt8(ascii: "{") else { return false }
        let head = UnsafeBufferPointer(rebasing: line.prefix(128))
        guard let place = place(of: "AUDIT: id=\"", in: head) else { return false }
        return place == 0 || head[place - 1] == UInt8(ascii: " ")
    }

    /// Whether a stream of CloudWatch Logs is that of another component of the control plane.
    static func isOther(stream: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let others = ["kube-apiserver-", "authenticator-", "kube-controller-manager-", "cloud-controller-manager-", "kube-scheduler-"]
        return !stream.starts(with: Self.stream.utf8) && others.contains { stream.starts(with: $0.utf8) }
    }
}
