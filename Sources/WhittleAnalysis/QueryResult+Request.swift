import WhittleModel
import WhittleStore

extension QueryResult.Row {
    /// The request that the columns verb, api_group, resource (with subresource), path, namespace and name tell.
    var request: Request {
        let verb = self["verb"].string ?? ""
        if let path = self["path"].string { return Request(verb: verb, path: path) }
        let (resource, subresource) = (self["resource"].string ?? "").splitBytes(at: "/")
        return Request(
            verb: verb, apiGroup: self["api_group"].string ?? "", resource: resource, subresource: subresource ?? "",
            namespace: self["namespace"].string ?? "", name: self["name"].string ?? "")
    }
}
