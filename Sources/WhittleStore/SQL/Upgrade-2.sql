-- Schema 2 to schema 3: what a log could show, names that were dropped, the latest events, how much a role holds, who manages an object,
-- what policies ask the authorizer; days are kept of facts that were seen on several.
ALTER TABLE checkpoint ADD COLUMN line_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoint ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoint ADD COLUMN rejects TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN levels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN decisions TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN spans TEXT NOT NULL DEFAULT '[]';
ALTER TABLE checkpoint ADD COLUMN head TEXT NOT NULL DEFAULT '';
ALTER TABLE checkpoint ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
DROP INDEX IF EXISTS usage_day_by_day;
ALTER TABLE usage ADD COLUMN day INTEGER GENERATED ALWAYS AS (CASE WHEN first_seen >= 0 AND first_seen / 86400000000 = last_seen / 86400000000 THEN first_seen / 86400000000 END) VIRTUAL;
ALTER TABLE usage_day RENAME TO usage_day_count;
DELETE FROM usage_day_count WHERE usage_id IN (SELECT usage_id FROM usage WHERE day IS NOT NULL);
CREATE VIEW usage_day AS
SELECT u.usage_id, coalesce(c.day, u.day) AS day, coalesce(c.count, u.count) AS count
FROM usage AS u LEFT JOIN usage_day_count AS c ON c.usage_id = u.usage_id
WHERE u.count > 0;
CREATE TABLE names_dropped (
  identity_id      INTEGER NOT NULL REFERENCES identity,
  atom_id          INTEGER NOT NULL REFERENCES atom,
  PRIMARY KEY (identity_id, atom_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_window (
  event_window_id  INTEGER PRIMARY KEY CHECK (event_window_id = 1),
  seed             INTEGER NOT NULL,
  previous         BLOB NOT NULL,
  current          BLOB NOT NULL
) STRICT;
CREATE TABLE role_size (
  role_id          INTEGER PRIMARY KEY REFERENCES role,
  atoms            INTEGER NOT NULL,
  urls             INTEGER NOT NULL,
  wildcards        INTEGER NOT NULL,
  wildcard_urls    INTEGER NOT NULL
) STRICT;
INSERT INTO role_size
SELECT role_id, count(*), sum(is_url), sum(is_wildcard), sum(is_url AND is_wildcard)
FROM (SELECT DISTINCT a.role_id, t.atom_id, t.url IS NOT NULL AS is_url,
             '*' IN (t.verb, coalesce(t.api_group, ''), coalesce(t.resource, t.url)) AS is_wildcard
      FROM rule_atom AS a JOIN atom AS t ON t.atom_id = a.atom_id)
GROUP BY role_id;
CREATE TABLE policy_check (
  policy_check_id  INTEGER PRIMARY KEY,
  policy_kind      TEXT NOT NULL,
  policy_name      TEXT NOT NULL,
  about            TEXT NOT NULL CHECK (about IN ('requester','account')),
  account_namespace TEXT,
  account_name     TEXT,
  target           TEXT NOT NULL CHECK (target IN ('resource','url','request','parameter','computed')),
  verb             TEXT,
  api_group        TEXT,
  resource         TEXT,
  subresource      TEXT,
  namespace        TEXT,
  name             TEXT,
  url              TEXT,
  parameter_kind   TEXT,
  expression       TEXT NOT NULL,
  rules            TEXT NOT NULL,
  excluded_rules   TEXT NOT NULL,
  source_id        INTEGER,
  line             INTEGER,
  column           INTEGER
) STRICT;
ALTER TABLE pod ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
-- What makes a row distinct cannot be altered.
DROP VIEW usage_fact;
CREATE TABLE new_caller (
  caller_id        INTEGER PRIMARY KEY,
  namespace        TEXT NOT NULL,
  pod              TEXT NOT NULL,
  pod_uid          TEXT NOT NULL,
  workload         TEXT,
  address          TEXT NOT NULL,
  UNIQUE (namespace, pod, pod_uid, address)
) STRICT;
INSERT INTO new_caller SELECT caller_id, namespace, pod, pod_uid, workload, '' FROM caller;
DROP TABLE caller;
ALTER TABLE new_caller RENAME TO caller;
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
-- Annotations and owners were not kept; the labels tell of the API server and of Helm.
ALTER TABLE role ADD COLUMN managed_by TEXT;
ALTER TABLE binding ADD COLUMN managed_by TEXT;
UPDATE role SET managed_by = '{"by":"bootstrap","restored":"true"}' WHERE bootstrap;
UPDATE binding SET managed_by = '{"by":"bootstrap","restored":"true"}' WHERE bootstrap;
UPDATE role SET managed_by = '{"by":"helm","name":"","namespace":""}'
  WHERE NOT bootstrap AND json_extract(labels, '$."app.kubernetes.io/managed-by"') = 'Helm';
UPDATE binding SET managed_by = '{"by":"helm","name":"","namespace":""}'
  WHERE NOT bootstrap AND json_extract(labels, '$."app.kubernetes.io/managed-by"') = 'Helm';
PRAGMA user_version = 3;
