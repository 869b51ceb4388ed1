-- Schema 3 to schema 4: the latest events in parts.
ALTER TABLE event_window RENAME TO old_event_window;
CREATE TABLE event_window (
  generation       INTEGER NOT NULL,
  part             INTEGER NOT NULL,
  seed             INTEGER NOT NULL,
  hashes           BLOB NOT NULL,
  PRIMARY KEY (generation, part)
) STRICT, WITHOUT ROWID;
INSERT INTO event_window
WITH RECURSIVE numbers(part) AS (SELECT 0 UNION ALL SELECT part + 1 FROM numbers WHERE part < 1023)
SELECT 0, part, seed, substr(previous, part * 16384 + 1, 16384) FROM old_event_window, numbers WHERE part * 16384 < length(previous)
UNION ALL
SELECT 1, part, seed, coalesce(substr(current, part * 16384 + 1, 16384), x'') FROM old_event_window, numbers
WHERE part = 0 OR part * 16384 < length(current);
DROP TABLE old_event_window;
PRAGMA user_version = 4;
