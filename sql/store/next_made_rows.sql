-- The next $1 rows of a day from $2, and before $3, that stay rows: the id of the last one, and how many there are. $4 is the time
-- before which samples become blocks, in microseconds since the epoch.
SELECT coalesce(max(row_id), -1)::DOUBLE AS last, count(*)::DOUBLE AS rows
FROM (
  SELECT stored.rowid AS row_id
  FROM weir.{table} AS stored
  WHERE stored.rowid >= $2 AND stored.rowid < $3
    AND (stored.ts >= make_timestamp($4) OR stored.series_id NOT IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative')))
  LIMIT $1
);
