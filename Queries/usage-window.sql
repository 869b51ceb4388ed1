-- title:   From when to when usage was seen
-- answers: one row: the first and the last request of all that the logs hold
-- column:  first_seen          integer? microseconds since 1970-01-01 UTC; NULL = no usage
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC; NULL = no usage
-- source:  docs/proposing.md
SELECT min(first_seen) AS first_seen, max(last_seen) AS last_seen FROM usage
