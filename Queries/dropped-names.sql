-- title:   Verbs and resources whose names the usage does not hold
-- answers: each verb on a resource that a user used with so many names that none is kept
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     whose usage
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text     '' is the core group
-- column:  resource            text     with subresource
-- source:  docs/audit-logs.md
SELECT i.name AS user, t.verb, t.api_group, t.resource
FROM names_dropped AS d CROSS JOIN identity AS i ON i.identity_id = d.identity_id CROSS JOIN atom AS t ON t.atom_id = d.atom_id
WHERE t.resource IS NOT NULL AND (:user IS NULL OR (i.kind = 'User' AND i.name = :user))
ORDER BY 1, 3, 4, 2
