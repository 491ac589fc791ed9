-- Stores the row ids of some series of a day in a range of time, both ends included ($fromUs, $toUs: microseconds
-- since the epoch).
INSERT INTO temp.main.deleted_rows
SELECT rowid
FROM weir.{table}
WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
