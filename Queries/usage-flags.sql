-- title:   What the logs hint at and do not prove
-- answers: each hint of a user: a later check that refused, a question about own rights, a right that is checked inside a request
-- param:   :user        text     only this user
-- unset:   every user
-- column:  user         text     whose request
-- column:  flag         text     'later-denial:…', 'self-check:…', 'hidden:…', 'fallback:…', 'written:…', and others
-- column:  count        integer  count of requests
-- column:  first_seen   integer  microseconds since 1970-01-01 UTC
-- column:  last_seen    integer  microseconds since 1970-01-01 UTC
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user, f.flag, f.count, f.first_seen, f.last_seen
FROM who AS i CROSS JOIN usage_flag AS f ON f.identity_id = i.identity_id
ORDER BY 1, 2
