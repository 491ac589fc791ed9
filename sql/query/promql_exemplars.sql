-- The newest exemplars that were sent with series, in a range of time. $fromUs, $toUs: microseconds since the
-- epoch.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, labels
FROM weir.exemplars
WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
ORDER BY ts DESC
LIMIT $most;
