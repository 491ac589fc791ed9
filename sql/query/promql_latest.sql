-- The last sample that some series of a day have up to a time, also where it is a stale marker: what a group that
-- still stands was last told. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
SELECT series_id, epoch_us(max(ts))::DOUBLE AS timestamp_us, arg_max_null(value, ts) AS value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
