import CScan
import Foundation
import WhittleModel

/// Counts what events prove.
///
/// What an event proves depends on few of its bytes. `AuditParts` tells apart which of them agree; those are judged once, the
/// others cost one look into a list.
struct AuditFolder: ~Copyable {
    /// What one event came to.
    enum Outcome {
        /// Counted as a request, or as an open one.
        case request
        /// Counted as a request of which nothing tells whether it was allowed.
        case undecided
        /// Never reached authorization.
        case ignored
        /// Names no user.
        case userless
        /// Names nothing that was asked for.
        case aimless
    }

    private let maxNames: Int

    private var texts = ByteTable()
    private var facts = FactTable()
    private var counts: ContiguousArray<UsageCount> = []
    private var implied: [ImpliedNeed: Int32] = [:]
    private var flags: [UsageFlag: Int32] = [:]
    /// Flags without the name in them → how many names there are.
    private var flagNames: [UsageFlag: Int] = [:]
    /// Counts of `implied` and `flags`.
    private var otherCounts: ContiguousArray<UsageCount> = []

    /// Facts without their names, and which names each was seen with.
    private var groups = FactTable()
    private var groupNames = HashSet64()
    private var nameCounts: ContiguousArray<Int32> = []
    /// The group of each fact that has a name; -1 = it has none.
    private var groupOfFact: ContiguousArray<Int32> = []

    /// Facts whose users were told for progress.
    private var toldFacts = 0

    /// The counts that an event adds to.
    struct Judgement {
        fileprivate var outcome: Outcome
        fileprivate var fact: Int32 = -1
        /// Place of further counts in `KnownParts.extras`; -1 = none.
        fileprivate var extra: Int32 = -1
    }

    /// Counts of needs and flags that some events add to.
    struct Extra {
        fileprivate var implied: [Int32]
        fileprivate var flags: [Int32]
    }

    /// - Parameter maxNames: names of a verb on a resource that are kept for one user.
    init(maxNames: Int) {
        self.maxNames = maxNames
        _ = text("")
    }

    // MARK: Events

    /// Takes over what `AuditParts` has numbered since it was asked last.
    mutating func learn(_ new: NewParts, into known: inout KnownParts) {
        if new.isReset { known = KnownParts() }
        if new.isKindReset { (known.judgements, known.extras) = ([], []) }
        for value in new.callers {
            let texts = SIMD4(
                text(value.subject), text(value.pod == nil ? "" : value.account?.namespace ?? ""), text(value.pod?.name ?? ""),
                text(value.pod?.uid ?? ""))
            known.callers.append((texts, text(value.address), value.impersonatedUser != nil))
        }
        known.callerValues += new.callers
        for agent in new.agents { known.agents.append(text(AuditEvent.agent(agent))) }
        for answer in new.answers {
            known.answers.append((AuditTally.place(ofDecision: answer.decision), text(Credentials.masked(reason: answer.reason))))
        }
        known.answerValues += new.answers
    }

    /// Adds an event that `AuditParts` found, if it can be judged without reading it as a whole.
    ///
    /// - Parameter parts: what the numbers in the event stand for.
    mutating func add(_ prepared: borrowing PreparedEvent, _ parts: inout KnownParts) -> (outcome: Outcome, decision: Int)? {
        guard prepared.kind >= 0 else { return nil }
        let (kind, isComplete) = (Int(prepared.kind), prepared.phase == .complete)
        let decision = parts.answers[Int(prepared.answer)].decision
        if kind < parts.judgements.count, let known = parts.judgements[kind] {
            count(known, known.extra < 0 ? nil : parts.extras[Int(known.extra)], at: prepared.time, isComplete: isComplete)
            return (known.outcome, decision)
        }
        guard case (var judged, let extra)? = judge(prepared, parts) else { return nil }
        if let extra {
            judged.extra = Int32(parts.extras.count)
            parts.extras.append(extra)
        }
        while parts.judgements.count <= kind { parts.judgements.append(nil) }
        parts.judgements[kind] = judged
        count(judged, extra, at: prepared.time, isComplete: isComplete)
        return (judged.outcome, decision)
    }

    /// Adds an event that was read as a whole.
    mutating func add(_ event: AuditEvent, at time: Int64, isComplete: Bool) -> Outcome {
        let (judged, extra) = judge(event)
        count(judged, extra, at: time, isComplete: isComplete)
        return judged.outcome
    }

    // MARK: Texts

    /// The place of a text; a NUL counts as the mark that the database puts in its place.
    private mutating func text(_ text: String) -> Int32 {
        var text = text
        let (known, isClean) = text.withUTF8 { bytes -> (Int32, Bool) in
            let slice = ByteSlice(bytes)
            guard memchr(slice.start, 0, slice.count) == nil else { return (0, false) }
            return (self.text(slice), true)
        }
        return isClean ? known : self.text(text.replacing("\0", with: "\u{FFFD}"))
    }

