import Foundation
import Testing
import WhittleIngest
import WhittleModel
import WhittleRender
import WhittleTestSupport

@Suite("ManifestEdit")
struct ManifestEditTests {
    /// A manifest with one change of the object that comes first in it, or is named.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var before: String
        var change: @Sendable (Role) -> [PolicyRule]
        var after: String
        var object = ""

        var testDescription: String { name }
    }

    private static func loaded(_ text: String, named name: String = "") -> Role? {
        ManifestLoader(usesDefaults: false).load(text: text, file: "x.yaml").roles.first { name.isEmpty || $0.meta.name == name }
    }

    private static func edit(_ text: String, _ rules: [PolicyRule], named name: String = "") throws -> String {
        let role = try #require(loaded(text, named: name))
        let location = try #require(role.meta.location)
        let bytes = Array(text.utf8)
        let edit = try ManifestEdit(bytes, try ManifestSyntax.document(atLine: location.line, in: bytes))
        let result = try edit.settingRules(rules, ofObjectAt: location, from: role.rules.map(\.rule))
        return String(decoding: result, as: UTF8.self)
    }

    @Test("rules are changed where they stand, and nothing else", arguments: cases)
    func rules(_ example: Case) throws {
        let role = try #require(Self.loaded(example.before, named: example.object))
        let wanted = example.change(role)
        let result = try Self.edit(example.before, wanted, named: example.object)
        #expect(result == example.after)
        #expect(Array(result.utf8) == Array(example.after.utf8))
        let loaded = try #require(Self.loaded(result, named: example.object))
        #expect(Set(loaded.rules.map { SortedRule($0.rule) }) == Set(wanted.map { SortedRule($0) }))
        #expect(try Self.edit(example.before, role.rules.map(\.rule), named: example.object) == example.before)
    }

    private static let head = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: cart, namespace: shop}\n"

    @Sendable private static func second(_ role: Role) -> [PolicyRule] { [role.rules[1].rule] }
    @Sendable private static func first(_ role: Role) -> [PolicyRule] { [role.rules[0].rule] }
    @Sendable private static func none(_: Role) -> [PolicyRule] { [] }

    static let cases: [Case] = [
        Case(
            name: "the first of two rules goes with its comments",
            before: head + """
                rules: # what the cart does
                # pods are listed
                - apiGroups: [""]  # core
                  resources: ["pods"]
                  # verbs: ["*"]
                  verbs: ["get", "list"]   # read
                  # (watch is not needed)
                # secrets are read
                - apiGroups: [""]
                  resources: ["secrets"]
                  verbs: ["get"]
                # the end
                """,
            change: second,
            after: head + """
                rules: # what the cart does
                # secrets are read
                - apiGroups: [""]
                  resources: ["secrets"]
                  verbs: ["get"]
                # the end
                """),
        Case(
            name: "the last rule goes; a comment for what follows stays, and so does a section's comment",
            before: "rules:\n# --- section ---\n\n  # a\n  - apiGroups: ['']\n    resources: [pods]\n    verbs: [get]\n\n  # b\n"
                + "  - apiGroups: [apps]\n    resources: [deployments]\n    verbs: [get]\n\n# meta\n" + head,
            change: first,
            after: "rules:\n# --- section ---\n\n  # a\n  - apiGroups: ['']\n    resources: [pods]\n    verbs: [get]\n\n# meta\n" + head),
        Case(
            name: "of all rules nothing is left but an empty list",
            before: head + "rules:  # none\n  - apiGroups: ['']\n    resources: [pods]\n    verbs: [get]\n---\n# next\nkind: X\n",
            change: none, after: head + "rules: []  # none\n---\n# next\nkind: X\n"),
        Case(
            name: "an entry goes from a list in brackets",
            before: head + "rules:\n- apiGroups: [ \"\" ]\n  resources: [pods, 'secrets' , services]\n  verbs: [get]\n",
            change: { _ in [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods", "services"])] },
            after: head + "rules:\n- apiGroups: [ \"\" ]\n  resources: [pods , services]\n  verbs: [get]\n"),
        Case(
            name: "entries go from a list with dashes, with their comments, and one is put in",
            before: head
                + "rules:\n- apiGroups:\n  - \"\"\n  resources:\n  - pods\n  # secrets too\n  - secrets # why?\n  - services\n  verbs:\n    - get\n    - '*'\n",
            change: { _ in [PolicyRule(verbs: ["get", "watch"], apiGroups: [""], resources: ["pods", "services"])] },
            after: head
                + "rules:\n- apiGroups:\n  - \"\"\n  resources:\n  - pods\n  - services\n  verbs:\n    - get\n    - watch\n"),
        Case(
            name: "resourceNames are added behind resources, in the style of the rule",
            before: head
                + "rules:\n  -   apiGroups:\n        - \"\"\n      resources:\n        - \"secrets\"\n      verbs:\n        - \"get\"",
            change: { _ in [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["tls"])] },
            after: head
                + "rules:\n  -   apiGroups:\n        - \"\"\n      resources:\n        - \"secrets\"\n      resourceNames:\n        - \"tls\"\n      verbs:\n        - \"get\""
        ),
        Case(
            name: "a new rule stands last, quoted as the others, at an end without line feed",
            before: head + "rules:\n- apiGroups: ['apps']\n  resources: ['deployments']\n  verbs: ['get']",
            change: { $0.rules.map(\.rule) + [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods", "pods/log"])] },
            after: head
                + "rules:\n- apiGroups: ['apps']\n  resources: ['deployments']\n  verbs: ['get']\n- apiGroups: ['']\n  resources: ['pods', 'pods/log']\n  verbs: ['get']"
        ),
        Case(
            name: "all rules are replaced by another",
            before: head
                + "rules:\n- resources: [pods]\n  apiGroups: ['']\n  verbs: [get]\n\n- resources: [nodes]\n  apiGroups: ['']\n  verbs: [get]\n\n---\n",
            change: { _ in [PolicyRule(verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"])] },
            after: head + "rules:\n- resources: [deployments]\n  apiGroups: [apps]\n  verbs: [get]\n\n---\n"),
        Case(
            name: "a wildcard is narrowed in place and the field order stays",
            before: head + "rules:\n- verbs: [\"*\"] # all\n  resources: [\"*\"]\n  apiGroups: [\"\"]\n",
            change: { _ in [PolicyRule(verbs: ["get", "list"], apiGroups: [""], resources: ["pods"])] },
            after: head + "rules:\n- verbs: [\"get\", \"list\"] # all\n  resources: [\"pods\"]\n  apiGroups: [\"\"]\n"),
        Case(
            name: "line ends of Windows, tabs in comments and trailing spaces stay",
            before: (head
                + "rules:\n- apiGroups: [\"\"]  \n  resources: [\"pods\"] #\ttab\n  verbs: [\"get\"]\n- apiGroups: [\"\"]\n  resources: [\"nodes\"]\n  verbs: [\"get\", \"list\"]  \n# end\t\n")
                .replacingOccurrences(of: "\n", with: "\r\n"),
            change: {
                [$0.rules[0].rule, PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["nodes"], resourceNames: ["n1"])]
            },
            after: (head
                + "rules:\n- apiGroups: [\"\"]  \n  resources: [\"pods\"] #\ttab\n  verbs: [\"get\"]\n- apiGroups: [\"\"]\n  resources: [\"nodes\"]\n  resourceNames: [\"n1\"]\n  verbs: [\"get\"]  \n# end\t\n")
                .replacingOccurrences(of: "\n", with: "\r\n")),
        Case(
            name: "of several documents only one changes, whatever is wrong with the others",
            before: "a: [\n---\n" + head
                + "rules:\n- apiGroups: [\"\"]\n  resources: [\"pods\", \"nodes\"]\n  verbs: [\"get\"]\n--- # next\nb: {{ .Values.x }}\n",
            change: { _ in [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"])] },
            after: "a: [\n---\n" + head
                + "rules:\n- apiGroups: [\"\"]\n  resources: [\"pods\"]\n  verbs: [\"get\"]\n--- # next\nb: {{ .Values.x }}\n"),
        Case(
            name: "a role in a List, its rules in brackets",
            before:
                "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: rbac.authorization.k8s.io/v1\n    kind: ClusterRole\n    metadata: {name: é}\n    rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}, {nonResourceURLs: [/metrics, /healthz], verbs: [get]}]\n",
            change: { _ in [PolicyRule(verbs: ["get"], nonResourceURLs: ["/metrics"])] },
            after:
                "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: rbac.authorization.k8s.io/v1\n    kind: ClusterRole\n    metadata: {name: é}\n    rules: [{nonResourceURLs: [/metrics], verbs: [get]}]\n"
        ),
        Case(
            name: "JSON keeps its indentation",
            before: json(
                #"{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}"#,
                #"{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}"#),
            change: { _ in
                [
                    PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"]),
                    PolicyRule(verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"]),
                ]
            },
            after: json(
                #"{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}"#,
                #"{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}"#)),
        Case(
            name: "JSON over many lines stays so",
            before: json(
                "{\n      \"apiGroups\": [\n        \"\"\n      ],\n      \"resources\": [\n        \"pods\",\n        \"nodes\"\n      ],\n      \"verbs\": [\n        \"get\"\n      ]\n    }"
            ),
            change: {
                [
                    PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["nodes"], resourceNames: ["a"]),
                    PolicyRule(verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"]),
                ] + $0.rules.dropFirst(2).map(\.rule)
            },
            after: json(
                "{\n      \"apiGroups\": [\n        \"\"\n      ],\n      \"resources\": [\n        \"nodes\"\n      ],\n      \"verbs\": [\n        \"get\"\n      ],\n      \"resourceNames\": [\n        \"a\"\n      ]\n    }",
                "{\n      \"apiGroups\": [\n        \"apps\"\n      ],\n      \"resources\": [\n        \"deployments\"\n      ],\n      \"verbs\": [\n        \"get\"\n      ]\n    }"
            )),
        Case(
            name: "a rule that uses an anchor may stay while another goes",
            before: head
                + "rules:\n- apiGroups: &core [\"\"]\n  resources: [pods]\n  verbs: [get]\n- apiGroups: [apps]\n  resources: [deployments]\n  verbs: [get]\n",
            change: first, after: head + "rules:\n- apiGroups: &core [\"\"]\n  resources: [pods]\n  verbs: [get]\n"),
        Case(
            name: "comments behind dashes, entries over several lines, a comma at the end",
            before: head
                + "rules:\n- # first\n  apiGroups: ['']\n  resources: [\n    pods, # p\n    # the nodes\n    nodes,\n    services,\n  ]\n  verbs: [get,\n    list]\n-   # second\n\n  apiGroups: [apps]\n  resources: [deployments]\n  verbs: [get]\n",
            change: { _ in [PolicyRule(verbs: ["list", "watch"], apiGroups: [""], resources: ["services", "secrets"])] },
            after: head
                + "rules:\n- # first\n  apiGroups: ['']\n  resources: [\n    services,\n    secrets,\n  ]\n  verbs: [list,\n    watch]\n"),
        Case(
            name: "a byte order mark, and rules in brackets over several lines of Windows",
            before: "\u{FEFF}"
                + (head
                + "rules: [\n  {apiGroups: [\"\"], resources: [pods], verbs: [get]},\n  {apiGroups: [\"\"], resources: [nodes], verbs: [get]}\n]\n")
                .replacingOccurrences(of: "\n", with: "\r\n"),
            change: { [$0.rules[1].rule, PolicyRule(verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"])] },
            after: "\u{FEFF}"
                + (head
                + "rules: [\n  {apiGroups: [\"\"], resources: [nodes], verbs: [get]},\n  {apiGroups: [apps], resources: [deployments], verbs: [get]}\n]\n")
                .replacingOccurrences(of: "\n", with: "\r\n")),
        Case(
            name: "a comment deeper than the list is its entry's, and what is new stands behind it",
            before: head + "rules:\n- apiGroups: ['']\n  resources:\n  - pods\n    # only read\n  verbs:\n  - get\n",
            change: { _ in [PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods", "services"])] },
            after: head + "rules:\n- apiGroups: ['']\n  resources:\n  - pods\n    # only read\n  - services\n  verbs:\n  - get\n"),
        Case(
            name: "one of three, kept apart by blank lines",
            before: head
                + "rules:\n- apiGroups: ['']\n  resources: [pods]\n  verbs: [get]\n\n# nodes\n- apiGroups: ['']\n  resources: [nodes]\n  verbs: [get]\n\n- apiGroups: [apps]\n  resources: [deployments]\n  verbs: [get]\n",
            change: { [$0.rules[0].rule, $0.rules[2].rule] },
            after: head
                + "rules:\n- apiGroups: ['']\n  resources: [pods]\n  verbs: [get]\n\n- apiGroups: [apps]\n  resources: [deployments]\n  verbs: [get]\n"
        ),
    ]

    private static func json(_ rules: String...) -> String {
        """
        {
          "apiVersion": "rbac.authorization.k8s.io/v1",
          "kind": "ClusterRole",
          "metadata": {"name": "cart"},
          "rules": [
            \(rules.joined(separator: ",\n    "))
          ]
        }

        """
    }

    @Test(
        "what cannot be edited exactly is refused with its reason",
        arguments: [
            ("rules:\n- &a\n  apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\n", "a rule uses anchors, aliases or tags"),
            ("x-rules: &r\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\nrules: *r\n", "`rules` uses anchors, aliases or tags"),
            ("rules: !!seq\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\n", "`rules` uses anchors, aliases or tags"),
            ("rules: []\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\n", "`rules` stands twice"),
            ("rules:\n- apiGroups: [\"{{ .Values.group }}\"]\n  resources: [pods]\n  verbs: [get]\n", "the document is a template"),
            (
                "rules: [ # pods\n  {apiGroups: [\"\"], resources: [pods], verbs: [get]},\n  # nodes\n  {apiGroups: [\"\"], resources: [nodes], verbs: [get]}]\n",
                "comments stand between elements in brackets"
            ),
        ])
    func refusals(_ rules: String, _ reason: String) throws {
        #expect(throws: ManifestEdit.Refusal(reason)) { _ = try Self.edit(Self.head + rules, []) }
    }

    @Test("an object on one line of JSON is refused")
    func oneLine() throws {
        let text =
            #"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"x"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"#
        #expect(throws: ManifestEdit.Refusal("the object is written on one line")) { _ = try Self.edit(text, []) }
    }

    // MARK: Objects and subjects

    private static func binding(_ name: String, _ subjects: String) -> String {
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: \(name)\n  namespace: shop\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: cart}\nsubjects:\n\(subjects)"
    }

    private static func remove(_ name: String, from text: String) throws -> String? {
        let state = ManifestLoader(usesDefaults: false).load(text: text, file: "x.yaml")
        let metas = state.roles.map(\.meta) + state.bindings.map(\.meta)
        let location = try #require(metas.first { $0.name == name }?.location)
        let bytes = Array(text.utf8)
        return try ManifestEdit(bytes, try ManifestSyntax.document(atLine: location.line, in: bytes)).removingObject(at: location)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("a document is cut out with its own comments")
    func documents() throws {
        let (a, b) = (Self.binding("a", "- {kind: User, name: x}\n"), Self.binding("b", "- {kind: User, name: y}\n"))
        #expect(try Self.remove("a", from: "# licence\n\n# a\n\(a)---\n# b\n\(b)") == "# licence\n\n---\n# b\n\(b)")
        #expect(try Self.remove("b", from: "# a\n\(a)---\n# b\n\(b)") == "# a\n\(a)")
        #expect(try Self.remove("b", from: "---\n\(a)---\n# b\n\(b)\n---\n\(a)") == "---\n\(a)---\n\(a)")
        #expect(try Self.remove("a", from: "# licence\n\n---\n\(a)") == nil)
        #expect(throws: ManifestEdit.Refusal.self) { _ = try Self.remove("a", from: "---\n\(a)...\n") }
    }

    @Test("an item of a List is cut out, and with the last one the List goes")
    func items() throws {
        func item(_ name: String) -> String {
            "- " + Self.binding(name, "- {kind: User, name: x}\n").dropLast().replacing("\n", with: "\n  ") + "\n"
        }
        let head = "apiVersion: v1\nkind: List\nitems:\n"
        #expect(try Self.remove("a", from: head + item("a") + item("b")) == head + item("b"))
        #expect(
            try Self.remove("b", from: head + item("a") + "# b\n" + item("b") + "metadata: {}\n") == head + item("a") + "metadata: {}\n")
        #expect(try Self.remove("a", from: head + item("a")) == nil)
    }

    @Test("one of several subjects is removed")
    func subjects() throws {
        let text = Self.binding("a", "# x\n- kind: User\n  name: x\n# y\n- kind: ServiceAccount\n  name: y # the cart\n")
        let binding = try #require(ManifestLoader(usesDefaults: false).load(text: text, file: "x.yaml").bindings.first)
        let location = try #require(binding.meta.location)
        let bytes = Array(text.utf8)
        let edit = try ManifestEdit(bytes, try ManifestSyntax.document(atLine: location.line, in: bytes))
        let result = try edit.removingSubjects(at: [try #require(binding.subjects[1].location)], ofObjectAt: location)
        #expect(String(decoding: result, as: UTF8.self) == Self.binding("a", "# x\n- kind: User\n  name: x\n"))
        #expect(throws: ManifestEdit.Refusal.self) {
            _ = try edit.removingSubjects(at: [SourceLocation(file: "x.yaml", line: 1, column: 1)], ofObjectAt: location)
        }
    }
}
