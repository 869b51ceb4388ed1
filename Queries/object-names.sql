-- title:   Names of objects that the input or the logs tell
-- answers: each name with the resource and namespace it was seen in, and what made the object where that is known
-- column:  api_group           text     '' is the core group
-- column:  resource            text     with subresource, as it was asked for
-- column:  namespace           text     '' is cluster-wide
-- column:  name                text     the name
-- column:  owner               text?    'ReplicaSet/cart-7d9c'; NULL = not known
-- source:  docs/proposing.md
SELECT '' AS api_group, 'pods' AS resource, p.namespace, p.name, w.kind || '/' || w.name AS owner
FROM pod AS p LEFT JOIN workload AS w ON w.workload_id = p.workload_id
UNION ALL
SELECT CASE w.kind WHEN 'Job' THEN 'batch' WHEN 'CronJob' THEN 'batch' ELSE 'apps' END, lower(w.kind) || 's', w.namespace, w.name, o.kind || '/' || o.name
FROM workload AS w LEFT JOIN workload AS o ON o.workload_id = w.owner_id
WHERE w.kind IN ('Deployment','ReplicaSet','StatefulSet','DaemonSet','Job','CronJob')
UNION ALL
SELECT '', 'serviceaccounts', namespace, name, NULL FROM service_account WHERE declared
UNION ALL
SELECT '', 'nodes', '', name, NULL FROM node
UNION ALL
SELECT 'rbac.authorization.k8s.io', lower(kind) || 's', namespace, name, NULL FROM role
UNION ALL
SELECT 'rbac.authorization.k8s.io', lower(kind) || 's', namespace, name, NULL FROM binding
UNION ALL
SELECT t.api_group, t.resource, n.name, o.name, NULL
FROM (SELECT DISTINCT atom_id, namespace_id, object_name_id FROM usage WHERE object_name_id > 0) AS u
CROSS JOIN atom AS t ON t.atom_id = u.atom_id CROSS JOIN namespace AS n ON n.namespace_id = u.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = u.object_name_id
WHERE t.resource IS NOT NULL
ORDER BY 1, 2, 3, 4, 5
