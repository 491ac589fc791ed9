-- No blocks: the rows that came since the day was archived are no blocks.
CREATE OR REPLACE TEMP VIEW archived_blocks AS SELECT * FROM weir.blocks WHERE false;
