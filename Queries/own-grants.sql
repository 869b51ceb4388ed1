-- title:   What each account is granted by name, and since when
-- answers: each atom of a binding that names the service account itself, with the age of binding, role and account
-- param:   :user               text     only this user
-- unset:   every service account
-- column:  user                text     user name of the account
-- column:  scope_namespace     text?    where the grant holds; NULL = in every namespace and for cluster-scoped objects
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     Role or ClusterRole
-- column:  role                text     name of the role
-- column:  rule                integer  0-based position of the rule in the role
-- column:  verb                text     as the rule writes it; '*' = every verb
-- column:  api_group           text?    NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  url                 text?    NULL for a resource
-- column:  only_named          integer  1 = the rule holds for its resourceNames only
-- column:  names               text?    JSON array of these names; NULL = any request
-- column:  assumed             integer  1 = binding or role come from the built-in defaults, not from the input
-- column:  binding_created_at  integer? microseconds since 1970-01-01 UTC; NULL unknown
-- column:  role_created_at     integer? microseconds since 1970-01-01 UTC; NULL unknown
-- column:  account_created_at  integer? microseconds since 1970-01-01 UTC; NULL unknown
-- column:  file                text?    input that holds the rule; NULL = built in
-- column:  line                integer? 1-based line of the rule
-- column:  column              integer? 1-based column of the rule, in characters
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding, r.kind AS role_kind, r.name AS role,
       a.ordinal AS rule, t.verb, t.api_group, t.resource, t.url, a.named AS only_named,
       CASE WHEN a.named THEN (SELECT json_group_array(name) FROM (SELECT o.name FROM rule_name AS n JOIN object_name AS o USING (object_name_id)
                            WHERE n.role_id = a.role_id AND n.ordinal = a.ordinal ORDER BY o.name)) END AS names,
       max(b.assumed, r.assumed) AS assumed, b.created_at AS binding_created_at, r.created_at AS role_created_at, sa.created_at AS account_created_at,
       f.path AS file, w.line, w.column
FROM who AS i CROSS JOIN service_account AS sa ON sa.identity_id = i.identity_id
CROSS JOIN binding_subject AS s ON s.identity_id = sa.identity_id
CROSS JOIN binding AS b ON b.binding_id = s.binding_id
CROSS JOIN role AS r ON r.role_id = b.role_id
CROSS JOIN rule_atom AS a ON a.role_id = b.role_id
CROSS JOIN atom AS t ON t.atom_id = a.atom_id AND (t.url IS NULL OR b.namespace_id = 0)
CROSS JOIN rule AS w ON w.role_id = a.role_id AND w.ordinal = a.ordinal
LEFT JOIN source AS f ON f.source_id = w.source_id
GROUP BY sa.identity_id, b.binding_id, a.atom_id, a.ordinal
ORDER BY 1, 2, 4, 7, 9, 10, 11, 8
