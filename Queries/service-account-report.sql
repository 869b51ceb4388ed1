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
-- column:  grants              integer  count of distinct verb and resource or URL pairs with scope, wildcards counted as one
-- column:  wildcard_grants     integer  count of these with a `*` as verb, group or resource
-- column:  cluster_wide_grants integer  count of these that hold in every namespace
-- column:  requests_allowed    integer  requests in the logs that were allowed
-- column:  requests_refused    integer  requests in the logs that were refused
-- column:  first_seen          integer? microseconds since 1970-01-01 UTC of its first request; NULL = none was seen
-- column:  last_seen           integer? microseconds since 1970-01-01 UTC of its last request; NULL = none was seen
-- source:  docs/reports.md
WITH account AS MATERIALIZED (
  SELECT identity_id, namespace, name, declared, automount FROM service_account
  WHERE (:namespace IS NULL OR namespace = :namespace) AND (:service_account IS NULL OR name = :service_account)
), subject AS MATERIALIZED (
  SELECT a.identity_id, a.identity_id AS subject_id, 0 AS is_group FROM account AS a
  UNION ALL
  SELECT a.identity_id, g.group_id, 1 FROM account AS a CROSS JOIN group_membership AS g ON g.identity_id = a.identity_id
), bound AS MATERIALIZED (
  SELECT DISTINCT w.identity_id, w.is_group, b.binding_id, b.role_id, b.namespace_id
  FROM subject AS w CROSS JOIN binding_subject AS s ON s.identity_id = w.subject_id
  CROSS JOIN binding AS b ON b.binding_id = s.binding_id
), granted AS MATERIALIZED (
  SELECT d.identity_id, count(*) AS grants, sum(d.is_wildcard) AS wildcards, sum(d.namespace_id = 0) AS cluster_wide
  FROM (SELECT DISTINCT bound.identity_id, bound.namespace_id, a.atom_id,
               '*' IN (t.verb, coalesce(t.api_group, ''), coalesce(t.resource, t.url)) AS is_wildcard
        FROM bound CROSS JOIN rule_atom AS a ON a.role_id = bound.role_id
        CROSS JOIN atom AS t ON t.atom_id = a.atom_id
        WHERE bound.namespace_id = 0 OR t.url IS NULL) AS d
  GROUP BY d.identity_id
)
SELECT account.namespace, account.name AS service_account, account.declared, account.automount,
       (SELECT count(DISTINCT k.pod_id) FROM pod_token AS k WHERE k.identity_id = account.identity_id AND k.audience IS NULL) AS pods,
       (SELECT count(DISTINCT w.root_id) FROM workload AS w WHERE w.identity_id = account.identity_id) AS workloads,
       (SELECT count(DISTINCT p.node_id) FROM pod_token AS k CROSS JOIN pod AS p ON p.pod_id = k.pod_id
        WHERE k.identity_id = account.identity_id AND k.audience IS NULL) AS nodes,
       (SELECT count(DISTINCT binding_id) FROM bound WHERE bound.identity_id = account.identity_id AND NOT is_group) AS own_bindings,
       (SELECT count(DISTINCT binding_id) FROM bound WHERE bound.identity_id = account.identity_id AND is_group) AS group_bindings,
       (SELECT count(DISTINCT binding_id) FROM bound WHERE bound.identity_id = account.identity_id AND role_id IS NULL) AS dangling_bindings,
       coalesce(granted.grants, 0) AS grants, coalesce(granted.wildcards, 0) AS wildcard_grants,
       coalesce(granted.cluster_wide, 0) AS cluster_wide_grants,
       (SELECT coalesce(sum(u.count), 0) FROM usage AS u WHERE u.identity_id = account.identity_id AND u.decision = 'allow') AS requests_allowed,
       (SELECT coalesce(sum(u.count), 0) FROM usage AS u WHERE u.identity_id = account.identity_id AND u.decision = 'forbid') AS requests_refused,
       (SELECT min(u.first_seen) FROM usage AS u WHERE u.identity_id = account.identity_id) AS first_seen,
       (SELECT max(u.last_seen) FROM usage AS u WHERE u.identity_id = account.identity_id) AS last_seen
FROM account LEFT JOIN granted ON granted.identity_id = account.identity_id
ORDER BY 1, 2
