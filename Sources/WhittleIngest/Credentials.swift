import WhittleModel

/// Credentials in texts that are no place for them: user agents, paths, and reasons of webhooks.
enum Credentials {
    /// The text with every credential in it replaced that can be told by its form: a JSON Web Token, what follows `Bearer` or `Basic`,
    /// the value of a parameter named for a secret, and the password of a URL.
    static func masked(_ text: String) -> String {
        var copy = text
        guard copy.withUTF8({ mayBe(in: ByteSlice($0)) }) else { return text }
        let token = #/eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{6,}(?:\.[A-Za-z0-9_\-]*)?/#
        let scheme = #/((?i:bearer)(?:\s|\+|%20|:)+)[A-Za-z0-9+\/=._~\-]{6,}/#
        let basic = #/((?i:basic)(?:\s|\+|%20|:)+)[A-Za-z0-9+\/]{12,}={0,2}/#
        let parameter =
            #/((?i:token|passw(?:or)?d|pwd|secret|api[_\-]?key|access[_\-]?key|session_?id|credentials?|signature)=)[^&;\s"']+/#
        let password = #/(\/\/[^\/@\s:]*:)[^\/@\s]+@/#
        let mark = Request.maskedCredential
        return copy.replacing(token) { _ in mark }.replacing(scheme) { "\($0.output.1)\(mark)" }
            .replacing(basic) { "\($0.output.1)\(mark)" }
            .replacing(parameter) { "\($0.output.1)\(mark)" }.replacing(password) { "\($0.output.1)\(mark)@" }
    }

    /// The reason of a decision; what RBAC says is made of names.
    static func masked(reason: String) -> String { reason.hasPrefix("RBAC: ") ? reason : masked(reason) }

    /// Whether a text may hold a credential; most do not.
    static func mayBe(in text: ByteSlice) -> Bool {
        text.contains(UInt8(ascii: "=")) || text.contains(UInt8(ascii: "@")) || text.contains("eyJ") || text.contains("earer")
            || text.contains("EARER") || text.contains("asic") || text.contains("ASIC")
    }
}
