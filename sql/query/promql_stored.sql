-- The samples of some series of a day in a range of time that is open on the left, whether they are rows or in blocks. A part of
-- other statements. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text; $day: days since the epoch.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us > $afterUs AND first_us <= $toUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
)
SELECT series_id, ts, value FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
UNION ALL
SELECT series_id, ts, value FROM ({@store/unpacked_blocks}) WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
