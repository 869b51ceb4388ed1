-- title:   Kinds of evidence that the logs hold at all
-- answers: whether reads were logged, and what other servers ask the API server; one row
-- unset:   nothing; the query has no parameters
-- column:  reads           integer  1 = some get or list of a resource was seen
-- column:  access_reviews  integer  1 = some access review was seen with its body
-- source:  docs/coverage.md
SELECT EXISTS (SELECT 1 FROM usage AS u CROSS JOIN atom AS t ON t.atom_id = u.atom_id   -- mostly the first row tells
               WHERE t.resource IS NOT NULL AND t.verb IN ('get', 'list')) AS reads,
       EXISTS (SELECT 1 FROM implied_need WHERE cause = 'access-review') AS access_reviews
