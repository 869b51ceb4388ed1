import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleTestSupport

@Suite("Manifest diagnostics")
struct ManifestDiagnosticTests {
    static let files = ((try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("invalid"))) ?? [])
        .filter { !$0.hasSuffix(".md") }.sorted()

    /// Where each fixture's diagnostic stands.
    private static let places: [String: String] = [
        "aggregation-drift": "1:1", "duplicate-entry-in-rule": "5:3", "duplicate-key": "4:1", "duplicate-object": "7:1",
        "duplicate-rule": "6:3", "incomplete-crd": "1:1", "invalid-json": "3:21", "invalid-yaml": "1:8",
        "literal-resource-pattern": "5:3", "literal-url-star": "5:3", "missing-name": "1:1", "missing-role-ref": "1:1",
        "names-with-nameless-verb": "5:3", "not-utf8": "1:1", "service-account-mismatch": "4:24",
        "subject-without-namespace": "5:12", "unknown-field": "5:54", "white-space-in-rule": "5:3", "would-be-rejected": "5:3",
        "wrong-type": "5:11",
    ]

    @Test("each file raises exactly the diagnostic it is named for, at its place", arguments: files)
    func fixture(_ file: String) throws {
        let id = String(file.prefix { $0 != "." })
        let state = try ManifestLoader(usesDefaults: false).load([Fixtures.path("invalid/\(file)")])
        #expect(state.diagnostics.map(\.id) == [id])
        let location = try #require(state.diagnostics.first?.location)
        #expect("\(location.line):\(location.column)" == Self.places[id])
        #expect(state.diagnostics.first?.help != nil || id == "incomplete-crd")
    }

    @Test("every id that the sources raise has a heading in the docs")
    func documented() throws {
        let docs = try String(contentsOfFile: Fixtures.path("../docs/diagnostics.md"), encoding: .utf8)
        let headings = Set(docs.split(separator: "\n").filter { $0.hasPrefix("## ") }.map { String($0.dropFirst(3)) })
        var raised: Set<String> = []
        let sources = Fixtures.root.appendingPathComponent("Sources")
        for case let file as URL in FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil) ?? .init()
        where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: #/(?:id: |warn\(\s*|report\(\s*)"([a-z]+(?:-[a-z0-9]+)+)"/#) {
                raised.insert(String(match.output.1))
            }
        }
        #expect(raised == headings)
        let covered = Set((Self.files + DeclaredUsageTests.diagnostics).map { String($0.prefix { $0 != "." }) })
        #expect(headings.subtracting(covered) == ["cannot-open", "invalid-audit-line", "invalid-audit-policy", "legacy-audit-format"])
    }

    @Test("validate", arguments: Vector.cases("validate"))
    func validate(_ vector: Vector) {
        let kind = vector.given["kind"].string ?? ""
        let object = vector.given["object"]
        let meta = ObjectMeta(namespace: object["namespace"].string ?? "", name: object["name"].string ?? "")
        let problems: [Validation.Problem]
        if kind.hasSuffix("Binding") {
            let binding = Binding(
                meta: meta, roleRef: RoleRef(kind: object["roleRef"]["kind"].string ?? "", name: object["roleRef"]["name"].string ?? ""),
                subjects: object["subjects"].array.map { WrittenSubject($0.subject) })
            problems = Validation.problems(of: binding, kind: kind, roleRefGroup: object["roleRef"]["apiGroup"].string)
        } else {
            problems = Validation.problems(of: Role(meta: meta, rules: object["rules"].rules.map { WrittenRule($0) }), kind: kind)
        }
        // An update is judged against the old object, which a file does not show.
        guard !vector.id.hasSuffix("update-changed-ref") else { return }
        #expect(
            Set(problems)
                == Set(vector.expect["errors"].array.map { Validation.Problem($0.array[0].string ?? "", $0.array[1].string ?? "") }))
    }
}
