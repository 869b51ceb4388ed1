/// How many brackets are open, carried from line to line.
struct Nesting {
    private(set) var depth = 0
    private(set) var isInString = false
    private var isEscaped = false

    init(depth: Int = 0) { self.depth = depth }

    mutating func advance(over bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes { advance(byte) }
    }

    @inline(__always)
    mutating func advance(_ byte: UInt8) {
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
        } else if byte == UInt8(ascii: "\"") {
            isInString = true
        } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
            depth += 1
        } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
            depth -= 1
        }
    }
}
