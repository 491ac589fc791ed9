-- All blocks of a day ('{day}': days since the epoch).
CREATE OR REPLACE TEMP VIEW archived_blocks AS SELECT * FROM weir.blocks WHERE day = CAST('{day}' AS INTEGER);
