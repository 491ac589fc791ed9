-- How many rows each table has, and the time of its last one: a metric's by the metric's name, the others' by the table's
-- own. Rows are counted by series before a metric's series are put together. A stale marker (a row without a value) is
-- a row of `samples` alone. All are one row, a list: the limit of rows that people's statements have is not for this.
WITH by_series AS (
  SELECT series_id, count(*) AS samples, count(value) AS row_count, max(ts) AS last_any,
    max(ts) FILTER (value IS NOT NULL) AS last_value
  FROM "every row"
  GROUP BY ALL
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
SELECT list(sizes) AS sizes FROM sizes
