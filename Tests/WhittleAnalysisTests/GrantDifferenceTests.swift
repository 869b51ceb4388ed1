import Testing
import WhittleAnalysis
import WhittleModel
import WhittleTestSupport

@Suite("GrantDifference")
struct GrantDifferenceTests {
    @Test("diff-subjects: who is left out loses, who is added gains", arguments: Vector.cases("diff-subjects"))
    func subjects(_ vector: Vector) {
        func state(_ subjects: [JSON]) -> Authorizer {
            let named = subjects.map { WrittenSubject(Subject(kind: "User", name: $0["name"].string ?? "")) }
            let rule = PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"])
            return Authorizer(
                roles: [Role(meta: ObjectMeta(name: "role"), rules: [WrittenRule(rule)])],
                bindings: [
                    Binding(meta: ObjectMeta(name: "b"), roleRef: RoleRef(kind: "ClusterRole", name: "role"), subjects: named)
                ])
        }
        let difference = GrantDifference(old: state(vector.given["a"].array), new: state(vector.given["b"].array))
        func names(_ change: GrantDifference.Change) -> [String] {
            difference.entries.filter { $0.change == change }.map(\.identity.name).sorted()
        }
        #expect(names(.lost) == vector.expect["onlyA"].array.compactMap { $0["name"].string }.sorted())
        #expect(names(.gained) == vector.expect["onlyB"].array.compactMap { $0["name"].string }.sorted())
    }
}
