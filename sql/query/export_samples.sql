-- The samples of some minutes of a day, ordered by time. If times are equal, gauges and cumulative series are first, by
-- metric and labels, whether they are in blocks or not: the order is the same in every gateway that has them. Events
-- follow in the order of arrival, and need no labels for it. A stale marker has no value. The columns after value are
-- the attributes.
-- $fromUs, $toUs: microseconds since the epoch; $metric: a metric's name as pushed, or NULL for all;
-- $seriesIds: a list of ids as text, or NULL for all; $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us >= $fromUs AND first_us < $toUs
    AND ($metric::VARCHAR IS NULL OR series_id IN (SELECT series_id FROM weir.series WHERE metric = $metric))
    AND ($seriesIds::VARCHAR IS NULL OR series_id IN (SELECT unnest($seriesIds::UINTEGER[])))
), stored AS (
  SELECT samples.*,
    CASE
      WHEN series_id IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative')) THEN -1
      ELSE samples.rowid
    END AS "row"
  FROM weir.{table} AS samples
  WHERE ts >= make_timestamp($fromUs) AND ts < make_timestamp($toUs)
    AND ($metric::VARCHAR IS NULL OR series_id IN (SELECT series_id FROM weir.series WHERE metric = $metric))
    AND ($seriesIds::VARCHAR IS NULL OR series_id IN (SELECT unnest($seriesIds::UINTEGER[])))
  UNION ALL BY NAME
  SELECT series_id, ts, value, live, -1 AS "row" FROM ({@store/unpacked_blocks})
  WHERE ts >= make_timestamp($fromUs) AND ts < make_timestamp($toUs)
)
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, * EXCLUDE (series_id, ts, value, live, "row", "series id", "series metric", "series labels")
FROM stored
LEFT JOIN (SELECT series_id AS "series id", metric AS "series metric", labels AS "series labels" FROM weir.series)
  ON "row" = -1 AND "series id" = series_id
ORDER BY ts, "row", "series metric", "series labels";
