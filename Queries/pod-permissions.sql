-- title:   What one pod may do
-- answers: each atom that the pod's API tokens are granted, with scope and the path that grants it
-- param:   :namespace          text     namespace of the pod
-- param:   :pod                text     name of the pod
-- unset:   no pod; set both
-- column:  acts_as             text     user name of the service account whose token it is
-- column:  verb                text     as the rule writes it; '*' = every verb
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    with subresource: 'pods/exec'; NULL for a URL
-- column:  url                 text?    URL pattern; NULL for a resource
-- column:  subject_kind        text     User, Group or ServiceAccount
-- column:  subject_namespace   text?    namespace of a ServiceAccount; NULL for the others
-- column:  subject_name        text     name of the subject
-- column:  scope_namespace     text?    where the grant holds; NULL = in every namespace and for cluster-scoped objects
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding; a RoleBinding is in scope_namespace
-- column:  role_kind           text     Role or ClusterRole
-- column:  role                text     name of the role; a Role is in scope_namespace
-- column:  rule                integer  0-based position of the rule in the role
-- column:  only_named          integer  1 = the rule holds for its resourceNames only
-- column:  names               text?    JSON array of these names; NULL = any request
-- column:  assumed             integer  1 = binding or role come from the built-in defaults, not from the input
-- column:  file                text?    input that holds the rule; NULL = built in
-- column:  line                integer? 1-based line of the rule
-- column:  column              integer? 1-based column of the rule, in characters
-- source:  docs/effective-permissions.md
WITH me AS MATERIALIZED (                       -- whom its tokens speak for, and their groups
  SELECT DISTINCT k.identity_id, k.identity_id AS via FROM pod AS p CROSS JOIN pod_token AS k ON k.pod_id = p.pod_id
  WHERE p.namespace = :namespace AND p.name = :pod AND k.audience IS NULL
), who AS MATERIALIZED (
  SELECT identity_id, via FROM me
  UNION
  SELECT g.group_id, me.via FROM me CROSS JOIN group_membership AS g ON g.identity_id = me.identity_id
)
SELECT (SELECT name FROM identity WHERE identity_id = who.via) AS acts_as, t.verb, t.api_group, t.resource, t.url,
       CASE WHEN sa.identity_id IS NULL THEN i.kind ELSE 'ServiceAccount' END AS subject_kind,
       sa.namespace AS subject_namespace, coalesce(sa.name, i.name) AS subject_name,
       nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding, r.kind AS role_kind, r.name AS role,
       a.ordinal AS rule, a.named AS only_named,
       CASE WHEN a.named THEN (SELECT json_group_array(name) FROM (SELECT o.name FROM rule_name AS n JOIN object_name AS o USING (object_name_id)
                            WHERE n.role_id = a.role_id AND n.ordinal = a.ordinal ORDER BY o.name)) END AS names,
       max(b.assumed, r.assumed) AS assumed, f.path AS file, w.line, w.column
FROM who
CROSS JOIN identity AS i ON i.identity_id = who.identity_id
CROSS JOIN binding_subject AS s ON s.identity_id = who.identity_id
CROSS JOIN binding AS b ON b.binding_id = s.binding_id
CROSS JOIN role AS r ON r.role_id = b.role_id
CROSS JOIN rule_atom AS a ON a.role_id = b.role_id
CROSS JOIN atom AS t ON t.atom_id = a.atom_id AND (t.url IS NULL OR b.namespace_id = 0)
CROSS JOIN rule AS w ON w.role_id = a.role_id AND w.ordinal = a.ordinal
LEFT JOIN source AS f ON f.source_id = w.source_id
LEFT JOIN service_account AS sa ON sa.identity_id = i.identity_id
GROUP BY who.via, b.binding_id, i.identity_id, a.atom_id, a.ordinal
ORDER BY acts_as, i.kind DESC, scope_namespace, t.api_group, t.resource, t.url, binding_kind, binding, rule, t.verb, subject_kind, subject_name  -- own grants before those of groups
