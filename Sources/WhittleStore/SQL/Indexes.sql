-- After the bulk load, before ANALYZE.
CREATE UNIQUE INDEX identity_name    ON identity (kind, name);
CREATE UNIQUE INDEX service_account_name ON service_account (namespace, name);
CREATE UNIQUE INDEX workload_name    ON workload (namespace, kind, name);
CREATE UNIQUE INDEX pod_name         ON pod (namespace, name);
CREATE UNIQUE INDEX role_name        ON role (namespace, name);
CREATE UNIQUE INDEX binding_name     ON binding (namespace, name);
CREATE UNIQUE INDEX atom_resource    ON atom (resource, verb, api_group) WHERE resource IS NOT NULL;
CREATE UNIQUE INDEX atom_url         ON atom (url, verb)                 WHERE url IS NOT NULL;
CREATE INDEX atom_url_prefix         ON atom (url_prefix, verb)          WHERE url_prefix IS NOT NULL;
CREATE INDEX rule_atom_by_atom       ON rule_atom (atom_id, namespace_id, role_id, ordinal, named);
CREATE INDEX binding_by_role         ON binding (role_id, namespace_id);
CREATE INDEX binding_subject_by_identity ON binding_subject (identity_id, binding_id);
CREATE INDEX group_member            ON group_membership (group_id, identity_id);
CREATE INDEX service_account_by_namespace ON service_account (namespace_id, name);
CREATE INDEX pod_by_identity         ON pod (identity_id);
CREATE INDEX pod_by_node             ON pod (node_id);
CREATE INDEX pod_by_workload         ON pod (workload_id);
CREATE INDEX workload_by_identity    ON workload (identity_id);
CREATE INDEX workload_by_owner       ON workload (owner_id);
CREATE INDEX pod_token_by_identity   ON pod_token (identity_id, pod_id);
CREATE INDEX workload_token_by_identity ON workload_token (identity_id, workload_id);
CREATE INDEX usage_day_by_day        ON usage_day (day);
INSERT INTO group_size
  SELECT g.group_id, count(DISTINCT sa.identity_id), sum(coalesce(p.pods, 0))
  FROM group_membership AS g JOIN service_account AS sa ON sa.identity_id = g.identity_id
  LEFT JOIN (SELECT identity_id, count(DISTINCT pod_id) AS pods FROM pod_token WHERE audience IS NULL GROUP BY identity_id) AS p
         ON p.identity_id = g.identity_id
  GROUP BY g.group_id;
