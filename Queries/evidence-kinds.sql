-- title:   Kinds of evidence that the logs hold at all
-- answers: whether reads were logged, and what other servers ask the API server; one row
-- unset:   nothing; the query has no parameters
-- column:  reads           integer  1 = some get or list of a resource was seen
-- column:  first_read      integer  when the first was, µs since 1970-01-01 UTC; NULL = none
-- column:  last_read       integer  when the last was, µs since 1970-01-01 UTC; NULL = none
-- column:  first_watch     integer  the same of a watch
-- column:  last_watch      integer  the same of a watch
-- column:  access_reviews  integer  1 = some access review was seen with its body
-- source:  docs/coverage.md
SELECT count(*) FILTER (WHERE t.verb <> 'watch') > 0 AS reads,
       min(u.first_seen) FILTER (WHERE t.verb <> 'watch') AS first_read, max(u.last_seen) FILTER (WHERE t.verb <> 'watch') AS last_read,
       min(u.first_seen) FILTER (WHERE t.verb = 'watch') AS first_watch, max(u.last_seen) FILTER (WHERE t.verb = 'watch') AS last_watch,
       EXISTS (SELECT 1 FROM implied_need WHERE cause = 'access-review') AS access_reviews
FROM usage AS u JOIN atom AS t ON t.atom_id = u.atom_id
WHERE t.resource IS NOT NULL AND t.verb IN ('get', 'list', 'watch')
