-- As promql_blocks.sql, with each row's position in the order of arrival. Samples in blocks arrived before all rows.
SELECT *, NULL::DOUBLE[] AS arrivals FROM ({@store/encoded_blocks})
UNION ALL
SELECT series_id, 0::UINTEGER, 0, 0, 0, 0, 0, NULL, NULL, list(value), list(epoch_us(ts) / 1000), list(rowid::DOUBLE)
FROM (
  SELECT series_id, rowid, ts, value
  FROM weir.{table}
  WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs)
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
  LIMIT $rowsMax
)
GROUP BY series_id;
