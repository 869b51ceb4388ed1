-- title:   What each binding allowed, and when last
-- answers: each distinct request whose reason names a binding; what no reason names may still be needed, for a reason names one grant only
-- param:   :binding_kind       text     RoleBinding or ClusterRoleBinding
-- param:   :binding_namespace  text     '' for a ClusterRoleBinding
-- param:   :binding            text     name of the binding
-- unset:   any value; leaving one out widens the answer
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding_namespace   text     '' for a ClusterRoleBinding
-- column:  binding             text     name of the binding, as the reason tells it
-- column:  bound               integer  1 = the loaded state has this binding
-- column:  user                text     whose rights were used: the impersonated user if any
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  path                text?    decoded, without query; NULL for a resource
-- column:  namespace           text     '' is a cluster-wide request or a URL
-- column:  name                text     '' is a request that carried no name
-- column:  count               integer  count of completed requests; 0 = a watch or exec that is still open
-- column:  first_seen          integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- source:  docs/coverage.md
SELECT r.binding_kind, r.binding_namespace, r.binding_name AS binding,
       EXISTS (SELECT 1 FROM binding AS b WHERE b.kind = r.binding_kind AND b.namespace = r.binding_namespace AND b.name = r.binding_name) AS bound,
       i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name,
       sum(u.count) AS count, min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
FROM reason AS r JOIN usage AS u ON u.reason_id = r.reason_id AND u.decision = 'allow'
JOIN identity AS i ON i.identity_id = u.identity_id JOIN atom AS t ON t.atom_id = u.atom_id
JOIN namespace AS n ON n.namespace_id = u.namespace_id JOIN object_name AS o ON o.object_name_id = u.object_name_id
WHERE r.binding_name IS NOT NULL AND (:binding_kind IS NULL OR r.binding_kind = :binding_kind)
  AND (:binding_namespace IS NULL OR r.binding_namespace = :binding_namespace) AND (:binding IS NULL OR r.binding_name = :binding)
GROUP BY r.binding_kind, r.binding_namespace, r.binding_name, u.identity_id, u.atom_id, u.namespace_id, u.object_name_id
ORDER BY 1, 2, 3, 5, 7, 8, 9, 10, 11, 6
