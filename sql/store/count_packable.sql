-- How many rows of a day can become samples of blocks: those of gauges and cumulative series before a row id ($rowEnd) and a
-- time ($untilUs, microseconds since the epoch).
SELECT count(*)::DOUBLE AS samples
FROM weir.{table}
WHERE rowid < $rowEnd AND ts < make_timestamp($untilUs)
  AND series_id IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative'));
