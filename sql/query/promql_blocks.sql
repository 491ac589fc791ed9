-- As promql_samples.sql, with the samples that are in blocks: one row per block, in the columns of EncodedBlocks
-- (src/store/blocks/decode.ts), and one per series whose samples are rows, with their times and values as lists. It is one
-- statement, so that a sample is read once while rows become blocks. Blocks are not in the limit $rowsMax. $day: days since
-- the epoch.
{@store/encoded_blocks}
UNION ALL
SELECT series_id, 0::UINTEGER, 0, 0, 0, 0, 0, NULL, NULL, list(value), list(epoch_us(ts) / 1000)
FROM (
  SELECT series_id, ts, value
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  LIMIT $rowsMax
)
GROUP BY series_id;
