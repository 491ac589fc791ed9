-- As promql_reduce.sql, for sums: a line of rows has the sum of their values in step, and in base the sum of their magnitudes,
-- which bounds the error of the sum. NaN is not filtered out: a sum that includes one is NaN, and the filters would take as long
-- as the sums.
{@store/encoded_blocks}
UNION ALL
SELECT series_id, 0::UINTEGER, count(*)::DOUBLE, count(*) FILTER (isnan(value))::DOUBLE, fsum(value), sum(abs(value)), 0,
  NULL, NULL, NULL, NULL
FROM weir.{table}
WHERE ts > make_timestamp($afterUs) AND ts <= make_timestamp($toUs) AND value IS NOT NULL
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
GROUP BY series_id;
