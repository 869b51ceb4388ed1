/// Rows of text under named columns.
public struct Table: Hashable, Sendable {
    /// Column names, lower camel case as in JSON; the table shows them in upper case.
    public var columns: [String]
    /// Cells in the order of `columns`.
    public var rows: [[String]]
    /// Columns that only `-o wide`, CSV and Markdown show.
    public var wideColumns: Set<String> = []

    /// Creates a table.
    public init(columns: [String], rows: [[String]], wideColumns: Set<String> = []) {
        self.columns = columns
        self.rows = rows
        self.wideColumns = wideColumns
    }

    /// Aligned columns two spaces apart; no line ends in spaces.
    ///
    /// - Parameters:
    ///   - isWide: whether wide columns are shown.
    ///   - isColoured: whether the header is bold.
    public func aligned(isWide: Bool, hasHeader: Bool = true, isColoured: Bool = false) -> String {
        let shown = columns.indices.filter { isWide || !wideColumns.contains(columns[$0]) }
        let header = shown.map { Self.title(columns[$0]) }
        // Line ends and control characters of the input must not break the table or the terminal.
        let body = rows.map { row in shown.map { row[$0].printable() } }
        var widths = header.map(\.count)
        for row in body { for (place, cell) in row.enumerated() { widths[place] = max(widths[place], cell.count) } }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (place, cell) in cells.enumerated() {
                text += cell
                if place < cells.count - 1 { text += String(repeating: " ", count: widths[place] - cell.count + 2) }
            }
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }
        let head = line(header)
        let top = !hasHeader ? "" : isColoured ? "\u{1B}[1m\(head.dropLast())\u{1B}[0m\n" : head
        return top + body.map(line).joined()
    }

    /// RFC 4180; what would move a terminal's cursor is spelled as in the other forms.
    public func csv(hasHeader: Bool = true) -> String {
        ((hasHeader ? [columns] : []) + rows).map { row in
            row.map { text in
                let cell = text.printable(keepsLines: true)
                return cell.utf8.contains(where: { ",\"\n".utf8.contains($0) }) ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell
            }.joined(separator: ",") + "\n"
        }.joined()
    }

    /// A GitHub table. What a name could make of it, HTML or a link, is escaped.
    public var markdown: String {
        func line(_ cells: [String]) -> String {
            "| " + cells.map { $0.markdown.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        return line(columns) + line(columns.map { _ in "---" }) + rows.map(line).joined()
    }

    private static func title(_ column: String) -> String {
        var result = ""
        for character in column {
            if character.isUppercase { result.append(" ") }
            result += character.uppercased()
        }
        return result
    }
}

/// How answers are written.
public enum OutputFormat: String, CaseIterable, Sendable {
    /// Aligned columns.
    case table
    /// Aligned columns, all of them.
    case wide
    /// Indented JSON.
    case json
    /// YAML.
    case yaml
    /// RFC 4180 with a header.
    case csv
    /// A GitHub table.
    case markdown
}

/// The only switch over output formats.
public enum Output {
    /// Writes an answer that is both a table and a document; only the one that is needed is made.
    public static func render(
        _ table: @autoclosure () throws -> Table, _ document: @autoclosure () throws -> JSONValue, as format: OutputFormat,
        hasHeader: Bool = true, isColoured: Bool = false
    ) rethrows -> String {
        switch format {
        case .table, .wide: try table().alignedIfAny(isWide: format == .wide, hasHeader: hasHeader, isColoured: isColoured)
        case .json: try document().indented
        case .yaml: try document().yaml
        case .csv: try table().csv(hasHeader: hasHeader)
        case .markdown: try table().markdown
        }
    }
}

extension Table {
    /// Aligned columns; nothing when there is no row.
    fileprivate func alignedIfAny(isWide: Bool, hasHeader: Bool, isColoured: Bool) -> String {
        rows.isEmpty ? "" : aligned(isWide: isWide, hasHeader: hasHeader, isColoured: isColoured)
    }
}

extension Table {
    /// Rows that follow each other and are equal as one, with their verbs in a column of it.
    static func joiningVerbs(of rows: [(row: [String], verb: String)], inColumn column: Int) -> [[String]] {
        var joined: [[String]] = []
        var last: [String]?
        for (row, verb) in rows {
            if row == last {
                joined[joined.count - 1][column] += ",\(verb)"
            } else {
                last = row
                joined.append(row)
                joined[joined.count - 1][column] = verb
            }
        }
        return joined
    }
}
