import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

/// Reading plain documents without libyaml gives what libyaml gives, places and diagnostics included.
@Suite("Plain YAML")
struct PlainYAMLTests {
    private func expectEqual(_ text: String, sourceLocation: Testing.SourceLocation = #_sourceLocation) {
        var loader = ManifestLoader(usesDefaults: false)
        let plain = loader.load(text: text, file: "f")
        loader.readsPlainYAML = false
        expectSame(plain, loader.load(text: text, file: "f"), sourceLocation: sourceLocation)
    }

    private static let role = """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: reader
          labels:
            a.b/c: "x y"
            'd': e
          annotations:
        rules:
        - apiGroups:
          - ""
          resources: # all
            - pods
            -   secrets
          verbs: [get]
        - verbs:
          - list

          apiGroups:
          - 'apps'
          # more
          resources:
          - deployments
          resourceNames: []

        """

    @Test(
        "documents that are almost plain",
        arguments: [
            role, role.replacing(" # all", with: ""), role.replacing(" # all", with: "").replacing("'d': e", with: "d: e"),
            role.replacing(" # all", with: "").replacing("'d': e", with: "d: e").replacing("verbs: [get]", with: "verbs:\n  - get"),
            "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels: {}\nspec:\n  containers:\n  - args:\n    - --a=b\n    - -1\n    - http://x:1\n    - \"a\\\"\\n\"\n    name: c\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name:\n    a\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a\n    b\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a\n b: c\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a # b\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a#b\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a: b\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: 1\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: |\n    a\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: \"a\n    b\"\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: &a b\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a\n  name: b\n", " kind: ServiceAccount\napiVersion: v1\n",
            "kind: ServiceAccount\r\napiVersion: v1\r\nmetadata:\r\n  name: a\r\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n\tname: a\n",
            "kind: ServiceAccount\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n  - b\n - c\n",
            "kind: ServiceAccount\n--- # x\napiVersion: v1\n",
            "...\nkind: ServiceAccount\n", "kind: ServiceAccount\n...\nkind: Role\n", "# only\n---\n# comments\n---\n",
            "- kind: ServiceAccount\n",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata:\n    name: a\n", "a: b: c\n", "a\n",
            "a: 'b''c'\n",
            "a: b\n- c\n", "a:\n- b\nc\n", "a:\n  - b\n  c: d\n", "? a\n: b\n", "a: -\n", "a: - b\n", "a: é\nb: c\n",
            "-\n  a: b\n",
        ])
    func almostPlain(_ text: String) {
        expectEqual(text)
        expectEqual("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: before\n---\n" + text + "---\n" + text)
    }

    @Test("real documents, and what becomes of them when lines are changed")
    func mutations() throws {
        var texts = try ["demo/cluster/pods.yaml", "demo/cluster/shop.yaml"].map {
            try String(contentsOfFile: Fixtures.path($0), encoding: .utf8)
        }
        texts.append(Self.role.replacing(" # all", with: "").replacing("'d': e", with: "d: e"))
        let words = [
            "  ", " ", "- ", "---\n", "\n", ": ", ":", "#", " #", "\"", "'", "a", "{}", "[", "&x ", "*x", "<<", "|", "\t", "...\n", "é",
            "%", "\\",
        ]
        var random = SeededGenerator(seed: 11)
        for text in texts {
            expectEqual(text)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            for _ in 0..<400 {
                var changed = lines
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let place = Int.random(in: 0..<changed.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: changed.remove(at: place)
                    case 1: changed.swapAt(place, Int.random(in: 0..<changed.count, using: &random))
                    default:
                        var line = Array(changed[place])
                        let word = words.randomElement(using: &random) ?? " "
                        line.insert(contentsOf: Array(word), at: Int.random(in: 0...line.count, using: &random))
                        changed[place] = String(line)
                    }
                    if changed.isEmpty { changed = lines }
                }
                expectEqual(changed.joined(separator: "\n"))
            }
        }
    }

    @Test("a corpus of public manifests", .enabled(if: Fixtures.referenceData != nil))
    func corpus() throws {
        let folder = try #require(Fixtures.referenceData) + "/corpus"
        var loader = ManifestLoader(usesDefaults: false)
        let plain = try loader.load([folder])
        loader.readsPlainYAML = false
        expectSame(plain, try loader.load([folder]))
    }
}
