-- The metrics that have samples to archive, with what the manifest says of them and the names of their labels, ordered by name.
SELECT s.metric AS name, any_value(s.kind) AS kind, coalesce(any_value(m.type), 'unknown') AS type,
  coalesce(any_value(m.unit), '') AS unit, coalesce(any_value(m.help), '') AS help,
  coalesce(any_value(m.buckets), []) AS buckets,
  sum(c.samples)::BIGINT AS rows, sum(c.stale)::BIGINT AS stale,
  epoch_us(min(c.first_ts))::DOUBLE AS min_us, epoch_us(max(c.last_ts))::DOUBLE AS max_us,
  list_sort(list_distinct(flatten(list(map_keys(s.labels))))) AS labels
FROM temp.main.archived_counts AS c
JOIN weir.series AS s USING (series_id)
LEFT JOIN weir.metrics AS m ON m.metric = s.metric
GROUP BY s.metric
ORDER BY s.metric;
