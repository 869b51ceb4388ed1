/// In the place of swift-crypto's, which takes minutes to build: cryptography is not what is fuzzed. Tells bytes apart, which is
/// all that digests of logs need here.
public struct SHA256 {
    private var words: (UInt64, UInt64) = (0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F)

    /// Begins with no bytes.
    public init() {}

    /// The digest of some bytes.
    public static func hash(data: UnsafeRawBufferPointer) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(bufferPointer: data)
        return hasher.finalize()
    }

    /// The digest of some bytes.
    public static func hash(data: [UInt8]) -> [UInt8] { data.withUnsafeBytes { hash(data: $0) } }

    /// Goes on.
    public mutating func update(data: [UInt8]) { data.withUnsafeBytes { update(bufferPointer: $0) } }

    /// Goes on.
    public mutating func update(bufferPointer: UnsafeRawBufferPointer) {
        for byte in bufferPointer {
            words.0 = (words.0 ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            words.1 = (words.1 &+ words.0) &* 0xFF51_AFD7_ED55_8CCD
        }
    }

    /// The digest of all bytes so far.
    public func finalize() -> [UInt8] {
        [words.0, words.1, words.0 ^ words.1 >> 32, words.1 ^ words.0 >> 32].flatMap { word in
            stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
    }
}
