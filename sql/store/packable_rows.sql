-- Rows of some series of a span that become samples of blocks, in the columns of EncodedBlocks (src/store/blocks/decode.ts): one
-- row per series and `live`, which is in step. Their order is not that of time.
SELECT series_id, 0::UINTEGER, 0::DOUBLE, 0::DOUBLE, live::DOUBLE, 0::DOUBLE, 0::DOUBLE, NULL::DOUBLE[],
  NULL::INTEGER[], list(value), list(epoch_us(ts)::DOUBLE)
FROM weir.{table}
WHERE rowid < $rowEnd AND ts >= make_timestamp($fromUs) AND ts < make_timestamp($untilUs)
  AND series_id >= $firstId AND series_id <= $lastId
  AND series_id IN (SELECT series_id FROM weir.series WHERE kind IN ('gauge', 'cumulative'))
GROUP BY series_id, live;
