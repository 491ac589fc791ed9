-- Notes that samples of a day ($1: 2026-11-25) were deleted, or that its rows have other ids, since it was archived.
UPDATE weir.archives SET definition = json_merge_patch(definition::JSON, '{"changed":true}'::JSON)::VARCHAR
WHERE record_key = $1 AND definition IS NOT NULL;
