-- title:   What there is to know about service accounts
-- answers: each account with who runs as it, how far its grants reach and what was used and refused
-- param:   :namespace          text     namespace of the account
-- param:   :service_account    text     name of the account
-- unset:   every namespace, every account
-- column:  namespace           text     namespace of the account
-- column:  service_account     text     name of the account
-- column:  declared            integer  1 = the object exists; 0 = only a binding, pod or workload names it
-- column:  automount           integer? automountServiceAccountToken; NULL = unset, which means 1
-- column:  pods                integer  count of pods that hold an API token of it
-- column:  workloads           integer  count of workloads at the top of an owner chain that run as it
-- column:  nodes               integer  count of nodes that these pods are on
-- column:  own_bindings        integer  count of bindings that name the account itself
-- column:  group_bindings      integer  count of bindings that name a group it is in
-- column:  dangling_bindings   integer  count of these whose role does not exist
-- column:  grants              integer  verb and resource or URL pairs that its own bindings give; what two of them give counts twice, a wildcard once
-- column:  wildcard_grants     integer  count of these with a `*` as verb, group or resource
-- column:  cluster_wide_grants integer  count of these that hold in every namespace
-- column:  group_grants        integer  the same through its groups
-- column:  requests_allowed    integer  requests in the logs that were allowed
-- column:  requests_refused    integer  requests in the logs that were refused
-- column:  first_seen          integer? microseconds since 1970-01-01 UTC of its first request; NULL = none was seen
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC of its last request; NULL = none was seen
-- source:  docs/reports.md
WITH account AS MATERIALIZED (
  SELECT identity_id, namespace, name, declared, automount FROM service_account WHERE namespace = :namespace AND name = :service_account
  UNION ALL SELECT identity_id, namespace, name, declared, automount FROM service_account
  WHERE (:namespace IS NULL OR :service_account IS NULL) AND namespace = coalesce(:namespace, namespace) AND name = coalesce(:service_account, name)
), subject(identity_id) AS MATERIALIZED (       -- accounts, and each group once, whatever the number of its members
  SELECT identity_id FROM account
  UNION ALL
  SELECT DISTINCT group_id FROM group_membership WHERE identity_id IN (SELECT identity_id FROM account)
), held AS MATERIALIZED (                          -- a RoleBinding never gives a URL
  SELECT s.identity_id, count(*) AS bindings, sum(b.role_id IS NULL) AS dangling,
         sum(z.atoms - CASE WHEN b.namespace_id > 0 THEN z.urls ELSE 0 END) AS grants,
         sum(z.wildcards - CASE WHEN b.namespace_id > 0 THEN z.wildcard_urls ELSE 0 END) AS wildcards,
         sum(CASE WHEN b.namespace_id = 0 THEN z.atoms ELSE 0 END) AS cluster_wide
  FROM (SELECT DISTINCT identity_id, binding_id FROM binding_subject WHERE identity_id IN (SELECT identity_id FROM subject)) AS s
  CROSS JOIN binding AS b ON b.binding_id = s.binding_id
  LEFT JOIN role_size AS z ON z.role_id = b.role_id
  GROUP BY s.identity_id
), through_groups AS MATERIALIZED (
  SELECT a.identity_id, sum(h.bindings) AS bindings, sum(h.dangling) AS dangling, sum(h.grants) AS grants
  FROM account AS a CROSS JOIN group_membership AS g ON g.identity_id = a.identity_id CROSS JOIN held AS h ON h.identity_id = g.group_id
  GROUP BY a.identity_id
), running AS MATERIALIZED (
  SELECT k.identity_id, count(DISTINCT k.pod_id) AS pods, count(DISTINCT p.node_id) AS nodes
  FROM account AS a CROSS JOIN pod_token AS k ON k.identity_id = a.identity_id CROSS JOIN pod AS p ON p.pod_id = k.pod_id
  WHERE k.audience IS NULL GROUP BY k.identity_id
), owning AS MATERIALIZED (
  SELECT w.identity_id, count(DISTINCT w.root_id) AS workloads
  FROM account AS a CROSS JOIN workload AS w ON w.identity_id = a.identity_id GROUP BY w.identity_id
), seen AS MATERIALIZED (
  SELECT u.identity_id, sum(CASE WHEN u.decision = 'allow' THEN u.count ELSE 0 END) AS allowed,
         sum(CASE WHEN u.decision = 'forbid' THEN u.count ELSE 0 END) AS refused,
         min(u.first_seen) AS first_seen, max(u.last_seen) AS last_seen
  FROM account AS a CROSS JOIN usage AS u ON u.identity_id = a.identity_id GROUP BY u.identity_id
)
SELECT account.namespace, account.name AS service_account, account.declared, account.automount,
       coalesce(running.pods, 0) AS pods, coalesce(owning.workloads, 0) AS workloads, coalesce(running.nodes, 0) AS nodes,
       coalesce(held.bindings, 0) AS own_bindings, coalesce(through_groups.bindings, 0) AS group_bindings,
       coalesce(held.dangling, 0) + coalesce(through_groups.dangling, 0) AS dangling_bindings,
       coalesce(held.grants, 0) AS grants, coalesce(held.wildcards, 0) AS wildcard_grants,
       coalesce(held.cluster_wide, 0) AS cluster_wide_grants, coalesce(through_groups.grants, 0) AS group_grants,
       coalesce(seen.allowed, 0) AS requests_allowed, coalesce(seen.refused, 0) AS requests_refused, seen.first_seen, seen.last_seen
FROM account LEFT JOIN held ON held.identity_id = account.identity_id
LEFT JOIN through_groups ON through_groups.identity_id = account.identity_id
LEFT JOIN running ON running.identity_id = account.identity_id
LEFT JOIN owning ON owning.identity_id = account.identity_id
LEFT JOIN seen ON seen.identity_id = account.identity_id
ORDER BY 1, 2
