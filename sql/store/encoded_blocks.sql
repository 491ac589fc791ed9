-- The blocks of some series of a day that have samples in a range of time that is open on the left, in the columns of
-- EncodedBlocks (src/store/blocks/decode.ts). A part of other statements. $afterUs, $toUs: microseconds since the epoch;
-- $seriesIds: a list of ids as text; $day: days since the epoch. The first time is that of an item 0.
SELECT series_id, samples, (first_us - coalesce(unit_us * times[1], 0))::DOUBLE AS first_us, unit_us::DOUBLE AS unit_us, step, base,
  scale, times::DOUBLE[] AS times, wholes, raws, NULL::DOUBLE[] AS row_times
FROM weir.blocks
WHERE day = $day AND last_us > $afterUs AND first_us <= $toUs
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
