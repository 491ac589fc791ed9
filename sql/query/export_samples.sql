-- The samples of some minutes of a day, ordered by time, and by arrival if times are equal. A stale marker has no
-- value. The columns after value are the attributes.
-- $fromUs, $toUs: microseconds since the epoch; $metric: a metric's name as pushed, or NULL for all;
-- $seriesIds: a list of ids as text, or NULL for all.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, * EXCLUDE (series_id, ts, value, live)
FROM weir.{table} AS samples
WHERE ts >= make_timestamp($fromUs) AND ts < make_timestamp($toUs)
  AND ($metric::VARCHAR IS NULL OR series_id IN (SELECT series_id FROM weir.series WHERE metric = $metric))
  AND ($seriesIds::VARCHAR IS NULL OR series_id IN (SELECT unnest($seriesIds::UINTEGER[])))
ORDER BY ts, samples.rowid;
