import WhittleModel

extension Diagnostic {
    /// `file:line:col: severity: message [id]`, then notes and help on lines of their own.
    public var rendered: String {
        let place = location.map { "\($0): ".printable() } ?? ""
        let lines =
            ["\(place)\(severity.rawValue): \(message) [\(id)]"] + notes.map { "  note: \($0)" } + (help.map { ["  help: \($0)"] } ?? [])
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Diagnostic {
    /// The same for JSON and YAML.
    public var document: JSONValue {
        .members([
            "file": location.map { .string($0.file) }, "line": location.map { .integer($0.line) },
            "column": location.map { .integer($0.column) }, "severity": .string(severity.rawValue), "id": .string(id),
            "message": .string(message), "notes": .strings(notes), "help": help.map(JSONValue.string),
        ])
    }
}

extension JSONValue {
    /// The object with what the input was found to lack as a last member; anything else as it is.
    public func with(_ diagnostics: @autoclosure () throws -> [Diagnostic]) rethrows -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members + [Member(key: "diagnostics", value: .array(try diagnostics().map(\.document)))])
    }
}

/// Times for people and for JSON.
public enum TimeText {
    /// `2026-11-23T06:34:42.700297Z` of microseconds since 1970-01-01 UTC.
    public static func rfc3339(_ microseconds: Int64) -> String {
        let (seconds, fraction) = floorDivide(microseconds, 1_000_000)
        let (days, rest) = floorDivide(seconds, 86_400)
        let (year, month, day) = date(days)
        return
            "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2)).\(pad(fraction, 6))Z"
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = value % divisor
        return remainder < 0 ? (value / divisor - 1, remainder + divisor) : (value / divisor, remainder)
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// The Gregorian date of a day since 1970-01-01.
    private static func date(_ day: Int64) -> (Int64, Int64, Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
