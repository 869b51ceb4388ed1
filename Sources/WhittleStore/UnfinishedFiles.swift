import Foundation
import Synchronization

/// Files that are being written beside their final place, so that an interrupted process can take them along.
public enum UnfinishedFiles {
    private static let paths = Mutex<Set<String>>([])

    package static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }
    package static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes every file that is being written; the process must end after this.
    public static func deleteAll() {
        for path in paths.withLock({ $0 }) { unlink(path) }
    }
}
