-- The series of a file.
SELECT series, metric, labels, exposed FROM read_parquet($1, hive_partitioning = false);
