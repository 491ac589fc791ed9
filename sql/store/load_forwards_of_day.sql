-- The newest state of each destination for a day ($1: 2026-11-25).
SELECT record_key AS key, max(version) AS version, arg_max(definition, version) AS definition
FROM weir.forwards
WHERE ends_with(record_key, '/' || $1)
GROUP BY record_key
HAVING arg_max(definition IS NOT NULL, version);
