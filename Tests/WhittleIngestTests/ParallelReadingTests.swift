import Foundation
import Testing
import WhittleIngest
import WhittleModel

/// Two ways of reading gave the same.
func expectSame(_ one: ClusterState, _ other: ClusterState, sourceLocation: Testing.SourceLocation = #_sourceLocation) {
    #expect(one.roles == other.roles, sourceLocation: sourceLocation)
    #expect(one.bindings == other.bindings, sourceLocation: sourceLocation)
    #expect(one.serviceAccounts == other.serviceAccounts, sourceLocation: sourceLocation)
    #expect(one.pods == other.pods, sourceLocation: sourceLocation)
    #expect(one.workloads == other.workloads, sourceLocation: sourceLocation)
    #expect(one.apiResources == other.apiResources, sourceLocation: sourceLocation)
    #expect(one.skipped == other.skipped, sourceLocation: sourceLocation)
    #expect(one.notObjects == other.notObjects, sourceLocation: sourceLocation)
    #expect(one.diagnostics == other.diagnostics, sourceLocation: sourceLocation)
}

/// Reading in parts on all cores gives what reading from the front gives, places and diagnostics included.
@Suite("Reading in parts")
struct ParallelReadingTests {
    private func read(_ text: String, partSize: Int) -> ClusterState {
        var loader = ManifestLoader(usesDefaults: false)
        loader.partSize = partSize
        return loader.load(text: text, file: "f")
    }

    private func expectEqual(_ text: String, sourceLocation: Testing.SourceLocation = #_sourceLocation) {
        let whole = read(text, partSize: 1 << 30)
        for partSize in [64, 200, 1_000, 5_000] {
            expectSame(read(text, partSize: partSize), whole, sourceLocation: sourceLocation)
        }
    }

    private func role(_ number: Int, more: String = "") -> String {
        """
        {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r\(number % 40)","namespace":"n"\(more)},
        "rules":[{"verbs":["get","v\(number)"],"apiGroups":[""],"resources":["pods"]}]}
        """
    }

    private func list(_ items: [String]) -> String {
        "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[\n\(items.joined(separator: ",\n"))\n]}"
    }

    @Test("a JSON list with duplicates across the parts")
    func duplicates() { expectEqual(list((0..<100).map { role($0) })) }

    @Test("a list whose inside looks like the start of an item")
    func wrongGuess() {
        let trap =
            ",\"managedFields\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\"},{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"no\"}}]"
        expectEqual(list((0..<100).map { role($0, more: trap) }))
        let text = ",\"annotations\":{\"a\":\"x,{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"Pod\\\"}\"}"
        expectEqual(list((0..<100).map { role($0, more: text) }))
    }

    @Test("a list that breaks off")
    func brokenList() {
        let whole = list((0..<100).map { role($0) })
        expectEqual(String(whole.dropLast(300)))
        expectEqual(whole.replacing("\"v50\"", with: "v50"))
    }

    @Test("YAML documents, some of them broken")
    func yaml() {
        let documents = (0..<60).map { number in
            switch number {
            case 20: "kind: Role\nmetadata: {name: [unclosed\n"
            case 30: "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"open\n"
            case 40: "%YAML 1.1\n"
            default: "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: a\(number)\n  annotations:\n    a: |\n      ---\n      x\n"
            }
        }
        expectEqual(documents.joined(separator: "---\n"))
    }
}
