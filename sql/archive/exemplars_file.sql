-- Writes the exemplars of a day ('{first}' up to and without '{next}') to a file.
COPY (
  SELECT e.ts, e.value, s.series_id AS series, s.metric, s.kind, s.labels, s.exposed, e.labels AS exemplar
  FROM weir.exemplars AS e
  JOIN weir.series AS s ON s.series_id = e.series_id
  WHERE e.ts >= CAST('{first}' AS TIMESTAMP) AND e.ts < CAST('{next}' AS TIMESTAMP)
  ORDER BY s.series_id, e.ts
) TO '{path}' (FORMAT parquet, COMPRESSION zstd);
