-- title:   What shows that a user needs something
-- answers: each distinct request that was made, and each check that one of them implies, by the pod and program that made it
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     who needs it
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    with subresource; NULL for a URL
-- column:  path                text?    NULL for a resource
-- column:  namespace           text     '' is a cluster-wide request or a URL
-- column:  name                text     '' is a request that carried no name
-- column:  cause               text     'request', or why it is implied
-- column:  decision            text     'allow', 'forbid', or 'unknown': refused, and nothing tells by whom
-- column:  impersonated        integer  1 = somebody who impersonated the user asked
-- column:  pod_namespace       text     namespace of the pod that asked; '' = the credential names no pod, or the need is implied
-- column:  pod                 text     the pod that asked; '' as above
-- column:  workload            text?    'Deployment/cart', the top of its owner chain; NULL unknown
-- column:  address             text     where it came from, if the credential names no pod; '' = it does, or the need is implied
-- column:  address_namespace   text?    namespace of the only running pod of the user that has this address; NULL = there is none, or it is younger than the request
-- column:  address_pod         text?    this pod
-- column:  address_workload    text?    the top of its owner chain
-- column:  user_agent          text     the program that asked; '' = none told, or the need is implied
-- column:  count               integer  count of completed requests; 0 = an open watch or exec
-- column:  first_seen          integer  microseconds since 1970-01-01 UTC
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC
-- source:  docs/proposing.md
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
), address_pod AS MATERIALIZED (                 -- pods that run as the user, or hold a token of it
  SELECT k.identity_id, d.value AS address, max(k.pod_id) AS pod_id
  FROM (SELECT identity_id, pod_id FROM pod WHERE identity_id IN (SELECT identity_id FROM who)
        UNION SELECT identity_id, pod_id FROM pod_token WHERE identity_id IN (SELECT identity_id FROM who)) AS k
  CROSS JOIN pod AS p ON p.pod_id = k.pod_id CROSS JOIN json_each(p.addresses) AS d
  GROUP BY k.identity_id, d.value HAVING count(DISTINCT k.pod_id) = 1
)
SELECT i.name AS user, t.verb, t.api_group, t.resource, t.url AS path, n.name AS namespace, o.name, q.cause, q.decision, q.impersonated,
       c.namespace AS pod_namespace, c.pod, c.workload, c.address,
       CASE WHEN coalesce(p.created_at, 0) <= min(q.first_seen) THEN p.namespace END AS address_namespace,
       CASE WHEN coalesce(p.created_at, 0) <= min(q.first_seen) THEN p.name END AS address_pod,
       CASE WHEN coalesce(p.created_at, 0) <= min(q.first_seen) THEN r.kind || '/' || r.name END AS address_workload, g.user_agent,
       sum(q.count) AS count, min(q.first_seen) AS first_seen, max(q.last_seen) AS last_seen
FROM (
  SELECT identity_id, atom_id, namespace_id, object_name_id, 'request' AS cause, decision, impersonator_id > 0 AS impersonated, caller_id, agent_id, count, first_seen, last_seen
  FROM usage WHERE identity_id IN (SELECT identity_id FROM who)
  UNION ALL
  SELECT identity_id, atom_id, namespace_id, object_name_id, cause, decision, 0, 0, 0, count, first_seen, last_seen
  FROM implied_need WHERE identity_id IN (SELECT identity_id FROM who)
) AS q
CROSS JOIN identity AS i ON i.identity_id = q.identity_id
CROSS JOIN atom AS t ON t.atom_id = q.atom_id
CROSS JOIN namespace AS n ON n.namespace_id = q.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = q.object_name_id
CROSS JOIN caller AS c ON c.caller_id = q.caller_id
CROSS JOIN agent AS g ON g.agent_id = q.agent_id
LEFT JOIN address_pod AS d ON c.address <> '' AND NOT q.impersonated AND d.identity_id = q.identity_id AND d.address = c.address
LEFT JOIN pod AS p ON p.pod_id = d.pod_id
LEFT JOIN workload AS w ON w.workload_id = p.workload_id
LEFT JOIN workload AS r ON r.workload_id = w.root_id
GROUP BY q.identity_id, q.atom_id, q.namespace_id, q.object_name_id, q.cause, q.decision, q.impersonated, q.caller_id, q.agent_id
ORDER BY 1, 3, 4, 5, 6, 7, 2, 8, 9, 10, 11, 12, 14, 18
