-- What some series of a day have up to a time: their last sample, how many, their sum, and the sum of their
-- magnitudes, which says how far the sum can be relied on. Where a running total stands when a query's range begins,
-- and whether it was still there. $afterUs, $toUs: microseconds since the epoch; $seriesIds: a list of ids as text.
SELECT series_id, epoch_us(max(ts))::DOUBLE AS last_us, count(*)::DOUBLE AS row_count, fsum(value) AS total,
  sum(abs(value)) AS magnitude
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
