-- Rows of a day, without their attributes. The engine returns them in the order of arrival; a sort would take a third of the
-- time. $1, $2: the first row id, and the one behind the last.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, live
FROM weir.{table}
WHERE rowid >= $1 AND rowid < $2;
