import Foundation
import WhittleCommands

Interruption.keepStandardStreams()
Interruption.handle()
exit(WhittleCommand.run(Array(CommandLine.arguments.dropFirst())))
