/// What audit logs cannot tell, whatever the cluster did.
public enum AuditLimits {
    /// By what is wrapped around events: what its events never tell. Silence about it proves nothing.
    public static let cannotCarry: [String: [String]] = [
        "gke": [
            "groups of the user", "uid and extra of the user, so pods", "codes of HTTP",
            "reads (get, list, watch), unless Data Access logs are enabled",
        ],
        "aks-admin": ["reads (get, list)", "impersonated users, in the table AKSAuditAdmin"],
        "aks-table": ["impersonated users"],
    ]
}
