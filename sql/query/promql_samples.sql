-- The samples of some series of a day in a range of time that is open on the left, in the order of arrival: the
-- order of time within a series is made by the reader, which has to put them by series anyway. A stale marker is
-- NULL. $afterUs, $toUs: microseconds since the epoch.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
