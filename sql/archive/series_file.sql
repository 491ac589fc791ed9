-- Writes the series that have samples to archive to a file.
COPY (
  SELECT s.series_id AS series, s.metric, s.kind, s.labels, s.exposed
  FROM weir.series AS s
  WHERE s.series_id IN (SELECT series_id FROM temp.main.archived_counts)
  ORDER BY s.series_id
) TO '{path}' (FORMAT parquet, COMPRESSION zstd);
