-- title:   What one node can reach
-- answers: the union of the rights of all pods on a node (whoever owns the node owns these tokens), groups of everybody left out
-- param:   :node               text     name of the node
-- unset:   no node
-- column:  scope_namespace     text?    where it holds; NULL = in every namespace
-- column:  verb                text     as the rule writes it
-- column:  api_group           text?    NULL for a URL
-- column:  resource            text?    NULL for a URL
-- column:  url                 text?    NULL for a resource
-- column:  only_named          integer  1 = for resourceNames only
-- column:  pods                integer  count of pods on the node that hold it
-- source:  docs/effective-permissions.md
WITH acting AS MATERIALIZED (
  SELECT DISTINCT k.identity_id, p.pod_id FROM node AS o CROSS JOIN pod AS p ON p.node_id = o.node_id CROSS JOIN pod_token AS k ON k.pod_id = p.pod_id
  WHERE o.name = :node AND k.audience IS NULL
), who AS MATERIALIZED (
  SELECT identity_id, pod_id FROM acting
  UNION
  SELECT g.group_id, acting.pod_id FROM acting CROSS JOIN group_membership AS g ON g.identity_id = acting.identity_id
  WHERE g.group_id NOT IN (SELECT identity_id FROM identity WHERE kind = 'Group' AND name IN ('system:authenticated', 'system:serviceaccounts'))
), held AS MATERIALIZED (
  SELECT b.namespace_id, b.namespace, b.role_id, count(DISTINCT who.pod_id) AS pods
  FROM who CROSS JOIN binding_subject AS s ON s.identity_id = who.identity_id CROSS JOIN binding AS b ON b.binding_id = s.binding_id
  WHERE b.role_id IS NOT NULL GROUP BY b.namespace_id, b.role_id
)
SELECT nullif(held.namespace, '') AS scope_namespace, t.verb, t.api_group, t.resource, t.url, min(a.named) AS only_named, max(held.pods) AS pods
FROM held CROSS JOIN rule_atom AS a ON a.role_id = held.role_id
CROSS JOIN atom AS t ON t.atom_id = a.atom_id AND (t.url IS NULL OR held.namespace_id = 0)
GROUP BY held.namespace_id, a.atom_id
ORDER BY 1, 3, 4, 5, 2
