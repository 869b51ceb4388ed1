-- title:   Whom a pod, workload or node acts as
-- answers: each service account whose API token the pods hold; a workload without pods counts through its template
-- param:   :kind               text     'Pod', 'Node', or a workload kind such as 'Deployment'
-- param:   :namespace          text     namespace; '' for a Node
-- param:   :name               text     name of the object
-- unset:   nothing; set all of them
-- column:  user                text?    user name of the service account; NULL = the object exists and holds no API token
-- column:  pods                integer  count of pods
-- source:  docs/rbac-semantics.md#pods
WITH pods AS MATERIALIZED (
  SELECT p.pod_id FROM pod AS p WHERE :kind = 'Pod' AND p.namespace = :namespace AND p.name = :name
  UNION
  SELECT p.pod_id FROM node AS n CROSS JOIN pod AS p ON p.node_id = n.node_id WHERE :kind = 'Node' AND n.name = :name
  UNION
  SELECT p.pod_id FROM workload AS r CROSS JOIN workload AS w ON w.root_id = r.root_id
  CROSS JOIN pod AS p ON p.workload_id = w.workload_id
  WHERE r.kind = :kind AND r.namespace = :namespace AND r.name = :name AND (w.workload_id = r.workload_id OR r.owner_id IS NULL)
), template AS MATERIALIZED (
  SELECT w.workload_id FROM workload AS w
  WHERE w.kind = :kind AND w.namespace = :namespace AND w.name = :name AND NOT EXISTS (SELECT 1 FROM pods)
)
SELECT i.name AS user, count(DISTINCT k.pod_id) AS pods
FROM pods CROSS JOIN pod_token AS k ON k.pod_id = pods.pod_id AND k.audience IS NULL
CROSS JOIN identity AS i ON i.identity_id = k.identity_id
GROUP BY i.identity_id
UNION ALL
SELECT NULL, count(*) FROM pods WHERE NOT EXISTS (SELECT 1 FROM pod_token AS k WHERE k.pod_id = pods.pod_id AND k.audience IS NULL)
HAVING count(*) > 0
UNION ALL
SELECT DISTINCT i.name, 0 FROM template LEFT JOIN workload_token AS k ON k.workload_id = template.workload_id AND k.audience IS NULL
LEFT JOIN identity AS i ON i.identity_id = k.identity_id
UNION ALL
SELECT NULL, 0 FROM node WHERE :kind = 'Node' AND name = :name AND NOT EXISTS (SELECT 1 FROM pods)
ORDER BY 1
