-- title:   How much was seen of each user
-- answers: each user whose rights were used or tried, with the count of requests by answer, the days with requests, first and last
-- param:   :user         text     only this user
-- unset:   every user
-- column:  user          text     whose rights were used: the impersonated user if any
-- column:  allowed       integer  count of requests that were allowed; those of one kind that are still open (watch, exec) count as one
-- column:  own           integer  of these: made by the user, not by somebody who impersonated it
-- column:  refused       integer  count of requests that the authorizer refused
-- column:  undecided     integer  count of requests of which nothing tells whether they were allowed
-- column:  impersonated  integer  of all requests: made by somebody else who impersonated the user
-- column:  days          integer  count of days (UTC) with requests
-- column:  first_seen    integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- column:  last_seen     integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT i.name AS user,
       sum(CASE WHEN u.decision = 'allow' THEN max(u.count, min(u.started, 1)) ELSE 0 END) AS allowed,
       sum(CASE WHEN u.decision = 'allow' AND u.impersonator_id = 0 THEN max(u.count, min(u.started, 1)) ELSE 0 END) AS own,
       sum(CASE WHEN u.decision = 'forbid' THEN u.count ELSE 0 END) AS refused,
       sum(CASE WHEN u.decision = 'unknown' THEN u.count ELSE 0 END) AS undecided,
       sum(CASE WHEN u.impersonator_id <> 0 THEN max(u.count, min(u.started, 1)) ELSE 0 END) AS impersonated,
       (SELECT count(DISTINCT day) FROM (
          SELECT d.day FROM usage AS v JOIN usage_day AS d ON d.usage_id = v.usage_id WHERE v.identity_id = i.identity_id
          UNION SELECT v.first_seen / 86400000000 FROM usage AS v WHERE v.identity_id = i.identity_id AND v.count = 0
          UNION SELECT v.last_seen / 86400000000 FROM usage AS v WHERE v.identity_id = i.identity_id AND v.count = 0)) AS days,
       min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
FROM who AS i CROSS JOIN usage AS u ON u.identity_id = i.identity_id   -- by the index of usage
GROUP BY i.identity_id ORDER BY 1
