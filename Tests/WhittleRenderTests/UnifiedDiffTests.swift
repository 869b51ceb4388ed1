import Foundation
import Testing
import WhittleRender
import WhittleTestSupport

@Suite("UnifiedDiff")
struct UnifiedDiffTests {
    private static func diff(_ old: String?, _ new: String?, path: String = "rbac/shop.yaml") -> String {
        UnifiedDiff.text(path: path, from: old.map { Array($0.utf8) }, to: new.map { Array($0.utf8) })
    }

    @Test("hunks carry three lines of context and the right numbers")
    func hunks() {
        let old = (1...20).map { "line \($0)\n" }.joined()
        let new = old.replacing("line 5\n", with: "").replacing("line 18\n", with: "line eighteen\nmore\n")
        #expect(
            Self.diff(old, new) == """
                --- a/rbac/shop.yaml
                +++ b/rbac/shop.yaml
                @@ -2,7 +2,6 @@
                 line 2
                 line 3
                 line 4
                -line 5
                 line 6
                 line 7
                 line 8
                @@ -15,6 +14,7 @@
                 line 15
                 line 16
                 line 17
                -line 18
                +line eighteen
                +more
                 line 19
                 line 20

                """)
        #expect(Self.diff(old, old) == "")
    }

    @Test("files that begin, end or lack a line feed at the end")
    func ends() {
        #expect(
            Self.diff("a\nb", "a\n") == "--- a/rbac/shop.yaml\n+++ b/rbac/shop.yaml\n@@ -1,2 +1 @@\n a\n-b\n\\ No newline at end of file\n")
        #expect(Self.diff("a\n", nil) == "--- a/rbac/shop.yaml\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")
        #expect(Self.diff(nil, "a\n") == "--- /dev/null\n+++ b/rbac/shop.yaml\n@@ -0,0 +1 @@\n+a\n")
        #expect(Self.diff("a", "b", path: "a b.yaml").hasPrefix("--- a/a b.yaml\t\n+++ b/a b.yaml\t\n"))
        #expect(Self.diff("a", "b", path: "a\"\u{1}").hasPrefix("--- \"a/a\\\"\\001\"\n"))
    }

    @Test("patch and git apply make the new text of the old one, whatever both are", .enabled(if: Tools.areThere))
    func tools() throws {
        let folder = try Fixtures.TemporaryFolder()
        defer { folder.remove() }
        var random = SeededGenerator(seed: 7)
        for round in 0..<60 {
            func text(_ words: [String]) -> String {
                let ends = round % 3 == 0 ? "\r\n" : "\n"
                return words.joined(separator: ends) + (round % 4 == 0 ? "" : ends)
            }
            var words = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                ["get", "list", "- a", "", "# é"].randomElement(using: &random) ?? ""
            }
            let old = text(words)
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = Int.random(in: 0...words.count, using: &random)
                if Bool.random(using: &random) || place == words.count {
                    words.insert("new \(round)", at: place)
                } else {
                    words.remove(at: place)
                }
            }
            let new: String? = words.isEmpty ? nil : text(words)
            let diff = Self.diff(old, new, path: "sub dir/x.yaml")
            for tool in [["patch", "-p1", "-s", "-i", "x.diff"], ["git", "apply", "--whitespace=nowarn", "x.diff"]] {
                let file = try folder.write(old, to: "sub dir/x.yaml")
                _ = try folder.write(diff, to: "x.diff")
                let (status, output) = try Tools.run(tool, in: folder.path)
                #expect(status == 0 || diff.isEmpty, "\(tool[0]): \(output)\n\(diff)")
                #expect((try? String(contentsOfFile: file, encoding: .utf8)) == new, "\(tool[0])\n\(diff)")
            }
        }
    }

    @Test("lines that must not be shown are no context, and where they cannot be left out there is no diff")
    func hidden() {
        func diff(_ new: String, _ hidden: Range<Int>) -> String? {
            UnifiedDiff.text(path: "x", from: Array("a\nb\nc\nd\ne\nf\n".utf8), to: Array(new.utf8), hiding: [hidden])
        }
        #expect(diff("a\nb\nd\ne\nf\n", 0..<1) == "--- a/x\n+++ b/x\n@@ -2,5 +2,4 @@\n b\n-c\n d\n e\n f\n")
        #expect(diff("b\nc\nd\ne\n", 2..<4) == "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n b\n@@ -5,2 +4 @@\n e\n-f\n")
        #expect(diff("a\nb\nd\ne\nf\n", 3..<4) == nil)
        #expect(diff("a\nb\nd\ne\nf\n", 2..<3) == nil)
        #expect(diff("a\nb\nc\nd\ne\n", 3..<5) == "--- a/x\n+++ b/x\n@@ -6 +5,0 @@\n-f\n")
    }

    @Test("much that differs is replaced as a whole")
    func long() {
        let old = (0..<3_000).map { "old \($0)\n" }.joined()
        let new = (0..<3_000).map { "new \($0)\n" }.joined()
        #expect(Self.diff(old, new).hasPrefix("--- a/rbac/shop.yaml\n+++ b/rbac/shop.yaml\n@@ -1,3000 +1,3000 @@\n-old 0\n"))
    }
}

/// patch and git, where there are any.
enum Tools {
    static let areThere = ["/usr/bin/git", "/usr/bin/patch"].allSatisfy(FileManager.default.isExecutableFile(atPath:))

    static func run(_ command: [String], in folder: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        process.currentDirectoryURL = URL(filePath: folder)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}

@Suite("KustomizePatch")
struct KustomizePatchTests {
    @Test("rules, subjects and deletions, and the kustomization that lists them")
    func documents() {
        let rules = KustomizePatch(
            kind: "ClusterRole", namespace: "", name: "shop:cart.v1",
            change: .rules([.init(verbs: ["get"], apiGroups: [""], resources: ["pods"])]))
        #expect(rules.fileName == "clusterrole-shop-cart.v1.yaml")
        #expect(
            rules.document.yaml == """
                - op: replace
                  path: "/rules"
                  value:
                  - apiGroups: [""]
                    resources: [pods]
                    verbs: [get]

                """)
        let none = KustomizePatch(kind: "Role", namespace: "shop", name: "cart", change: .rules([]))
        #expect(none.document.yaml == "- op: replace\n  path: \"/rules\"\n  value: []\n")
        let subjects = KustomizePatch(
            kind: "RoleBinding", namespace: "shop", name: "cart", change: .subjects([.init(kind: "User", name: "ann")]))
        #expect(subjects.document.yaml.contains("  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: ann\n"))
        let gone = KustomizePatch(kind: "RoleBinding", namespace: "shop", name: "cart", change: .delete)
        #expect(
            gone.document.yaml == """
                "$patch": delete
                apiVersion: rbac.authorization.k8s.io/v1
                kind: RoleBinding
                metadata:
                  name: cart
                  namespace: shop

                """)
        #expect(
            KustomizePatch.kustomization(
                resources: ["shop/cart"], patches: [("p/a.yaml", rules), ("p/b.yaml", gone)],
                labels: ["app.kubernetes.io/managed-by": "whittle"])
                    == """
                    apiVersion: kustomize.config.k8s.io/v1beta1
                    kind: Kustomization
                    resources: [shop/cart]
                    patches:
                    - path: p/a.yaml
                      target:
                        group: rbac.authorization.k8s.io
                        version: v1
                        kind: ClusterRole
                        name: "shop:cart\\\\.v1"
                    - path: p/b.yaml
                    labels:
                    - pairs:
                        app.kubernetes.io/managed-by: whittle

                    """)
    }
}
