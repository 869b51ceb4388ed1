-- title:   Cluster-wide grants that were used in few namespaces
-- answers: each ClusterRoleBinding of an account that was seen with usage through it, and only in some namespaces
-- unset:   nothing; the query has no parameters
-- column:  namespace           text     namespace of the account
-- column:  service_account     text     name of the account
-- column:  binding             text     name of the ClusterRoleBinding that the server named
-- column:  role                text     name of its ClusterRole
-- column:  requests            integer  count of completed requests that it allowed
-- column:  namespaces          integer  count of namespaces these were in
-- column:  used_in             text     JSON array of these namespaces
-- source:  docs/proposing.md
WITH seen AS MATERIALIZED (
  SELECT u.identity_id, r.binding_name, u.namespace_id, sum(u.count) AS requests
  FROM usage AS u JOIN reason AS r ON r.reason_id = u.reason_id
  WHERE u.decision = 'allow' AND r.binding_kind = 'ClusterRoleBinding' GROUP BY 1, 2, 3
)
SELECT sa.namespace, sa.name AS service_account, b.name AS binding, b.role_ref_name AS role, sum(seen.requests) AS requests,
       count(*) AS namespaces, json_group_array(n.name) AS used_in
FROM (SELECT * FROM seen ORDER BY identity_id, binding_name, namespace_id) AS seen
JOIN service_account AS sa ON sa.identity_id = seen.identity_id
JOIN binding AS b ON b.namespace_id = 0 AND b.name = seen.binding_name
JOIN namespace AS n ON n.namespace_id = seen.namespace_id
WHERE EXISTS (SELECT 1 FROM binding_subject AS s WHERE s.binding_id = b.binding_id AND s.identity_id = sa.identity_id)
GROUP BY sa.identity_id, b.binding_id HAVING min(seen.namespace_id) > 0
ORDER BY 1, 2, 3
