-- title:   What an account was seen to ask
-- answers: each distinct request of a user with how often it was allowed and refused, and each check that one of them implies
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     whose rights were used
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  path                text?    NULL for a resource
-- column:  namespace           text     '' is a cluster-wide request or a URL
-- column:  name                text     '' is a request that carried no name
-- column:  implied             integer  1 = only ever implied by other requests, never made itself
-- column:  allowed             integer  1 = it was allowed at least once
-- column:  refused             integer  1 = it was refused at least once
-- column:  allowed_count       integer  count of completed requests that were allowed; 0 with allowed = 1 is an open watch or exec
-- column:  refused_count       integer  count of requests that were refused
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC when it was last allowed, refused when it never was
-- column:  names_dropped       integer? 1 = there were too many names to keep any (--max-names); NULL = names are kept
-- source:  docs/declared-usage.md#compare
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name, min(q.implied) AS implied,
       max(q.decision = 'allow') AS allowed, max(q.decision = 'forbid') AS refused,
       sum(CASE WHEN q.decision = 'allow' THEN q.count ELSE 0 END) AS allowed_count,
       sum(CASE WHEN q.decision = 'forbid' THEN q.count ELSE 0 END) AS refused_count,
       coalesce(max(CASE WHEN q.decision = 'allow' THEN q.last_seen END), max(q.last_seen)) AS last_seen,
       (SELECT 1 FROM names_dropped AS d WHERE d.identity_id = q.identity_id AND d.atom_id = q.atom_id) AS names_dropped
FROM (
  SELECT identity_id, atom_id, namespace_id, object_name_id, 0 AS implied, decision, count, last_seen FROM usage
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision IN ('allow', 'forbid')
  UNION ALL
  SELECT identity_id, atom_id, namespace_id, object_name_id, 1, decision, count, last_seen FROM implied_need
  WHERE identity_id IN (SELECT identity_id FROM who) AND decision = 'allow'
) AS q
CROSS JOIN identity AS i ON i.identity_id = q.identity_id
CROSS JOIN atom AS t ON t.atom_id = q.atom_id
CROSS JOIN namespace AS n ON n.namespace_id = q.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = q.object_name_id
GROUP BY q.identity_id, q.atom_id, q.namespace_id, q.object_name_id
ORDER BY 1, 3, 4, 5, 6, 7, 2
