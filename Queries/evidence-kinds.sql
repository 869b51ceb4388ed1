-- title:   Kinds of evidence that the logs hold at all
-- answers: whether reads were logged, and what other servers ask the API server; one row
-- unset:   nothing; the query has no parameters
-- column:  reads           integer  1 = some get or list of a resource was seen
-- column:  first_read      integer  when the first was, µs since 1970-01-01 UTC; NULL = none
-- column:  last_read       integer  when the last was, µs since 1970-01-01 UTC; NULL = none
-- column:  access_reviews  integer  1 = some access review was seen with its body
-- source:  docs/coverage.md
SELECT count(*) > 0 AS reads, min(first_seen) AS first_read, max(last_seen) AS last_read,
       EXISTS (SELECT 1 FROM implied_need WHERE cause = 'access-review') AS access_reviews
FROM usage
WHERE atom_id IN (SELECT atom_id FROM atom WHERE resource IS NOT NULL AND verb IN ('get', 'list'))
