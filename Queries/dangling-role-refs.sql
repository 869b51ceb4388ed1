-- title:   Bindings whose role does not exist
-- answers: each binding that grants nothing until a role of that name appears
-- unset:   nothing; the query has no parameters
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  namespace           text     '' for a ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     as the roleRef says
-- column:  role                text     as the roleRef says
-- column:  subjects            integer  count of subjects that would be granted it
-- column:  file                text?    input that holds the binding
-- column:  line                integer? 1-based
-- column:  column              integer? 1-based, in characters
-- source:  docs/effective-permissions.md
SELECT b.kind AS binding_kind, b.namespace, b.name AS binding, b.role_ref_kind AS role_kind, b.role_ref_name AS role,
       (SELECT count(DISTINCT s.identity_id) FROM binding_subject AS s WHERE s.binding_id = b.binding_id) AS subjects, f.path AS file, b.line, b.column
FROM binding AS b LEFT JOIN source AS f ON f.source_id = b.source_id
WHERE b.role_id IS NULL
ORDER BY 1, 2, 3
