-- Forgets days before a day ($1: 2026-11-25), which are dropped, of which the archive has nothing.
DELETE FROM weir.archives WHERE record_key < $1 AND json_extract_string(definition, '$.gone') IS NULL;
