import WhittleModel

/// Credentials in texts that are no place for them: user agents, paths, and reasons of webhooks.
enum Credentials {
    /// What stands in the place of one.
    private static let mark = "REDACTED"

    /// The text with every credential in it replaced that can be told by its form: a JSON Web Token, what follows `Bearer` or `Basic`,
    /// the value of a parameter named for a secret, and the password of a URL.
    static func masked(_ text: String) -> String {
        var copy = text
        guard copy.withUTF8({ mayBe(in: ByteSlice($0)) }) else { return text }
        let token = #/eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{6,}(?:\.[A-Za-z0-9_\-]*)?/#
        let scheme = #/((?i:bearer|basic)(?:\s|\+|%20|:)+)[A-Za-z0-9+\/=._~\-]{6,}/#
        let parameter =
            #/((?i:token|passw(?:or)?d|secret|api[_\-]?key|access[_\-]?key|session(?:id)?|credentials?|signature|sig|auth)=)[^&;\s]+/#
        let password = #/(\/\/[^\/@\s:]*:)[^\/@\s]+@/#
        return copy.replacing(token) { _ in mark }.replacing(scheme) { "\($0.output.1)\(mark)" }
            .replacing(parameter) { "\($0.output.1)\(mark)" }.replacing(password) { "\($0.output.1)\(mark)@" }
    }

    /// Whether a text may hold a credential; most do not.
    static func mayBe(in text: ByteSlice) -> Bool {
        text.contains(UInt8(ascii: "=")) || text.contains(UInt8(ascii: "@")) || text.contains("eyJ") || text.contains("earer")
            || text.contains("EARER") || text.contains("asic") || text.contains("ASIC")
    }
}
