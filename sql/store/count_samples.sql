-- How many samples some series of a day have in a range of time, both ends included ($fromUs, $toUs: microseconds since
-- the epoch). $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us >= $fromUs AND first_us <= $toUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
), stored AS (
  SELECT series_id
  FROM weir.{table}
  WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  UNION ALL
  SELECT series_id FROM ({@store/unpacked_blocks})
  WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
)
SELECT series_id, count(*)::DOUBLE AS samples
FROM stored
GROUP BY series_id;
