-- How many samples some series of a day have in a range of time. The counts decide how much to read at once.
-- $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
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
SELECT series_id, count(*)::DOUBLE AS row_count
FROM stored
GROUP BY series_id;
