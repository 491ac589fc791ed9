-- The last sample of some series of a day up to a time, also if it is a stale marker: the last pushed value of
-- a group that still exists. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
-- Samples are rows or in blocks; $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us > $afterUs AND first_us <= $toUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
), stored AS (
  SELECT series_id, ts, value FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  UNION ALL
  SELECT series_id, ts, value FROM ({@store/unpacked_blocks}) WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
)
SELECT series_id, epoch_us(max(ts))::DOUBLE AS timestamp_us, arg_max_null(value, ts) AS value
FROM stored
GROUP BY series_id;
