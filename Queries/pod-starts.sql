-- title:   Pods of each account, when they were made and when they asked
-- answers: each pod that runs as a service account or asked with its token, with the time it was made and the first and last request
-- param:   :user         text     only this user
-- unset:   every service account
-- column:  user          text     user name of the account
-- column:  namespace     text     namespace of the pod
-- column:  pod           text     name of the pod
-- column:  pod_uid       text     '' unknown
-- column:  workload      text?    'Deployment/cart', the top of its owner chain; NULL unknown
-- column:  present       integer  1 = the pod is in the input
-- column:  created_at    integer? microseconds since 1970-01-01 UTC; NULL = the pod is not in the input, or the input does not tell
-- column:  first_seen    integer? microseconds since 1970-01-01 UTC; NULL = no request was seen
-- column:  last_seen     integer? microseconds since 1970-01-01 UTC; NULL = no request was seen
-- source:  docs/coverage.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user AND substr(name, 1, 22) = 'system:serviceaccount:'
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL AND kind = 'User' AND substr(name, 1, 22) = 'system:serviceaccount:'
), asked AS MATERIALIZED (
  SELECT u.identity_id, c.namespace, c.pod, c.pod_uid, c.workload, min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
  FROM who CROSS JOIN usage AS u ON u.identity_id = who.identity_id CROSS JOIN caller AS c ON c.caller_id = u.caller_id
  WHERE c.pod <> '' AND u.impersonator_id = 0   -- the pod of an impersonated request is the impersonator's
  GROUP BY 1, 2, 3, 4
), running AS MATERIALIZED (
  SELECT p.identity_id, p.namespace, p.name AS pod, coalesce(p.uid, '') AS pod_uid, t.kind || '/' || t.name AS workload, p.created_at
  FROM pod AS p LEFT JOIN workload AS w ON w.workload_id = p.workload_id LEFT JOIN workload AS t ON t.workload_id = w.root_id
  WHERE p.identity_id IN (SELECT identity_id FROM who)
)
SELECT i.name AS user, q.namespace, q.pod, q.pod_uid, q.workload, q.present, q.created_at, q.first_seen, q.last_seen
FROM (
  SELECT a.identity_id, a.namespace, a.pod, a.pod_uid, coalesce(r.workload, a.workload) AS workload, r.pod IS NOT NULL AS present, r.created_at, a.first_seen, a.last_seen
  FROM asked AS a LEFT JOIN running AS r ON r.namespace = a.namespace AND r.pod = a.pod AND r.identity_id = a.identity_id
    AND (r.pod_uid = a.pod_uid OR r.pod_uid = '' OR a.pod_uid = '')
  UNION ALL
  SELECT r.identity_id, r.namespace, r.pod, r.pod_uid, r.workload, 1, r.created_at, NULL, NULL
  FROM running AS r WHERE NOT EXISTS (
    SELECT 1 FROM asked AS a WHERE a.namespace = r.namespace AND a.pod = r.pod AND a.identity_id = r.identity_id
      AND (r.pod_uid = a.pod_uid OR r.pod_uid = '' OR a.pod_uid = ''))
) AS q JOIN identity AS i ON i.identity_id = q.identity_id
ORDER BY 1, 2, 5, 3, 4
