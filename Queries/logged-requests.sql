-- title:   Kinds of requests that the logs hold of some service account
-- answers: each verb on a resource or URL that some service account was logged with, so that the audit policy does log it of somebody
-- unset:   nothing; the query has no parameters
-- column:  verb         text     as the authorizer saw it
-- column:  api_group    text?    '' is the core group; NULL for a URL
-- column:  resource     text?    with subresource; NULL for a URL
-- column:  path         text?    NULL for a resource
-- source:  docs/coverage.md
SELECT t.verb, t.api_group, t.resource, t.url AS path
FROM (SELECT DISTINCT u.atom_id FROM usage AS u JOIN identity AS i ON i.identity_id = u.identity_id
      WHERE u.impersonator_id = 0 AND substr(i.name, 1, 22) = 'system:serviceaccount:') AS q
JOIN atom AS t ON t.atom_id = q.atom_id
ORDER BY 2, 3, 4, 1
