-- How much was uploaded?
-- Uploads and their bytes by type, and of all types in the last row. An upload that says a status other than success
-- counts as failed, its bytes with the others.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, itself not in it
-- parameter metric metric = upload.bytes: one sample an upload, its size in bytes
-- table uploads of $metric: type, status
SELECT
  if(grouping(kind) = 1, '(all)', kind) AS type,
  count(*) AS uploads,
  coalesce(sum(value), 0)::BIGINT AS bytes,
  round(avg(value)) AS mean_bytes,
  max(value) AS max_bytes,
  count(*) FILTER (WHERE status <> 'success') AS failed
FROM (SELECT coalesce(type, '(none)') AS kind, status, value FROM uploads WHERE ts >= $from AND ts < $to)
GROUP BY GROUPING SETS ((kind), ())
ORDER BY grouping(kind), bytes DESC, type;
