import CScan
import Foundation
import WhittleCommands

tune_memory()
Interruption.keepStandardStreams()
Interruption.handle()
exit(WhittleCommand.run(Array(CommandLine.arguments.dropFirst())))
