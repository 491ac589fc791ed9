-- The blocks of the asked series of a day ('{day}': days since the epoch).
CREATE OR REPLACE TEMP VIEW archived_blocks AS
SELECT * FROM weir.blocks
WHERE day = CAST('{day}' AS INTEGER) AND series_id IN (SELECT series_id FROM temp.main.archived_series);
