-- How many samples some series of a day have in a range of time, both ends included ($fromUs, $toUs: microseconds since
-- the epoch).
SELECT series_id, count(*)::DOUBLE AS samples
FROM weir.{table}
WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
