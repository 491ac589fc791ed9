-- The rows of some series of a day in a range of time that is open on the left, among the first rows of the day, by series:
-- the steps of the grid at which they count, from $baseStep on, and their values. They come in no particular order.
-- $stepUs: the length of a step; $afterUs, $toUs: microseconds since the epoch; $rows: the number of rows of the day that
-- count; $seriesIds: a list of ids as text.
SELECT series_id, list(step) AS steps, list(value) AS samples
FROM (
  SELECT series_id, value, ((epoch_us(ts) + $stepUs - 1) // $stepUs - $baseStep)::UINTEGER AS step
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND rowid < $rows AND value IS NOT NULL
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
)
GROUP BY series_id;
