-- How many samples some series of a day have in each bucket up to a time. Values above all bounds are in the
-- bucket of the greatest double. So is NaN, which the engine would count in the first bucket. $afterUs, $toUs:
-- microseconds since the epoch; $seriesIds: a list of ids as text; $bounds: a list of doubles as text.
SELECT series_id, bucket.key AS bound, bucket.value::DOUBLE AS row_count
FROM (
  SELECT series_id, unnest(map_entries(
    histogram(CASE WHEN isnan(value) THEN 'infinity'::DOUBLE ELSE value END, $bounds::DOUBLE[])
  )) AS bucket
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  GROUP BY series_id
);
