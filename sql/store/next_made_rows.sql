-- The first $1 rows of a day that stay rows, of those from $2 and before $3: the id of the last one, and how many there are. At most 2 * $1
-- ids are looked at: `seen` is the first one that is not. $4 is the time before which samples become blocks, in microseconds since the epoch.
SELECT coalesce(max(row_id), -1)::DOUBLE AS last, count(*)::DOUBLE AS rows, least($3, $2 + 2 * $1)::DOUBLE AS seen
FROM (
  SELECT stored.rowid AS row_id
  FROM weir.{table} AS stored
  WHERE stored.rowid >= $2 AND stored.rowid < least($3, $2 + 2 * $1)
    AND (stored.ts >= make_timestamp($4) OR stored.series_id NOT IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative')))
  ORDER BY row_id
  LIMIT $1
);
