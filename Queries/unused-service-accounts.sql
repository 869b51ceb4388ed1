-- title:   Service accounts that nothing runs as
-- answers: each account without pods and workloads, with what it could do
-- unset:   nothing; the query has no parameters
-- column:  namespace           text     namespace of the account
-- column:  service_account     text     name of the account
-- column:  declared            integer  1 = the object exists; 0 = only a binding names it
-- column:  bindings            integer  count of bindings that name it
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC of its last request in a log; NULL = none was seen
-- source:  docs/effective-permissions.md
SELECT sa.namespace, sa.name AS service_account, sa.declared,
       (SELECT count(DISTINCT s.binding_id) FROM binding_subject AS s WHERE s.identity_id = sa.identity_id) AS bindings,
       (SELECT max(u.last_seen) FROM usage AS u WHERE u.identity_id = sa.identity_id) AS last_seen
FROM service_account AS sa
WHERE NOT EXISTS (SELECT 1 FROM pod AS p WHERE p.identity_id = sa.identity_id)
  AND NOT EXISTS (SELECT 1 FROM workload AS w WHERE w.identity_id = sa.identity_id)
  AND NOT EXISTS (SELECT 1 FROM pod_token AS k WHERE k.identity_id = sa.identity_id)
  AND NOT EXISTS (SELECT 1 FROM workload_token AS k WHERE k.identity_id = sa.identity_id)
ORDER BY bindings DESC, 1, 2
