import WhittleModel

/// Times of one log: most events are of the day of the event before.
struct AuditClock {
    /// The bytes of the date read last, and its first microsecond; no date is of these bytes at the start.
    private var date: (UInt64, UInt16) = (0, 0)
    private var midnight: Int64?

    /// Microseconds since 1970-01-01 UTC of `2026-01-05T08:00:00.006100Z` or another RFC 3339 time.
    mutating func microseconds(_ text: ByteSlice) -> Int64? {
        guard text.count == 27, text.start[10] == UInt8(ascii: "T"), text.start[19] == UInt8(ascii: "."),
            text.start[26] == UInt8(ascii: "Z")
        else { return Timestamp.microseconds(text.buffer) }
        let raw = UnsafeRawPointer(text.start)
        let written = (raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        if written != date || midnight == nil {
            guard let time = Timestamp.microseconds(text.buffer) else { return nil }
            // A leap second is of the next day.
            if text.start[17] == UInt8(ascii: "6") { return time }
            date = written
            midnight = UsageCount.day(of: time) * 86_400_000_000
        }
        guard let midnight, let hour = number(text, 11, 2), let minute = number(text, 14, 2), let second = number(text, 17, 2),
            let fraction = number(text, 20, 6), hour < 24, minute < 60, second < 61, text.start[13] == UInt8(ascii: ":"),
            text.start[16] == UInt8(ascii: ":")
        else { return nil }
        return midnight + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    }

    @inline(__always)
    private func number(_ text: ByteSlice, _ start: Int, _ count: Int) -> Int64? {
        var result: Int64 = 0
        for place in start..<start + count {
            let digit = text.start[place] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            result = result * 10 + Int64(digit)
        }
        return result
    }
}
