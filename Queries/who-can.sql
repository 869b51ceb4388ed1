-- title:   Who can make a request
-- answers: each subject that some binding allows, with the binding, the role and the rule
-- param:   :verb               text     'delete'
-- param:   :api_group          text     '' is the core group
-- param:   :resource           text     plural, without subresource: 'pods'
-- param:   :subresource        text     '' is none
-- param:   :resource_name      text     '' is a request that carries no name
-- param:   :namespace          text     '' is a cluster-wide request
-- unset:   any value; leaving one out widens the answer, never narrows it
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
-- column:  names               text?    JSON array of these names as written; NULL = any request
-- column:  assumed             integer  1 = binding or role come from the built-in defaults, not from the input
-- column:  file                text?    input that holds the rule; NULL = built in
-- column:  line                integer? 1-based line of the rule
-- column:  column              integer? 1-based column of the rule, in characters
-- column:  service_accounts    integer  count of service accounts behind the subject: 1, or the members of a group, 0 for a user
-- column:  pods                integer  count of pods that hold an API token of one of them
-- source:  docs/rbac-semantics.md#matching
WITH scope(lo, hi) AS MATERIALIZED (            -- a request sees ClusterRoleBindings (0) and the RoleBindings of its namespace
  SELECT 0, CASE WHEN :namespace IS NULL THEN (SELECT max(namespace_id) FROM namespace) ELSE 0 END
  UNION ALL
  SELECT namespace_id, namespace_id FROM namespace WHERE name = :namespace AND namespace_id > 0
), pattern AS MATERIALIZED (                    -- atoms that match the request
  SELECT atom_id FROM atom                      -- all four set: at most 12 probes of atom_resource
  WHERE resource IN ('*', :resource || CASE :subresource WHEN '' THEN '' ELSE '/' || :subresource END,
                     CASE :subresource WHEN '' THEN NULL ELSE '*/' || :subresource END)
    AND verb IN ('*', :verb) AND api_group IN ('*', :api_group)
  UNION
  SELECT atom_id FROM atom                      -- something unset: reads the dictionary once, never rule_atom
  WHERE (:verb IS NULL OR :api_group IS NULL OR :resource IS NULL OR :subresource IS NULL)
    AND resource IS NOT NULL
    AND (:verb IS NULL OR verb IN ('*', :verb))
    AND (:api_group IS NULL OR api_group IN ('*', :api_group))
    AND CASE
        WHEN resource = '*' THEN 1
        WHEN :resource IS NULL AND :subresource IS NULL THEN 1
        WHEN :resource IS NULL AND :subresource = '' THEN instr(resource, '/') = 0
        WHEN :resource IS NULL THEN substr(resource, -1 - length(:subresource)) = '/' || :subresource
        WHEN :subresource IS NULL THEN resource = :resource OR substr(resource, 1, 2) = '*/'
                                       OR substr(resource, 1, 1 + length(:resource)) = :resource || '/'
        WHEN :subresource = '' THEN resource = :resource
        ELSE resource IN (:resource || '/' || :subresource, '*/' || :subresource) END
), matched AS MATERIALIZED (                    -- roles with a rule that allows it
  SELECT role_id, pick % 1048576 AS ordinal, pick / 1048576 AS named FROM (
    SELECT a.role_id, min(a.named * 1048576 + a.ordinal) AS pick  -- an unrestricted rule before one with names, then the first
    FROM pattern CROSS JOIN scope
    CROSS JOIN rule_atom AS a ON a.atom_id = pattern.atom_id AND a.namespace_id BETWEEN scope.lo AND scope.hi
    WHERE a.named = 0 OR :resource_name IS NULL OR EXISTS (SELECT 1 FROM rule_name AS n WHERE n.role_id = a.role_id AND n.ordinal = a.ordinal
                AND n.object_name_id = (SELECT object_name_id FROM object_name WHERE name = :resource_name))
    GROUP BY a.role_id)
), hit AS MATERIALIZED (                        -- a subject listed twice counts once
  SELECT DISTINCT b.binding_id, s.identity_id, matched.role_id, matched.ordinal, matched.named
  FROM matched CROSS JOIN scope
  CROSS JOIN binding AS b ON b.role_id = matched.role_id AND b.namespace_id BETWEEN scope.lo AND scope.hi
  CROSS JOIN binding_subject AS s ON s.binding_id = b.binding_id
)
SELECT CASE WHEN sa.identity_id IS NULL THEN i.kind ELSE 'ServiceAccount' END AS subject_kind,
       sa.namespace AS subject_namespace, coalesce(sa.name, i.name) AS subject_name,
       nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding, r.kind AS role_kind, r.name AS role,
       hit.ordinal AS rule, hit.named AS only_named,
       CASE WHEN hit.named THEN w.resource_names END AS names,
       max(b.assumed, r.assumed) AS assumed, f.path AS file, w.line, w.column,
       CASE WHEN sa.identity_id IS NOT NULL THEN 1 ELSE coalesce(z.service_accounts, 0) END AS service_accounts,
       CASE WHEN sa.identity_id IS NOT NULL THEN (SELECT count(*) FROM (SELECT 1 FROM pod_token AS k WHERE k.identity_id = sa.identity_id AND k.audience IS NULL GROUP BY k.pod_id))
            ELSE coalesce(z.pods, 0) END AS pods
FROM hit CROSS JOIN binding AS b ON b.binding_id = hit.binding_id
CROSS JOIN identity AS i ON i.identity_id = hit.identity_id
CROSS JOIN role AS r ON r.role_id = hit.role_id
CROSS JOIN rule AS w ON w.role_id = hit.role_id AND w.ordinal = hit.ordinal
LEFT JOIN source AS f ON f.source_id = w.source_id
LEFT JOIN service_account AS sa ON sa.identity_id = i.identity_id
LEFT JOIN group_size AS z ON z.group_id = i.identity_id
ORDER BY 1, 2, 3, b.namespace, binding
