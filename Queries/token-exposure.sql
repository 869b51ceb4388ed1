-- title:   Which pods hold an API token
-- answers: each pod with every token its containers can read
-- unset:   nothing; the query has no parameters
-- column:  namespace           text     namespace of the pod
-- column:  pod                 text     name of the pod
-- column:  service_account     text     account the token speaks for, in the pod's namespace
-- column:  exposure            text     automount, projected, secret-volume, secret-env or csi
-- column:  audience            text?    NULL = the API server
-- column:  own_bindings        integer  count of bindings that name the account; 0 = the token is good for nothing but what everybody may
-- source:  docs/effective-permissions.md
SELECT p.namespace, p.name AS pod, sa.name AS service_account, k.exposure, k.audience,
       (SELECT count(DISTINCT s.binding_id) FROM binding_subject AS s WHERE s.identity_id = k.identity_id) AS own_bindings
FROM pod_token AS k JOIN pod AS p ON p.pod_id = k.pod_id JOIN service_account AS sa ON sa.identity_id = k.identity_id
ORDER BY 1, 2, k.ordinal
