-- Schema 1 to schema 2: diagnostics with their notes and help.
ALTER TABLE diagnostic ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE diagnostic ADD COLUMN help TEXT;
PRAGMA user_version = 2;
