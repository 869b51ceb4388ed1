import Testing
import WhittleIngest
import WhittleModel
import WhittlePropose
import WhittleRender
import WhittleTestSupport

@Suite("ManifestRenderer")
struct ManifestRendererTests {
    @Test("output loads back to the same roles and bindings, whatever the names are")
    func roundTrip() throws {
        let names = ["tls", "yes", "0x1", "1.5", "null", "a: b", "- x", "with \"quotes\"", "caf\u{E9}", "", "#no", "a\nb", "*", "~"]
        var needs = names.map { Need(Request(verb: "get", resource: "secrets", namespace: "shop", name: $0)) }
        needs.append(Need(Request(verb: "on", apiGroup: "true", resource: "off", namespace: "12")))
        needs.append(Need(Request(verb: "get", path: "/metrics: x")))
        let proposal = RoleProposal(namespace: "shop", name: "cart", needs: needs, staying: Authorizer(roles: [], bindings: []))
        let yaml = ManifestRenderer.yaml(proposal)
        let state = ManifestLoader(usesDefaults: false).load(text: yaml)
        #expect(state.diagnostics.allSatisfy { $0.severity == .note })
        #expect(state.roles.map { $0.rules.map(\.rule) } == proposal.roles.map { $0.rules.map(\.rule) })
        #expect(state.roles.map(\.kind) == ["ClusterRole", "Role", "Role"])
        #expect(state.bindings.map(\.roleRef) == proposal.bindings.map(\.roleRef))
        #expect(state.bindings.map { $0.subjects.map(\.subject.name) } == proposal.bindings.map { $0.subjects.map(\.subject.name) })
        let json = ManifestLoader(usesDefaults: false).load(text: ManifestRenderer.list([proposal]).indented)
        #expect(json.roles.map { $0.rules.map(\.rule) } == proposal.roles.map { $0.rules.map(\.rule) })
    }

    @Test("tables align, and what the input puts in cells cannot break them")
    func tables() {
        let table = Table(columns: ["name", "roleRef"], rows: [["a\nb", "x"], ["long name", ""]])
        #expect(table.aligned(isWide: false) == "NAME       ROLE REF\na\\u{a}b    x\nlong name\n")
        #expect(table.csv() == "name,roleRef\n\"a\nb\",x\nlong name,\n")
        #expect(Table(columns: ["name"], rows: [["\u{1B}[2J,\t"]]).csv() == "name\n\"\\u{1b}[2J,\t\"\n")
        #expect(table.markdown.contains("| long name |  |"))
        let names = Table(columns: ["name"], rows: [["<script>"], ["[a](http://b)"], ["a|b"]])
        #expect(names.markdown.hasSuffix("| \\<script> |\n| \\[a](http://b) |\n| a\\|b |\n"))
    }

    @Test("times round-trip", arguments: ["2026-11-23T06:34:42.700297Z", "1969-12-31T23:59:59.999999Z", "2000-02-29T12:00:00.000000Z"])
    func times(_ text: String) throws {
        #expect(TimeText.rfc3339(try #require(Timestamp.microseconds(text))) == text)
    }
}
