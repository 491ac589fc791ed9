-- As table_sizes.sql, with only the series of a caller. They are in "own series", and their rows in "every row".
WITH by_series AS (
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
), sizes AS (
  SELECT true AS is_metric, metric AS name, sum(row_count)::DOUBLE AS row_count, epoch_ms(max(last_value)) AS last_ms
  FROM by_series
  JOIN "own series" USING (series_id)
  GROUP BY metric
  UNION ALL
  SELECT false, 'samples', coalesce(sum(samples), 0)::DOUBLE, epoch_ms(max(last_any)) FROM by_series
  UNION ALL
  SELECT false, 'series', count(*)::DOUBLE, NULL FROM "own series"
  UNION ALL
  SELECT false, 'metrics', count(DISTINCT metric)::DOUBLE, NULL FROM "own series"
  UNION ALL
  SELECT false, 'exemplars', count(*)::DOUBLE, epoch_ms(max(ts))
  FROM weir.exemplars
  WHERE series_id IN (SELECT series_id FROM "own series")
)
SELECT to_json(list(sizes))::VARCHAR AS sizes FROM sizes
