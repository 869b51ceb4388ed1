-- Schema 1 to schema 2: diagnostics with their notes and help, logs with their envelopes.
ALTER TABLE diagnostic ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE diagnostic ADD COLUMN help TEXT;
ALTER TABLE checkpoint ADD COLUMN envelopes TEXT NOT NULL DEFAULT '{}';
-- Files of the first days lack this table.
CREATE TABLE IF NOT EXISTS workload_token (
  workload_id      INTEGER NOT NULL REFERENCES workload,
  ordinal          INTEGER NOT NULL,
  identity_id      INTEGER NOT NULL REFERENCES identity,
  exposure         TEXT NOT NULL CHECK (exposure IN ('automount','projected','secret-volume','secret-env','csi')),
  audience         TEXT,
  PRIMARY KEY (workload_id, ordinal)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
