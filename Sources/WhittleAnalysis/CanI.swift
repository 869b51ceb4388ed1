import WhittleModel
import WhittleStore

/// Whether one identity may make one request, and through what.
public struct CanI: Sendable {
    /// Every binding that allows it.
    public var grants: [Grant]
    /// `system:masters` when that group allows everything before any authorizer is asked; `nil` otherwise.
    public var bypass: String?
    /// Kinds the input did not hold although a "no" needs them.
    public var missingKinds: [String]

    /// Whether the request is allowed.
    public var isAllowed: Bool { bypass != nil || !grants.isEmpty }

    /// Asks a database; the groups count exactly as given.
    public init(_ request: Request, by user: UserInfo, in database: WhittleDatabase) throws(StoreError) {
        missingKinds = try database.completeness().missingKinds(forNamespace: request.isResourceRequest ? request.namespace : "")
        grants = []
        if user.groups.containsBytes(ImplicitGroup.masters) {
            bypass = ImplicitGroup.masters
            return
        }
        let who: [String: SQLValue] = ["user": .text(user.name), "groups": .list(user.groups), "verb": .text(request.verb)]
        if let path = request.path {
            grants = try database.run("can-i-url", who.merging(["path": .text(path)]) { $1 }).named.map(Grant.init)
        } else {
            grants = try database.run(
                "can-i",
                who.merging([
                    "api_group": .text(request.apiGroup), "resource": .text(request.resource),
                    "subresource": .text(request.subresource), "resource_name": .text(request.name),
                    "namespace": .text(request.namespace),
                ]) { $1 }
            ).named.map(Grant.init)
        }
    }
}
