-- title:   Which bindings name a subject
-- answers: each binding that names the subject itself or a group it is in, with its role
-- param:   :user               text     user name; a service account is 'system:serviceaccount:<namespace>:<name>'; '' for a group alone
-- param:   :groups             text     JSON array of groups
-- unset:   both left out: every subject that a binding names
-- column:  subject_kind        text     User, Group or ServiceAccount, the one that is named
-- column:  subject_namespace   text?    namespace of a ServiceAccount; NULL for the others
-- column:  subject_name        text     name of the subject
-- column:  scope_namespace     text?    where the binding holds; NULL = in every namespace
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     as the roleRef says
-- column:  role                text     as the roleRef says
-- column:  dangling            integer  1 = the role does not exist: the binding grants nothing
-- column:  assumed             integer  1 = from the built-in defaults
-- column:  file                text?    input that holds the binding; NULL = built in
-- column:  line                integer? 1-based
-- column:  column              integer? 1-based, in characters
-- source:  docs/effective-permissions.md
WITH who AS MATERIALIZED (
  SELECT identity_id FROM identity WHERE kind = 'User' AND name = :user
  UNION
  SELECT identity_id FROM identity WHERE kind = 'Group' AND name IN (SELECT value FROM json_each(:groups))
  UNION
  SELECT identity_id FROM identity WHERE :user IS NULL AND :groups IS NULL
)
SELECT CASE WHEN sa.identity_id IS NULL THEN i.kind ELSE 'ServiceAccount' END AS subject_kind, sa.namespace AS subject_namespace,
       coalesce(sa.name, i.name) AS subject_name, nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding,
       b.role_ref_kind AS role_kind, b.role_ref_name AS role, b.role_id IS NULL AS dangling, b.assumed, f.path AS file, b.line, b.column
FROM who CROSS JOIN identity AS i ON i.identity_id = who.identity_id
CROSS JOIN binding_subject AS s ON s.identity_id = who.identity_id
CROSS JOIN binding AS b ON b.binding_id = s.binding_id
LEFT JOIN service_account AS sa ON sa.identity_id = i.identity_id
LEFT JOIN source AS f ON f.source_id = b.source_id
GROUP BY b.binding_id, i.identity_id
ORDER BY i.kind DESC, subject_name, scope_namespace, binding_kind, binding
