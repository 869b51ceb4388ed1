-- title:   Which workloads run as a service account
-- answers: each workload at the top of an owner chain whose pods run as it, with the number of pods and of pods without a workload
-- param:   :namespace          text     namespace of the account
-- param:   :service_account    text     name of the account
-- unset:   every namespace, every account
-- column:  namespace           text     namespace of the account and of the workload
-- column:  service_account     text     name of the account
-- column:  kind                text     'Deployment', 'CronJob', …; 'Pod' for a pod without a workload
-- column:  name                text     name of the workload
-- column:  pods                integer  count of pods of it in the input
-- column:  declared            integer  1 = the object exists; 0 = only an ownerReference names it
-- source:  docs/proposing.md
WITH account AS MATERIALIZED (
  SELECT identity_id, namespace, name FROM service_account WHERE namespace = :namespace AND name = :service_account
  UNION ALL SELECT identity_id, namespace, name FROM service_account
  WHERE (:namespace IS NULL OR :service_account IS NULL) AND namespace = coalesce(:namespace, namespace) AND name = coalesce(:service_account, name)
)
SELECT a.namespace, a.name AS service_account, r.kind, r.name, count(DISTINCT p.pod_id) AS pods, max(r.declared) AS declared
FROM account AS a
CROSS JOIN workload AS w ON w.identity_id = a.identity_id
  OR w.workload_id IN (SELECT workload_id FROM pod WHERE identity_id = a.identity_id)
CROSS JOIN workload AS r ON r.workload_id = w.root_id
LEFT JOIN pod AS p ON p.identity_id = a.identity_id AND p.workload_id = w.workload_id
GROUP BY a.identity_id, r.workload_id
UNION ALL
SELECT a.namespace, a.name, 'Pod', p.name, 1, 1
FROM account AS a CROSS JOIN pod AS p ON p.identity_id = a.identity_id AND p.workload_id IS NULL
ORDER BY 1, 2, 3, 4
