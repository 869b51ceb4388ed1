import CScan
import Foundation
import WhittleCommands

let arguments = Array(CommandLine.arguments.dropFirst())
// Before there is another thread. Manifests are read quicker with memory of each thread's own.
if arguments.first == "usage" { tune_memory() }
Interruption.keepStandardStreams()
Interruption.handle()
exit(WhittleCommand.run(arguments))
