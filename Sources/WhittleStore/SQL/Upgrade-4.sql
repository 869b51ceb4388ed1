-- Schema 4 to schema 5: what logs were before they grew.
ALTER TABLE checkpoint ADD COLUMN ended INTEGER NOT NULL DEFAULT 1;
CREATE TABLE earlier_checkpoint (
  sha256           TEXT PRIMARY KEY,
  checkpoint_id    INTEGER NOT NULL,
  byte_count       INTEGER NOT NULL,
  line_count       INTEGER NOT NULL,
  head             TEXT NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 5;
