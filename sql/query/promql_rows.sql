-- The rows of some series of a day in a range of time that is open on the left, among the first rows of the day, in no
-- particular order. $afterUs, $toUs: microseconds since the epoch; $rows: the number of rows of the day that count;
-- $seriesIds: a list of ids as text.
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND rowid < $rows
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
