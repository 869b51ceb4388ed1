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
  SELECT identity_id, namespace, name, declared, automount FROM service_account
  WHERE (:namespace IS NULL OR namespace = :namespace) AND (:service_account IS NULL OR name = :service_account)
), subject(identity_id) AS MATERIALIZED (       -- accounts, and each group once, whatever the number of its members
  SELECT identity_id FROM account
  UNION ALL
  SELECT DISTINCT group_id FROM group_membership WHERE identity_id IN (SELECT identity_id FROM account)
), bound AS MATERIALIZED (
  SELECT s.identity_id, b.binding_id, b.role_id, b.namespace_id
  FROM (SELECT DISTINCT identity_id, binding_id FROM binding_subject WHERE identity_id IN (SELECT identity_id FROM subject)) AS s
  CROSS JOIN binding AS b ON b.binding_id = s.binding_id
), reach(identity_id, grants, wildcards, cluster_wide) AS MATERIALIZED (      -- a RoleBinding never gives a URL
  SELECT bound.identity_id, sum(z.atoms - CASE WHEN bound.namespace_id > 0 THEN z.urls ELSE 0 END),
         sum(z.wildcards - CASE WHEN bound.namespace_id > 0 THEN z.wildcard_urls ELSE 0 END),
         sum(CASE WHEN bound.namespace_id = 0 THEN z.atoms ELSE 0 END)
  FROM bound CROSS JOIN role_size AS z ON z.role_id = bound.role_id
  GROUP BY bound.identity_id
), bindings(identity_id, bindings, dangling) AS MATERIALIZED (
  SELECT identity_id, count(*), sum(role_id IS NULL) FROM bound GROUP BY identity_id
), through_groups(identity_id, bindings, dangling, grants) AS MATERIALIZED (
  SELECT a.identity_id, sum(n.bindings), sum(n.dangling), sum(reach.grants)
  FROM account AS a CROSS JOIN group_membership AS g ON g.identity_id = a.identity_id
  CROSS JOIN bindings AS n ON n.identity_id = g.group_id
  LEFT JOIN reach ON reach.identity_id = g.group_id
  GROUP BY a.identity_id
)
SELECT account.namespace, account.name AS service_account, account.declared, account.automount,
       (SELECT count(DISTINCT k.pod_id) FROM pod_token AS k WHERE k.identity_id = account.identity_id AND k.audience IS NULL) AS pods,
       (SELECT count(DISTINCT w.root_id) FROM workload AS w WHERE w.identity_id = account.identity_id) AS workloads,
       (SELECT count(DISTINCT p.node_id) FROM pod_token AS k CROSS JOIN pod AS p ON p.pod_id = k.pod_id
        WHERE k.identity_id = account.identity_id AND k.audience IS NULL) AS nodes,
       coalesce(n.bindings, 0) AS own_bindings, coalesce(g.bindings, 0) AS group_bindings,
       coalesce(n.dangling, 0) + coalesce(g.dangling, 0) AS dangling_bindings,
       coalesce(reach.grants, 0) AS grants, coalesce(reach.wildcards, 0) AS wildcard_grants,
       coalesce(reach.cluster_wide, 0) AS cluster_wide_grants, coalesce(g.grants, 0) AS group_grants,
       (SELECT coalesce(sum(u.count), 0) FROM usage AS u WHERE u.identity_id = account.identity_id AND u.decision = 'allow') AS requests_allowed,
       (SELECT coalesce(sum(u.count), 0) FROM usage AS u WHERE u.identity_id = account.identity_id AND u.decision = 'forbid') AS requests_refused,
       (SELECT min(u.first_seen) FROM usage AS u WHERE u.identity_id = account.identity_id) AS first_seen,
       (SELECT max(u.last_seen) FROM usage AS u WHERE u.identity_id = account.identity_id) AS last_seen
FROM account LEFT JOIN bindings AS n ON n.identity_id = account.identity_id
LEFT JOIN through_groups AS g ON g.identity_id = account.identity_id
LEFT JOIN reach ON reach.identity_id = account.identity_id
ORDER BY 1, 2
