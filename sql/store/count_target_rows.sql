-- Rows of a table of the new store.
SELECT count(*) AS rows FROM target.weir.{table};
