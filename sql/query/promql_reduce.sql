-- The greatest or least value of the rows of some series of a day in a range of time, and the blocks of these series, in the
-- columns of EncodedBlocks (src/store/blocks/decode.ts). A line of rows has its count in first_us, how many are NaN in unit_us,
-- and in step their greatest or least value without those that are NaN. $afterUs, $toUs: microseconds since the epoch;
-- $seriesIds: a list of ids as text; $day: days since the epoch.
{@store/encoded_blocks}
UNION ALL
SELECT series_id, 0::UINTEGER, count(*)::DOUBLE, count(*) FILTER (isnan(value))::DOUBLE,
  coalesce({aggregate}(value) FILTER (NOT isnan(value)), 0), 0, 0, NULL, NULL, NULL, NULL
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
