-- title:   Service accounts in a group
-- answers: each service account that authentication puts into the group, with the pods that hold its API token
-- param:   :group              text     'system:serviceaccounts:shop'
-- unset:   no group
-- column:  namespace           text     namespace of the account
-- column:  service_account     text     name of the account
-- column:  pods                integer  count of pods that hold an API token of it
-- source:  docs/rbac-semantics.md#subjects
SELECT sa.namespace, sa.name AS service_account,
       (SELECT count(DISTINCT k.pod_id) FROM pod_token AS k WHERE k.identity_id = sa.identity_id AND k.audience IS NULL) AS pods
FROM identity AS i
CROSS JOIN group_membership AS g INDEXED BY group_member ON g.group_id = i.identity_id
CROSS JOIN service_account AS sa ON sa.identity_id = g.identity_id
WHERE i.kind = 'Group' AND i.name = :group
ORDER BY 1, 2
