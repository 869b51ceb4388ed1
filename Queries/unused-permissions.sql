-- title:   Granted to an account and never used
-- answers: each rule of a binding that names the account itself, with the verbs, groups and resources that no allowed request needed
-- param:   :user               text     user name of the account; only accounts with usage are judged
-- unset:   every account that usage was seen of
-- column:  user                text     user name of the account
-- column:  scope_namespace     text?    where the grant holds; NULL = in every namespace
-- column:  binding_kind        text     RoleBinding or ClusterRoleBinding
-- column:  binding             text     name of the binding
-- column:  role_kind           text     Role or ClusterRole
-- column:  role                text     name of the role
-- column:  rule                integer  0-based position of the rule in the role
-- column:  verb                text     as the rule writes it
-- column:  api_group           text?    NULL for a URL
-- column:  resource            text?    NULL for a URL
-- column:  url                 text?    NULL for a resource
-- source:  docs/proposing.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
), asked AS MATERIALIZED (                     -- what each account was allowed, implied checks included
  SELECT identity_id, atom_id, namespace_id, object_name_id FROM usage
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
  UNION
  SELECT identity_id, atom_id, namespace_id, object_name_id FROM implied_need
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
), pattern AS MATERIALIZED (                     -- the grant atoms that each asked atom can match
  SELECT d.atom_id AS asked_id, p.atom_id
  FROM (SELECT DISTINCT atom_id FROM asked) AS d CROSS JOIN atom AS q ON q.atom_id = d.atom_id
  CROSS JOIN atom AS p ON p.resource IN ('*', q.resource, '*' || substr(q.resource, nullif(instr(q.resource, '/'), 0)))
   AND p.verb IN ('*', q.verb) AND p.api_group IN ('*', q.api_group)
  UNION
  SELECT d.atom_id, p.atom_id
  FROM (SELECT DISTINCT atom_id FROM asked) AS d CROSS JOIN atom AS q ON q.atom_id = d.atom_id AND q.url IS NOT NULL
  CROSS JOIN atom AS p ON p.url IS NOT NULL AND p.verb IN ('*', q.verb) AND (p.url = q.url OR substr(q.url, 1, length(p.url_prefix)) = p.url_prefix)
), held AS MATERIALIZED (
  SELECT DISTINCT s.identity_id, b.binding_id, b.namespace_id, b.role_id
  FROM (SELECT DISTINCT identity_id FROM asked) AS who CROSS JOIN binding_subject AS s ON s.identity_id = who.identity_id
  CROSS JOIN binding AS b ON b.binding_id = s.binding_id WHERE b.role_id IS NOT NULL
), used AS MATERIALIZED (
  SELECT DISTINCT held.identity_id, held.binding_id, a.atom_id, a.ordinal
  FROM asked CROSS JOIN pattern ON pattern.asked_id = asked.atom_id
  CROSS JOIN held ON held.identity_id = asked.identity_id AND held.namespace_id IN (0, asked.namespace_id)
  CROSS JOIN rule_atom AS a ON a.role_id = held.role_id AND a.atom_id = pattern.atom_id
  WHERE a.named = 0 OR EXISTS (SELECT 1 FROM rule_name AS n WHERE n.role_id = a.role_id AND n.ordinal = a.ordinal AND n.object_name_id = asked.object_name_id)
)
SELECT i.name AS user, nullif(b.namespace, '') AS scope_namespace, b.kind AS binding_kind, b.name AS binding, r.kind AS role_kind, r.name AS role,
       a.ordinal AS rule, t.verb, t.api_group, t.resource, t.url
FROM held CROSS JOIN identity AS i ON i.identity_id = held.identity_id CROSS JOIN binding AS b ON b.binding_id = held.binding_id
CROSS JOIN role AS r ON r.role_id = held.role_id CROSS JOIN rule_atom AS a ON a.role_id = held.role_id
CROSS JOIN atom AS t ON t.atom_id = a.atom_id AND (t.url IS NULL OR held.namespace_id = 0)
WHERE NOT EXISTS (SELECT 1 FROM used WHERE used.identity_id = held.identity_id AND used.binding_id = held.binding_id AND used.atom_id = a.atom_id AND used.ordinal = a.ordinal)
ORDER BY 1, 2, 4, 7, 9, 10, 11, 8
