-- title:   Grants with wildcards
-- answers: each subject that a binding gives a rule with * as verb, API group, resource or URL
-- unset:   nothing; the query has no parameters
-- column:  subject_kind        text     User, Group or ServiceAccount
-- column:  subject_namespace   text?    namespace of a ServiceAccount; NULL for the others
-- column:  subject_name        text     name of the subject
-- column:  scope_namespace     text?    where the grant holds; NULL = in every namespace
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     Role or ClusterRole
-- column:  role                text     name of the role
-- column:  rule                integer  0-based position of the rule in the role
-- column:  verbs               text?    JSON array as written
-- column:  api_groups          text?    JSON array as written
-- column:  resources           text?    JSON array as written
-- column:  urls                text?    JSON array as written
-- source:  docs/effective-permissions.md
WITH wild AS MATERIALIZED (
  SELECT DISTINCT a.role_id, a.ordinal FROM rule_atom AS a JOIN atom AS t ON t.atom_id = a.atom_id
  WHERE t.verb = '*' OR t.api_group = '*' OR t.resource = '*' OR t.url = '*'
)
SELECT CASE WHEN sa.identity_id IS NULL THEN i.kind ELSE 'ServiceAccount' END AS subject_kind, sa.namespace AS subject_namespace,
       coalesce(sa.name, i.name) AS subject_name, nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding,
       r.kind AS role_kind, r.name AS role, wild.ordinal AS rule, w.verbs, w.api_groups, w.resources, w.urls
FROM wild JOIN rule AS w ON w.role_id = wild.role_id AND w.ordinal = wild.ordinal JOIN role AS r ON r.role_id = wild.role_id
JOIN binding AS b ON b.role_id = wild.role_id JOIN binding_subject AS s ON s.binding_id = b.binding_id
JOIN identity AS i ON i.identity_id = s.identity_id LEFT JOIN service_account AS sa ON sa.identity_id = i.identity_id
GROUP BY b.binding_id, i.identity_id, wild.ordinal
ORDER BY 1, 2, 3, 4, 6, 9
