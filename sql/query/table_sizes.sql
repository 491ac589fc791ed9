-- How many rows each table has, and the time of its last row. A metric is named by its own name, other tables
-- by their table's name. Rows are counted by series before the series of a metric are added up. A stale marker
-- (a row without a value) counts as a row of `samples` only. The result is one row with a list in JSON,
-- because the limit on rows of a request's statement does not apply to it.
WITH by_series AS (
  {@query/sizes_by_series}
), sizes AS (
  SELECT true AS is_metric, metric AS name, sum(row_count)::DOUBLE AS row_count, epoch_ms(max(last_value)) AS last_ms
  FROM by_series
  JOIN weir.series USING (series_id)
  GROUP BY metric
  UNION ALL
  SELECT false, 'samples', coalesce(sum(samples), 0)::DOUBLE, epoch_ms(max(last_any)) FROM by_series
  UNION ALL
  SELECT false, 'series', count(*)::DOUBLE, NULL FROM main.series
  UNION ALL
  SELECT false, 'metrics', count(*)::DOUBLE, NULL FROM main.metrics
  UNION ALL
  SELECT false, 'exemplars', count(*)::DOUBLE, epoch_ms(max(ts)) FROM main.exemplars
  UNION ALL
  SELECT false, 'rejected', count(*)::DOUBLE, epoch_ms(max(received_at)) FROM main.rejected
)
SELECT to_json(list(sizes))::VARCHAR AS sizes FROM sizes
