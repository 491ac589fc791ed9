-- How many samples some series of a day have in a range of time. The counts decide how much to read at once.
-- $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
SELECT series_id, count(*)::DOUBLE AS row_count
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
