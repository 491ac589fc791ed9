-- Rows of both, and whether they are the same, in any order.
SELECT source.rows AS source_rows, target.rows AS target_rows, source.content IS NOT DISTINCT FROM target.content AS is_equal
FROM (SELECT count(*) AS rows, bit_xor(hash(t)) AS content FROM source.weir.{table} AS t) AS source,
  (SELECT count(*) AS rows, bit_xor(hash(t)) AS content FROM target.weir.{table} AS t) AS target;
