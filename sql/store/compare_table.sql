-- Rows of both, and whether they have the same values in the same order.
SELECT source.rows AS source_rows, target.rows AS target_rows, source.content IS NOT DISTINCT FROM target.content AS is_equal
FROM (SELECT count(*) AS rows, bit_xor(hash(t.rowid, t)) AS content FROM source.weir.{table} AS t) AS source,
  (SELECT count(*) AS rows, bit_xor(hash(t.rowid, t)) AS content FROM target.weir.{table} AS t) AS target;
