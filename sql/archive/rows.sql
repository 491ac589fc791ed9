-- The samples of a day that are archived now: those of the blocks in archived_blocks, and the rows of its table with ids from
-- '{first}' up to and without '{end}'. Samples of blocks come first: they were stored before the others.
CREATE OR REPLACE TEMP VIEW archived_rows AS
WITH asked_blocks AS (SELECT * FROM temp.main.archived_blocks)
SELECT * EXCLUDE (live), rowid AS "row id" FROM weir.{table}
WHERE rowid >= CAST('{first}' AS BIGINT) AND rowid < CAST('{end}' AS BIGINT)
UNION ALL BY NAME
SELECT series_id, ts, value, -1 AS "row id" FROM ({@store/unpacked_blocks});
