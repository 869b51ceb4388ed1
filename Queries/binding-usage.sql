-- title:   How often the server named each binding
-- answers: each binding with the requests whose reason names it; a binding that is never named may still be needed
-- unset:   nothing; the query has no parameters
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  namespace           text     '' for a ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     as the roleRef says
-- column:  role                text     as the roleRef says
-- column:  count               integer  count of completed requests
-- column:  first_seen          integer? microseconds since 1970-01-01 UTC; NULL = never named
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC; NULL = never named
-- source:  docs/effective-permissions.md
WITH named AS MATERIALIZED (
  SELECT r.binding_kind, r.binding_namespace, r.binding_name, sum(u.count) AS count, min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
  FROM reason AS r JOIN usage AS u ON u.reason_id = r.reason_id WHERE r.binding_name IS NOT NULL GROUP BY 1, 2, 3
)
SELECT b.kind AS binding_kind, b.namespace, b.name AS binding, b.role_ref_kind AS role_kind, b.role_ref_name AS role,
       coalesce(named.count, 0) AS count, named.first_seen, named.last_seen
FROM binding AS b LEFT JOIN named ON named.binding_kind = b.kind AND named.binding_namespace = b.namespace AND named.binding_name = b.name
ORDER BY count DESC, 1, 2, 3
