-- Writes a day's table again without the deleted rows, in the same order. After a DELETE, the ids of the other
-- rows would change at the next checkpoint, and watermarks count rows by their ids.
CREATE OR REPLACE TABLE weir.{table} AS
SELECT stored.*
FROM weir.{table} AS stored
ANTI JOIN temp.main.deleted_rows AS deleted ON deleted.row_id = stored.rowid
ORDER BY stored.rowid;
