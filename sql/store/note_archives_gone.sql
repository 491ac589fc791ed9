-- Notes that days before a day ($1: 2026-11-25) were dropped, of which the archive has samples: of this writing, or of before an
-- earlier drop, also if the day was being archived again.
UPDATE weir.archives
SET definition = json_merge_patch(
  definition::JSON,
  '{"gone":true,"changed":null,"writing":null,"writingEnd":null,"replaces":null}'::JSON
)::VARCHAR
WHERE record_key < $1
  AND coalesce(json_extract_string(definition, '$.archivedEnd'), json_extract_string(definition, '$.drops')) IS NOT NULL
  AND json_extract_string(definition, '$.gone') IS NULL;
