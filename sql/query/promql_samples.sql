-- The samples of some series of a day in a range of time that is open on the left, by series: their times in
-- milliseconds and their values, in portions of which each is in the order of arrival. A stale marker is NULL. Sorted
-- by the engine, or handed over row by row, they would take longer. $afterUs, $toUs: microseconds since the epoch;
-- $seriesIds: a list of ids as text; $rowsMax: no more rows than that, which ones is open.
SELECT series_id, list(epoch_us(ts) / 1000) AS timestamps_ms, list(value) AS samples
FROM (
  SELECT series_id, ts, value
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  LIMIT $rowsMax
)
GROUP BY series_id;
