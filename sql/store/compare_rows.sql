-- Rows of both.
SELECT (SELECT count(*) FROM source.weir.{table}) AS source_rows, (SELECT count(*) FROM target.weir.{table}) AS target_rows;
