-- The rows of a day that the last snapshot of the totals does not contain, in the order of arrival.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, live
FROM weir.{table}
WHERE rowid >= $1
ORDER BY rowid;
