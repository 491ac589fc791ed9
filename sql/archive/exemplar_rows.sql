-- Exemplars of a file ($path) from row $from up to and without $to, in their order.
SELECT series, epoch_us(ts)::DOUBLE AS timestamp_us, value, metric, kind, labels, exposed, exemplar
FROM read_parquet($path, file_row_number = true, hive_partitioning = false)
WHERE file_row_number >= $from AND file_row_number < $to
ORDER BY file_row_number;
