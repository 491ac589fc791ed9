-- How many rows of a file ('{path}') come before the row above them, by series and time.
SELECT count_if(series < series_above OR (series = series_above AND ts < ts_above))::DOUBLE AS rows
FROM (
  SELECT series, ts, lag(series) OVER () AS series_above, lag(ts) OVER () AS ts_above
  FROM read_parquet('{path}', hive_partitioning = false)
);
