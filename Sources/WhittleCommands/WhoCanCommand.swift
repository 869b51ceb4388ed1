import ArgumentParser
import WhittleAnalysis
import WhittleRender

struct WhoCanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "who-can", abstract: "List who may make a request, and through what.",
        discussion: """
            Examples: `whittle who-can get secrets -n shop`, `whittle who-can create pods/exec -A`, `whittle who-can get /metrics`. \
            Without --name, rules that hold for named objects only are listed too and marked.
            """)

    @Argument(help: "VERB and TYPE, TYPE.group, TYPE/SUBRESOURCE, TYPE/NAME, or /PATH.")
    var words: [String]

    @OptionGroup var request: RequestOptions
    @OptionGroup var matching: MatchOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "List the service accounts in each group.")
    var expand = false

    @Flag(help: "List the pods and workloads behind each service account, and behind each group with --expand.")
    var pods = false

    func validate() throws {
        guard words.count == 2 || (words.count > 2 && !input.filename.isEmpty) else {
            throw ValidationError("needs VERB and TYPE[/X] or /PATH")
        }
    }

    func run() throws {
        let (verb, target) = (words[0], words[1])
        let database = try input.open(namespace: request.namespace, more: words.dropFirst(2))
        let question: WhoCan.Question =
            switch try request.meaning(of: verb, target, in: database) {
            case .url(let path): .url(verb: verb, path: path)
            case .resource(let apiGroup, let resource, let subresource, let name, let namespace):
                .resource(
                    verb: verb, apiGroup: apiGroup, resource: resource, subresource: subresource, name: name, namespace: namespace)
            }
        var answer = try WhoCan(question, in: database, expandsGroups: expand, listsPods: pods)
        answer.answers = answer.answers.filter { matching.matches(namespace: $0.grant.subject.namespace, name: $0.grant.subject.name) }
        if answer.answers.isEmpty, !answer.missingKinds.isEmpty { throw couldNotJudge(answer.missingKinds) }
        warnIncomplete(answer.missingKinds)
        if !answer.answers.isEmpty || format.output != .table { try format.write(answer.table, answer.document, from: database) }
        if answer.answers.isEmpty {
            Console.current.error("nobody\(matching.match.map { " that matches `\($0)`" } ?? "") can \(verb) \(target)\n")
            throw CommandFailure("", code: .no)
        }
    }
}
