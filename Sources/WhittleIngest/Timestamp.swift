/// RFC 3339 times as the API writes them, and as tools write them anew: with a space before the time of day, ` UTC`, `+0000` or nothing behind it.
package enum Timestamp {
    /// Microseconds since 1970-01-01 UTC of `2026-11-23T06:34:42.700297Z`; `nil` when it is no such text.
    package static func microseconds(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { microseconds($0) }
    }

    static func microseconds(_ bytes: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard bytes.count >= 19 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for index in range {
                let digit = bytes[index] &- UInt8(ascii: "0")
                guard digit < 10 else { return nil }
                value = value * 10 + Int64(digit)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day),
            day <= lastDay(ofMonth: month, in: year), hour < 24, minute < 60, second < 61, bytes[4] == UInt8(ascii: "-"),
            bytes[7] == UInt8(ascii: "-"), "Tt ".utf8.contains(bytes[10]), bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":")
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            var scale: Int64 = 100_000
            while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 {
                fraction += Int64(bytes[position] - UInt8(ascii: "0")) * scale
                scale /= 10
                position += 1
            }
        }
        var offset: Int64 = 0
        let zone = UnsafeBufferPointer(rebasing: bytes[position...])
        switch zone.first ?? UInt8(ascii: " ") {
        case UInt8(ascii: " "): guard zone.isEmpty || zone.elementsEqual(" UTC".utf8) else { return nil }
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): guard position + 1 == bytes.count else { return nil }
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            let colon = position + 3 < bytes.count && bytes[position + 3] == UInt8(ascii: ":") ? 1 : 0
            guard position + 5 + colon == bytes.count, let hours = number(position + 1..<position + 3),
                let minutes = number(position + 3 + colon..<position + 5 + colon)
            else { return nil }
            offset = (hours * 60 + minutes) * 60 * (bytes[position] == UInt8(ascii: "-") ? -1 : 1)
        default: return nil
        }
        let seconds = days(year: year, month: month, day: day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        return seconds * 1_000_000 + fraction
    }

    private static func lastDay(ofMonth month: Int64, in year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01 of a Gregorian date.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
