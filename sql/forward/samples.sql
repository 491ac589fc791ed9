-- Rows of a day in the order of arrival, without their attributes. $1, $2: the first row id, and the one behind the last.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, live
FROM weir.{table}
WHERE rowid >= $1 AND rowid < $2
ORDER BY rowid;
