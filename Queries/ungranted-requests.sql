-- title:   Allowed once, not granted now
-- answers: each request that a log shows as allowed and no binding of the loaded state allows
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     who asked
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  path                text?    NULL for a resource
-- column:  namespace           text     '' is a cluster-wide request or a URL
-- column:  name                text     '' is a request that carried no name
-- column:  count               integer  count of completed requests
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC
-- source:  docs/proposing.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
), asked AS MATERIALIZED (
  SELECT identity_id, atom_id, namespace_id, object_name_id, sum(count) AS count, max(last_seen) AS last_seen FROM usage
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
  GROUP BY 1, 2, 3, 4
), pattern AS MATERIALIZED (                     -- the grant atoms that each asked atom can match
  SELECT d.atom_id AS asked_id, p.atom_id
  FROM (SELECT DISTINCT atom_id FROM asked) AS d CROSS JOIN atom AS q ON q.atom_id = d.atom_id
  CROSS JOIN atom AS p ON p.resource IN ('*', q.resource, '*' || substr(q.resource, nullif(instr(q.resource, '/'), 0)))
   AND p.verb IN ('*', q.verb) AND p.api_group IN ('*', q.api_group)
  UNION
  SELECT d.atom_id, p.atom_id
  FROM (SELECT DISTINCT atom_id FROM asked) AS d CROSS JOIN atom AS q ON q.atom_id = d.atom_id AND q.url IS NOT NULL
  CROSS JOIN atom AS p ON p.url IS NOT NULL AND p.verb IN ('*', q.verb) AND (p.url = q.url OR substr(q.url, 1, length(p.url_prefix)) = p.url_prefix)
)
SELECT i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name, asked.count, asked.last_seen
FROM asked CROSS JOIN identity AS i ON i.identity_id = asked.identity_id CROSS JOIN atom AS t ON t.atom_id = asked.atom_id
CROSS JOIN namespace AS n ON n.namespace_id = asked.namespace_id CROSS JOIN object_name AS o ON o.object_name_id = asked.object_name_id
WHERE NOT EXISTS (
  SELECT 1 FROM (SELECT asked.identity_id AS subject_id UNION ALL SELECT g.group_id FROM group_membership AS g WHERE g.identity_id = asked.identity_id) AS who
  CROSS JOIN binding_subject AS s ON s.identity_id = who.subject_id
  CROSS JOIN binding AS b ON b.binding_id = s.binding_id AND b.namespace_id IN (0, CASE WHEN t.url IS NULL THEN asked.namespace_id ELSE 0 END)
  CROSS JOIN pattern ON pattern.asked_id = asked.atom_id
  CROSS JOIN rule_atom AS a ON a.role_id = b.role_id AND a.atom_id = pattern.atom_id
  WHERE a.named = 0 OR EXISTS (SELECT 1 FROM rule_name AS m WHERE m.role_id = a.role_id AND m.ordinal = a.ordinal AND m.object_name_id = asked.object_name_id))
ORDER BY 1, 3, 4, 5, 6, 7, 2
