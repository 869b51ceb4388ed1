-- title:   What default service accounts are bound to
-- answers: each binding that names an account called default: every pod that names no account holds it
-- unset:   nothing; the query has no parameters
-- column:  namespace           text     namespace of the account
-- column:  scope_namespace     text?    where the binding holds; NULL = in every namespace
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     as the roleRef says
-- column:  role                text     as the roleRef says
-- column:  pods                integer  count of pods that run as the account
-- source:  docs/effective-permissions.md
SELECT sa.namespace, nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding, b.role_ref_kind AS role_kind,
       b.role_ref_name AS role, (SELECT count(*) FROM pod AS p WHERE p.identity_id = sa.identity_id) AS pods
FROM service_account AS sa JOIN binding_subject AS s ON s.identity_id = sa.identity_id JOIN binding AS b ON b.binding_id = s.binding_id
WHERE sa.name = 'default'
GROUP BY sa.identity_id, b.binding_id
ORDER BY 1, 2, 3, 4
