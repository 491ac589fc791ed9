-- The greatest or least value of the rows of some series of a day in a range of time, and the blocks of these series, in the
-- columns of EncodedBlocks (src/store/blocks/decode.ts). A line of rows has its count in first_us, how many are NaN in unit_us,
-- and in step their greatest or least value without those that are NaN. $afterUs, $toUs: microseconds since the epoch;
-- $seriesIds: a list of ids as text; $day: days since the epoch.
SELECT series_id, samples, first_us::DOUBLE AS first_us, unit_us::DOUBLE AS unit_us, step, base, slope, scale, times, wholes,
  raws, NULL::DOUBLE[] AS row_times
FROM weir.blocks
WHERE day = $day AND last_us > $afterUs AND first_us <= $toUs
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
UNION ALL
SELECT series_id, 0::UINTEGER, count(*)::DOUBLE, count(*) FILTER (isnan(value))::DOUBLE,
  coalesce({aggregate}(value) FILTER (NOT isnan(value)), 0), 0, 0, 0, NULL, NULL, NULL, NULL
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
