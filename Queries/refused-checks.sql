-- title:   Checks inside requests that were refused
-- answers: each right that a request of a user needed beside its own attributes and did not have: impersonation, access reviews
-- param:   :user        text     only this user
-- unset:   every user
-- column:  user         text     who lacked it; for impersonation the one who really asked
-- column:  verb         text     as the authorizer saw it
-- column:  api_group    text?    '' is the core group; NULL for a URL
-- column:  resource     text?    with subresource; NULL for a URL
-- column:  path         text?    NULL for a resource
-- column:  namespace    text     '' is a cluster-wide request or a URL
-- column:  name         text     '' is a request that carried no name
-- column:  cause        text     'impersonation', 'access-review', and others
-- column:  count        integer  count of requests
-- column:  last_seen    integer  microseconds since 1970-01-01 UTC
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name, q.cause, q.count, q.last_seen
FROM who AS i CROSS JOIN implied_need AS q ON q.identity_id = i.identity_id AND q.decision = 'forbid'
CROSS JOIN atom AS t ON t.atom_id = q.atom_id CROSS JOIN namespace AS n ON n.namespace_id = q.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = q.object_name_id
ORDER BY 1, 3, 4, 5, 6, 7, 2, 8
