-- The samples of some series of a day in a range of time that is open on the left, in the order of arrival, which
-- mostly is that of time: the reader puts them by series. Without ORDER BY the join gives them in portions of
-- any order, and sorting them later costs more. A stale marker is NULL. $afterUs, $toUs: microseconds since the
-- epoch; $seriesIds: a list of ids as text.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
ORDER BY rowid;
