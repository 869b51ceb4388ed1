-- title:   Service accounts shared by several workloads
-- answers: each account that pods of more than one workload run as
-- unset:   nothing; the query has no parameters
-- column:  namespace           text     namespace of the account
-- column:  service_account     text     name of the account
-- column:  workloads           integer  count of workloads (tops of owner chains) and bare pods
-- column:  pods                integer  count of pods
-- column:  bindings            integer  count of bindings that name the account
-- source:  docs/effective-permissions.md
WITH runner AS MATERIALIZED (
  SELECT p.identity_id, coalesce(w.root_id, -p.pod_id) AS root_id, 1 AS pods FROM pod AS p LEFT JOIN workload AS w ON w.workload_id = p.workload_id
  WHERE p.identity_id IS NOT NULL
  UNION ALL
  SELECT identity_id, root_id, 0 FROM workload WHERE identity_id IS NOT NULL AND owner_id IS NULL
)
SELECT sa.namespace, sa.name AS service_account, count(DISTINCT runner.root_id) AS workloads, sum(runner.pods) AS pods,
       (SELECT count(DISTINCT s.binding_id) FROM binding_subject AS s WHERE s.identity_id = sa.identity_id) AS bindings
FROM runner JOIN service_account AS sa ON sa.identity_id = runner.identity_id
GROUP BY sa.identity_id HAVING workloads > 1
ORDER BY workloads DESC, 1, 2
