/// What a record says about itself: which log it is of, and whether it is one at all.
extension AuditVisitor {
    /// Whether a record says that it is of the log that AKS writes without reads.
    static func isAdmin(_ value: DocumentValue) -> Bool {
        ((value.value("category") ?? value.value("Category"))?.isText("kube-audit-admin") ?? false)
            || ((value.value("Type") ?? value.value("TableName")).map(isAdminTable) ?? false)
    }

    static func isAdminTable(_ name: DocumentValue) -> Bool { name.isText("AKSAuditAdmin") || name.isText("ArcK8sAuditAdmin") }

    /// Whether an object is what stands before each document that is sent to Elasticsearch: what to do with it.
    static func isBulkAction(_ value: DocumentValue) -> Bool {
        var members = value.members.makeIterator()
        guard let (name, target) = members.next(), members.next() == nil, target.kind == .object else { return false }
        return ["index", "create", "update", "delete"].contains(name.string)
            && target.members.allSatisfy { key, _ in key.string.map { $0.hasPrefix("_") || $0 == "require_alias" } ?? false }
    }

    /// Whether an entry of Google Cloud is of an API server, in their cloud or elsewhere.
    static func isKubernetes(_ service: DocumentValue) -> Bool {
        service.isText("k8s.io") || service.isText("anthosgke.googleapis.com")
    }

    /// The tables `AKSAudit` and `AKSAuditAdmin` have no column for who was impersonated, unless a query has made one.
    static func nameOfRow(in envelope: String, hasImpersonatedUser: Bool) -> String {
        if envelope == "aks-admin" { return envelope }
        return hasImpersonatedUser ? envelope.isEmpty ? "aks" : envelope : "aks-table"
    }

    /// Whether a record says that it is of another log of the control plane, which holds no events.
    static func isOtherLog(_ value: DocumentValue) -> Bool {
        if let category = (value.value("category") ?? value.value("Category"))?.string { return isOther(category: category) }
        // An entry of Google Cloud that is no audit log entry.
        if value.value("logName")?.kind == .string, value.value("textPayload") != nil || value.value("jsonPayload") != nil { return true }
        return (value.value("logStreamName") ?? value.value("logStream") ?? value.value("@logStream")).map(isOtherStream) ?? false
    }

    static func isOther(category: String) -> Bool {
        let others = [
            "guard", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cluster-autoscaler", "cloud-controller-manager",
            "AllMetrics",
        ]
        return others.contains(category) || category.hasPrefix("csi-")
    }

    static func isOtherStream(_ name: DocumentValue) -> Bool {
        name.kind == .string && AuditEnvelope.isOther(stream: name.bytes[...])
    }
}
