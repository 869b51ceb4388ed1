-- title:   Where names of objects were not kept
-- answers: each verb on a resource that a user used with more names than a load keeps, so that none is kept
-- param:   :user        text     only this user
-- unset:   every user
-- column:  user         text     whose usage has no names
-- column:  verb         text     for this verb
-- column:  api_group    text?    NULL for a URL
-- column:  resource     text?    with subresource; NULL for a URL
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, t.verb, t.api_group, t.resource
FROM who AS i CROSS JOIN names_dropped AS d ON d.identity_id = i.identity_id CROSS JOIN atom AS t ON t.atom_id = d.atom_id
ORDER BY 1, 3, 4, 2
