-- How many samples each minute of a day has. An export reads some whole minutes at a time. So it sorts few rows at
-- once, starts at once, and keeps no transaction open for long.
-- $fromUs, $toUs: microseconds since the epoch; $metric: a metric's name as pushed, or NULL for all;
-- $seriesIds: a list of ids as text, or NULL for all; $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us >= $fromUs AND first_us < $toUs
    AND ($metric::VARCHAR IS NULL OR series_id IN (SELECT series_id FROM weir.series WHERE metric = $metric))
    AND ($seriesIds::VARCHAR IS NULL OR series_id IN (SELECT unnest($seriesIds::UINTEGER[])))
), stored AS (
  SELECT ts
  FROM weir.{table}
  WHERE ts >= make_timestamp($fromUs) AND ts < make_timestamp($toUs)
    AND ($metric::VARCHAR IS NULL OR series_id IN (SELECT series_id FROM weir.series WHERE metric = $metric))
    AND ($seriesIds::VARCHAR IS NULL OR series_id IN (SELECT unnest($seriesIds::UINTEGER[])))
  UNION ALL
  SELECT ts FROM ({@store/unpacked_blocks}) WHERE ts >= make_timestamp($fromUs) AND ts < make_timestamp($toUs)
)
SELECT epoch_us(date_trunc('minute', ts))::DOUBLE AS minute_us, count(*) AS row_count
FROM stored
GROUP BY ALL
ORDER BY ALL;
