-- title:   What a user needs, as far as the logs prove
-- answers: each distinct request that was made and allowed, and each check that one of them implies
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     who needs it
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  path                text?    NULL for a resource
-- column:  namespace           text     '' is a cluster-wide request or a URL
-- column:  name                text     '' is a request that carried no name
-- column:  cause               text     'request', or why it is implied
-- column:  count               integer  count of requests that prove it; 0 = an open watch or exec
-- source:  docs/proposing.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name, q.cause, sum(q.count) AS count
FROM (
  SELECT identity_id, atom_id, namespace_id, object_name_id, 'request' AS cause, count FROM usage
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
  UNION ALL
  SELECT identity_id, atom_id, namespace_id, object_name_id, cause, count FROM implied_need
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
) AS q
CROSS JOIN identity AS i ON i.identity_id = q.identity_id
CROSS JOIN atom AS t ON t.atom_id = q.atom_id
CROSS JOIN namespace AS n ON n.namespace_id = q.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = q.object_name_id
GROUP BY q.identity_id, q.atom_id, q.namespace_id, q.object_name_id, q.cause
ORDER BY 1, 3, 4, 5, 6, 7, 2, 8
