/// Text in UTF-16, as PowerShell writes what a command prints to a file → UTF-8.
struct UTF16Text {
    private let isBigEndian: Bool
    /// The first byte of a unit whose second has not come.
    private var half: UInt8?
    /// The first unit of a pair whose second has not come.
    private var high: UInt16?
    /// UTF-8 for which there was no room.
    private var rest: ArraySlice<UInt8> = []

    /// Begins a text; `nil` when it does not begin with a byte order mark of UTF-16. The mark becomes that of UTF-8.
    init?(magic: ArraySlice<UInt8>) {
        guard magic.starts(with: [0xFF, 0xFE]) || magic.starts(with: [0xFE, 0xFF]) else { return nil }
        isBigEndian = magic.first == 0xFE
    }

    /// Moves units from `source` to `target` as long as there are some, and room.
    mutating func decode(
        _ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<UInt8>
    ) -> (used: Int, produced: Int) {
        var (used, produced) = (0, 0)
        while produced < target.count {
            // Most is ASCII, each character of which is one unit and one byte.
            if half == nil, high == nil, rest.isEmpty {
                let (ascii, other) = isBigEndian ? (1, 0) : (0, 1)
                while produced < target.count, used + 1 < source.count, source[used + other] == 0, source[used + ascii] < 0x80 {
                    target[produced] = source[used + ascii]
                    (used, produced) = (used + 2, produced + 1)
                }
                guard produced < target.count else { break }
            }
            if let byte = rest.popFirst() {
                target[produced] = byte
                produced += 1
            } else if used < source.count {
                if let first = half {
                    half = nil
                    take(isBigEndian ? UInt16(first) << 8 | UInt16(source[used]) : UInt16(source[used]) << 8 | UInt16(first))
                } else {
                    half = source[used]
                }
                used += 1
            } else {
                break
            }
        }
        return (used, produced)
    }

    private mutating func take(_ unit: UInt16) {
        let units = [high, unit].compactMap { $0 }
        high = nil
        if units.count == 1, UTF16.isLeadSurrogate(unit) {
            high = unit
        } else {
            // Halves of pairs that stand alone become U+FFFD.
            rest = ArraySlice(String(decoding: units, as: UTF16.self).utf8)
        }
    }
}