    @inline(__always)
    private mutating func text(_ slice: ByteSlice) -> Int32 {
        let (known, place) = texts.find(slice)
        if let known { return known }
        let number = Int32(texts.count)
        texts.insert(slice, number, at: place)
        return number
    }

    private func string(_ text: Int32) -> String { texts.bytes(at: Int(text)).text }

    // MARK: Judging

    private mutating func judge(_ prepared: borrowing PreparedEvent, _ parts: borrowing KnownParts) -> (Judgement, Extra?)? {
        guard let uri = prepared.requestURI, let verb = prepared.verb else { return nil }
        let (caller, answer) = (parts.callers[Int(prepared.caller)], parts.answers[Int(prepared.answer)])
        let agent = parts.agents[Int(prepared.agent)]
        if let path = uri.essentialsOfURI.path, let plain = judgePlain(prepared, verb, caller, agent, answer, path: path) {
            return (plain, nil)
        }
        guard verb.isStringContent, uri.isStringContent else { return nil }
        var whole = AuditEvent()
        whole.stage = AuditTally.stage(at: prepared.stage)
        whole.verb = verb.unescaped
        whole.requestURI = uri.unescaped
        whole.caller = parts.callerValues[Int(prepared.caller)]
        whole.userAgent = string(agent)
        whole.code = Int(prepared.code)
        let words = parts.answerValues[Int(prepared.answer)]
        (whole.decision, whole.reason, whole.message) = (words.decision, words.reason, words.message)
        whole.receivedAt = prepared.time
        return judge(whole)
    }

    /// Judges an event that proves its own attributes and nothing else; `nil` when it may prove more.
    private mutating func judgePlain(
        _ event: borrowing PreparedEvent, _ verb: ByteSlice, _ caller: KnownParts.Caller, _ agent: Int32, _ answer: KnownParts.Answer,
        path: ByteSlice
    ) -> Judgement? {
        guard !caller.isImpersonating, Credentials.isPlain(verb: verb), !verb.isEmpty, caller.texts[0] != 0 else { return nil }
        let isAllowed = answer.decision == AuditTally.allow
        guard isAllowed || answer.decision == AuditTally.forbid else { return nil }
        var fact = UsageFact()
        var name: ByteSlice?
        if let attributes = URLAttributes(path: path.buffer) {
            guard attributes.verb == nil else { return nil }
            let names = [attributes.name, attributes.namespace, attributes.resource, attributes.subresource, attributes.apiGroup]
            if names.contains(where: Credentials.isKey) { return nil }
            if isAllowed, AuditNeeds.mayProveMore(verb: verb, attributes, code: Int(event.code)) { return nil }
            fact.apiGroup = text(attributes.apiGroup)
            fact.resource = text(attributes.resource)
            fact.subresource = text(attributes.subresource)
            fact.namespace = text(attributes.namespace)
            if !attributes.name.isEmpty, !verb.isText("deletecollection") { name = attributes.name }
        } else {
            guard !Credentials.mayBe(in: path) else { return nil }
            fact.apiGroup = -1
            fact.resource = text(path)
        }
        if isAllowed, event.code == 403 || answer.reason == 0 { return nil }
        (fact.user, fact.podNamespace, fact.pod, fact.podUID) = (caller.texts[0], caller.texts[1], caller.texts[2], caller.texts[3])
        fact.address = caller.address
        fact.userAgent = agent
        fact.verb = text(verb)
        fact.reason = answer.reason
        fact.decision = isAllowed ? 0 : 1
        fact.codeClass = event.code / 100
        guard let name else { return Judgement(outcome: .request, fact: place(of: fact, in: -1)) }
        let group = groups.place(of: Self.group(fact))
        // A name that is not kept need not be known.
        if keepsNames(in: group) { fact.name = text(name) }
        return Judgement(outcome: .request, fact: place(of: fact, in: group))
    }

