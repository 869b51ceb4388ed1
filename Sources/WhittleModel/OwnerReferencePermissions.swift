/// What admission plugin OwnerReferencesPermissionEnforcement checks when owners of an object change (semantics HID-5).
///
/// Off by default upstream. Follows plugin/pkg/admission/gc/gc_admission.go.
public enum OwnerReferencePermissions {
    /// An entry of metadata.ownerReferences.
    public struct Owner: Hashable, Sendable {
        /// `apps/v1`, or `v1` for the core group.
        public var apiVersion: String
        /// The kind, as written.
        public var kind: String
        /// The name.
        public var name: String
        /// The uid, by which references are told apart.
        public var uid: String
        /// `nil` and false do not block.
        public var blockOwnerDeletion: Bool?

        /// Creates a reference.
        public init(apiVersion: String, kind: String, name: String, uid: String, blockOwnerDeletion: Bool? = nil) {
            (self.apiVersion, self.kind, self.name, self.uid) = (apiVersion, kind, name, uid)
            self.blockOwnerDeletion = blockOwnerDeletion
        }
    }

    /// What a write needs.
    public struct Checks: Hashable, Sendable {
        /// Whether `delete` on the object itself, with its subresource, is needed.
        public var deletesObject: Bool
        /// Owners on whose finalizers `update` is needed.
        public var blocking: [Owner]
    }

    /// The checks of a write.
    ///
    /// - Parameters:
    ///   - resource: of the object that is written.
    ///   - old: its owners before; `nil` = it is created.
    public static func checks(resource: String, subresource: String, old: [Owner]?, new: [Owner]) -> Checks {
        // The kubelet writes status with the owners as they were read.
        guard resource != "pods" || subresource != "status" else { return Checks(deletesObject: false, blocking: []) }
        let before = (old ?? []).filter { $0.blockOwnerDeletion ?? false }
        let blocking = new.filter { owner in
            (owner.blockOwnerDeletion ?? false) && !before.contains { $0.uid.isSameBytes(as: owner.uid) }
        }
        return Checks(deletesObject: old.map { $0 != new } ?? false, blocking: blocking)
    }
}
