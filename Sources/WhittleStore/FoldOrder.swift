import WhittleModel

/// The order in which what a fold holds is written: takes long, and needs no database.
struct FoldOrder: Sendable {
    let texts: TextOrder
    let groups: FactGroups

    init(_ fold: UsageFold) {
        texts = TextOrder(fold)
        groups = FactGroups(fold, texts)
    }
}

/// The order in which the texts of a fold are written, and what each is there for.
struct TextOrder: Sendable {
    /// What a text is in the facts.
    struct Roles: OptionSet {
        let rawValue: UInt8
        static let user = Roles(rawValue: 1)
        static let namespace = Roles(rawValue: 2)
        static let name = Roles(rawValue: 4)
        static let agent = Roles(rawValue: 8)
        static let reason = Roles(rawValue: 16)
    }

    /// The places of the texts in the order of their bytes.
    let places: ContiguousArray<Int32>
    /// The places of names, in this order.
    let names: ContiguousArray<Int32>
    /// The places of texts that are something else, in this order, and what.
    let others: ContiguousArray<(place: Int32, roles: Roles)>

    init(_ fold: UsageFold) {
        let (roles, places) = (Self.roles(fold), Self.places(fold.texts))
        self.places = places
        names = places.filter { roles[Int($0)].contains(.name) }
        others = ContiguousArray(
            places.lazy.map { ($0, roles[Int($0)].subtracting(.name)) }.filter { !$0.1.isEmpty })
    }

    private static func roles(_ fold: UsageFold) -> ContiguousArray<Roles> {
        var roles = ContiguousArray<Roles>(repeating: [], count: fold.texts.count)
        for facts in [fold.facts, ContiguousArray(fold.withoutNames)] {
            for fact in facts {
                roles[Int(fact.user)].insert(.user)
                roles[Int(fact.impersonator)].insert(.user)
                roles[Int(fact.namespace)].insert(.namespace)
                roles[Int(fact.name)].insert(.name)
                roles[Int(fact.userAgent)].insert(.agent)
                roles[Int(fact.reason)].insert(.reason)
            }
        }
        return roles
    }

    private static func places(_ texts: TextPool) -> ContiguousArray<Int32> {
        // Most texts differ in their first bytes.
        texts.withBytes { bytes, bounds in
            var keys: ContiguousArray<(first: UInt64, second: UInt64, place: Int32)> = []
            keys.reserveCapacity(texts.count)
            for place in 0..<texts.count {
                let text = bytes[bounds[place]..<bounds[place + 1]]
                keys.append((head(of: text), head(of: text.dropFirst(8)), Int32(place)))
            }
            func rest(_ place: Int32) -> UnsafeRawBufferPointer {
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[bounds[Int(place)]..<bounds[Int(place) + 1]].dropFirst(16))
            }
            keys.sort { left, right in
                if left.first != right.first { return left.first < right.first }
                if left.second != right.second { return left.second < right.second }
                return bytesPrecede(rest(left.place), rest(right.place))
            }
            return ContiguousArray(keys.lazy.map(\.place))
        }
    }

    /// The first eight bytes as a number, which has their order; zeros follow those that there are.
    private static func head(of bytes: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64 {
        var head: UInt64 = 0
        if bytes.count >= 8 {
            head = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes)).loadUnaligned(as: UInt64.self).bigEndian
        } else {
            for (place, byte) in bytes.enumerated() { head |= UInt64(byte) << (56 - 8 * UInt64(place)) }
        }
        return head
    }
}

/// The callers and atoms of the facts of a fold, each once.
struct FactGroups: Sendable {
    private(set) var callers = TextGroups()
    private(set) var atoms = TextGroups()
    /// The numbers of the groups in the order of their texts.
    let callerOrder: ContiguousArray<Int32>
    let atomOrder: ContiguousArray<Int32>
    /// The numbers of the groups of each fact; behind the facts stand those without names.
    private(set) var ofFacts: ContiguousArray<(caller: Int32, atom: Int32)> = []

    init(_ fold: UsageFold, _ texts: TextOrder) {
        var (callers, atoms) = (TextGroups(), TextGroups())
        ofFacts.reserveCapacity(fold.facts.count + fold.withoutNames.count)
        for facts in [fold.facts, ContiguousArray(fold.withoutNames)] {
            for fact in facts {
                let caller = callers.number(of: SIMD4(fact.podNamespace, fact.pod, fact.podUID, fact.address))
                let atom = atoms.number(of: SIMD4(fact.apiGroup, fact.resource, fact.subresource, fact.verb))
                ofFacts.append((caller, atom))
            }
        }
        var ranks = ContiguousArray<Int32>(repeating: 0, count: fold.texts.count)
        for (rank, place) in texts.places.enumerated() { ranks[Int(place)] = Int32(rank) }
        callerOrder = Self.order(of: callers, ranks)
        atomOrder = Self.order(of: atoms, ranks)
        (self.callers, self.atoms) = (callers, atoms)
    }

    private static func order(of groups: TextGroups, _ ranks: ContiguousArray<Int32>) -> ContiguousArray<Int32> {
        // No text, as that of a URL's group, comes first.
        func rank(_ text: Int32) -> Int32 { text < 0 ? -1 : ranks[Int(text)] }
        var numbers = ContiguousArray(groups.all.indices.lazy.map { Int32($0) })
        numbers.sort { left, right in
            let (left, right) = (groups.all[Int(left)], groups.all[Int(right)])
            for index in 0..<4 where left[index] != right[index] { return rank(left[index]) < rank(right[index]) }
            return false
        }
        return numbers
    }
}
