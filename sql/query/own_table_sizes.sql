-- As table_sizes.sql, with only the series of a caller. They are in "own series", and their rows in "every row".
WITH by_series AS (
  {@query/sizes_by_series}
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
