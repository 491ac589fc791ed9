-- The exemplars of a range of time that were sent with series, in order. $fromUs, $toUs: microseconds since the epoch, both
-- included. $most: how many are read.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, labels
FROM weir.exemplars
WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
ORDER BY ts DESC
LIMIT $most;
