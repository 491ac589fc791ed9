-- As promql_samples, in the order of arrival: for events, of which several may have one time.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
ORDER BY rowid;
