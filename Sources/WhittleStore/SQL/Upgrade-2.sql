-- Schema 2 to schema 3: what a log could show, names that were dropped, the latest events.
ALTER TABLE checkpoint ADD COLUMN line_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoint ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoint ADD COLUMN rejects TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN levels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN decisions TEXT NOT NULL DEFAULT '{}';
ALTER TABLE checkpoint ADD COLUMN spans TEXT NOT NULL DEFAULT '[]';
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
PRAGMA user_version = 3;
