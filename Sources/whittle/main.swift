import Foundation
import WhittleCommands

Interruption.handle()
exit(WhittleCommand.run(Array(CommandLine.arguments.dropFirst())))
