-- title:   What can be selected by label
-- answers: each pod, workload, service account and namespace with its labels
-- param:   :kind               text     'Pod', 'ServiceAccount', 'Namespace', or a workload kind such as 'Deployment'
-- param:   :namespace          text     its namespace
-- unset:   any kind, any namespace
-- column:  kind                text     Pod, ServiceAccount, Namespace or the workload's kind
-- column:  namespace           text     its namespace; '' = a Namespace
-- column:  name                text     its name
-- column:  labels              text     JSON object; '{}' = none
-- source:  docs/data-model.md
SELECT 'Pod' AS kind, p.namespace, p.name, p.labels FROM pod AS p
WHERE (:kind IS NULL OR :kind = 'Pod') AND (:namespace IS NULL OR p.namespace = :namespace)
UNION ALL
SELECT 'ServiceAccount', sa.namespace, sa.name, sa.labels FROM service_account AS sa
WHERE sa.declared AND (:kind IS NULL OR :kind = 'ServiceAccount') AND (:namespace IS NULL OR sa.namespace = :namespace)
UNION ALL
SELECT 'Namespace', '', n.name, n.labels FROM namespace AS n WHERE n.declared AND (:kind IS NULL OR :kind = 'Namespace') AND :namespace IS NULL
UNION ALL
SELECT w.kind, w.namespace, w.name, w.labels FROM workload AS w
WHERE w.declared AND (:kind IS NULL OR w.kind = :kind) AND (:namespace IS NULL OR w.namespace = :namespace)
ORDER BY 1, 2, 3
