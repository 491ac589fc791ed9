-- Rows of some series of a day that have an attribute, as exemplars: the newest of each series, bucket and
-- slice of time, so that rare slow rows appear beside many fast ones. $fromUs, $toUs: microseconds since the
-- epoch; $bounds: a list of doubles as text. Row ids are selected first, so that texts are read for the
-- selected rows only.
WITH picked AS (
  SELECT arg_max(rowid, ts) AS id
  FROM weir.{table}
  WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
    AND {column} IS NOT NULL AND value IS NOT NULL
  GROUP BY
    series_id,
    len(list_filter($bounds::DOUBLE[], lambda bound: bound < value)),
    (epoch_us(ts) - $sliceFromUs) // $sliceUs
)
SELECT
  stored.rowid::DOUBLE AS row_id,
  stored.series_id,
  epoch_us(stored.ts)::DOUBLE AS timestamp_us,
  stored.value,
  stored.{column} AS label
FROM weir.{table} AS stored
JOIN picked ON picked.id = stored.rowid
ORDER BY stored.ts DESC
LIMIT $most;
