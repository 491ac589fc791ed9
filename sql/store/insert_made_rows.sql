-- Copies the rows of a day from $1 and before $2 that stay rows, in their order: those from a row id ($3) or from a time ($4,
-- microseconds since the epoch) on, and those of events. Without ORDER BY, a join gives the rows of several threads in any order.
INSERT INTO weir.{rows}
SELECT stored.*
FROM weir.{table} AS stored
WHERE stored.rowid >= $1 AND stored.rowid < $2
  AND (
    stored.rowid >= $3 OR stored.ts >= make_timestamp($4)
    OR stored.series_id NOT IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative'))
  )
ORDER BY stored.rowid;
