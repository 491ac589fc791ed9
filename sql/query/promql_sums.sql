-- The number of rows of some series of events of a day in a range of time, how many of them are NaN, the sum of their values, and
-- the sum of their magnitudes, which bounds the error of the sum. NaN is not filtered out: a sum that includes one is NaN, and
-- the filters would take as long as the sums. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
SELECT series_id, count(*)::DOUBLE AS row_count, count(*) FILTER (isnan(value))::DOUBLE AS nan_count, fsum(value) AS total,
  sum(abs(value)) AS magnitude
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
