import WhittleModel

/// A SubjectAccessReview that a real API server answered.
package struct Decision: Sendable {
    package var user: UserInfo
    package var request: Request
    package var isAllowed: Bool
    package var reason: String

    package init?(line: String) {
        guard let json = JSON(data: .init(line.utf8)) else { return nil }
        user = UserInfo(name: json["user"].string ?? "", groups: json["groups"].strings)
        request = json.request
        isAllowed = json["allowed"].bool ?? false
        reason = json["reason"].string ?? ""
    }

    /// Whether the Node authorizer decided it: a node identity that is allowed with an empty reason, or denied with its texts
    /// while RBAC allows nothing.
    package func isDecidedByNodeAuthorizer(rbacAllows: Bool) -> Bool {
        guard user.name.hasPrefix("system:node:"), user.groups.contains("system:nodes"), !rbacAllows else { return false }
        return isAllowed && reason.isEmpty
    }

    /// Reads recorded decisions.
    package static func read(_ path: String) throws -> [Decision] { try Fixtures.lines(path).compactMap(Decision.init) }
}
