-- How many rows of each series of a span ($fromUs, $untilUs: microseconds since the epoch, the end not included) can become
-- samples of blocks: see store/count_packable.
SELECT series_id, count(*)::DOUBLE AS samples
FROM weir.{table}
WHERE rowid < $rowEnd AND ts >= make_timestamp($fromUs) AND ts < make_timestamp($untilUs)
  AND series_id IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative'))
GROUP BY series_id;
