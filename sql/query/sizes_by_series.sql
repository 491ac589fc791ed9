-- How many samples and values each series of "every row" and "every block" has, and the times of the last ones. A part of other
-- statements.
SELECT series_id, sum(samples) AS samples, sum(row_count) AS row_count, max(last_any) AS last_any,
  max(last_value) AS last_value
FROM (
  SELECT series_id, count(*) AS samples, count(value) AS row_count, max(ts) AS last_any,
    max(ts) FILTER (value IS NOT NULL) AS last_value
  FROM "every row"
  GROUP BY ALL
  UNION ALL
  SELECT series_id, samples, samples - stale, make_timestamp(last_us), make_timestamp(nullif(last_value_us, 0))
  FROM "every block"
)
GROUP BY ALL
