-- The samples of some series of a day in a range of time that is open on the left, by series: their times in
-- milliseconds and their values. They come in portions, each in the order of arrival. A stale marker is NULL.
-- Sorting in the engine, or passing row by row, would take longer. $afterUs, $toUs: microseconds since the
-- epoch; $seriesIds: a list of ids as text; $rowsMax: the most rows to read; which ones is unspecified.
SELECT series_id, list(epoch_us(ts) / 1000) AS timestamps_ms, list(value) AS samples
FROM (
  SELECT series_id, ts, value
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  LIMIT $rowsMax
)
GROUP BY series_id;
