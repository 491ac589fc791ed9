-- The state of some series of a day up to a time: the last sample, the number of samples, their sum, and the
-- sum of their magnitudes, which bounds the error of the sum. It says where a running total is when a query's
-- range begins, and whether it still existed. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list
-- of ids as text.
SELECT series_id, epoch_us(max(ts))::DOUBLE AS last_us, count(*)::DOUBLE AS row_count, fsum(value) AS total,
  sum(abs(value)) AS magnitude
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
