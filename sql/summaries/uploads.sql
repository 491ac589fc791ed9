-- How much was uploaded?
-- Uploads and their size by type, and of all types in the last row. A megabyte (mb) is 1,048,576 bytes.
-- parameter from time = -24h: start of the range
-- parameter to time = now: end of the range, not included
-- parameter uploads_metric metric = upload.size_bytes: one sample per upload, its size in bytes
-- parameter upload_type_tag tag = upload_type: how the data was uploaded
-- table uploads of $uploads_metric: upload_type = $upload_type_tag
-- line: if(upload_type = '(all)', printf('Total: %.6g MB in %d uploads', mb, uploads), NULL)
SELECT
  if(grouping(kind) = 1, '(all)', kind) AS upload_type,
  round(coalesce(fsum(value), 0) / 1048576, 6) AS mb,
  count(*) AS uploads,
  coalesce(fsum(value), 0)::BIGINT AS bytes,
  round(favg(value)) AS mean_bytes,
  max(value) AS max_bytes
FROM (SELECT coalesce(upload_type, '(none)') AS kind, value FROM uploads WHERE ts >= $from AND ts < $to)
GROUP BY GROUPING SETS ((kind), ())
ORDER BY grouping(kind), bytes DESC, upload_type;
