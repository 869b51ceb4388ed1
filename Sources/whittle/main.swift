import Foundation
import WhittleCommands

exit(WhittleCommand.run(Array(CommandLine.arguments.dropFirst())))
