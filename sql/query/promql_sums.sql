-- The sum of the values of some series of a day over a range of time, NaN left out and counted, and the sum of their
-- magnitudes, which says how far the sum can be relied on. $afterUs, $toUs: microseconds since the epoch;
-- $seriesIds: a list of ids as text.
SELECT series_id, count(*)::DOUBLE AS row_count, count(*) FILTER (isnan(value))::DOUBLE AS nan_count,
  coalesce(fsum(value) FILTER (NOT isnan(value)), 0) AS total,
  coalesce(sum(abs(value)) FILTER (NOT isnan(value)), 0) AS magnitude
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
