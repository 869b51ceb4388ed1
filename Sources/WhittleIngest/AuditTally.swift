import WhittleModel

/// Counts of the events of one log, whatever they prove.
struct AuditTally {
    private static let stages = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
    private static let levels = ["Metadata", "Request", "RequestResponse", "None", ""]
    private static let decisions = ["allow", "forbid", ""]
    /// Places of the two answers that an authorizer gives.
    static let (allow, forbid) = (0, 1)

    private(set) var events = 0
    private var requests = 0
    private var receivedOnly = 0
    private var ignored = 0
    private var undecided = 0
    private var repeated = 0
    private var first = Int64.max
    private var last = Int64.min
    private var byStage: ContiguousArray<Int> = [0, 0, 0, 0]
    private var byLevel: ContiguousArray<Int> = [0, 0, 0, 0, 0]
    private var byDecision: ContiguousArray<Int> = [0, 0, 0]
    private var minute = Int64.min
    private var minutes: Set<Int64> = []

    /// `nil` for a stage that Kubernetes does not know.
    static func place(ofStage stage: ByteSlice) -> Int? {
        stage.isText("ResponseComplete")
            ? 2
            : stage.isText("RequestReceived") ? 0 : stage.isText("ResponseStarted") ? 1 : stage.isText("Panic") ? 3 : nil
    }

    static func place(ofStage stage: String) -> Int? { stages.firstIndex(of: stage) }

    /// `nil` for a level that Kubernetes does not know.
    static func place(ofLevel level: ByteSlice?) -> Int? {
        guard let level else { return 4 }
        return level.isText("Metadata")
            ? 0
            : level.isText("RequestResponse") ? 2 : level.isText("Request") ? 1 : level.isText("None") ? 3 : nil
    }

    static func stage(at place: Int) -> String { stages[place] }
    static func place(ofDecision decision: String?) -> Int { decision == "allow" ? allow : decision == "forbid" ? forbid : 2 }
    static func place(ofLevel level: String) -> Int { levels.firstIndex(of: level) ?? 4 }

    /// Counts an event; `isRepeated` for one that was read before.
    @inline(__always)
    mutating func add(stage: Int, level: Int, at time: Int64, isRepeated: Bool) {
        events += 1
        first = min(first, time)
        last = max(last, time)
        if time / 60_000_000 != minute {
            minute = time / 60_000_000
            minutes.insert(minute)
        }
        byStage[stage] += 1
        byLevel[level] += 1
        if isRepeated { repeated += 1 }
    }

    /// Counts what became of an event; `nil` = it is of a stage before the answer.
    @inline(__always)
    mutating func add(_ outcome: AuditFolder.Outcome?, decision: Int) {
        switch outcome {
        case nil: receivedOnly += 1
        case .ignored: ignored += 1
        case .undecided: undecided += 1
        case .request: requests += 1
        case .userless, .aimless: break
        }
        if outcome != nil { byDecision[decision] += 1 }
    }

    /// Adds the counts to those of a log.
    func add(to log: inout UsageFold.Log) {
        guard events > 0 else { return }
        log.events += events
        log.requests += requests
        log.receivedOnly += receivedOnly
        log.ignored += ignored
        log.undecided += undecided
        log.repeated += repeated
        log.firstEvent = min(log.firstEvent ?? first, first)
        log.lastEvent = max(log.lastEvent ?? last, last)
        log.minutes.formUnion(minutes)
        for (name, count) in zip(Self.stages, byStage) where count > 0 { log.stages[name, default: 0] += count }
        for (name, count) in zip(Self.levels, byLevel) where count > 0 { log.levels[name, default: 0] += count }
        for (name, count) in zip(Self.decisions, byDecision) where count > 0 { log.decisions[name, default: 0] += count }
    }
}
