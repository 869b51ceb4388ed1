-- title:   What was used, by pod
-- answers: each distinct request with its answer, how often and when it was seen
-- param:   :user               text     only this user
-- unset:   every user
-- column:  user                text     whose rights were used: the impersonated user if any
-- column:  by                  text?    who really asked; NULL = no impersonation
-- column:  verb                text     as the authorizer saw it
-- column:  api_group           text?    '' is the core group; NULL for a URL
-- column:  resource            text?    plural, without subresource; NULL for a URL
-- column:  subresource         text?    '' is none; NULL for a URL
-- column:  name                text?    '' is a request that carried no name; NULL for a URL
-- column:  namespace           text?    '' is a cluster-wide request; NULL for a URL
-- column:  path                text?    decoded, without query; NULL for a resource
-- column:  decision            text     allow, forbid or unknown
-- column:  pod_namespace       text?    namespace of the pod that asked; NULL = the credential names no pod
-- column:  pod                 text?    the pod that asked; NULL = the credential names no pod
-- column:  workload            text?    'Deployment/cart', the top of its owner chain; NULL unknown
-- column:  address             text?    where it came from; NULL = the credential names a pod, or nobody of the cluster asked
-- column:  count               integer  count of completed requests
-- column:  first_seen          integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- column:  last_seen           integer  microseconds since 1970-01-01 UTC, requestReceivedTimestamp
-- column:  pods                text     JSON array of the names of the pods that asked
-- source:  docs/data-model.md#usage
WITH who AS MATERIALIZED (
  SELECT identity_id, name FROM identity WHERE kind = 'User' AND name = :user
  UNION ALL SELECT identity_id, name FROM identity WHERE :user IS NULL
)
SELECT user, impersonator AS by, verb, api_group, resource, subresource, CASE WHEN path IS NULL THEN name END AS name,
       CASE WHEN path IS NULL THEN namespace END AS namespace, path, decision, pod_namespace, pod, workload, address,
       sum(f.count) AS count, min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen,
       (SELECT json_group_array(pod) FROM (SELECT DISTINCT c.pod FROM usage AS u JOIN caller AS c USING (caller_id)
          WHERE u.identity_id = f.identity_id AND u.impersonator_id = f.impersonator_id AND u.atom_id = f.atom_id
            AND u.namespace_id = f.namespace_id AND u.object_name_id = f.object_name_id AND u.decision = f.decision AND c.pod <> '' ORDER BY c.pod)) AS pods
FROM usage_fact AS f WHERE f.identity_id IN (SELECT identity_id FROM who)
GROUP BY f.identity_id, f.impersonator_id, f.atom_id, f.namespace_id, f.object_name_id, f.decision, f.caller_id
ORDER BY 1, api_group, resource, subresource, path, f.namespace, f.name, verb, by, decision, pod_namespace, pod, address
