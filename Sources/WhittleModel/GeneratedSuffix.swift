/// What the API server and controllers append to names that they make up.
package enum GeneratedSuffix {
    /// Letters and digits of suffixes and hashes: no vowels, no 0, 1 and 3.
    private static let alphabet = Set("bcdfghjklmnpqrstvwxz2456789".utf8)

    /// Whether every byte may stand in a suffix.
    package static func mayBe(_ text: some Collection<UInt8>) -> Bool { text.allSatisfy(alphabet.contains) }

    /// Whether it is as long as what `generateName` gets.
    package static func isOfGenerateName(_ text: some Collection<UInt8>) -> Bool { text.count == 5 && mayBe(text) }
}
