-- Writes a day anew without the rows that go, the others in their order. A DELETE would leave it to the next
-- checkpoint when the ids of the others change, and they are what watermarks count.
CREATE OR REPLACE TABLE weir.{table} AS
SELECT stored.*
FROM weir.{table} AS stored
ANTI JOIN temp.main.deleted_rows AS deleted ON deleted.row_id = stored.rowid
ORDER BY stored.rowid;
