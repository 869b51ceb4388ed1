/// Whether the next 64 bytes are ASCII.
@inline(__always)
private func isASCII(_ start: UnsafeRawPointer) -> Bool {
    var all: UInt64 = 0
    for word in 0..<8 { all |= start.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self) }
    return all & 0x8080_8080_8080_8080 == 0
}

/// The offset of the first byte that is not UTF-8; `nil` when all are.
func firstInvalidUTF8(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    let raw = UnsafeRawPointer(base)
    let count = bytes.count
    var position = 0
    while position < count {
        while position + 64 <= count, isASCII(raw + position) { position += 64 }
        guard position < count else { break }
        if position + 8 <= count, raw.loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
            position += 8
            continue
        }
        let byte = base[position]
        if byte < 0x80 {
            position += 1
            continue
        }
        let length: Int
        let low: UInt8
        let high: UInt8
        switch byte {
        case 0xC2...0xDF: (length, low, high) = (2, 0x80, 0xBF)
        case 0xE0: (length, low, high) = (3, 0xA0, 0xBF)
        case 0xE1...0xEC, 0xEE...0xEF: (length, low, high) = (3, 0x80, 0xBF)
        case 0xED: (length, low, high) = (3, 0x80, 0x9F)
        case 0xF0: (length, low, high) = (4, 0x90, 0xBF)
        case 0xF1...0xF3: (length, low, high) = (4, 0x80, 0xBF)
        case 0xF4: (length, low, high) = (4, 0x80, 0x8F)
        default: return position
        }
        guard position + length <= count, (low...high).contains(base[position + 1]) else { return position }
        for offset in 2..<max(2, length) where base[position + offset] & 0xC0 != 0x80 { return position }
        position += length
    }
    return nil
}
