-- One number for each of some series of a day over a range of time: their greatest or least value. NaN is left
-- out, and counted. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
SELECT series_id, count(*)::DOUBLE AS row_count, count(*) FILTER (isnan(value))::DOUBLE AS nan_count,
  {aggregate}(value) FILTER (NOT isnan(value)) AS reduced
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
