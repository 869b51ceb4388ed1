-- title:   What the load had to say about its input
-- answers: errors, warnings and notes of the last load, in the order of the input
-- unset:   nothing; the query has no parameters
-- column:  severity            text     error (part of the input is lost), warning or note
-- column:  id                  text     a heading of docs/diagnostics.md
-- column:  message             text     one sentence
-- column:  file                text?    input that it is about
-- column:  line                integer? 1-based
-- column:  column              integer? 1-based, in characters
-- column:  notes               text     JSON array of further places and facts
-- column:  help                text?    how to mend it
-- source:  docs/diagnostics.md
SELECT d.severity, d.id, d.message, d.file, d.line, d.column, d.notes, d.help
FROM diagnostic AS d
ORDER BY d.diagnostic_id
