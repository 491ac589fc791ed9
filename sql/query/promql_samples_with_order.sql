-- As promql_samples.sql, with each sample's position in the order of arrival. For series that may have several
-- samples at one time: the last to arrive counts.
SELECT
  series_id,
  list(rowid::DOUBLE) AS arrivals,
  list(epoch_us(ts) / 1000) AS timestamps_ms,
  list(value) AS samples
FROM (
  SELECT series_id, rowid, ts, value
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  LIMIT $rowsMax
)
GROUP BY series_id;
