-- title:   What was used, by day
-- answers: each distinct request with its answer, how often and when it was seen
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     whose rights were used: the impersonated user if any
-- column:  by                  text?    who really asked; NULL = no impersonation
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    plural, without subresource; NULL for a URL
-- column:  subresource         text?    '' is none; NULL for a URL
-- column:  name                text?    '' is a request that carried no name; NULL for a URL
-- column:  namespace           text?    '' is a cluster-wide request; NULL for a URL
-- column:  path                text?    decoded, without query; NULL for a resource
-- column:  decision            text     allow, forbid or unknown
-- column:  day                 text     UTC date, '2026-11-24'
-- column:  count               integer  count of completed requests
-- column:  first_seen          integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp; the day's begin if it was seen before
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp; the day's end if it was seen later
-- column:  pods                text     JSON array of the names of the pods that asked
-- source:  docs/data-model.md#usage
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
),
days AS (
  SELECT usage_id, day, count FROM usage_day
  -- What has begun and not ended.
  UNION ALL SELECT usage_id, first_seen / 86400000000, 0 FROM usage WHERE count = 0
)
SELECT user, impersonator AS by, verb, api_group, resource, subresource, CASE WHEN path IS NULL THEN name END AS name,
       CASE WHEN path IS NULL THEN namespace END AS namespace, path, decision, date(d.day * 86400, 'unixepoch') AS day,
       sum(d.count) AS count, min(max(f.first_seen, d.day * 86400000000)) AS first_seen,
       max(min(f.last_seen, d.day * 86400000000 + 86399999999)) AS last_seen,
       (SELECT json_group_array(pod) FROM (SELECT DISTINCT c.pod FROM usage AS u JOIN caller AS c USING (caller_id)
          WHERE u.identity_id = f.identity_id AND u.impersonator_id = f.impersonator_id AND u.atom_id = f.atom_id
            AND u.namespace_id = f.namespace_id AND u.object_name_id = f.object_name_id AND u.decision = f.decision AND c.pod <> '' ORDER BY c.pod)) AS pods
FROM usage_fact AS f CROSS JOIN days AS d ON d.usage_id = f.usage_id
WHERE f.identity_id IN (SELECT identity_id FROM who)
GROUP BY f.identity_id, f.impersonator_id, f.atom_id, f.namespace_id, f.object_name_id, f.decision, d.day
ORDER BY 1, api_group, resource, subresource, path, f.namespace, f.name, verb, by, decision, day
