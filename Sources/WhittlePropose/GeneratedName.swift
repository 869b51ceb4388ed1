import WhittleModel

/// Whether the name of an object is one that no second object will have: made up by a controller or by `generateName`.
enum GeneratedName {
    /// Why the name is taken as generated; `nil` = it is not.
    ///
    /// - Parameters:
    ///   - owner: what made the object, as `ReplicaSet/cart-7d9c`; `nil` not known.
    ///   - siblings: the other names that were used with the same verb and resource.
    static func reason(_ name: String, owner: String?, siblings: some Collection<String>) -> String? {
        if let owner, !owner.hasBytePrefix("StatefulSet/") { return "`\(name)` belongs to \(owner)" }
        let parts = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let last = parts.last else { return nil }
        if parts.count >= 5, isUUID(parts.suffix(5)) { return "`\(name)` ends with a UUID" }
        let tail = name.utf8.suffix(while: isHexadecimal)
        if tail.count >= 16, tail.startIndex > name.startIndex, tail.contains(where: \.isDigit) {
            return "`\(name)` ends with \(tail.count) hexadecimal digits"
        }
        if name.hasBytePrefix("sh.helm.release.v1.") { return "`\(name)` is a revision of a Helm release" }
        guard parts.count > 1 else { return nil }
        if last.count >= 8, last.count <= 10, last.allSatisfy(\.isDigit) { return "`\(name)` ends with a time" }
        guard GeneratedSuffix.mayBe(last) else { return nil }
        if last.count >= 8, last.count <= 10, last.contains(where: \.isDigit) { return "`\(name)` ends with a hash" }
        guard last.count == 5 else { return nil }
        if last.contains(where: \.isDigit) { return "`\(name)` ends as generateName does" }
        // Five consonants may be a word; two names that differ only in them are not.
        let prefix = String(decoding: name.utf8.dropLast(5), as: UTF8.self)
        let twin = siblings.first { other in
            !other.isSameBytes(as: name) && other.utf8.count == name.utf8.count && other.hasBytePrefix(prefix)
                && GeneratedSuffix.mayBe(other.utf8.suffix(5))
        }
        return twin.map { "`\(name)` and `\($0)` end as generateName does" }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func isUUID(_ parts: ArraySlice<Substring.UTF8View>) -> Bool {
        zip(parts, [8, 4, 4, 4, 12]).allSatisfy { $0.count == $1 && $0.allSatisfy(isHexadecimal) }
    }
}

extension String.UTF8View {
    /// The longest end whose bytes all satisfy `isPart`.
    fileprivate func suffix(while isPart: (UInt8) -> Bool) -> SubSequence {
        var start = endIndex
        while start > startIndex, isPart(self[index(before: start)]) { start = index(before: start) }
        return self[start...]
    }
}
