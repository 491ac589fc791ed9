-- The samples of some series of a day in a range of time that is open on the left, in no particular order: those in blocks, and
-- those among the first rows of the day. $afterUs, $toUs: microseconds since the epoch; $rows: the number of rows of the day
-- that count; $seriesIds: a list of ids as text; $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us > $afterUs AND first_us <= $toUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
)
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND rowid < $rows
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
UNION ALL
SELECT series_id, epoch_us(ts)::DOUBLE, value
FROM ({@store/unpacked_blocks})
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs);
