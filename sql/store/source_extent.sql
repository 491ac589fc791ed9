-- Rows of a table, and the first row id behind them. Neither reads a column.
SELECT count(*) AS rows, coalesce(max(rowid) + 1, 0) AS row_end FROM source.weir.{table};
