-- The number of rows of a Parquet file.
SELECT count(*) AS rows FROM read_parquet(?)
