CREATE VIEW effective_grant AS                       -- one row per subject × atom × scope; names are joined in only when asked
SELECT s.identity_id, b.binding_id, b.namespace_id AS scope_id, a.role_id, a.ordinal, a.atom_id, a.named,
       i.kind AS identity_kind, i.name AS identity_name,
       nullif(b.namespace, '') AS scope_namespace,   -- NULL = every namespace and the cluster scope
       b.kind AS binding_kind, b.name AS binding, r.kind AS role_kind, r.name AS role,
       t.verb, t.api_group, t.resource, t.url
FROM binding_subject AS s
JOIN identity AS i  ON i.identity_id = s.identity_id
JOIN binding AS b   ON b.binding_id = s.binding_id
JOIN role AS r      ON r.role_id = b.role_id
JOIN rule_atom AS a ON a.role_id = b.role_id
JOIN atom AS t      ON t.atom_id = a.atom_id
WHERE b.namespace_id = 0 OR t.url IS NULL;           -- a RoleBinding never gives a URL

CREATE VIEW pod_permission AS                        -- one row per pod × atom × scope through its API tokens and their groups
SELECT p.pod_id, p.namespace, p.name AS pod, k.identity_id AS acts_as_id, g.binding_id, g.scope_id, g.scope_namespace,
       g.role_id, g.ordinal, g.atom_id, g.named, g.binding_kind, g.binding, g.role_kind, g.role, g.verb, g.api_group, g.resource, g.url
FROM pod AS p
JOIN pod_token AS k ON k.pod_id = p.pod_id AND k.audience IS NULL
JOIN (SELECT identity_id, identity_id AS subject_id FROM service_account
      UNION ALL SELECT identity_id, group_id FROM group_membership) AS w ON w.identity_id = k.identity_id
JOIN effective_grant AS g ON g.identity_id = w.subject_id;

CREATE VIEW usage_day AS                             -- requests that completed per day since 1970-01-01 UTC; sum over a usage_id = usage.count
SELECT u.usage_id, coalesce(c.day, u.day) AS day, coalesce(c.count, u.count) AS count
FROM usage AS u LEFT JOIN usage_day_count AS c ON c.usage_id = u.usage_id
WHERE u.count > 0;

CREATE VIEW usage_fact AS                            -- usage with everything spelled out
SELECT u.usage_id, i.kind AS identity_kind, i.name AS user, nullif(m.name, '') AS impersonator, nullif(c.namespace, '') AS pod_namespace,
       nullif(c.pod, '') AS pod, c.workload, nullif(c.address, '') AS address, nullif(a.user_agent, '') AS user_agent, t.verb, t.api_group,
       CASE WHEN instr(t.resource, '/') > 0 THEN substr(t.resource, 1, instr(t.resource, '/') - 1) ELSE t.resource END AS resource,
       CASE WHEN instr(t.resource, '/') > 0 THEN substr(t.resource, instr(t.resource, '/') + 1) WHEN t.resource IS NOT NULL THEN '' END AS subresource,
       o.name AS name, n.name AS namespace, t.url AS path, u.decision, u.code_class, r.reason,
       r.binding_kind, r.binding_namespace, r.binding_name, u.count, u.started, u.first_seen, u.last_seen,
       u.identity_id, u.impersonator_id, u.caller_id, u.agent_id, u.atom_id, u.namespace_id, u.object_name_id, u.reason_id
FROM usage AS u
CROSS JOIN identity AS i    ON i.identity_id = u.identity_id
CROSS JOIN identity AS m    ON m.identity_id = u.impersonator_id
CROSS JOIN caller AS c      ON c.caller_id = u.caller_id
CROSS JOIN agent AS a       ON a.agent_id = u.agent_id
CROSS JOIN atom AS t        ON t.atom_id = u.atom_id
CROSS JOIN namespace AS n   ON n.namespace_id = u.namespace_id
CROSS JOIN object_name AS o ON o.object_name_id = u.object_name_id
CROSS JOIN reason AS r      ON r.reason_id = u.reason_id;
