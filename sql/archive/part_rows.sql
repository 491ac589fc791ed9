-- Rows of a file ($path) from $from up to and without $to, in their order: the series, the time and the value, and then the columns of
-- tags.
SELECT series, epoch_us(ts)::DOUBLE AS timestamp_us, value,
  * EXCLUDE (series, ts, value, file_row_number)
FROM read_parquet($path, file_row_number = true, hive_partitioning = false)
WHERE file_row_number >= $from AND file_row_number < $to
ORDER BY file_row_number;
