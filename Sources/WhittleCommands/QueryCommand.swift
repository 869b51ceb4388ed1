import ArgumentParser
import Foundation
import WhittleQueries
import WhittleRender
import WhittleStore

struct QueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Run a query file by name, or list all.",
        discussion: "Parameters that are left out are NULL; what that means is said in each query's header and on standard error.")

    @Argument(
        help: "Name of the query: a file of Queries/ without .sql.", completion: .list(QueryCatalogue.all.map(\.name)))
    var name: String?

    @Option(name: .customLong("param"), help: "A parameter as NAME=VALUE; may be repeated.")
    var parameters: [String] = []

    @Flag(help: "List all queries with their parameters.")
    var list = false

    @Option(help: "A folder with further query files; they win over built-in ones of the same name.")
    var queries: String?

    @OptionGroup var input: InputOptions
    @OptionGroup var format: OutputOptions

    func validate() throws {
        if list == (name != nil) { throw ValidationError("needs the name of a query, or --list") }
        if let bad = parameters.first(where: { !$0.contains("=") }) { throw ValidationError("`\(bad)` is not NAME=VALUE") }
    }

    func run() throws {
        let catalogue = try self.catalogue()
        guard let name else {
            let table = Table(
                columns: ["name", "title", "parameters"],
                rows: catalogue.map { [$0.name, $0.title, $0.parameters.map(\.name).joined(separator: ", ")] })
            let document = JSONValue.array(
                catalogue.map {
                    .members([
                        "name": .string($0.name), "title": .string($0.title), "answers": .string($0.answers),
                        "parameters": .array($0.parameters.map(\.document)), "columns": .array($0.columns.map(\.document)),
                    ])
                })
            return format.write(table, document)
        }
        guard let query = catalogue.first(where: { $0.name == name }) else { throw StoreError.unknownQuery(name) }
        var values: [String: SQLValue] = [:]
        for parameter in parameters {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            values[String(parts[0])] = .text(String(parts[1]))
        }
        let open = query.parameters.map(\.name).filter { values[$0] == nil }
        if !open.isEmpty {
            Console.current.error("whittle: note: not given: \(open.joined(separator: ", ")); left out means \(query.unset)\n")
        }
        let database = try input.open(namespace: nil)
        warnIncomplete(try database.completeness().missingKinds(forNamespace: nil))
        let result = QueryTable(try database.run(query, values))
        format.write(result.table, result.document)
    }

    /// Built-in queries and those of `--queries`, by name.
    private func catalogue() throws -> [Query] {
        guard let queries else { return QueryCatalogue.all }
        guard let files = try? FileManager.default.contentsOfDirectory(atPath: queries) else {
            throw CommandFailure("cannot read the folder `\(queries)`")
        }
        let own = try files.filter { $0.hasSuffix(".sql") }.map { file in
            guard let text = try? String(contentsOfFile: "\(queries)/\(file)", encoding: .utf8) else {
                throw CommandFailure("cannot read `\(queries)/\(file)`")
            }
            return Query(name: String(file.dropLast(4)), sql: text)
        }
        return (QueryCatalogue.all.filter { built in !own.contains { $0.name == built.name } } + own).sorted { $0.name < $1.name }
    }
}

extension Query.Field {
    fileprivate var document: JSONValue {
        .members(["name": .string(name), "type": .string(type), "meaning": .string(meaning)])
    }
}
