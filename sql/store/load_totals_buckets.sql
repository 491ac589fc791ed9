-- The buckets of the newest totals of every series with an id of a range that has some: which series they are, and how many buckets
-- each has, as JSON, and all buckets one after the other. Thousands of series in a row. The engine keeps all texts in memory, so it
-- is asked for them in parts.
SELECT string_agg(json_array(series_id, octet_length(buckets) // 8), ',' ORDER BY series_id) AS rows,
  string_agg(hex(buckets), '' ORDER BY series_id) AS buckets
FROM (
  SELECT series_id, buckets
  FROM weir.totals
  WHERE series_id >= $fromId AND series_id < $toId
  QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY generation DESC) = 1
)
WHERE octet_length(buckets) > 0
GROUP BY series_id // 4096;
