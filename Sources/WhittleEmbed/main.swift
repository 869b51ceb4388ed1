// Writes one Swift file holding the given text files as string constants: WhittleEmbed OUT.swift EnumName FILE…
// Run by EmbedPlugin on each build, so the embedded text can never differ from the files.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    FileHandle.standardError.write(Data("usage: WhittleEmbed OUT.swift EnumName FILE…\n".utf8))
    exit(64)
}
var output = "// Generated from the files named below; do not edit.\n\npackage enum \(arguments[2]) {\n"
output += "    package static let files: [(name: String, text: String)] = [\n"
for path in arguments.dropFirst(3) {
    let name = URL(fileURLWithPath: path).lastPathComponent
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let indented = text.split(separator: "\n", omittingEmptySubsequences: false).map { "        " + $0 }
    output +=
        "        (\n        \"\(name)\",\n        ###\"\"\"\n" + indented.joined(separator: "\n") + "\n        \"\"\"###\n        ),\n"
}
output += "    ]\n}\n"
try output.write(toFile: arguments[1], atomically: true, encoding: .utf8)
