-- Notes that rows of a day ($1: 2026-11-25) became blocks since it was archived: rows have other ids, so the day is archived again as
-- a whole. A day that was dropped and restored has other rows than those that were archived.
UPDATE weir.archives SET definition = json_merge_patch(definition::JSON, '{"changed":true}'::JSON)::VARCHAR
WHERE record_key = $1 AND definition IS NOT NULL AND (definition::JSON ->> 'gone') IS NULL;
