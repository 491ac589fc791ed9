-- The rows of a day that the totals of the last snapshot do not hold, in the order in which they came.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, live
FROM weir.{table}
WHERE rowid >= $1
ORDER BY rowid;
