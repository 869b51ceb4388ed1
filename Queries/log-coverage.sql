-- title:   What the logs that were read cover
-- answers: each audit log that was folded, with its window, where it has gaps, and what its events tell
-- unset:   nothing; the query has no parameters
-- column:  path         text     as given; '-' = standard input
-- column:  first_event  integer? microseconds since 1970-01-01 UTC; NULL = no event
-- column:  last_event   integer? microseconds since 1970-01-01 UTC; NULL = no event
-- column:  events       integer  count of events
-- column:  requests     integer  of these: completed and decided
-- column:  ignored      integer  of these: refused before authorization
-- column:  undecided    integer  of these: nothing tells whether they were allowed
-- column:  rejected     integer  count of lines that are no event
-- column:  envelopes    text     JSON object: what was wrapped around events, count of these
-- column:  levels       text     JSON object: audit level, count of events; '' = not told
-- column:  stages       text     JSON object: stage, count of events
-- column:  spans        text     JSON array of [from, to], minutes since 1970-01-01 UTC: no event is more than 10 minutes from the next
-- source:  docs/coverage.md
SELECT path, first_event, last_event, events, requests, ignored, undecided, rejected, envelopes, levels, stages, spans
FROM checkpoint ORDER BY first_event, checkpoint_id
