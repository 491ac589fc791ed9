-- Makes rows of the blocks of some series of a day that have samples in a range of time, both ends included ($fromUs, $toUs:
-- microseconds since the epoch; $day: days since the epoch).
INSERT INTO weir.{table} BY NAME
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND last_us >= $fromUs AND first_us <= $toUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
)
SELECT series_id, ts, value, live FROM ({@store/unpacked_blocks});
