import WhittleModel

/// Credentials in texts that are no place for them: user agents, paths, and reasons of webhooks.
///
/// Whoever sends requests chooses these texts, so every step here looks at a byte a bounded number of times.
enum Credentials {
    /// The text with every credential in it replaced that can be told by its form: a JSON Web Token, what follows `Bearer` or `Basic`,
    /// the value of a parameter, header or flag named for a secret, the password of a URL, and the keys of well-known issuers.
    ///
    /// - Parameter isName: whether it is a name, which may hold words such as `secret:` or `basic:` itself, but not in quotes, and not with
    ///   a space behind them.
    static func masked(_ text: String, isName: Bool = false) -> String {
        var text = text
        let ranges = text.withUTF8 { mayBe(in: ByteSlice($0)) ? find(in: $0, isName: isName) : [] }
        guard !ranges.isEmpty else { return text }
        return text.withUTF8 { bytes in
            var (result, position): ([UInt8], Int) = ([], 0)
            for range in ranges {
                result += bytes[position..<range.lowerBound] + Array(Request.maskedCredential.utf8)
                position = range.upperBound
            }
            return String(decoding: result + bytes[position...], as: UTF8.self)
        }
    }

    /// The request without what stands for one of its names and is a credential as a whole, as in `kubectl get secret $TOKEN`.
    static func withoutKeys(_ request: Request) -> Request {
        var request = request
        request.verb = masked(request.verb, isName: true)
        request.apiGroup = withoutKey(request.apiGroup)
        request.resource = withoutKey(request.resource)
        request.subresource = withoutKey(request.subresource)
        request.namespace = withoutKey(request.namespace)
        request.name = withoutKey(request.name, of: request.apiGroup)
        return request
    }

    /// The name of an object without what is a credential as a whole; OpenShift names those of its tokens by their hashes.
    static func withoutKey(_ name: String, of apiGroup: String) -> String {
        apiGroup == "oauth.openshift.io" && name.hasBytePrefix("sha256~") ? name : withoutKey(name)
    }

    static func withoutKey(_ name: String) -> String {
        guard name.utf8.count >= keyLength else { return name }
        var name = name
        return name.withUTF8 { isKey(ByteSlice($0)) } ? Request.maskedCredential : name
    }

    /// Whether a name is a JSON Web Token, or a key of a well-known issuer; it has characters that names of objects mostly have not.
    static func isKey(_ name: ByteSlice) -> Bool {
        guard name.count >= keyLength else { return false }
        let bytes = name.buffer
        guard bytes.contains(where: { $0 &- UInt8(ascii: "A") < 26 || "_~".utf8.contains($0) }) else { return false }
        if begins("eyj", at: 0, in: bytes), case (bytes.count, true) = token(at: 0, in: bytes) { return true }
        return endOfKey(at: 0, in: bytes) == bytes.count
    }

    /// Whether a verb is of small letters only, as those that are no credential mostly are.
    static func isPlain(verb: ByteSlice) -> Bool { verb.buffer.allSatisfy { $0 &- UInt8(ascii: "a") < 26 } }

    /// The reason of a decision; what RBAC says is made of names.
    static func masked(reason: String) -> String { reason.hasPrefix("RBAC: ") ? reason : masked(reason) }

    /// Whether a text may hold a credential; most do not.
    static func mayBe(in text: ByteSlice) -> Bool {
        text.contains(UInt8(ascii: "=")) || text.contains(UInt8(ascii: "@")) || text.contains("eyJ") || text.contains("earer")
            || text.contains("EARER") || text.contains("asic") || text.contains("ASIC") || text.contains(UInt8(ascii: ":"))
            || text.contains("--") || text.contains(UInt8(ascii: "."))
            || text.count > keyLength && (keys + wordlikeKeys + keysOfAWS).contains { text.contains($0) }
    }

    /// How keys of OpenShift, GitHub, GitLab, Slack, EKS, Google, Vault, npm, PyPI, Docker, Stripe, DigitalOcean, Grafana, age, Hugging
    /// Face and others begin, and how long they are at least.
    private static let keys: [StaticString] = [
        "sha256~", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xapp-1-", "k8s-aws-v1.", "AIza",
        "ya29.", "hvs.", "hvb.", "pypi-AgE", "dckr_pat_", "sk_live_", "rk_live_", "dop_v1_", "glsa_", "AGE-SECRET-KEY-",
    ]
    /// Those that words begin with, too: what follows looks random.
    private static let wordlikeKeys: [StaticString] = ["npm_", "hf_", "sk-ant-", "sk-proj-", "sk-svcacct-"]
    private static let wordlikeLength = 20
    private static let lettersLength = 30
    /// Letters that are looked at.
    private static let longestWordlike = 256
    private static let keyLength = 16
    /// How those of AWS begin, and how long they are, mostly: capital letters and digits only.
    private static let keysOfAWS: [StaticString] = ["AKIA", "ASIA"]
    private static let lengthOfAWS = 20

