-- title:   Kinds of evidence that the logs hold at all
-- answers: whether reads were logged, and what other servers ask the API server; one row
-- unset:   nothing; the query has no parameters
-- column:  reads           integer  1 = some get or list of a resource was seen
-- column:  first_read      integer  when the first was, µs since 1970-01-01 UTC; NULL = none
-- column:  last_read       integer  when the last was, µs since 1970-01-01 UTC; NULL = none
-- column:  read_days       text     JSON array: days since 1970-01-01 UTC with one
-- column:  first_watch     integer  the same of a watch
-- column:  last_watch      integer  the same of a watch
-- column:  watch_days      text     the same of a watch
-- column:  access_reviews  integer  1 = some access review was seen with its body
-- source:  docs/coverage.md
WITH seen AS (SELECT u.usage_id, t.verb = 'watch' AS is_watch, u.first_seen, u.last_seen, u.day
              FROM usage AS u JOIN atom AS t ON t.atom_id = u.atom_id
              WHERE t.resource IS NOT NULL AND t.verb IN ('get', 'list', 'watch')),
     days AS (SELECT is_watch, day FROM seen WHERE day IS NOT NULL
              UNION SELECT s.is_watch, c.day FROM seen AS s JOIN usage_day_count AS c ON c.usage_id = s.usage_id WHERE s.day IS NULL)
SELECT count(*) FILTER (WHERE NOT is_watch) > 0 AS reads,
       min(first_seen) FILTER (WHERE NOT is_watch) AS first_read, max(last_seen) FILTER (WHERE NOT is_watch) AS last_read,
       (SELECT json_group_array(day) FROM days WHERE NOT is_watch) AS read_days,
       min(first_seen) FILTER (WHERE is_watch) AS first_watch, max(last_seen) FILTER (WHERE is_watch) AS last_watch,
       (SELECT json_group_array(day) FROM days WHERE is_watch) AS watch_days,
       EXISTS (SELECT 1 FROM implied_need WHERE cause = 'access-review') AS access_reviews
FROM seen
