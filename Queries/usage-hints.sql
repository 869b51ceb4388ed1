-- title:   What a log hints at but does not prove
-- answers: each hint about a user: checks inside its requests, later refusals, questions about its own rights
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     whose requests
-- column:  hint                text     'hidden:…', 'later-denial:…', 'self-check:…', 'fallback:…' or 'not-rbac', see docs/proposing.md
-- column:  count               integer  count of requests
-- column:  first_seen          integer  microseconds since 1970-01-01 UTC
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC
-- source:  docs/proposing.md
SELECT i.name AS user, f.flag AS hint, f.count, f.first_seen, f.last_seen
FROM usage_flag AS f CROSS JOIN identity AS i ON i.identity_id = f.identity_id
WHERE :user IS NULL OR (i.kind = 'User' AND i.name = :user)
ORDER BY 1, 2