    private mutating func judge(_ event: AuditEvent) -> (Judgement, Extra?) {
        let needs = AuditNeeds(event)
        switch needs.use {
        case .ignore: return (Judgement(outcome: needs.isAimless ? .aimless : .ignored), nil)
        case _ where needs.subject.isEmpty: return (Judgement(outcome: .userless), nil)
        default: break
        }
        var judgement = Judgement(outcome: needs.use == .unknown ? .undecided : .request)
        if let request = needs.primary {
            let decision: UsageKey.Decision = needs.use == .evidence ? .allow : needs.use == .attempt ? .forbid : .unknown
            var fact = UsageFact()
            fact.user = text(needs.subject)
            fact.impersonator = text(event.caller.impersonatedUser == nil ? "" : event.caller.user.name)
            if let pod = event.caller.pod {
                fact.podNamespace = text(event.caller.account?.namespace ?? "")
                fact.pod = text(pod.name)
                fact.podUID = text(pod.uid)
            }
            fact.address = text(event.caller.address)
            fact.userAgent = text(AuditEvent.agent(event.userAgent))
            fact.verb = text(request.verb)
            if let path = request.path {
                fact.apiGroup = -1
                fact.resource = text(path)
            } else {
                fact.apiGroup = text(request.apiGroup)
                fact.resource = text(request.resource)
                fact.subresource = text(request.subresource)
                fact.namespace = text(request.namespace)
                fact.name = text(request.name)
            }
            fact.reason = text(Credentials.masked(reason: event.reason))
            fact.decision = Int32(UsageKey.Decision.allCases.firstIndex(of: decision) ?? 0)
            fact.codeClass = Int32(clamping: max(event.code, 0) / 100)
            judgement.fact = place(of: fact)
        }
        let needed = needs.implied.map { number(of: $0) }
        let flagged = (needs.flags.filter { !$0.hasPrefix("pod:") } + needs.written)
            .map { number(of: UsageFlag(user: needs.subject, flag: $0)) }
        return (judgement, needed.isEmpty && flagged.isEmpty ? nil : Extra(implied: needed, flags: flagged))
    }

    /// The number of a need; without its name when its group has too many.
    private mutating func number(of need: ImpliedNeed) -> Int32 {
        if let known = implied[need] { return known }
        var need = need
        if let group = group(of: need), !keepsNames(in: group) || !keepsName(text(need.request.name), in: group) { need.request.name = "" }
        return Self.number(&implied[need], in: &otherCounts)
    }

    /// What the limit on names counts the name of a need for: the same as for facts; `nil` when it has none.
    private mutating func group(of need: ImpliedNeed) -> Int? {
        let request = need.request
        guard request.path == nil, !request.name.isEmpty else { return nil }
        var group = UsageFact()
        (group.user, group.verb, group.apiGroup) = (text(need.user), text(request.verb), text(request.apiGroup))
        (group.resource, group.subresource) = (text(request.resource), text(request.subresource))
        return groups.place(of: group)
    }

    /// The number of a flag; without the name in it when there are too many.
    private mutating func number(of flag: UsageFlag) -> Int32 {
        if let known = flags[flag] { return known }
        guard let nameless = flag.withoutName else { return Self.number(&flags[flag], in: &otherCounts) }
        let count = flagNames[nameless, default: 0]
        // More names than are kept are not told apart.
        flagNames[nameless] = flag == nameless ? maxNames + 1 : min(count + 1, maxNames + 1)
        return Self.number(&flags[count >= maxNames ? nameless : flag], in: &otherCounts)
    }

    private static func number(_ entry: inout Int32?, in counts: inout ContiguousArray<UsageCount>) -> Int32 {
        if let entry { return entry }
        let number = Int32(counts.count)
        counts.append(UsageCount())
        entry = number
        return number
    }

    private mutating func place(of fact: UsageFact) -> Int32 {
        place(of: fact, in: fact.name == 0 ? -1 : groups.place(of: Self.group(fact)))
    }

    /// The place of a fact among the counts; without its name when its group has too many.
    private mutating func place(of fact: UsageFact, in group: Int) -> Int32 {
        var fact = fact
        if group >= 0, !keepsName(fact.name, in: group) { fact.name = 0 }
        let number = facts.place(of: fact)
        if number == counts.count {
            counts.append(UsageCount())
            groupOfFact.append(fact.name == 0 ? -1 : Int32(group))
        }
        return Int32(number)
    }

    /// What a limit on names is counted for: user, verb and resource.
    private static func group(_ fact: UsageFact) -> UsageFact {
        var group = UsageFact()
        (group.user, group.verb, group.apiGroup) = (fact.user, fact.verb, fact.apiGroup)
        (group.resource, group.subresource) = (fact.resource, fact.subresource)
        return group
    }

    private func keepsNames(in group: Int) -> Bool { group == nameCounts.count || Int(nameCounts[group]) <= maxNames }

    private mutating func keepsName(_ name: Int32, in group: Int) -> Bool {
        guard keepsNames(in: group) else { return false }
        if group == nameCounts.count { nameCounts.append(0) }
        // Spread over all bits, no two pairs to the same number.
        let pair = (UInt64(group) << 32 | UInt64(UInt32(bitPattern: name))) &* 0x9E37_79B9_7F4A_7C15
        if groupNames.insert(pair ^ pair >> 32) { nameCounts[group] += 1 }
        return Int(nameCounts[group]) <= maxNames
    }

