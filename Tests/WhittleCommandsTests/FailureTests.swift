import Foundation
import Testing
import WhittleTestSupport

/// What goes wrong outside of Whittle is said in words, ends with 2, and leaves what was there as it was.
@Suite("Failures")
struct FailureTests {
    private static let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cart}\n"

    private func shell(_ script: String, in folder: String) throws -> CommandResult { try Shell.result(of: script, in: folder) }

    @Test("a file that cannot be opened: named it ends the load, found in a folder the others are loaded")
    func unreadableFile() throws {
        let workspace = try Workspace()
        _ = try workspace.write(Self.account, to: "in/good.yaml")
        try FileManager.default.createSymbolicLink(atPath: workspace.file("in/loop.yaml"), withDestinationPath: "loop.yaml")
        let named = whittle("load", workspace.file("in/loop.yaml"), "-o", workspace.file("w.db"))
        #expect(named.code == 2)
        #expect(named.errors.contains("loop.yaml"))
        #expect(!FileManager.default.fileExists(atPath: workspace.file("w.db")))
        let folder = whittle("load", workspace.file("in"), "-o", workspace.file("w.db"))
        #expect(folder.code == 0)
        #expect(folder.errors.contains("[cannot-open]"))
        #expect(folder.errors.contains("1 service account"))
    }

    @Test("a file that breaks while it is read", .enabled(if: FileManager.default.fileExists(atPath: "/proc/self/mem")))
    func brokenFile() throws {
        let workspace = try Workspace()
        let result = whittle("load", "/proc/self/mem", "-o", workspace.file("w.db"))
        #expect(result.code == 2)
        #expect(result.errors.contains("/proc/self/mem"))
    }

    @Test("a folder without manifests, and empty standard input")
    func nothing() throws {
        let workspace = try Workspace()
        _ = try workspace.write("hello", to: "in/readme.txt")
        for command in [
            ["load", workspace.file("in"), "-o", workspace.file("w.db")], ["who-can", "get", "pods", "-f", workspace.file("in")],
        ] {
            let result = whittle(command)
            #expect(result.code == 2)
            #expect(result.errors.contains("no Kubernetes objects"))
        }
        for command in ["load - -o w.db", "who-can get pods -f -"] {
            let result = try shell("$WHITTLE \(command) < /dev/null", in: workspace.folder.path)
            #expect(result.code == 2)
            #expect(result.errors.contains("no Kubernetes objects"))
            #expect(result.output.isEmpty)
        }
    }

    @Test("a folder that cannot be written", .enabled(if: FileManager.default.fileExists(atPath: "/sys/kernel")))
    func readOnlyFolder() throws {
        let workspace = try Workspace()
        let input = try workspace.write(Self.account, to: "in.yaml")
        let result = whittle("load", input, "-o", "/sys/kernel/whittle.db")
        #expect(result.code == 2)
        #expect(result.errors.contains("/sys/kernel/whittle.db"))
    }

    @Test("a full disk: the load ends with 2, the old database stays, nothing is left beside it")
    func fullDisk() throws {
        let workspace = try Workspace()
        _ = try workspace.write(Self.account, to: "in.yaml")
        let accounts = (0..<20_000).map { "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"a\($0)\"}}" }
        _ = try workspace.write("{\"kind\":\"List\",\"items\":[\(accounts.joined(separator: ","))]}", to: "big.json")
        let result = try shell(
            """
            set -e; $WHITTLE load in.yaml -o w.db 2> /dev/null; cp w.db before.db
            (ulimit -f 400; $WHITTLE load big.json -o w.db) && exit 9 || echo "status $?"
            cmp w.db before.db; ls
            """, in: workspace.folder.path)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output == "status 2\nbefore.db\nbig.json\nin.yaml\nw.db\n")
        #expect(result.errors.contains("whittle: error:"))
        let answer = try shell("$WHITTLE query labelled-objects --db w.db > /dev/full", in: workspace.folder.path)
        #expect(answer.code == 2)
        #expect(answer.errors.contains("cannot write the answer"))
    }

    @Test("a reader that goes away is no error, an interrupt leaves nothing behind")
    func closedPipeAndInterrupt() throws {
        let workspace = try Workspace()
        let pods = (0..<3_000).map { "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"a\($0)\"}}" }
        _ = try workspace.write("{\"kind\":\"List\",\"items\":[\(pods.joined(separator: ","))]}", to: "in.json")
        let pipe = try shell(
            "$WHITTLE load in.json -o w.db 2> /dev/null; $WHITTLE query labelled-objects --db w.db 2> err | head -1; echo ${PIPESTATUS[0]}; grep -v -e note -e lacks err",
            in: workspace.folder.path)
        #expect(pipe.output.hasSuffix("\n0\n"))
        let interrupted = try shell(
            "mkfifo in; $WHITTLE load in -o new.db 2> /dev/null & p=$!; exec 3> in; sleep 0.3; kill -INT $p; wait $p; echo $?; ls | grep new",
            in: workspace.folder.path)
        #expect(interrupted.output == "130\n")
    }

    @Test("a reader that goes away changes neither the work nor the exit status")
    func statusOfClosedPipe() throws {
        let workspace = try Workspace()
        _ = try workspace.write(Self.account + "---\nkind: [\n", to: "in.yaml")
        let result = try shell(
            """
            $WHITTLE load --strict in.yaml -o w.db 2>&1 | true; echo ${PIPESTATUS[0]}; ls w.db
            $WHITTLE diff w.db in.yaml 2>&1 | true; echo ${PIPESTATUS[0]}
            $WHITTLE permissions user/nobody --no-defaults -f \(Fixtures.path("demo/cluster")) 2>&1 | true; echo ${PIPESTATUS[0]}
            """, in: workspace.folder.path)
        #expect(result.output == "2\nw.db\n2\n1\n")
    }

    @Test("two loads into one file at once: both end well and the file is one of the two")
    func twoLoads() throws {
        let workspace = try Workspace()
        for name in ["a", "b"] {
            let accounts = (0..<5_000).map {
                "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"\(name)\($0)\"}}"
            }
            _ = try workspace.write("{\"kind\":\"List\",\"items\":[\(accounts.joined(separator: ","))]}", to: "\(name).json")
        }
        let result = try shell(
            """
            for round in 1 2 3 4 5 6; do
              $WHITTLE load a.json -o w.db 2> /dev/null & first=$!
              $WHITTLE load b.json -o w.db 2> /dev/null & second=$!
              wait $first && wait $second || exit 1
              sqlite3 -readonly w.db "PRAGMA integrity_check; SELECT count(*), count(DISTINCT substr(name, 1, 1)) FROM service_account"
            done; ls
            """, in: workspace.folder.path)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output == String(repeating: "ok\n5000|1\n", count: 6) + "a.json\nb.json\nw.db\n")
    }

    @Test("a database of schema 1 is read, keeps its usage when it is loaded again, and is carried by every later version")
    func schemaOne() throws {
        let workspace = try Workspace()
        try Fixtures.contents(Fixtures.path("databases/schema-1.db.gz")).write(to: URL(filePath: workspace.file("w.db")))
        let before = whittle("usage", "list", "--db", workspace.file("w.db"))
        #expect(before.code == 0)
        #expect(whittle("can-i", "get", "pods", "-n", "platform", "--as", "platform:backup", "--db", workspace.file("w.db")).code == 0)
        #expect(whittle("load", Fixtures.path("demo/cluster"), "-o", workspace.file("w.db")).code == 0)
        #expect(whittle("usage", "list", "--db", workspace.file("w.db")).output == before.output)
    }

    @Test("the diagnostics of the input stand in -o json answers, with notes and help")
    func diagnosticsInJSON() throws {
        let workspace = try Workspace()
        let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules:\n"
        _ = try workspace.folder.write(
            role + "- {verbs: [get], apiGroups: [''], resources: [pods]}\n---\n" + role
                + "- {verbs: [list], apiGroups: [''], resources: [pods], extra: 1}\n---\n"
                + "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {kind: ClusterRole, name: r}\n"
                + "subjects: [{kind: User, name: ann}]\n", to: "in.yaml")
        #expect(whittle("load", workspace.file("in.yaml"), "-o", workspace.file("w.db")).code == 0)
        for source in [["--db", workspace.file("w.db")], ["-f", workspace.file("in.yaml")]] {
            for question in [
                ["who-can", "list", "pods"], ["can-i", "list", "pods", "--as", "user/ann"], ["permissions", "user/ann"],
            ] {
                let result = whittle(question + source + ["-o", "json"])
                let answer = try JSONDecoder().decode(Diagnosed.self, from: Data(result.output.utf8))
                #expect(answer.diagnostics.map(\.id) == ["duplicate-object", "unknown-field"])
                #expect(answer.diagnostics[0].notes == ["first defined at \(workspace.file("in.yaml")):1:1"])
                #expect(answer.diagnostics[0].help == "keep one of the two definitions")
                #expect(answer.diagnostics[0].line == 7 && answer.diagnostics[0].file == workspace.file("in.yaml"))
            }
        }
    }

    private struct Diagnosed: Decodable {
        struct Diagnostic: Decodable {
            var file: String
            var line: Int
            var id: String
            var notes: [String]
            var help: String
        }
        var diagnostics: [Diagnostic]
    }
}
