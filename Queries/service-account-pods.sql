-- title:   Who runs as a service account
-- answers: each pod that holds an API token of the account, and each workload without pods whose template would
-- param:   :namespace          text     namespace of the account
-- param:   :service_account    text     name of the account
-- unset:   no account
-- column:  pod                 text?    name of the pod; NULL = a workload without pods in the input
-- column:  workload            text?    'Deployment/cart', the top of the owner chain; NULL = a bare pod
-- column:  node                text?    node the pod is on; NULL = not scheduled
-- column:  exposure            text     automount, projected, secret-volume, secret-env, csi or template
-- source:  docs/rbac-semantics.md#pods
SELECT p.name AS pod, r.kind || '/' || r.name AS workload, o.name AS node, min(k.exposure) AS exposure
FROM service_account AS me CROSS JOIN pod_token AS k ON k.identity_id = me.identity_id AND k.audience IS NULL
CROSS JOIN pod AS p ON p.pod_id = k.pod_id
LEFT JOIN workload AS w ON w.workload_id = p.workload_id
LEFT JOIN workload AS r ON r.workload_id = w.root_id
LEFT JOIN node AS o ON o.node_id = p.node_id
WHERE me.namespace = :namespace AND me.name = :service_account
GROUP BY p.pod_id
UNION ALL
SELECT DISTINCT NULL, r.kind || '/' || r.name, NULL, 'template'
FROM service_account AS me CROSS JOIN workload_token AS k ON k.identity_id = me.identity_id AND k.audience IS NULL
CROSS JOIN workload AS r ON r.workload_id = k.workload_id AND r.owner_id IS NULL
WHERE me.namespace = :namespace AND me.name = :service_account
  AND NOT EXISTS (SELECT 1 FROM workload AS w CROSS JOIN pod AS p ON p.workload_id = w.workload_id WHERE w.root_id = r.workload_id)
ORDER BY 1, 2
