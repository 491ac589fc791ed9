-- When some series of a day had their last sample in a range of time: whether a running total was still shown
-- when that range ended. $afterUs, $toUs: microseconds since the epoch.
SELECT series_id, epoch_us(max(ts))::DOUBLE AS timestamp_us
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