    private static let secrets = [
        "token", "password", "passwd", "pwd", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key", "access-key",
        "sessionid", "session_id", "credential", "credentials", "signature",
        "cookie", "assertion", "accountkey", "privatekey", "private_key", "private-key", "key-data",
    ].map { Array($0.utf8) }

    /// Where credentials stand, in order.
    private static func find(in bytes: UnsafeBufferPointer<UInt8>, isName: Bool) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var position = 0
        while position < bytes.count {
            if let end = endOfKey(at: position, in: bytes) ?? endOfBootstrapToken(at: position, in: bytes) {
                found.append(position..<end)
                position = end
                continue
            }
            switch bytes[position] {
            case UInt8(ascii: "e") where begins("eyj", at: position, in: bytes):
                let (end, isToken) = token(at: position, in: bytes)
                if isToken { found.append(position..<end) }
                position = end
            case UInt8(ascii: "B"), UInt8(ascii: "b"):
                let value =
                    begins("bearer", at: position, in: bytes)
                    ? value(
                        behind: position + 6, of: isSchemeByte, atLeast: 6, asWord: isName && isWord(at: position + 6, in: bytes), in: bytes
                    )
                    : begins("basic", at: position, in: bytes)
                        ? value(behind: position + 5, of: isBase64, atLeast: 12, asWord: isName, in: bytes) : nil
                if let value { found.append(value) }
                position = value?.upperBound ?? position + 1
            case UInt8(ascii: "="),
                UInt8(ascii: ":") where !isName || mayBeHeader(at: position, in: bytes):
                let name = endOfName(before: position, in: bytes)
                let value =
                    isSecret(before: name, in: bytes)
                    ? value(at: position, isSpaced: bytes[position] == UInt8(ascii: ":") || name < position, in: bytes)
                    : ends(with: authorization, before: name, in: bytes) ? authorizationValue(behind: position, in: bytes) : nil
                if let value { found.append(value) }
                position = value?.upperBound ?? position + 1
            case UInt8(ascii: " ") where isFlag(before: position, in: bytes) && isSecret(before: position, in: bytes),
                UInt8(ascii: "\t") where isFlag(before: position, in: bytes) && isSecret(before: position, in: bytes):
                let value = value(at: position, isSpaced: true, in: bytes)
                if let value { found.append(value) }
                position = value?.upperBound ?? position + 1
            case UInt8(ascii: "/") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "/"):
                // User and password of a URL.
                let end = end(of: position + 2, in: bytes) { !("/@ ".utf8.contains($0) || $0 < 0x20) }
                if end < bytes.count, bytes[end] == UInt8(ascii: "@"), let value = password(ofUser: position + 2..<end, in: bytes) {
                    found.append(value)
                    position = end
                } else {
                    position += 1
                }
            default: position += 1
            }
        }
        return found
    }

    /// What is no name of a user in what a URL says of him: what stands behind a colon, or all of it when it looks like a key.
    private static func password(ofUser user: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        if let colon = bytes[user].firstIndex(of: UInt8(ascii: ":")) {
            return colon + 1 < user.upperBound ? colon + 1..<user.upperBound : nil
        }
        let isRandom = bytes[user].contains(where: \.isDigit) && bytes[user].contains { $0 &- UInt8(ascii: "A") < 26 }
        return user.count >= keyLength && isRandom && bytes[user].allSatisfy(isTokenByte) ? user : nil
    }

    /// The end of the name before a `=` or `:`, which may be quoted.
    private static func endOfName(before place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int {
        let between = bytes[max(0, place - 16)..<place].reversed().prefix { " \"'\\".utf8.contains($0) }
        return place - between.count
    }

    /// The value of a parameter, a header or a flag whose name ends at a place, quoted or not.
    ///
    /// - Parameter isSpaced: whether spaces may stand before it.
    private static func value(at place: Int, isSpaced: Bool, in bytes: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        let isParameter = bytes[place] == UInt8(ascii: "=")
        // `=> VALUE`, `[VALUE`.
        let start = isSpaced ? end(of: place + 1, in: bytes) { " \t>[".utf8.contains($0) } : place + 1
        let quote = end(of: start, in: bytes) { $0 == UInt8(ascii: "\\") }
        if quote < bytes.count, "\"'".utf8.contains(bytes[quote]) {
            // In JSON that is a text itself the quotes are escaped.
            let isEscaped = quote > start
            var end = quote + 1
            while end < bytes.count, bytes[end] != bytes[quote], !isEscaped || bytes[end] != UInt8(ascii: "\\") {
                end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
            }
            end = min(end, bytes.count)
            return end > quote + 1 ? quote + 1..<end : nil
        }
        let end = end(of: start, in: bytes) { !(isParameter ? " &;\"'" : " &;,\"'").utf8.contains($0) && $0 >= 0x20 }
        // Shorter words behind a colon or a flag are a scheme before the value, or tell what became of it.
        return end - start >= (isParameter ? 1 : shortestValue) ? start..<end : nil
    }

    private static let shortestValue = 8
    /// What URLs for a storage of Azure are signed with; words end with it, too.
    private static let signature = Array("sig".utf8)
    private static let authorization = Array("authorization".utf8)

    /// What stands behind the name of the header of a request, alone or behind the name of a scheme; with it when that is long enough
    /// to be a credential itself.
    private static func authorizationValue(behind place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        let isPart = { (byte: UInt8) in !" &;,\"'".utf8.contains(byte) && byte >= 0x20 }
        let start = end(of: place + 1, in: bytes) { " \t[\"'\\".utf8.contains($0) }
        let word = end(of: start, in: bytes, while: isPart)
        let next = end(of: word, in: bytes) { $0 == UInt8(ascii: " ") }
        let end = next > word ? end(of: next, in: bytes, while: isPart) : next
        let isFirst = word - start >= shortestValue
        if end - next >= shortestValue { return (isFirst ? start : next)..<end }
        return isFirst ? start..<word : nil
    }

    /// Whether a colon in a name stands behind what is no word of it: a quote, a header for credentials, or before a space and what has
    /// a digit.
    private static func mayBeHeader(at place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard place > 0 else { return false }
        if "\"'".utf8.contains(bytes[place - 1]) { return true }
        if ends(with: authorization, before: place, in: bytes) {
            return place == authorization.count || " \"'".utf8.contains(bytes[place - authorization.count - 1])
        }
        guard place + 1 < bytes.count, bytes[place + 1] == UInt8(ascii: " ") else { return false }
        let end = end(of: place + 2, in: bytes) { !" &;,\"'".utf8.contains($0) && $0 >= 0x20 }
        return bytes[(place + 2)..<end].contains { $0 &- UInt8(ascii: "0") < 10 }
    }

    /// Where the key ends that begins there.
    private static func endOfKey(at position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let isFirst = position == 0 || !isAlphanumeric(bytes[position - 1])
        guard isFirst, bytes.count - position > keyLength else { return nil }
        for key in keys where key.utf8Start.pointee == bytes[position] {
            let start = position + key.utf8CodeUnitCount
            guard start < bytes.count, ByteSlice(UnsafeBufferPointer(rebasing: bytes[position..<start])).isText(key) else { continue }
            let end = end(of: start, in: bytes) { isTokenByte($0) || $0 == UInt8(ascii: ".") }
            if end - start >= keyLength { return end }
        }
        for key in wordlikeKeys where key.utf8Start.pointee == bytes[position] {
            let start = position + key.utf8CodeUnitCount
            guard start < bytes.count, ByteSlice(UnsafeBufferPointer(rebasing: bytes[position..<start])).isText(key) else { continue }
            // Behind an underscore there are no more of them.
            let isPart = bytes[start - 1] == UInt8(ascii: "_") ? isAlphanumeric : isTokenByte
            let part = UnsafeBufferPointer(rebasing: bytes[..<min(bytes.count, start + longestWordlike)])
            // A bounded part tells, because the rest may begin with such a key again.
            if looksRandom(bytes[start..<end(of: start, in: part, while: isPart)]) { return end(of: start, in: bytes, while: isPart) }
        }
        guard bytes[position] == UInt8(ascii: "A") else { return nil }
        let end = Self.end(of: position, in: bytes) { $0 &- UInt8(ascii: "A") < 26 || $0 &- UInt8(ascii: "0") < 10 }
        let hasDigit = bytes[position..<end].contains { $0 &- UInt8(ascii: "0") < 10 }
        let isKey = end - position == lengthOfAWS || end - position > lengthOfAWS && hasDigit
        return isKey && keysOfAWS.contains { ByteSlice(UnsafeBufferPointer(rebasing: bytes[position..<end].prefix(4))).isText($0) }
            ? end : nil
    }

    /// Whether the text is long and has a capital letter and a digit, or is longer and has letters of either size.
    private static func looksRandom(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        guard text.count >= wordlikeLength, text.contains(where: { $0 &- UInt8(ascii: "A") < 26 }) else { return false }
        return text.contains(where: \.isDigit)
            || text.count >= lettersLength && text.allSatisfy(isAlphanumeric) && text.contains { $0 &- UInt8(ascii: "a") < 26 }
    }

    /// The end of a word as `kubeadm token create` makes them: six characters, a dot and sixteen more, not only letters, and
    /// no hexadecimal number, as names of Events have it.
    private static func endOfBootstrapToken(at position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let isPart = { (byte: UInt8) in byte &- UInt8(ascii: "a") < 26 || byte.isDigit }
        let isOfWord = { (byte: UInt8) in isTokenByte(byte) || byte == UInt8(ascii: ".") }
        let (dot, end) = (position + 6, position + 23)
        guard end <= bytes.count, bytes[dot] == UInt8(ascii: "."), position == 0 || !isOfWord(bytes[position - 1]),
            end == bytes.count || !isOfWord(bytes[end]), bytes[position..<dot].allSatisfy(isPart), bytes[(dot + 1)..<end].allSatisfy(isPart)
        else { return nil }
        let secret = bytes[(dot + 1)..<end]
        return secret.contains(where: \.isDigit) && secret.contains { $0 > UInt8(ascii: "f") } ? end : nil
    }

    /// Whether the word before a place is a flag of a command: two dashes are in it, which a path may have something before.
    private static func isFlag(before place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let word = bytes[max(0, place - 32)..<place].reversed().prefix { $0 > 0x20 }
        return zip(word, word.dropFirst()).contains { $0 == UInt8(ascii: "-") && $1 == UInt8(ascii: "-") }
    }

    /// Whether a word stands there, in letters of either size.
    private static func begins(_ word: StaticString, at position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count - position >= word.utf8CodeUnitCount else { return false }
        return (0..<word.utf8CodeUnitCount).allSatisfy { bytes[position + $0] | 0x20 == word.utf8Start[$0] }
    }

    private static func end(of start: Int, in bytes: UnsafeBufferPointer<UInt8>, while isPart: (UInt8) -> Bool) -> Int {
        bytes[start...].firstIndex { !isPart($0) } ?? bytes.count
    }

    /// Where the token that begins there ends, or what looked like one: two to five parts with dots between.
    private static func token(at start: Int, in bytes: UnsafeBufferPointer<UInt8>) -> (end: Int, isToken: Bool) {
        let head = end(of: start, in: bytes, while: isTokenByte)
        guard head - start >= 9, head < bytes.count, bytes[head] == UInt8(ascii: ".") else { return (head, false) }
        let body = end(of: head + 1, in: bytes, while: isTokenByte)
        guard body - head > 6 else { return (head, false) }
        var end = body
        // An encrypted one has five parts.
        for _ in 2..<5 where end < bytes.count && bytes[end] == UInt8(ascii: ".") {
            end = Self.end(of: end + 1, in: bytes, while: isTokenByte)
        }
        return (end, true)
    }

    /// Whether a colon stands there between words.
    private static func isWord(at place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        place + 1 < bytes.count && bytes[place] == UInt8(ascii: ":") && bytes[place + 1] != UInt8(ascii: " ")
    }

    /// The value behind the name of a scheme, and what stands between them.
    ///
    /// - Parameter asWord: whether it must have what words have not, a digit or `=`.
    private static func value(
        behind name: Int, of isPart: (UInt8) -> Bool, atLeast count: Int, asWord: Bool, in bytes: UnsafeBufferPointer<UInt8>
    ) -> Range<Int>? {
        var start = name
        while start < bytes.count {
            if " \t+:=\"'\\".utf8.contains(bytes[start]) {
                start += 1
            } else if begins("%20", at: start, in: bytes) {
                start += 3
            } else {
                break
            }
        }
        guard start > name else { return nil }
        let end = end(of: start, in: bytes, while: isPart)
        guard end - start >= count else { return nil }
        if asWord, !bytes[start..<end].contains(where: { $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "=") }) { return nil }
        return start..<end
    }

    /// Whether the name before a place is that of a secret, alone or behind another word.
    private static func isSecret(before place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        secrets.contains { ends(with: $0, before: place, in: bytes) }
            || place > 3 && ends(with: signature, before: place, in: bytes) && "?&;".utf8.contains(bytes[place - 4])
    }

    private static func ends(with name: [UInt8], before place: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        place >= name.count && zip(bytes[(place - name.count)..<place], name).allSatisfy { $0 == $1 || $0 | 0x20 == $1 }
    }

    private static func isBase64(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || "+/=".utf8.contains(byte) }
    private static func isSchemeByte(_ byte: UInt8) -> Bool { isBase64(byte) || "._~-".utf8.contains(byte) }
    private static func isTokenByte(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || "_-".utf8.contains(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        byte | 0x20 &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
    }
}