    @inline(__always)
    private mutating func count(_ judgement: Judgement, _ extra: Extra?, at time: Int64, isComplete: Bool) {
        if judgement.fact >= 0 { counts[Int(judgement.fact)].add(at: time, isComplete: isComplete) }
        guard let extra else { return }
        for number in extra.implied { otherCounts[Int(number)].add(at: time, isComplete: isComplete) }
        for number in extra.flags { otherCounts[Int(number)].add(at: time, isComplete: isComplete) }
    }

    // MARK: The result

    /// Adds what another has counted.
    mutating func absorb(_ other: borrowing AuditFolder) {
        var places: ContiguousArray<Int32> = []
        for number in 0..<other.texts.count { places.append(text(other.texts.bytes(at: number))) }
        func moved(_ fact: UsageFact) -> UsageFact {
            func place(_ text: Int32) -> Int32 { places[Int(text)] }
            var fact = fact
            (fact.user, fact.impersonator) = (place(fact.user), place(fact.impersonator))
            (fact.podNamespace, fact.pod, fact.podUID) = (place(fact.podNamespace), place(fact.pod), place(fact.podUID))
            fact.address = place(fact.address)
            (fact.userAgent, fact.verb, fact.reason) = (place(fact.userAgent), place(fact.verb), place(fact.reason))
            if fact.apiGroup >= 0 { fact.apiGroup = place(fact.apiGroup) }
            (fact.resource, fact.subresource) = (place(fact.resource), place(fact.subresource))
            (fact.namespace, fact.name) = (place(fact.namespace), place(fact.name))
            return fact
        }
        for (fact, count) in zip(other.facts.all, other.counts) where !count.isEmpty { counts[Int(place(of: moved(fact)))].add(count) }
        for fact in other.withoutNames {
            let group = groups.place(of: moved(fact))
            if group == nameCounts.count { nameCounts.append(0) }
            nameCounts[group] = Int32.max - 1
        }
        for (need, number) in other.implied {
            otherCounts[Int(self.number(of: need))].add(other.otherCounts[Int(number)])
        }
        for (flag, number) in other.flags {
            otherCounts[Int(self.number(of: flag))].add(other.otherCounts[Int(number)])
        }
    }

    private var withoutNames: Set<UsageFact> {
        var result: Set<UsageFact> = []
        for (group, count) in zip(groups.all, nameCounts) where Int(count) > maxNames { result.insert(group) }
        return result
    }

    /// Adds the users of facts that are new since this was asked last.
    mutating func tellSubjects(_ subjects: inout Set<ByteString>) {
        var seen: Set<Int32> = []
        for fact in facts.all[toldFacts...] where seen.insert(fact.user).inserted { subjects.insert(ByteString(string(fact.user))) }
        toldFacts = facts.all.count
    }

    /// Whether nothing was counted.
    var isEmpty: Bool { counts.isEmpty && otherCounts.isEmpty && nameCounts.isEmpty }

    /// What was counted; nothing may be counted or asked for after this.
    mutating func takeResult() -> UsageFold {
        var fold = UsageFold()
        for (need, number) in implied where !otherCounts[Int(number)].isEmpty {
            var need = need
            if let group = group(of: need), !keepsNames(in: group) { need.request.name = "" }
            fold.implied[need, default: UsageCount()].add(otherCounts[Int(number)])
        }
        for (flag, number) in flags where !otherCounts[Int(number)].isEmpty {
            fold.flags[flag, default: UsageCount()].add(otherCounts[Int(number)])
        }
        fold.flags.dropNames(beyond: maxNames)
        fold.texts = texts.pool
        fold.withoutNames = withoutNames
        fold.facts = facts.takeAll()
        swap(&fold.counts, &counts)
        if !fold.withoutNames.isEmpty { mergeNameless(&fold.facts, &fold.counts) }
        return fold
    }

    /// Makes one fact of those that differ in names which are not kept; the others are distinct as they were.
    private func mergeNameless(_ facts: inout ContiguousArray<UsageFact>, _ counts: inout ContiguousArray<UsageCount>) {
        var merged = FactTable()
        var mergedCounts: ContiguousArray<UsageCount> = []
        var kept = 0
        for place in facts.indices {
            let group = groupOfFact[place] < 0 ? groups.find(Self.group(facts[place])) : Int(groupOfFact[place])
            if let group, Int(nameCounts[group]) > maxNames {
                var fact = facts[place]
                fact.name = 0
                let number = merged.place(of: fact)
                if number == mergedCounts.count { mergedCounts.append(UsageCount()) }
                mergedCounts[number].add(counts[place])
            } else {
                facts[kept] = facts[place]
                counts.swapAt(kept, place)
                kept += 1
            }
        }
        facts.removeLast(facts.count - kept)
        counts.removeLast(counts.count - kept)
        facts += merged.all
        counts += mergedCounts
    }
}
