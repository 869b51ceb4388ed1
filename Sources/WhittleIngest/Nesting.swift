/// How many brackets are open, carried from line to line.
struct Nesting {
    private(set) var depth = 0
    private(set) var isInString = false
    /// Values that have ended: how often no bracket was open any more.
    private(set) var endings = 0
    private var isEscaped = false
    /// Which of the innermost are arrays, up to 64; the lowest bit is of the innermost.
    private var arrays: UInt64 = 0
    /// The same of those around them, for each 64 that are open.
    private var outerArrays: [UInt64] = []

    private var hasNewArray = false
    /// How often that may still be told: whoever is told looks through the beginning of the value.
    private var tellingsLeft = 4_096

    init(depth: Int = 0) { self.depth = depth }

    /// Whether the innermost bracket that is open is one of an array.
    var isInArray: Bool { arrays & 1 == 1 }

    /// Whether a value may follow in valid JSON.
    ///
    /// - Parameter last: the last byte that is no space.
    func mayHoldValue(behind last: UInt8?) -> Bool {
        !isInString && (last == UInt8(ascii: ":") || isInArray && (last == UInt8(ascii: "[") || last == UInt8(ascii: ",")))
    }

    /// Whether an array has begun, with two brackets around it at most, since this was asked last; of the first arrays only.
    mutating func tellsNewArray() -> Bool {
        guard hasNewArray, tellingsLeft > 0 else { return false }
        (hasNewArray, tellingsLeft) = (false, tellingsLeft - 1)
        return true
    }

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
            let isArray = byte == UInt8(ascii: "[")
            if isArray, depth <= 2 { hasNewArray = true }
            if depth > 0, depth & 63 == 0 { outerArrays.append(arrays) }
            depth += 1
            arrays = arrays << 1 | (isArray ? 1 : 0)
        } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
            depth -= 1
            arrays >>= 1
            if depth & 63 == 0, let outer = outerArrays.popLast() { arrays = outer }
            if depth == 0 { endings += 1 }
        }
    }
}
