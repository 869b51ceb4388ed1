import Dispatch
import Foundation

/// Keeps other processes of Whittle from replacing or extending a database meanwhile.
///
/// A load reads the usage of the old file and then puts a new file in its place; usage that another process added between
/// the two would be lost. SQLite's own locks do not help, because they belong to the file and not to its name.
final class FileLock {
    private let descriptor: Int32
    /// The file that is locked, to be compared with the one that was opened.
    let inode: UInt64
    private let syncing = DispatchQueue(label: "whittle.sync")

    /// Waits for the lock on the file at `path`; `nil` when there is no such file or its file system knows no locks.
    init?(_ path: String) {
        while true {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            while flock(descriptor, LOCK_EX) != 0 {
                guard errno == EINTR else {
                    close(descriptor)
                    return nil
                }
            }
            var locked = stat()
            guard fstat(descriptor, &locked) == 0, let named = Self.inode(of: path) else {
                close(descriptor)
                return nil
            }
            if named == UInt64(locked.st_ino) {
                self.descriptor = descriptor
                inode = named
                return
            }
            // Another load has put a new file there while this one waited.
            close(descriptor)
        }
    }

    /// Has what the file holds by now written to disk meanwhile; `endSync` must be called behind it.
    ///
    /// What could not be written is told to whoever commits: he syncs through a descriptor of his own.
    func beginSync() {
        syncing.async { [descriptor] in _ = fdatasync(descriptor) }
    }

    /// Returns when no sync is under way.
    func endSync() { syncing.sync {} }

    deinit { close(descriptor) }

    /// The number of the file that a path names; `nil` when there is none.
    static func inode(of path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }
}
