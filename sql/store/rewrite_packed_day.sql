-- Writes a day's table again without the rows that are in blocks now, in the same order. temp.main.packing says which.
CREATE OR REPLACE TABLE weir.{table} AS
SELECT stored.*
FROM weir.{table} AS stored
WHERE stored.rowid >= (SELECT row_end FROM temp.main.packing) OR stored.ts >= (SELECT until FROM temp.main.packing)
  OR stored.series_id NOT IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative'));
